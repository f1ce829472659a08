#!version:1.0.0.1
{# An administrator's template may replace any block, or fill "custom":
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% block provisioning %}
{{ static }}auto_provision.server.url = {{ base_url }}/
{% include "common/settings.tpl" %}
{% if firmware %}
{{ static }}firmware.url = {{ firmware }}
{% endif %}
{% if is_dect %}
over_the_air.handset_tip = 0
{% for type, url in handset_firmware_urls.items() %}
{% if release < 80 %}
over_the_air.url = {{ url }}
{% else %}
over_the_air.url.{{ type }} = {{ url }}
{% endif %}
{% endfor %}
{% endif %}
{% endblock %}
{% block network %}
{{ static }}network.vlan.internet_port_enable = {{ 1 if vlan else 0 }}
{% if vlan %}
{{ static }}network.vlan.internet_port_vid = {{ vlan.id }}
{{ static }}network.vlan.internet_port_priority = {{ vlan.priority }}
{% endif %}
{% if vlan and vlan.pc_id is not none %}
{{ static }}network.vlan.pc_port_enable = 1
{{ static }}network.vlan.pc_port_vid = {{ vlan.pc_id }}
{% else %}
{{ static }}network.vlan.pc_port_enable = 0
{% endif %}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
{{ static }}network.static_dns_enable = 1
{{ static }}network.primary_dns = {{ dns }}
{% endif %}
{% endblock %}
{% block syslog %}
{% if release >= 81 %}
static.syslog.enable = {{ 1 if syslog else 0 }}
static.syslog.server = {{ syslog.host if syslog else none }}
{% if syslog %}
static.syslog.server_port = {{ syslog.port }}
static.syslog.level = {{ syslog.level }}
{% endif %}
{% else %}
syslog.mode = {{ 1 if syslog else 0 }}
syslog.server = {{ syslog.host if syslog else none }}
{% endif %}
{% endblock %}
{% block time %}
local_time.ntp_server1 = {{ ntp }}
{# Without a time zone of ours a phone keeps its own: the factory's is that of China. #}
{% for key, value in (time or {}).items() %}
local_time.{{ key }} = {{ value }}
{% endfor %}
{% endblock %}
{% block language %}
{{ static_lang }}lang.gui = {{ language }}
{{ static_lang }}lang.wui = {{ language }}
voice.tone.country = {{ country }}
{% if is_dect and handset_language is not none %}
custom.handset.language = {{ handset_language }}
{% endif %}
{% endblock %}
{% block security %}
{% for login in logins %}
{{ static }}security.user_name.{{ login.account }} = {{ login.name }}
{% if login.password %}
{{ static }}security.user_password = {{ login.name }}:{{ login.password }}
{% endif %}
{% endfor %}
features.action_uri_limit_ip = {{ proxy_ip }}
{% if certificate_names %}
{{ static }}security.trust_certificates = 1
{% for name in certificate_names %}
{{ static }}trusted_certificates.url = {{ base_url }}/{{ name }}
{% endfor %}
{% endif %}
{% endblock %}
{% block services %}
remote_phonebook.data.1.url = {{ phonebook }}
remote_phonebook.data.1.name = {{ "Directory" if phonebook else none }}
{% if phonebook and not is_dect %}
{{ static }}directory_setting.url = {{ base_url }}/directory_setting.xml
{% endif %}
action_url.dnd_on = {{ dnd_urls[0] }}
action_url.dnd_off = {{ dnd_urls[1] }}
features.pickup.direct_pickup_enable = {{ 1 if extens.pickup_call else 0 }}
features.pickup.direct_pickup_code = {{ extens.pickup_call }}
features.pickup.group_pickup_enable = {{ 1 if extens.pickup_group else 0 }}
features.pickup.group_pickup_code = {{ extens.pickup_group }}
{% if extens.dnd %}
features.dnd.on_code = {{ extens.dnd }}
features.dnd.off_code = {{ extens.dnd }}
{% endif %}
{% for kind, code in forward_codes if code %}
forward.{{ kind }}.on_code = {{ code }}
forward.{{ kind }}.off_code = {{ code }}
{% endfor %}
{# Whoever sits at a switchboard sees waiting calls there. #}
call_waiting.enable = {{ 0 if switchboard else none }}
{% if release <= 80 %}
push_xml.sip_notify = {{ 1 if switchboard else none }}
{% endif %}
{% endblock %}
{% block accounts %}
{% include "common/accounts.tpl" %}
{% endblock %}
{% block keys %}
{% include "common/keys.tpl" %}
{% endblock %}
{% block custom %}
{% endblock %}
{% include "custom.tpl" ignore missing %}
