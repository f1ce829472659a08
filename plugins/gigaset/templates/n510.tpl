<?xml version="1.0" encoding="ISO-8859-1"?>
{# What an N510 gets. Numbers are hexadecimal; texts stand in double quotes within the single ones of
   the attribute. A template of your own may extend this one and fill "custom". #}
<ProviderFrame xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="N510.xsd">
  <Provider>
    <MAC_ADDRESS value="{{ mac|upper }}"/>
    <PROFILE_NAME class="string" value="N510"/>
{% block provisioning %}
{% if firmware %}
    <S_SPECIAL_DATA_SRV class="string" value='"{{ firmware }}?mac={{ mac|upper }}"'/>
{% endif %}
    <S_CONFIGFILE_URL class="string" value='"{{ host }}/{{ mac|upper }}.xml"'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_DATA_SERVER[0]" class="symb_item" value='"{{ host }}"'/>
    <SYMB_ITEM ID="BS_IP_Data.ucB_AUTO_UPDATE_PROFILE" class="symb_item" value="0x1"/>
    <SYMB_ITEM ID="BS_IP_Data3.ucI_ONESHOT_PROVISIONING_MODE_1" class="symb_item" value="0x1"/>
{% endblock %}
{% block network %}
    <SYMB_ITEM ID="BS_IP_Data1.ucB_USE_DHCP" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucB_ACCEPT_FOREIGN_SUBNET" class="symb_item" value="0x1"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucB_VLAN_ENABLED" class="symb_item" value="{{ 1 if vlan else 0 }}"/>
{% if vlan %}
    <SYMB_ITEM ID="BS_IP_Data1.ucI_VLAN_PRIORITY" class="symb_item" value="{{ vlan.priority }}"/>
    <SYMB_ITEM ID="BS_IP_Data1.uiI_VLAN_ID" class="symb_item" value="{{ as_hex(vlan.id) }}"/>
{% endif %}
{% if dns %}
    <SYMB_ITEM ID="BS_IP_Data1.ulI_DNS_SERVER_1" class="symb_item" value="{{ dns_hex }}"/>
    <SYMB_ITEM ID="BS_IP_Data1.ulI_DNS_SERVER_2" class="symb_item" value="0"/>
{% endif %}
{% endblock %}
{% block security %}
{% if pin %}
    <SYMB_ITEM ID="BS_CUSTOM.aucKdsPin[0]" class="symb_item" value="0x{{ pin[:2] }},0x{{ pin[2:] }}"/>
{% endif %}
{% endblock %}
{% block time %}
{% if ntp %}
    <SYMB_ITEM ID="BS_IP_Data1.aucS_TIME_NTP_SERVER" class="symb_item" value='"{{ ntp }}"'/>
{% endif %}
{% if zone_code is not none %}
    <SYMB_ITEM ID="BS_IP_Data1.uiI_TIME_TIMEZONE" class="symb_item" value="{{ as_hex(zone_code) }}"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucB_TIME_USE_AUTOMATIC_DST" class="symb_item" value="{{ "0x1" if zone.dst else "0x0" }}"/>
{% endif %}
{% endblock %}
{% block language %}
{% if phone.country_code %}
    <SYMB_ITEM ID="BS_AE_SwConfig.ucCountryCodeTone" class="symb_item" value="{{ tables.frame_tones.get(phone.country_code, 0) }}"/>
    <SYMB_ITEM ID="BS_IP_Data1.uiI_TIME_COUNTRY" class="symb_item" value="{{ as_hex(tables.frame_countries.get(phone.country_code, 255)) }}"/>
{% endif %}
{% set frame_language = phone.in_language(tables.frame_languages, "language") %}
{% if frame_language %}
    <SYMB_ITEM ID="BS_IP_Data1.ucI_HTTPLANGUAGE" class="symb_item" value="{{ as_hex(frame_language) }}"/>
{% endif %}
    <SYMB_ITEM ID="BS_IP_Data1.ucI_DIALING_PLAN_COUNTRY_ID" class="symb_item" value="0xff"/>
{% endblock %}
{% block telephony %}
{% set first = phone.first_account %}
    <SYMB_ITEM ID="BS_IP_Data1.ucB_DTMF_TX_MODE_AUTO" class="symb_item" value="0"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucI_DTMF_TX_MODE_BITS" class="symb_item" value="{{ first.dtmf if first else 2 }}"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucB_CT_AFTER_ON_HOOK" class="symb_item" value="0x1"/>
    <SYMB_ITEM ID="BS_CUSTOM_ORG.bit.bEct" class="symb_item" value="0x1"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucB_USE_R_KEY_FOR_CALL_TRANSFER" class="symb_item" value="0x1"/>
    <SYMB_ITEM ID="BS_LM_AppCfg.bit.bHasIdleTextInternalName" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_VOIP_Data.astVoipProviders[0].ulSessionRefresh_MIN_SE" class="symb_item" value="90"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucI_CODEC_PREFERENCES" class="symb_item" value="0"/>
{% endblock %}
{% block accounts %}
{% for number, account in accounts.items() %}
{% set servers = account.servers %}
{% set outbound = servers.outbound_proxy %}
{% set suffix = "" if number == 1 else "_" ~ number %}
{% set slot = number - 1 %}
{% set mask = as_hex(2 ** slot) %}
    <SYMB_ITEM ID="BS_Accounts.astAccounts[{{ slot }}].aucAccountName[0]" class="symb_item" value='"{{ names[number] }}"'/>
    <SYMB_ITEM ID="BS_Accounts.astAccounts[{{ slot }}].uiSendMask" class="symb_item" value="{{ mask }}"/>
    <SYMB_ITEM ID="BS_Accounts.astAccounts[{{ slot }}].uiReceiveMask" class="symb_item" value="{{ mask }}"/>
    <SYMB_ITEM ID="BS_AE_Subscriber.stMtDat[{{ slot }}].aucTlnName" class="symb_item" value='"{{ account.extension or account.username }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_ACCOUNT_NAME_{{ number }}" class="symb_item" value='"{{ names[number] }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_DISPLAYNAME{{ suffix }}" class="symb_item" value='"{{ names[number] }}"'/>
    <SYMB_ITEM ID="BS_IP_Data3.aucS_SIP_LOGIN_ID{{ suffix }}" class="symb_item" value='"{{ account.auth_username }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_PASSWORD{{ suffix }}" class="symb_item" value='"{{ account.password }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_USER_ID{{ suffix }}" class="symb_item" value='"{{ account.username }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_DOMAIN{{ suffix }}" class="symb_item" value='"{{ servers.registrar.host }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_SERVER{{ suffix }}" class="symb_item" value='"{{ servers.proxy.host }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.uiI_SIP_SERVER_PORT{{ suffix }}" class="symb_item" value="{{ as_hex(servers.proxy.port) }}"/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_REGISTRAR{{ suffix }}" class="symb_item" value='"{{ servers.registrar.host }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.uiI_SIP_REGISTRAR_PORT{{ suffix }}" class="symb_item" value="{{ as_hex(servers.registrar.port) }}"/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_PROVIDER_NAME{{ suffix }}" class="symb_item" value='"PBX"'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_STUN_SERVER{{ suffix }}" class="symb_item" value='""'/>
    <SYMB_ITEM ID="BS_IP_Data1.ucB_SIP_USE_STUN{{ suffix }}" class="symb_item" value="0x0"/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_OUTBOUND_PROXY{{ suffix }}" class="symb_item" value='"{{ outbound.host if outbound else "" }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.uiI_OUTBOUND_PROXY_PORT{{ suffix }}" class="symb_item" value="{{ as_hex(outbound.port if outbound else 5060) }}"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucI_OUTBOUND_PROXY_MODE{{ suffix }}" class="symb_item" value="{{ "0x0" if outbound else "0x1" }}"/>
    <SYMB_ITEM ID="BS_IP_Data1.uiI_RE_REGISTRATION_TIMER{{ suffix }}" class="symb_item" value="0xb4"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucI_SIP_PREFERRED_VOCODER{{ suffix }}" class="symb_item" value="0x05,0x01,0x00,0x02,0x03"/>
    <SYMB_ITEM ID="BS_IP_Data1.ucB_SIP_ACCOUNT_IS_ACTIVE_{{ number }}" class="symb_item" value="0x1"/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_VOIP_NET_AM_NUMBER_{{ number }}" class="symb_item" value='"{{ account.voicemail }}"'/>
    <SYMB_ITEM ID="BS_IP_Data1.ucB_VOIP_NET_AM_ENABLED_{{ number }}" class="symb_item" value="{{ "0x1" if account.voicemail else "0x0" }}"/>
{% endfor %}
{% for number in free_lines %}
{% set suffix = "" if number == 1 else "_" ~ number %}
    <SYMB_ITEM ID="BS_IP_Data3.aucS_SIP_LOGIN_ID{{ suffix }}" class="symb_item" value='""'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_PASSWORD{{ suffix }}" class="symb_item" value='""'/>
    <SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_USER_ID{{ suffix }}" class="symb_item" value='""'/>
    <SYMB_ITEM ID="BS_IP_Data1.ucB_SIP_ACCOUNT_IS_ACTIVE_{{ number }}" class="symb_item" value="0x0"/>
{% endfor %}
{% endblock %}
{% block phonebook %}
{% set directories = "0x2a" if phonebook else "0x0" %}
    <SYMB_ITEM ID="BS_XML_Netdirs.aucAvailableNetdirs" class="symb_item" value="{{ directories }}"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.aucActivatedNetdirs" class="symb_item" value="{{ directories }}"/>
{% if phonebook %}
    <SYMB_ITEM ID="BS_XML_Netdirs.aucNetdirSelForDirectAccess" class="symb_item" value="0x2a"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.aucNetdirSelForIntKey" class="symb_item" value="0x2a"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.aucNetdirSelForAutoLookup" class="symb_item" value="0x2a"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucProviderName" class="symb_item" value='"PBX"'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucPrivatePagesDirName" class="symb_item" value='"Contacts"'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucServerURL" class="symb_item" value='"{{ phonebook }}"'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucUsername" class="symb_item" value='""'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].aucPassword" class="symb_item" value='""'/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].ucAuthPossibilities" class="symb_item" value="0x4"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bSearchPeopleCap" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bSearchBusinessCap" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bReverseSearchCap" class="symb_item" value="1"/>
    <SYMB_ITEM ID="BS_XML_Netdirs.astNetdirProvider[0].bitfldCap.bAutolookupCap" class="symb_item" value="1"/>
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
  </Provider>
</ProviderFrame>
