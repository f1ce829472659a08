<?xml version="1.0" encoding="ISO-8859-1"?>
{# What an N510 gets. Numbers are hexadecimal; texts stand in double quotes within the single ones of
   the attribute. A template of your own may extend this one and fill "custom". #}
{% macro item(id, value) -%}
<SYMB_ITEM ID="{{ id }}" class="symb_item" value="{{ value }}"/>
{%- endmacro %}
{% macro text(id, value) -%}
<SYMB_ITEM ID="{{ id }}" class="symb_item" value='"{{ value }}"'/>
{%- endmacro %}
<ProviderFrame xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="N510.xsd">
  <Provider>
    <MAC_ADDRESS value="{{ mac|upper }}"/>
    <PROFILE_NAME class="string" value="N510"/>
{% block provisioning %}
{% if firmware %}
    <S_SPECIAL_DATA_SRV class="string" value='"{{ firmware }}?mac={{ mac|upper }}"'/>
{% endif %}
    <S_CONFIGFILE_URL class="string" value='"{{ host }}/{{ mac|upper }}.xml"'/>
    {{ text("BS_IP_Data1.aucS_DATA_SERVER[0]", host) }}
    {{ item("BS_IP_Data.ucB_AUTO_UPDATE_PROFILE", "0x1") }}
    {{ item("BS_IP_Data3.ucI_ONESHOT_PROVISIONING_MODE_1", "0x1") }}
{% endblock %}
{% block network %}
    {{ item("BS_IP_Data1.ucB_USE_DHCP", 1) }}
    {{ item("BS_IP_Data1.ucB_ACCEPT_FOREIGN_SUBNET", "0x1") }}
    {{ item("BS_IP_Data1.ucB_VLAN_ENABLED", 1 if vlan else 0) }}
{% if vlan %}
    {{ item("BS_IP_Data1.ucI_VLAN_PRIORITY", vlan.priority) }}
    {{ item("BS_IP_Data1.uiI_VLAN_ID", as_hex(vlan.id)) }}
{% endif %}
{% if dns %}
    {{ item("BS_IP_Data1.ulI_DNS_SERVER_1", dns_hex) }}
    {{ item("BS_IP_Data1.ulI_DNS_SERVER_2", 0) }}
{% endif %}
{% endblock %}
{% block security %}
{% if pin %}
    {{ item("BS_CUSTOM.aucKdsPin[0]", "0x" ~ pin[:2] ~ ",0x" ~ pin[2:]) }}
{% endif %}
{% endblock %}
{% block time %}
{% if ntp %}
    {{ text("BS_IP_Data1.aucS_TIME_NTP_SERVER", ntp) }}
{% endif %}
{% if zone_code is not none %}
    {{ item("BS_IP_Data1.uiI_TIME_TIMEZONE", as_hex(zone_code)) }}
    {{ item("BS_IP_Data1.ucB_TIME_USE_AUTOMATIC_DST", "0x1" if zone.dst else "0x0") }}
{% endif %}
{% endblock %}
{% block language %}
{% if phone.country_code %}
    {{ item("BS_AE_SwConfig.ucCountryCodeTone", tables.frame_tones.get(phone.country_code, 0)) }}
    {{ item("BS_IP_Data1.uiI_TIME_COUNTRY", as_hex(tables.frame_countries.get(phone.country_code, 255))) }}
{% endif %}
{% set frame_language = phone.in_language(tables.frame_languages, "language") %}
{% if frame_language %}
    {{ item("BS_IP_Data1.ucI_HTTPLANGUAGE", as_hex(frame_language)) }}
{% endif %}
    {{ item("BS_IP_Data1.ucI_DIALING_PLAN_COUNTRY_ID", "0xff") }}
{% endblock %}
{% block telephony %}
{% set first = phone.first_account %}
    {{ item("BS_IP_Data1.ucB_DTMF_TX_MODE_AUTO", 0) }}
    {{ item("BS_IP_Data1.ucI_DTMF_TX_MODE_BITS", first.dtmf if first else 2) }}
    {{ item("BS_IP_Data1.ucB_CT_AFTER_ON_HOOK", "0x1") }}
    {{ item("BS_CUSTOM_ORG.bit.bEct", "0x1") }}
    {{ item("BS_IP_Data1.ucB_USE_R_KEY_FOR_CALL_TRANSFER", "0x1") }}
    {{ item("BS_LM_AppCfg.bit.bHasIdleTextInternalName", 1) }}
    {{ item("BS_VOIP_Data.astVoipProviders[0].ulSessionRefresh_MIN_SE", 90) }}
    {{ item("BS_IP_Data1.ucI_CODEC_PREFERENCES", 0) }}
{% endblock %}
{% block accounts %}
{% for number, account in accounts.items() %}
{% set servers = account.servers %}
{% set outbound = servers.outbound_proxy %}
{% set suffix = "" if number == 1 else "_" ~ number %}
{% set slot = number - 1 %}
{% set mask = as_hex(2 ** slot) %}
    {{ text("BS_Accounts.astAccounts[" ~ slot ~ "].aucAccountName[0]", names[number]) }}
    {{ item("BS_Accounts.astAccounts[" ~ slot ~ "].uiSendMask", mask) }}
    {{ item("BS_Accounts.astAccounts[" ~ slot ~ "].uiReceiveMask", mask) }}
    {{ text("BS_AE_Subscriber.stMtDat[" ~ slot ~ "].aucTlnName", account.extension or account.username) }}
    {{ text("BS_IP_Data1.aucS_SIP_ACCOUNT_NAME_" ~ number, names[number]) }}
    {{ text("BS_IP_Data1.aucS_SIP_DISPLAYNAME" ~ suffix, names[number]) }}
    {{ text("BS_IP_Data3.aucS_SIP_LOGIN_ID" ~ suffix, account.auth_username) }}
    {{ text("BS_IP_Data1.aucS_SIP_PASSWORD" ~ suffix, account.password) }}
    {{ text("BS_IP_Data1.aucS_SIP_USER_ID" ~ suffix, account.username) }}
    {{ text("BS_IP_Data1.aucS_SIP_DOMAIN" ~ suffix, servers.registrar.host) }}
    {{ text("BS_IP_Data1.aucS_SIP_SERVER" ~ suffix, servers.proxy.host) }}
    {{ item("BS_IP_Data1.uiI_SIP_SERVER_PORT" ~ suffix, as_hex(servers.proxy.port)) }}
    {{ text("BS_IP_Data1.aucS_SIP_REGISTRAR" ~ suffix, servers.registrar.host) }}
    {{ item("BS_IP_Data1.uiI_SIP_REGISTRAR_PORT" ~ suffix, as_hex(servers.registrar.port)) }}
    {{ text("BS_IP_Data1.aucS_SIP_PROVIDER_NAME" ~ suffix, "PBX") }}
    {{ text("BS_IP_Data1.aucS_STUN_SERVER" ~ suffix, "") }}
    {{ item("BS_IP_Data1.ucB_SIP_USE_STUN" ~ suffix, "0x0") }}
    {{ text("BS_IP_Data1.aucS_OUTBOUND_PROXY" ~ suffix, outbound.host if outbound else "") }}
    {{ item("BS_IP_Data1.uiI_OUTBOUND_PROXY_PORT" ~ suffix, as_hex(outbound.port if outbound else 5060)) }}
    {{ item("BS_IP_Data1.ucI_OUTBOUND_PROXY_MODE" ~ suffix, "0x0" if outbound else "0x1") }}
    {{ item("BS_IP_Data1.uiI_RE_REGISTRATION_TIMER" ~ suffix, "0xb4") }}
    {{ item("BS_IP_Data1.ucI_SIP_PREFERRED_VOCODER" ~ suffix, "0x05,0x01,0x00,0x02,0x03") }}
    {{ item("BS_IP_Data1.ucB_SIP_ACCOUNT_IS_ACTIVE_" ~ number, "0x1") }}
    {{ text("BS_IP_Data1.aucS_VOIP_NET_AM_NUMBER_" ~ number, account.voicemail) }}
    {{ item("BS_IP_Data1.ucB_VOIP_NET_AM_ENABLED_" ~ number, "0x1" if account.voicemail else "0x0") }}
{% endfor %}
{% for number in free_lines %}
{% set suffix = "" if number == 1 else "_" ~ number %}
    {{ text("BS_IP_Data3.aucS_SIP_LOGIN_ID" ~ suffix, "") }}
    {{ text("BS_IP_Data1.aucS_SIP_PASSWORD" ~ suffix, "") }}
    {{ text("BS_IP_Data1.aucS_SIP_USER_ID" ~ suffix, "") }}
    {{ item("BS_IP_Data1.ucB_SIP_ACCOUNT_IS_ACTIVE_" ~ number, "0x0") }}
{% endfor %}
{% endblock %}
{% block phonebook %}
{% set directories = "0x2a" if phonebook else "0x0" %}
    {{ item("BS_XML_Netdirs.aucAvailableNetdirs", directories) }}
    {{ item("BS_XML_Netdirs.aucActivatedNetdirs", directories) }}
{% if phonebook %}
    {{ item("BS_XML_Netdirs.aucNetdirSelForDirectAccess", "0x2a") }}
    {{ item("BS_XML_Netdirs.aucNetdirSelForIntKey", "0x2a") }}
    {{ item("BS_XML_Netdirs.aucNetdirSelForAutoLookup", "0x2a") }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucProviderName", "PBX") }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucPrivatePagesDirName", "Contacts") }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucServerURL", phonebook) }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucUsername", "") }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucPassword", "") }}
    {{ item("BS_XML_Netdirs.astNetdirProvider[0].ucAuthPossibilities", "0x4") }}
    {{ item("BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bSearchPeopleCap", 1) }}
    {{ item("BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bSearchBusinessCap", 1) }}
    {{ item("BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bReverseSearchCap", 1) }}
    {{ item("BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bAutolookupCap", 1) }}
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
  </Provider>
</ProviderFrame>
