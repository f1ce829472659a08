{% macro servers(prefix, all) %}
{{ prefix }}.sip_server.1.address = {{ all.address }}
{{ prefix }}.sip_server.1.port = {{ all.port }}
{% if release >= 80 %}
{{ prefix }}.sip_server.1.transport_type = {{ transport }}
{% else %}
{{ prefix }}.transport = {{ transport }}
{% endif %}
{{ prefix }}.sip_server.2.address = {{ all.backup_address }}
{% if all.backup_address %}
{{ prefix }}.sip_server.2.port = {{ all.backup_port }}
{% if release >= 80 %}
{{ prefix }}.sip_server.2.transport_type = {{ transport }}
{% endif %}
{% endif %}
{{ prefix }}.outbound_proxy_enable = {{ 1 if all.outbound_address else 0 }}
{% if all.outbound_address %}
{{ prefix }}.outbound_proxy.1.address = {{ all.outbound_address }}
{{ prefix }}.outbound_proxy.1.port = {{ all.outbound_port }}
{% endif %}
{% endmacro %}
{% for number, all in sip_templates %}
{% set prefix = "template.%d"|format(number) %}
{{ prefix }}.name = {{ all.address }}
{{ servers(prefix, all) }}
{%- endfor %}
{% for number, account in accounts.items() %}
{% set prefix = "account.%d"|format(number) %}
{{ prefix }}.enable = 1
{{ prefix }}.label = {{ account.label }}
{{ prefix }}.display_name = {{ account.display_name }}
{{ prefix }}.auth_name = {{ account.auth_name }}
{{ prefix }}.user_name = {{ account.user_name }}
{{ prefix }}.password = {{ account.password }}
{% if model.sip_templates %}
{{ prefix }}.sip_server.template = {{ account.template }}
{% else %}
{{ servers(prefix, account.servers) }}
{%- endif %}
{{ prefix }}.fallback.redundancy_type = {{ 1 if account.servers.backup_address else none }}
{{ prefix }}.srtp_encryption = {{ account.srtp }}
{{ prefix }}.dtmf.type = {{ account.dtmf_type }}
{{ prefix }}.dtmf.info_type = 1
{{ prefix }}.subscribe_mwi = {{ 1 if raw.sip_subscribe_mwi|d(false) else 0 }}
voice_mail.number.{{ number }} = {{ account.voicemail }}
{% endfor %}
{% filter for_each(unused_accounts) %}
account.@.enable = 0
account.@.label = %NULL%
account.@.display_name = %NULL%
account.@.auth_name = %NULL%
account.@.user_name = %NULL%
account.@.password = %NULL%
{% if model.sip_templates %}
account.@.sip_server.template = %NULL%
{% else %}
account.@.sip_server.1.address = %NULL%
account.@.sip_server.2.address = %NULL%
account.@.outbound_proxy_enable = 0
{% endif %}
voice_mail.number.@ = %NULL%
{% endfilter %}
