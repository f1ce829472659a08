<?xml version="1.0" encoding="UTF-8"?>
{# What an N610, N670, N770 or N870 gets. A template of your own may extend this one and replace any
   block, or fill "custom", with more parameters:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
<provisioning version="1.1" productID="e2">
{% block firmware %}
{% if firmware and release %}
  <firmware>
    <file version="{{ release }}" url="{{ firmware }}"/>
  </firmware>
{% endif %}
{% endblock %}
  <nvm>
{# Handsets that are not below are sent away. #}
    <oper name="DeleteNotProvisionedHS"/>
{% block provisioning %}
    <param name="Provisioning.global.ProvisioningServer" value="{{ base_url }}"/>
{% endblock %}
{% block security %}
{% if admin and admin.password %}
    <param name="WebUIAccounts.1.Password" value="{{ admin.password }}"/>
{% endif %}
{% endblock %}
{% block telephony %}
    <param name="Telephony.0.ToneScheme" value="{{ tables.system_tones.get(phone.locale, tables.system_tones.default) }}"/>
    <param name="Telephony.0.CT_ViaRKey" value="1"/>
    <param name="Telephony.0.CT_ByOnHook" value="1"/>
    <param name="DmGlobal.0.SuotaEnable" value="1"/>
    <param name="DmGlobal.0.HSIdleDisplay" value="1"/>
{% endblock %}
{% block time %}
{% if ntp %}
    <param name="DmGlobal.0.NtpServer" value="{{ ntp }}"/>
{% endif %}
{% if zone_code %}
    <param name="DmGlobal.0.TimeZone" value="{{ zone_code }}"/>
{% endif %}
{% endblock %}
{% block providers %}
{% for provider in providers %}
{% set servers = provider.account.servers %}
{% set prefix = "SipProvider." ~ provider.index %}
    <param name="{{ prefix }}.Name" value="{{ servers.proxy.host }}"/>
    <param name="{{ prefix }}.Domain" value="{{ servers.registrar.host }}"/>
    <param name="{{ prefix }}.ProxyServerAddress" value="{{ servers.proxy.host }}"/>
    <param name="{{ prefix }}.ProxyServerPort" value="{{ servers.proxy.port }}"/>
    <param name="{{ prefix }}.RegServerAddress" value="{{ servers.registrar.host }}"/>
    <param name="{{ prefix }}.RegServerPort" value="{{ servers.registrar.port }}"/>
    <param name="{{ prefix }}.RegServerRefreshTimer" value="180"/>
    <param name="{{ prefix }}.FailoverServerEnabled" value="{{ servers.backup_registrar is not none }}"/>
{% if servers.backup_registrar %}
    <param name="{{ prefix }}.FailoverServerAddress" value="{{ servers.backup_registrar.host }}"/>
    <param name="{{ prefix }}.FailoverServerPort" value="{{ servers.backup_registrar.port }}"/>
{% endif %}
{% if servers.outbound_proxy %}
    <param name="{{ prefix }}.OutboundProxyMode" value="0"/>
    <param name="{{ prefix }}.OutboundProxyAddress" value="{{ servers.outbound_proxy.host }}"/>
    <param name="{{ prefix }}.OutboundProxyPort" value="{{ servers.outbound_proxy.port }}"/>
{% else %}
    <param name="{{ prefix }}.OutboundProxyMode" value="2"/>
{% endif %}
    <param name="{{ prefix }}.TransportProtocol" value="{{ provider.account.transport }}"/>
    <param name="{{ prefix }}.UseSIPS" value="0"/>
    <param name="{{ prefix }}.SRTP_Enabled" value="{{ provider.account.srtp != "disabled" }}"/>
    <param name="{{ prefix }}.AcceptNonSRTPCalls" value="{{ provider.account.srtp != "required" }}"/>
    <param name="{{ prefix }}.DTMFTransmission" value="{{ provider.account.dtmf }}"/>
    <param name="{{ prefix }}.MWISubscription" value="{{ phone.values.flag("sip_subscribe_mwi") }}"/>
    <param name="{{ prefix }}.DnsQuery" value="0"/>
    <param name="{{ prefix }}.WithDeregOnHsNotReachable" value="1"/>
    <param name="{{ prefix }}.RenewConnectionAfterTimeout" value="1"/>
    <param name="{{ prefix }}.ConnectionTimeoutAction" value="1"/>
{% endfor %}
{% endblock %}
{% block handsets %}
{% for number, account in accounts.items() %}
{% set handset = "%05d"|format(number) %}
    <oper name="add_hs" value="{{ handset }}">
      <param name="hs.RegStatus" value="ToReg"/>
    </oper>
    <param name="hs.{{ handset }}.DECT_AC" value="{{ handset_pins[number] }}"/>
    <param name="hs.{{ handset }}.DirectAccessDir" value="0"/>
    <param name="hs.{{ handset }}.IntKeyDir" value="20"/>
    <param name="SipAccount.{{ handset }}.ProviderId" value="{{ provider_of[number] }}"/>
    <param name="SipAccount.{{ handset }}.UserName" value="{{ account.username }}"/>
    <param name="SipAccount.{{ handset }}.AuthName" value="{{ account.auth_username }}"/>
    <param name="SipAccount.{{ handset }}.AuthPassword" value="{{ account.password }}"/>
    <param name="SipAccount.{{ handset }}.DisplayName" value="{{ names[number] }}"/>
    <param name="SipAccount.{{ handset }}.VoiceMailMailbox" value="{{ account.voicemail }}"/>
    <param name="SipAccount.{{ handset }}.VoiceMailActive" value="{{ account.voicemail is not none }}"/>
{% endfor %}
{% endblock %}
{% block phonebook %}
    <param name="Netdir.1.Activated" value="{{ phonebook is not none }}"/>
{% if phonebook %}
    <param name="XMLDir.1.ProviderName" value="PBX"/>
    <param name="XMLDir.1.ServerURL" value="{{ phonebook }}"/>
    <param name="XMLDir.1.WhitePagesDirName" value="Directory"/>
    <param name="XMLDir.1.StartWithListWP" value="1"/>
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
{% block registration %}
{% if registration[0] %}
    <oper name="update_dm" value="local">
      <param name="RegStart" value="{{ registration[0] }}"/>
      <param name="RegDuration" value="{{ registration[1] }}"/>
    </oper>
{% endif %}
{% endblock %}
  </nvm>
</provisioning>
