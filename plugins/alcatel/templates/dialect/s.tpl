<?xml version="1.0" encoding="UTF-8"?>
<settings>
{% macro set(id, value) %}<setting id="{{ id }}" value="{{ value }}" override="true"/>{% endmacro %}
{% block provisioning %}
{{ set("LocalEnetcfgDmUrl", base_url) }}
{{ set("EdsEnetcfgDmUrl", base_url) }}
{{ set("DeviceFirmwareUpgradeUrl", upgrade_url) }}
{{ set("DeviceAutoUpgradeEnable", true) }}
{# SIP, and not the vendor's own protocol. #}
{{ set("SipAppRunMode", 0) }}
{{ set("LocalAdmcfgRunMode", "SIP") }}
{% endblock %}
{% block network %}
{{ set("LocalEnetcfgVlanEnabl", vlan is not none) }}
{{ set("LocalEnetcfgVlan", vlan.id if vlan else none) }}
{% endblock %}
{% block time %}
{{ set("LocalEnetcfgSntp", ntp) }}
{% if zone %}
{{ set("DmAdmcfgTimeZone", offset) }}
{% endif %}
{% endblock %}
{% block language %}
{% if language is not none %}
{{ set("language_local", language) }}
{{ set("language", language) }}
{{ set("language_choice", true) }}
{% endif %}
{% if country is not none %}
{{ set("AudioToneCountry", country) }}
{% endif %}
{% endblock %}
{% block security %}
{% if admin and admin.password %}
{{ set("DmAdminPasswd", admin.password) }}
{% endif %}
{% if user and user.password %}
{{ set("WebUserPasswd", user.password) }}
{% endif %}
{% endblock %}
{% block accounts %}
{{ set("SIPSrtpAuthentication", 0) }}
{{ set("TelephonyVmNumber", voicemail) }}
{{ set("SIPMessageWaitingIndicationUri", voicemail) }}
{% for n, account in accounts.items() %}
{% set servers = account.servers %}
{% set g = "SIPGroup%d"|format(n) %}
{{ set("SIPServer%dAddress"|format(n), servers.proxy.host) }}
{{ set(g ~ "DomainName", servers.proxy.host) }}
{{ set(g ~ "AuthenticationName", account.auth_username) }}
{{ set(g ~ "AuthenticationRealm", servers.proxy.host) }}
{{ set(g ~ "AuthenticationPassword", account.password) }}
{{ set(g ~ "LabelName", account.name) }}
{{ set(g ~ "DisplayName", account.display_name) }}
{{ set(g ~ "DeviceUri", account.username) }}
{{ set(g ~ "ServerType", 7) }}
{{ set(g ~ "OutBoundProxyAddress", servers.outbound_proxy.host if servers.outbound_proxy else none) }}
{{ set(g ~ "OutBoundProxyPort", servers.outbound_proxy.port if servers.outbound_proxy else 5060) }}
{% endfor %}
{% filter for_each(free_lines) %}
<setting id="SIPServer@Address" value="" override="true"/>
<setting id="SIPGroup@DeviceUri" value="" override="true"/>
<setting id="SIPGroup@AuthenticationName" value="" override="true"/>
<setting id="SIPGroup@AuthenticationPassword" value="" override="true"/>
{% endfilter %}
{% endblock %}
{% block keys %}
{% for number, key in program_keys %}
{{ set("SIPUseDeviceKey%d"|format(number), key.value) }}
{% endfor %}
{% for number in free_keys if number <= model.keys %}
{{ set("SIPUseDeviceKey%d"|format(number), none) }}
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
</settings>
