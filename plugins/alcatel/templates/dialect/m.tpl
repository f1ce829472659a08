<?xml version="1.0" encoding="UTF-8"?>
<settings>
{% macro set(id, value) %}<setting id="{{ id }}" value="{{ value }}"/>{% endmacro %}
{% block provisioning %}
{{ set("DeviceProvisionServerUrl", base_url) }}
{{ set("DeviceProvisionFileFirst", "config.$model.xml") }}
{{ set("DeviceProvisionFileSecond", "config.$mac.xml") }}
{{ set("DeviceFirmwareUpgradeUrl", upgrade_url) }}
{{ set("DeviceAutoUpgradeEnable", true) }}
{% endblock %}
{% block network %}
{{ set("DeviceNetworkLanVlanEnable", vlan is not none) }}
{{ set("DeviceNetworkLanVlanNumber", vlan.id if vlan else none) }}
{{ set("DeviceNetworkPcVlanEnable", vlan is not none and vlan.pc_id is not none) }}
{{ set("DeviceNetworkPcVlanNumber", vlan.pc_id if vlan else none) }}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
{{ set("DeviceNetworkDns1", dns) }}
{% endif %}
{% endblock %}
{% block time %}
{{ set("SettingSntpServer", ntp) }}
{% if zone %}
{{ set("SettingTimeZone", offset) }}
{{ set("SettingTimeZoneLocation", zone.name) }}
{{ set("SettingDstEnable", 2) }}
{% endif %}
{% endblock %}
{% block language %}
{% if language is not none %}
{{ set("SettingLanguage", language) }}
{% endif %}
{% endblock %}
{% block security %}
{{ set("DeviceSecuritySshEnable", false) }}
{% if admin %}
{{ set("DeviceSecurityAdminName", admin.name) }}
{% if admin.password %}
{{ set("DeviceSecurityAdminPwd", admin.password) }}
{% endif %}
{% endif %}
{% if user %}
{{ set("DeviceSecurityUserName", user.name) }}
{% if user.password %}
{{ set("DeviceSecurityUserPwd", user.password) }}
{{ set("DeviceSecurityVarPwd", user.password) }}
{% endif %}
{% endif %}
{% endblock %}
{% block services %}
{{ set("RemotePhoneBookEnable", phonebook is not none) }}
{{ set("RemotePhoneBook1GroupName", "Directory" if phonebook else none) }}
{{ set("RemotePhoneBook1Url", phonebook) }}
{% for name, code in (("Dnd", extens.dnd), ("ImmFwd", extens.fwd_unconditional), ("BusyFwd", extens.fwd_busy), ("NoReplyFwd", extens.fwd_no_answer)) %}
{{ set("Feature%sOnCode"|format(name), code) }}
{{ set("Feature%sOffCode"|format(name), code) }}
{% endfor %}
{{ set("FeatureCallWaitingEnable", not switchboard) }}
{% endblock %}
{% block accounts %}
{% for n, account in accounts.items() %}
{% set servers = account.servers %}
{% set a = "Account%d"|format(n) %}
{{ set(a ~ "Enable", true) }}
{{ set(a ~ "RegName", account.auth_username) }}
{{ set(a ~ "Password", account.password) }}
{{ set(a ~ "UserName", account.username) }}
{{ set(a ~ "Label", (account.extension, account.display_name)|select|join(" - ") or account.username) }}
{{ set(a ~ "DisplayName", account.display_name) }}
{{ set(a ~ "Server1Address", servers.proxy.host) }}
{{ set(a ~ "Server1Port", servers.proxy.port) }}
{{ set(a ~ "Server1Transport", account.transport) }}
{{ set(a ~ "Server1Expire", 600) }}
{{ set(a ~ "Server2Address", servers.backup_proxy.host if servers.backup_proxy else none) }}
{{ set(a ~ "Server2Port", servers.backup_proxy.port if servers.backup_proxy else 5060) }}
{{ set(a ~ "Server2Expire", 600) }}
{{ set(a ~ "SwitchoverTimer", 10) }}
{{ set(a ~ "OutboundProxy1Address", servers.outbound_proxy.host if servers.outbound_proxy else none) }}
{{ set(a ~ "OutboundProxy1Port", servers.outbound_proxy.port if servers.outbound_proxy else 5060) }}
{{ set(a ~ "SrtpWorkingMode", account.srtp) }}
{{ set(a ~ "DtmfMode", account.dtmf) }}
{{ set(a ~ "VmNumber", account.voicemail) }}
{{ set(a ~ "MwiUri", account.voicemail) }}
{% endfor %}
{% filter for_each(free_lines) %}
<setting id="Account@Enable" value="false"/>
<setting id="Account@RegName" value=""/>
<setting id="Account@Password" value=""/>
<setting id="Account@UserName" value=""/>
{% endfilter %}
{% endblock %}
{% block keys %}
{% for number, key in program_keys %}
{{ set("ProgramKey%dType"|format(number), key.code) }}
{{ set("ProgramKey%dAccount"|format(number), key.line) }}
{{ set("ProgramKey%dLabel"|format(number), key.label) }}
{{ set("ProgramKey%dValue"|format(number), key.value) }}
{{ set("ProgramKey%dExtension"|format(number), key.value) }}
{% endfor %}
{% filter for_each(free_keys) %}
<setting id="ProgramKey@Type" value=""/>
<setting id="ProgramKey@Label" value=""/>
<setting id="ProgramKey@Value" value=""/>
<setting id="ProgramKey@Extension" value=""/>
{% endfilter %}
{% endblock %}
{% block custom %}
{% endblock %}
</settings>
