{% macro servers(prefix, all, transport) %}
{{ prefix }}.sip_server.1.address = {{ all.proxy.host }}
{{ prefix }}.sip_server.1.port = {{ all.proxy.port }}
{% if release >= 80 %}
{{ prefix }}.sip_server.1.transport_type = {{ transport }}
{% else %}
{{ prefix }}.transport = {{ transport }}
{% endif %}
{{ prefix }}.sip_server.2.address = {{ all.backup_proxy.host if all.backup_proxy else none }}
{% if all.backup_proxy %}
{{ prefix }}.sip_server.2.port = {{ all.backup_proxy.port }}
{% if release >= 80 %}
{{ prefix }}.sip_server.2.transport_type = {{ transport }}
{% endif %}
{% endif %}
{{ prefix }}.outbound_proxy_enable = {{ 1 if all.outbound_proxy else 0 }}
{% if all.outbound_proxy %}
{{ prefix }}.outbound_proxy.1.address = {{ all.outbound_proxy.host }}
{{ prefix }}.outbound_proxy.1.port = {{ all.outbound_proxy.port }}
{% endif %}
{% endmacro %}
{% for all, number in sip_templates.items() %}
{% set prefix = "template.%d"|format(number) %}
{{ prefix }}.name = {{ all.proxy.host }}
{{ servers(prefix, all, (accounts.values()|first).transport) }}
{%- endfor %}
{% for number, account in accounts.items() %}
{% set prefix = "account.%d"|format(number) %}
{{ prefix }}.enable = 1
{{ prefix }}.label = {{ labels[number] }}
{{ prefix }}.display_name = {{ account.display_name }}
{{ prefix }}.auth_name = {{ account.auth_username }}
{{ prefix }}.user_name = {{ account.username }}
{{ prefix }}.password = {{ account.password }}
{% if model.fact("templates") %}
{{ prefix }}.sip_server.template = {{ sip_templates[account.servers] }}
{% else %}
{{ servers(prefix, account.servers, account.transport) }}
{%- endif %}
{{ prefix }}.fallback.redundancy_type = {{ 1 if account.servers.backup_proxy else none }}
{{ prefix }}.srtp_encryption = {{ account.srtp }}
{{ prefix }}.dtmf.type = {{ account.dtmf }}
{{ prefix }}.dtmf.info_type = 1
{{ prefix }}.subscribe_mwi = {{ 1 if raw.sip_subscribe_mwi|d(false) else 0 }}
voice_mail.number.{{ number }} = {{ account.voicemail }}
{% endfor %}
{% filter for_each(free_lines) %}
account.@.enable = 0
account.@.label = %NULL%
account.@.display_name = %NULL%
account.@.auth_name = %NULL%
account.@.user_name = %NULL%
account.@.password = %NULL%
{% if model.fact("templates") %}
account.@.sip_server.template = %NULL%
{% else %}
account.@.sip_server.1.address = %NULL%
account.@.sip_server.2.address = %NULL%
account.@.outbound_proxy_enable = 0
{% endif %}
voice_mail.number.@ = %NULL%
{% endfilter %}
