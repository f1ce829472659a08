<?xml version="1.0" encoding="ISO-8859-1"?>
{# What an N720 gets. Numbers are hexadecimal; texts stand in double quotes within the single ones of
   the attribute. A template of your own may extend this one and fill "custom". #}
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
    <SYMB_ITEM ID="BS_IP_Data.ucB_AUTO_UPDATE_FW" class="symb_item" value="0"/>
    <SYMB_ITEM ID="BS_IP_Data.ucB_DO_CHECK_FOR_FIRMWARE_UPDATES" class="symb_item" value="0"/>
    <SYMB_ITEM ID="BS_IP_Data.ucI_REMINDER_FW_UPDATE" class="symb_item" value="0"/>
    <SYMB_ITEM ID="BS_IP_Data.ucB_DO_CHECK_FOR_PROFILE_UPDATES" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_IP_Data.ucB_DO_CHECK_FOR_LANGUAGE_UPDATES" class="symb_item" value="1"/>
{% endblock %}
{% block network %}
    <SYMB_ITEM ID="BS_IP_Data.ucB_USE_DHCP" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_IP_Data.ucB_ACCEPT_FOREIGN_SUBNET" class="symb_item" value="0"/>
    <SYMB_ITEM ID="BS_IP_Data.ucB_VLAN_ENABLED" class="symb_item" value="{{ 1 if vlan else 0 }}"/>
{% if vlan %}
    <SYMB_ITEM ID="BS_IP_Data.ucI_VLAN_PRIORITY" class="symb_item" value="{{ vlan.priority }}"/>
    <SYMB_ITEM ID="BS_IP_Data.uiI_VLAN_ID" class="symb_item" value="{{ as_hex(vlan.id) }}"/>
{% endif %}
{% if dns %}
    <SYMB_ITEM ID="BS_IP_Data.ulI_DNS_SERVER_1" class="symb_item" value="{{ dns_hex }}"/>
    <SYMB_ITEM ID="BS_IP_Data.ulI_DNS_SERVER_2" class="symb_item" value="0"/>
{% endif %}
{% endblock %}
{% block security %}
{% if admin and admin.password %}
    <SYMB_ITEM ID="BS_CUSTOM.WebUIPassword" class="symb_item" value='"{{ admin.password }}"'/>
{% endif %}
    <SYMB_ITEM ID="BS_CUSTOM.bit.UseRandomRegistrationPIN" class="symb_item" value="0"/>
    <SYMB_ITEM ID="BS_CUSTOM.aucKdsPin[%]" class="symb_item" value="0x00,0x00"/>
{% endblock %}
{% block time %}
{% if ntp %}
    <SYMB_ITEM ID="BS_IP_Data.aucS_TIME_NTP_SERVER[%]" class="symb_item" value='"{{ ntp }}"'/>
    <SYMB_ITEM ID="BS_IP_Data.ucB_TIME_USE_AUTOMATIC_NTP_SYN" class="symb_item" value="1"/>
{% endif %}
{% if zone_code is not none %}
    <SYMB_ITEM ID="BS_IP_Data.uiI_TIME_TIMEZONE" class="symb_item" value="{{ as_hex(zone_code) }}"/>
    <SYMB_ITEM ID="BS_IP_Data.ucB_TIME_USE_AUTOMATIC_DST" class="symb_item" value="{{ 1 if zone.dst else 0 }}"/>
{% endif %}
{% endblock %}
{% block language %}
{% if phone.country_code %}
    <SYMB_ITEM ID="BS_AE_SwConfig.ucCountryCodeTone" class="symb_item" value="{{ tables.frame_tones.get(phone.country_code, 0) }}"/>
    <SYMB_ITEM ID="BS_IP_Data.uiI_TIME_COUNTRY" class="symb_item" value="{{ as_hex(tables.frame_countries.get(phone.country_code, 255)) }}"/>
{% endif %}
{% set frame_language = phone.in_language(tables.frame_languages, "language") %}
{% if frame_language %}
    <SYMB_ITEM ID="BS_IP_Data.ucI_HTTPLANGUAGE" class="symb_item" value="{{ as_hex(frame_language) }}"/>
{% endif %}
    <SYMB_ITEM ID="BS_IP_Data.ucI_DIALING_PLAN_COUNTRY_ID" class="symb_item" value="0xff"/>
{% endblock %}
{% block telephony %}
{% set first = phone.first_account %}
    <SYMB_ITEM ID="BS_VOIP_Data.ucB_DTMF_TX_MODE_AUTO" class="symb_item" value="0"/>
    <SYMB_ITEM ID="BS_VOIP_Data.ucI_DTMF_TX_MODE_BITS" class="symb_item" value="{{ first.dtmf if first else 2 }}"/>
    <SYMB_ITEM ID="BS_VOIP_Data.ucI_DTMF_TX_RTP_PAYLOAD_TYPE" class="symb_item" value="0x65"/>
    <SYMB_ITEM ID="BS_VOIP_Data.ucB_VOIP_CALLWAITING_STATUS" class="symb_item" value="{{ 0 if switchboard else 1 }}"/>
    <SYMB_ITEM ID="BS_VOIP_Data.ucB_USE_R_KEY_FOR_CALL_TRANSFER" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_VOIP_Data.NameOnIdleDisplay" class="symb_item" value="1"/>
{% for code, name in (("DND", "dnd"), ("CFU", "fwd_unconditional"), ("CFB", "fwd_busy"), ("CFNR", "fwd_no_answer")) if extens[name] %}
    <SYMB_ITEM ID="BS_VOIP_Data.astVoipProviders[%].NetCode{{ code }}_ON[%]" class="symb_item" value='"{{ extens[name] }}"'/>
    <SYMB_ITEM ID="BS_VOIP_Data.astVoipProviders[%].NetCode{{ code }}_OFF[%]" class="symb_item" value='"{{ extens[name] }}"'/>
{% endfor %}
{% endblock %}
{% block providers %}
{% for provider in providers %}
{% set servers = provider.account.servers %}
{% set prefix = "BS_VOIP_Data.astVoipProviders[" ~ provider.index ~ "]" %}
    <SYMB_ITEM ID="{{ prefix }}.ucONESHOT_PROVISIONING_MODE_1" class="symb_item" value="1"/>
    <SYMB_ITEM ID="{{ prefix }}.aucSIP_PROVIDER_NAME[%]" class="symb_item" value='"PBX"'/>
    <SYMB_ITEM ID="{{ prefix }}.aucSIP_DOMAIN[%]" class="symb_item" value='"{{ servers.registrar.host }}"'/>
    <SYMB_ITEM ID="{{ prefix }}.aucSIP_SERVER[%]" class="symb_item" value='"{{ servers.proxy.host }}"'/>
    <SYMB_ITEM ID="{{ prefix }}.uiSIP_SERVER_PORT" class="symb_item" value="{{ as_hex(servers.proxy.port) }}"/>
    <SYMB_ITEM ID="{{ prefix }}.aucSIP_REGISTRAR[%]" class="symb_item" value='"{{ servers.registrar.host }}"'/>
    <SYMB_ITEM ID="{{ prefix }}.uiSIP_REGISTRAR_PORT" class="symb_item" value="{{ as_hex(servers.registrar.port) }}"/>
    <SYMB_ITEM ID="{{ prefix }}.uiRE_REGISTRATION_TIMER" class="symb_item" value="0x00B4"/>
    <SYMB_ITEM ID="{{ prefix }}.ucSIP_USE_STUN" class="symb_item" value="0"/>
    <SYMB_ITEM ID="{{ prefix }}.aucSTUN_SERVER[%]" class="symb_item" value='""'/>
    <SYMB_ITEM ID="{{ prefix }}.ucOUTBOUND_PROXY_MODE" class="symb_item" value="{{ 0 if servers.outbound_proxy else 2 }}"/>
{% if servers.outbound_proxy %}
    <SYMB_ITEM ID="{{ prefix }}.aucOUTBOUND_PROXY[%]" class="symb_item" value='"{{ servers.outbound_proxy.host }}"'/>
    <SYMB_ITEM ID="{{ prefix }}.uiOUTBOUND_PROXY_PORT" class="symb_item" value="{{ as_hex(servers.outbound_proxy.port) }}"/>
{% endif %}
{# The numbers of the protocols: 17 is UDP, 6 is TCP. #}
    <SYMB_ITEM ID="{{ prefix }}.ucSIP_PREFERRED_TRANSPORT_LAYER" class="symb_item" value="{{ 17 if provider.account.transport_name == "udp" else 6 }}"/>
{% endfor %}
{% endblock %}
{% block accounts %}
{% for number, account in accounts.items() if number in provider_of %}
{% set prefix = "BS_VOIP_Data.astVoipAccounts[" ~ (number - 1) ~ "]" %}
    <SYMB_ITEM ID="{{ prefix }}.ucVoipProviderIndex" class="symb_item" value="{{ provider_of[number] }}"/>
    <SYMB_ITEM ID="{{ prefix }}.aucS_SIP_DISPLAYNAME[0]" class="symb_item" value='"{{ names[number] }}"'/>
    <SYMB_ITEM ID="{{ prefix }}.aucS_SIP_LOGIN_ID[0]" class="symb_item" value='"{{ account.auth_username }}"'/>
    <SYMB_ITEM ID="{{ prefix }}.aucS_SIP_PASSWORD[0]" class="symb_item" value='"{{ account.password }}"'/>
    <SYMB_ITEM ID="{{ prefix }}.aucS_SIP_USER_ID[0]" class="symb_item" value='"{{ account.username }}"'/>
    <SYMB_ITEM ID="{{ prefix }}.ucB_SIP_ACCOUNT_IS_ACTIVE_1" class="symb_item" value="1"/>
    <SYMB_ITEM ID="{{ prefix }}.aucS_VOIP_NET_AM_NUMBER_1[%]" class="symb_item" value='"{{ account.voicemail }}"'/>
    <SYMB_ITEM ID="{{ prefix }}.ucB_VOIP_NET_AM_ENABLED_1" class="symb_item" value="{{ 1 if account.voicemail else 0 }}"/>
{% endfor %}
{% filter for_each(free_slots_from_0) %}
    <SYMB_ITEM ID="BS_VOIP_Data.astVoipAccounts[@].ucB_SIP_ACCOUNT_IS_ACTIVE_1" class="symb_item" value="0"/>
{% endfilter %}
{% endblock %}
{% block phonebook %}
{% set directories = "0x2a" if phonebook else "0x0" %}
    <SYMB_ITEM ID="BS_XML_Netdirs.aucAvailableNetdirs[%]" class="symb_item" value="{{ directories }}"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.aucActivatedNetdirs[%]" class="symb_item" value="{{ directories }}"/>
{% if phonebook %}
    <SYMB_ITEM ID="BS_XML_Netdirs.aucNetdirSelForDirectAccess[%]" class="symb_item" value="0x2a"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.aucNetdirSelForIntKey[%]" class="symb_item" value="0x2a"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucProviderName[%]" class="symb_item" value='"PBX"'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucPrivatePagesDirName[%]" class="symb_item" value='"Contacts"'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucServerURL[%]" class="symb_item" value='"{{ phonebook }}"'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucUsername[%]" class="symb_item" value='""'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucPassword[%]" class="symb_item" value='""'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bSearchPeopleCap" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bSearchBusinessCap" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bReverseSearchCap" class="symb_item" value="1"/>
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
  </Provider>
</ProviderFrame>
