#!version:1.0.0.1
{# An administrator's template may replace any block, or fill "custom":
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% block provisioning %}
{{ static }}auto_provision.server.url = {{ base_url }}/
{% include "common/settings.tpl" %}
{% if firmware_url %}
{{ static }}firmware.url = {{ firmware_url }}
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
{% set vlan = raw.vlan_enabled|d(false) %}
{{ static }}network.vlan.internet_port_enable = {{ 1 if vlan else 0 }}
{% if vlan %}
{{ static }}network.vlan.internet_port_vid = {{ raw.vlan_id }}
{{ static }}network.vlan.internet_port_priority = {{ raw.vlan_priority|d(0) }}
{% endif %}
{% if vlan and raw.vlan_pc_port_id|d(none) is not none %}
{{ static }}network.vlan.pc_port_enable = 1
{{ static }}network.vlan.pc_port_vid = {{ raw.vlan_pc_port_id }}
{% else %}
{{ static }}network.vlan.pc_port_enable = 0
{% endif %}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if raw.dns_enabled|d(false) %}
{{ static }}network.static_dns_enable = 1
{{ static }}network.primary_dns = {{ raw.dns_ip }}
{% endif %}
{% endblock %}
{% block syslog %}
{% set syslog = raw.syslog_enabled|d(false) %}
{% if release >= 81 %}
static.syslog.enable = {{ 1 if syslog else 0 }}
static.syslog.server = {{ raw.syslog_ip if syslog else none }}
{% if syslog %}
static.syslog.server_port = {{ raw.syslog_port|d(514) }}
static.syslog.level = {{ syslog_level }}
{% endif %}
{% else %}
syslog.mode = {{ 1 if syslog else 0 }}
syslog.server = {{ raw.syslog_ip if syslog else none }}
{% endif %}
{% endblock %}
{% block time %}
local_time.ntp_server1 = {{ raw.ntp_ip if raw.ntp_enabled|d(false) else none }}
{# Without a time zone of ours a phone keeps its own: the factory's is that of China. #}
{% for key, value in (time or {}).items() %}
local_time.{{ key }} = {{ value }}
{% endfor %}
{% endblock %}
{% block language %}
{{ static_lang }}lang.gui = {{ language }}
{{ static_lang }}lang.wui = {{ language }}
voice.tone.country = {{ tone_country }}
{% if is_dect and handset_language is not none %}
custom.handset.language = {{ handset_language }}
{% endif %}
{% endblock %}
{% block security %}
{% for account, name, password in logins %}
{{ static }}security.user_name.{{ account }} = {{ name }}
{% if password %}
{{ static }}security.user_password = {{ name }}:{{ password }}
{% endif %}
{% endfor %}
features.action_uri_limit_ip = {{ proxy }}
{% if certificates %}
{{ static }}security.trust_certificates = 1
{% for name in certificates %}
{{ static }}trusted_certificates.url = {{ base_url }}/{{ name }}
{% endfor %}
{% endif %}
{% endblock %}
{% block services %}
{% set phonebook = raw.XX_xivo_phonebook_url|d(none) %}
remote_phonebook.data.1.url = {{ phonebook }}
remote_phonebook.data.1.name = {{ "Directory" if phonebook else none }}
{% if phonebook and not is_dect %}
{{ static }}directory_setting.url = {{ base_url }}/directory_setting.xml
{% endif %}
action_url.dnd_on = {{ raw.XX_wazo_phoned_user_service_dnd_enabled_url|d(none) }}
action_url.dnd_off = {{ raw.XX_wazo_phoned_user_service_dnd_disabled_url|d(none) }}
features.pickup.direct_pickup_enable = {{ 1 if raw.exten_pickup_call|d(none) else 0 }}
features.pickup.direct_pickup_code = {{ raw.exten_pickup_call|d(none) }}
features.pickup.group_pickup_enable = {{ 1 if raw.exten_pickup_group|d(none) else 0 }}
features.pickup.group_pickup_code = {{ raw.exten_pickup_group|d(none) }}
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
