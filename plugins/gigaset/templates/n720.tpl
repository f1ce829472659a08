<?xml version="1.0" encoding="ISO-8859-1"?>
{# What an N720 gets. Numbers are hexadecimal; texts stand in double quotes within the single ones of
   the attribute. A template of your own may extend this one and fill "custom". #}
{% macro item(id, value) -%}
<SYMB_ITEM ID="{{ id }}" class="symb_item" value="{{ value }}"/>
{%- endmacro %}
{% macro text(id, value) -%}
<SYMB_ITEM ID="{{ id }}" class="symb_item" value='"{{ value }}"'/>
{%- endmacro %}
<ProviderFrame xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="N720_general.xsd">
  <Provider>
    <MAC_ADDRESS value="{{ mac|upper }}"/>
    <PROFILE_NAME class="string" value="N720"/>
{% block provisioning %}
{% if firmware %}
    <S_SPECIAL_DATA_SRV_IWU class="string" value='"{{ firmware }}?mac={{ mac|upper }}"'/>
{% endif %}
{% if base_firmware %}
    <S_SPECIAL_DATA_SRV_SAT class="string" value='"{{ base_firmware }}?mac={{ mac|upper }}"'/>
{% endif %}
    {{ item("BS_IP_Data.ucB_AUTO_UPDATE_FW", 0) }}
    {{ item("BS_IP_Data.ucB_DO_CHECK_FOR_FIRMWARE_UPDATES", 0) }}
    {{ item("BS_IP_Data.ucI_REMINDER_FW_UPDATE", 0) }}
    {{ item("BS_IP_Data.ucB_DO_CHECK_FOR_PROFILE_UPDATES", 1) }}
    {{ item("BS_IP_Data.ucB_DO_CHECK_FOR_LANGUAGE_UPDATES", 1) }}
{% endblock %}
{% block network %}
    {{ item("BS_IP_Data.ucB_USE_DHCP", 1) }}
    {{ item("BS_IP_Data.ucB_ACCEPT_FOREIGN_SUBNET", 0) }}
    {{ item("BS_IP_Data.ucB_VLAN_ENABLED", 1 if vlan else 0) }}
{% if vlan %}
    {{ item("BS_IP_Data.ucI_VLAN_PRIORITY", vlan.priority) }}
    {{ item("BS_IP_Data.uiI_VLAN_ID", as_hex(vlan.id)) }}
{% endif %}
{% if dns %}
    {{ item("BS_IP_Data.ulI_DNS_SERVER_1", dns_hex) }}
    {{ item("BS_IP_Data.ulI_DNS_SERVER_2", 0) }}
{% endif %}
{% endblock %}
{% block security %}
{% if admin and admin.password %}
    {{ text("BS_CUSTOM.WebUIPassword", admin.password) }}
{% endif %}
    {{ item("BS_CUSTOM.bit.UseRandomRegistrationPIN", 0) }}
    {{ item("BS_CUSTOM.aucKdsPin[%]", "0x00,0x00") }}
{% endblock %}
{% block time %}
{% if ntp %}
    {{ text("BS_IP_Data.aucS_TIME_NTP_SERVER[%]", ntp) }}
    {{ item("BS_IP_Data.ucB_TIME_USE_AUTOMATIC_NTP_SYN", 1) }}
{% endif %}
{% if zone_code is not none %}
    {{ item("BS_IP_Data.uiI_TIME_TIMEZONE", as_hex(zone_code)) }}
    {{ item("BS_IP_Data.ucB_TIME_USE_AUTOMATIC_DST", 1 if zone.dst else 0) }}
{% endif %}
{% endblock %}
{% block language %}
{% if phone.country_code %}
    {{ item("BS_AE_SwConfig.ucCountryCodeTone", tables.frame_tones.get(phone.country_code, 0)) }}
    {{ item("BS_IP_Data.uiI_TIME_COUNTRY", as_hex(tables.frame_countries.get(phone.country_code, 255))) }}
{% endif %}
{% set frame_language = phone.in_language(tables.frame_languages, "language") %}
{% if frame_language %}
    {{ item("BS_IP_Data.ucI_HTTPLANGUAGE", as_hex(frame_language)) }}
{% endif %}
    {{ item("BS_IP_Data.ucI_DIALING_PLAN_COUNTRY_ID", "0xff") }}
{% endblock %}
{% block telephony %}
{% set first = phone.first_account %}
    {{ item("BS_VOIP_Data.ucB_DTMF_TX_MODE_AUTO", 0) }}
    {{ item("BS_VOIP_Data.ucI_DTMF_TX_MODE_BITS", first.dtmf if first else 2) }}
    {{ item("BS_VOIP_Data.ucI_DTMF_TX_RTP_PAYLOAD_TYPE", "0x65") }}
    {{ item("BS_VOIP_Data.ucB_VOIP_CALLWAITING_STATUS", 0 if switchboard else 1) }}
    {{ item("BS_VOIP_Data.ucB_USE_R_KEY_FOR_CALL_TRANSFER", 1) }}
    {{ item("BS_VOIP_Data.NameOnIdleDisplay", 1) }}
{% for code, name in (("DND", "dnd"), ("CFU", "fwd_unconditional"), ("CFB", "fwd_busy"), ("CFNR", "fwd_no_answer")) if extens[name] %}
    {{ text("BS_VOIP_Data.astVoipProviders[%].NetCode" ~ code ~ "_ON[%]", extens[name]) }}
    {{ text("BS_VOIP_Data.astVoipProviders[%].NetCode" ~ code ~ "_OFF[%]", extens[name]) }}
{% endfor %}
{% endblock %}
{% block providers %}
{% for provider in providers %}
{% set servers = provider.account.servers %}
{% set prefix = "BS_VOIP_Data.astVoipProviders[" ~ provider.index ~ "]" %}
    {{ item(prefix ~ ".ucONESHOT_PROVISIONING_MODE_1", 1) }}
    {{ text(prefix ~ ".aucSIP_PROVIDER_NAME[%]", "PBX") }}
    {{ text(prefix ~ ".aucSIP_DOMAIN[%]", servers.registrar.host) }}
    {{ text(prefix ~ ".aucSIP_SERVER[%]", servers.proxy.host) }}
    {{ item(prefix ~ ".uiSIP_SERVER_PORT", as_hex(servers.proxy.port)) }}
    {{ text(prefix ~ ".aucSIP_REGISTRAR[%]", servers.registrar.host) }}
    {{ item(prefix ~ ".uiSIP_REGISTRAR_PORT", as_hex(servers.registrar.port)) }}
    {{ item(prefix ~ ".uiRE_REGISTRATION_TIMER", "0x00B4") }}
    {{ item(prefix ~ ".ucSIP_USE_STUN", 0) }}
    {{ text(prefix ~ ".aucSTUN_SERVER[%]", "") }}
    {{ item(prefix ~ ".ucOUTBOUND_PROXY_MODE", 0 if servers.outbound_proxy else 2) }}
{% if servers.outbound_proxy %}
    {{ text(prefix ~ ".aucOUTBOUND_PROXY[%]", servers.outbound_proxy.host) }}
    {{ item(prefix ~ ".uiOUTBOUND_PROXY_PORT", as_hex(servers.outbound_proxy.port)) }}
{% endif %}
{# The numbers of the protocols: 17 is UDP, 6 is TCP. #}
    {{ item(prefix ~ ".ucSIP_PREFERRED_TRANSPORT_LAYER", 17 if provider.account.transport_name == "udp" else 6) }}
{% endfor %}
{% endblock %}
{% block accounts %}
{% for number, account in accounts.items() if number in provider_of %}
{% set prefix = "BS_VOIP_Data.astVoipAccounts[" ~ (number - 1) ~ "]" %}
    {{ item(prefix ~ ".ucVoipProviderIndex", provider_of[number]) }}
    {{ text(prefix ~ ".aucS_SIP_DISPLAYNAME[0]", names[number]) }}
    {{ text(prefix ~ ".aucS_SIP_LOGIN_ID[0]", account.auth_username) }}
    {{ text(prefix ~ ".aucS_SIP_PASSWORD[0]", account.password) }}
    {{ text(prefix ~ ".aucS_SIP_USER_ID[0]", account.username) }}
    {{ item(prefix ~ ".ucB_SIP_ACCOUNT_IS_ACTIVE_1", 1) }}
    {{ text(prefix ~ ".aucS_VOIP_NET_AM_NUMBER_1[%]", account.voicemail) }}
    {{ item(prefix ~ ".ucB_VOIP_NET_AM_ENABLED_1", 1 if account.voicemail else 0) }}
{% endfor %}
{% filter for_each(free_slots_from_0) %}
    <SYMB_ITEM ID="BS_VOIP_Data.astVoipAccounts[@].ucB_SIP_ACCOUNT_IS_ACTIVE_1" class="symb_item" value="0"/>
{% endfilter %}
{% endblock %}
{% block phonebook %}
{% set directories = "0x2a" if phonebook else "0x0" %}
    {{ item("BS_XML_Netdirs.aucAvailableNetdirs[%]", directories) }}
    {{ item("BS_XML_Netdirs.aucActivatedNetdirs[%]", directories) }}
{% if phonebook %}
    {{ item("BS_XML_Netdirs.aucNetdirSelForDirectAccess[%]", "0x2a") }}
    {{ item("BS_XML_Netdirs.aucNetdirSelForIntKey[%]", "0x2a") }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucProviderName[%]", "PBX") }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucPrivatePagesDirName[%]", "Contacts") }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucServerURL[%]", phonebook) }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucUsername[%]", "") }}
    {{ text("BS_XML_Netdirs.astNetdirProvider[0].aucPassword[%]", "") }}
    {{ item("BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bSearchPeopleCap", 1) }}
    {{ item("BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bSearchBusinessCap", 1) }}
    {{ item("BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bReverseSearchCap", 1) }}
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
  </Provider>
</ProviderFrame>
