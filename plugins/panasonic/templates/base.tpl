# Panasonic SIP Phone Standard Format File #
{# An administrator's template may replace any block, or fill "custom", with more lines:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% block provisioning %}
CFG_STANDARD_FILE_PATH="{{ base_url }}/Panasonic/Config{MAC}.cfg"
CFG_RESYNC_FROM_SIP="check-sync"
{% if firmware and firmware_version %}
FIRM_UPGRADE_ENABLE="Y"
FIRM_UPGRADE_AUTO="Y"
FIRM_VERSION="{{ firmware_version }}"
FIRM_FILE_PATH="{{ firmware }}"
{% endif %}
{% endblock %}
{% block network %}
VLAN_ENABLE="{{ vlan is not none }}"
{% if vlan %}
VLAN_ID_IP_PHONE="{{ vlan.id }}"
VLAN_PRI_IP_PHONE="{{ vlan.priority }}"
VLAN_ID_PC="{{ vlan.pc_id }}"
{% endif %}
SYSLOG_ADDR="{{ syslog.host if syslog }}"
{% if syslog %}
SYSLOG_PORT="{{ syslog.port }}"
{% endif %}
{% endblock %}
{% block time %}
NTP_ADDR="{{ ntp }}"
{% if zone %}
TIME_ZONE="{{ zone.minutes }}"
LOCAL_TIME_ZONE_POSIX="{{ zone.to_posix() }}"
{% endif %}
{% endblock %}
{% block language %}
{% if language_tag %}
DEFAULT_LANGUAGE="{{ language_tag }}"
{% endif %}
{% endblock %}
{% block security %}
{% if admin %}
ADMIN_ID="{{ admin.name }}"
{% if admin.password %}
ADMIN_PASS="{{ admin.password }}"
{% endif %}
{% endif %}
{% endblock %}
{% block accounts %}
VM_SUBSCRIBE_ENABLE="{{ phone.values.flag("sip_subscribe_mwi") }}"
{% for n, account in accounts.items() %}
{% set servers = account.servers %}
PHONE_NUMBER_{{ n }}="{{ account.extension }}"
DISPLAY_NAME_{{ n }}="{{ account.display_name }}"
VM_NUMBER_{{ n }}="{{ account.voicemail }}"
SIP_URI_{{ n }}="sip:{{ account.username }}@{{ servers.registrar.host }}"
SIP_AUTHID_{{ n }}="{{ account.auth_username }}"
SIP_PASS_{{ n }}="{{ account.password }}"
SIP_PRXY_ADDR_{{ n }}="{{ servers.proxy.host }}"
SIP_PRXY_PORT_{{ n }}="{{ servers.proxy.port }}"
SIP_RGSTR_ADDR_{{ n }}="{{ servers.registrar.host }}"
SIP_RGSTR_PORT_{{ n }}="{{ servers.registrar.port }}"
SIP_2NDPROXY_ADDR_{{ n }}="{{ servers.backup_proxy.host if servers.backup_proxy }}"
{% if servers.backup_proxy %}
SIP_2NDPROXY_PORT_{{ n }}="{{ servers.backup_proxy.port }}"
{% endif %}
SIP_2NDRGSTR_ADDR_{{ n }}="{{ servers.backup_registrar.host if servers.backup_registrar }}"
{% if servers.backup_registrar %}
SIP_2NDRGSTR_PORT_{{ n }}="{{ servers.backup_registrar.port }}"
{% endif %}
SIP_OUTPROXY_ADDR_{{ n }}="{{ servers.outbound_proxy.host if servers.outbound_proxy }}"
{% if servers.outbound_proxy %}
SIP_OUTPROXY_PORT_{{ n }}="{{ servers.outbound_proxy.port }}"
{% endif %}
SIP_TRANSPORT_{{ n }}="{{ account.transport }}"
OUTBANDDTMF_{{ n }}="{{ account.dtmf }}"
{% endfor %}
{% filter for_each(free_lines) %}
PHONE_NUMBER_@=""
DISPLAY_NAME_@=""
SIP_URI_@=""
SIP_AUTHID_@=""
SIP_PASS_@=""
SIP_PRXY_ADDR_@=""
SIP_RGSTR_ADDR_@=""
{% endfilter %}
{% endblock %}
{% block keys %}
{% for key in keys %}
FLEX_BUTTON_FACILITY_ACT{{ key.name }}="X_PANASONIC_IPTEL_{{ key.code }}"
FLEX_BUTTON_FACILITY_ARG{{ key.name }}="{{ key.line if key.type == "line" else key.value if key.type == "blf" }}"
FLEX_BUTTON_QUICK_DIAL{{ key.name }}="{{ key.value if key.code == "ONETOUCH" }}"
FLEX_BUTTON_LABEL{{ key.name }}="{{ key.label }}"
{% endfor %}
{% filter for_each(cleared) %}
FLEX_BUTTON_FACILITY_ACT@=""
FLEX_BUTTON_FACILITY_ARG@=""
FLEX_BUTTON_QUICK_DIAL@=""
FLEX_BUTTON_LABEL@=""
{% endfilter %}
{% endblock %}
{% block custom %}
{% endblock %}

