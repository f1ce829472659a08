<?xml version="1.0" encoding="UTF-8"?>
{# What a Maxwell gets; a template of your own may extend this one and fill "custom". #}
<provisioning version="1.1">
{% block firmware %}
{% if firmware and release %}
  <firmware>
    <file version="{{ release }}" url="{{ firmware }}"/>
  </firmware>
{% endif %}
{% endblock %}
  <nvm>
{% block provisioning %}
    <param name="System.Provision.ProvisioningServer" value="{{ base_url }}/%MACD.xml"/>
    <param name="FirmwareManagment.AutomaticCheckForUpdates" value="{{ firmware is not none }}"/>
{% endblock %}
{% block security %}
{% if admin and admin.password %}
    <param name="WebUI.AdminPassword" value="{{ admin.password }}"/>
{% endif %}
{% if user and user.password %}
    <param name="WebUI.UserPassword" value="{{ user.password }}"/>
{% endif %}
{% endblock %}
{% block network %}
    <param name="NET.VLAN.Tagging" value="{% if not vlan %}0{% elif vlan.pc_id is none %}1{% else %}2{% endif %}"/>
    <param name="NET.VLAN.LAN.Identifier" value="{{ vlan.id if vlan else 0 }}"/>
    <param name="NET.VLAN.LAN.Priority" value="{{ vlan.priority if vlan else 0 }}"/>
    <param name="NET.VLAN.PC.Identifier" value="{{ vlan.pc_id or 0 if vlan else 0 }}"/>
    <param name="NET.VLAN.PC.Priority" value="0"/>
{% endblock %}
{% block time %}
{% if ntp %}
    <param name="System.DateAndTime.AutoAdjustTime" value="NTPServiceEnabled"/>
    <param name="System.DateAndTime.TimeServer" value="{{ ntp }}"/>
{% endif %}
{% if zone_code %}
    <param name="System.DateAndTime.TimeZone" value="{{ zone_code }}"/>
{% if zone.dst %}
    <param name="System.DateAndTime.AutoAdjustClockForDST" value="AutomatedDaylightSavingEnabled"/>
{% endif %}
{% endif %}
{% endblock %}
{% block language %}
{% set maxwell_language = phone.in_language(tables.maxwell_languages, "language") %}
{% if maxwell_language %}
    <param name="PhoneUI.Settings.Language" value="{{ maxwell_language }}"/>
    <param name="WebUI.Language" value="{{ maxwell_language }}"/>
{% endif %}
{% if phone.country_code %}
    <param name="Telephony.ToneScheme" value="{{ tables.maxwell_tones.get(phone.country_code, tables.maxwell_tones.default) }}"/>
{% endif %}
{% endblock %}
{% block sip %}
{% set first = phone.first_account %}
{% if first %}
    <param name="SIP.TransportProtocol" value="{{ 1 if first.transport_name == "udp" else 2 }}"/>
    <param name="SIP.Security.UseSIPS" value="{{ first.transport_name == "tls" }}"/>
    <param name="SIP.Security.SRTP" value="{{ first.srtp != "disabled" }}"/>
    <param name="SIP.Security.AcceptNonSRTPCalls" value="{{ first.srtp != "required" }}"/>
    <param name="SIP.DefaultAccount" value="{{ first.number - 1 }}"/>
{% endif %}
{% endblock %}
{% block accounts %}
{% for number, account in accounts.items() %}
{% set servers = account.servers %}
{% set prefix = "SIP.Account." ~ (number - 1) %}
    <param name="{{ prefix }}.Active" value="1"/>
    <param name="{{ prefix }}.AccountName" value="{{ account.extension or account.username }}"/>
    <param name="{{ prefix }}.Provider" value="PBX"/>
    <param name="{{ prefix }}.Username" value="{{ account.username }}"/>
    <param name="{{ prefix }}.AuthName" value="{{ account.auth_username }}"/>
    <param name="{{ prefix }}.AuthPassword" value="{{ account.password }}"/>
    <param name="{{ prefix }}.DisplayName" value="{{ account.display_name }}"/>
    <param name="{{ prefix }}.Domain" value="{{ servers.registrar.host }}"/>
    <param name="{{ prefix }}.ProxyServer.Address" value="{{ servers.proxy.host }}"/>
    <param name="{{ prefix }}.ProxyServer.Port" value="{{ servers.proxy.port }}"/>
    <param name="{{ prefix }}.RegistrationServer.Address" value="{{ servers.registrar.host }}"/>
    <param name="{{ prefix }}.RegistrationServer.Port" value="{{ servers.registrar.port }}"/>
    <param name="{{ prefix }}.FailoverServer.Enabled" value="{{ servers.backup_registrar is not none }}"/>
{% if servers.backup_registrar %}
    <param name="{{ prefix }}.FailoverServer.Address" value="{{ servers.backup_registrar.host }}"/>
    <param name="{{ prefix }}.FailoverServer.Port" value="{{ servers.backup_registrar.port }}"/>
{% endif %}
    <param name="{{ prefix }}.OutboundProxy.Mode" value="{{ 0 if servers.outbound_proxy else 2 }}"/>
{% if servers.outbound_proxy %}
    <param name="{{ prefix }}.OutboundProxy.Address" value="{{ servers.outbound_proxy.host }}"/>
    <param name="{{ prefix }}.OutboundProxy.Port" value="{{ servers.outbound_proxy.port }}"/>
{% endif %}
    <param name="{{ prefix }}.DTMFTransmission" value="{{ {1: 0, 2: 1, 4: 3}[account.dtmf] }}"/>
    <param name="{{ prefix }}.VoiceMail.Active" value="{{ account.voicemail is not none }}"/>
    <param name="{{ prefix }}.VoiceMail.Mailbox" value="{{ account.voicemail }}"/>
    <param name="{{ prefix }}.CallWaiting" value="{{ not switchboard }}"/>
{% endfor %}
{% for number in free_lines %}
    <param name="SIP.Account.{{ number - 1 }}.Active" value="0"/>
{% endfor %}
{% endblock %}
{% block keys %}
{% for key in keys %}
{% set prefix = "PhoneUI.Keys.FunctionKeys." ~ key.name %}
    <param name="{{ prefix }}.Type" value="{{ key.code }}"/>
{% if key.type == "line" %}
    <param name="{{ prefix }}.Connection" value="{{ key.line - 1 }}"/>
{% else %}
    <param name="{{ prefix }}.PhoneNumber" value="{{ key.value }}"/>
{% endif %}
    <param name="{{ prefix }}.DisplayName" value="{{ key.label }}"/>
{% endfor %}
{% for slot in free_slots %}
    <param name="PhoneUI.Keys.FunctionKeys.{{ slot.name }}.Type" value="-1"/>
{% endfor %}
{% if extens.dnd %}
    <param name="PhoneUI.Keys.ProgrammableKeys.DND.Type" value="1"/>
    <param name="PhoneUI.Keys.ProgrammableKeys.DND.FAC.enable" value="{{ extens.dnd }}"/>
    <param name="PhoneUI.Keys.ProgrammableKeys.DND.FAC.disable" value="{{ extens.dnd }}"/>
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
  </nvm>
</provisioning>
