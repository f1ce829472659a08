<?xml version="1.0" encoding="UTF-8"?>
{# An administrator's template may replace any block, or fill "custom", with more elements:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
<flat-profile>
{% block common %}
{% include "common.tpl" %}
{% endblock %}
{% block provisioning %}
<Profile_Rule_B>{{ base_url }}/$MA.xml</Profile_Rule_B>
<Profile_Rule_C></Profile_Rule_C>
{% if certificates %}
{% set element = "Custom_CA_URL" if kind in ("spa", "spa1") else "Custom_CA_Rule" %}
<{{ element }}>{{ base_url }}/{{ phone.mac }}-ca.pem</{{ element }}>
{% endif %}
{% if upgrade_rule %}
<Upgrade_Rule>{{ upgrade_rule }}</Upgrade_Rule>
{% endif %}
{% endblock %}
{% block network %}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
<Primary_DNS>{{ dns }}</Primary_DNS>
{% endif %}
{% if vlan %}
<Enable_VLAN>Yes</Enable_VLAN>
<VLAN_ID>{{ vlan.id }}</VLAN_ID>
<Enable_PC_Port_VLAN_Tagging>{{ vlan.pc_id is not none }}</Enable_PC_Port_VLAN_Tagging>
{% if vlan.pc_id is not none %}
<PC_Port_VLAN_ID>{{ vlan.pc_id }}</PC_Port_VLAN_ID>
{% endif %}
{% else %}
<Enable_VLAN>No</Enable_VLAN>
{% endif %}
<Syslog_Server>{% if syslog %}{{ syslog.host }}:{{ syslog.port }}{% endif %}</Syslog_Server>
{% if syslog %}
<Debug_Level>{{ syslog.level_name|upper if is_mpp else syslog.level }}</Debug_Level>
{% endif %}
{% endblock %}
{% block time %}
{% if ntp %}
<Primary_NTP_Server>{{ ntp }}</Primary_NTP_Server>
{% endif %}
{% if zone %}
<Time_Zone>GMT{% if zone.offset %}{{ zone.format_offset("{sign}{hours:02d}:{minutes:02d}") }}{% endif %}</Time_Zone>
<Daylight_Saving_Time_Enable>{{ dst_rule is not none }}</Daylight_Saving_Time_Enable>
{% if dst_rule %}
<Daylight_Saving_Time_Rule>{{ dst_rule }}</Daylight_Saving_Time_Rule>
{% endif %}
{% endif %}
{% endblock %}
{% block language %}
{% if dictionary %}
<Dictionary_Server_Script>{{ dictionary }}</Dictionary_Server_Script>
{% endif %}
{% if language %}
<Language_Selection>{{ language }}</Language_Selection>
<Locale>{{ locale }}</Locale>
<Time_Format>{{ "12hr" if is_twelve_hours else "24hr" }}</Time_Format>
<Date_Format>{{ "month/day" if is_twelve_hours else "day/month" }}</Date_Format>
{% endif %}
{% endblock %}
{% block security %}
{% if admin and admin.password %}
{% if is_mpp %}
<Admin_Password>{{ admin.password }}</Admin_Password>
{% else %}
<Admin_Passwd>{{ admin.password }}</Admin_Passwd>
{% endif %}
{% endif %}
{% if user and user.password %}
<User_Password>{{ user.password }}</User_Password>
{% endif %}
{% if kind == "ata19x" %}
{% include "web_login.tpl" %}
{% endif %}
{% endblock %}
{% block services %}
<Voice_Mail_Number>{{ voicemail }}</Voice_Mail_Number>
<Call_Pickup_Code>{{ phone.extens.pickup_call }}</Call_Pickup_Code>
<Attendant_Console_Call_Pickup_Code>{{ phone.extens.pickup_call }}</Attendant_Console_Call_Pickup_Code>
<Group_Call_Pickup_Code>{{ phone.extens.pickup_group }}</Group_Call_Pickup_Code>
<Call_Waiting_Serv>{{ not switchboard }}</Call_Waiting_Serv>
<XML_Directory_Service_Name>{% if phonebook %}Directory{% endif %}</XML_Directory_Service_Name>
<XML_Directory_Service_URL>{{ phonebook }}</XML_Directory_Service_URL>
{% endblock %}
{% block accounts %}
<Station_Name>{{ phone.first_account.name if phone.first_account else "" }}</Station_Name>
{% if is_secure and kind in ("spa", "spa1") %}
<SRTP_Method>s-descriptor</SRTP_Method>
{% elif kind == "mpp" %}
<Secure_Call_Serv>{{ is_secure }}</Secure_Call_Serv>
{% endif %}
{% for account, proxy in lines %}
{% set n = account.number %}
<Line_Enable_{{ n }}_>Yes</Line_Enable_{{ n }}_>
<Register_{{ n }}_>Yes</Register_{{ n }}_>
<Proxy_{{ n }}_>{{ proxy }}</Proxy_{{ n }}_>
<Use_DNS_SRV_{{ n }}_>Yes</Use_DNS_SRV_{{ n }}_>
<Proxy_Fallback_Intvl_{{ n }}_>120</Proxy_Fallback_Intvl_{{ n }}_>
<Use_Outbound_Proxy_{{ n }}_>{{ account.servers.outbound_proxy is not none }}</Use_Outbound_Proxy_{{ n }}_>
<Outbound_Proxy_{{ n }}_>{{ account.servers.outbound_proxy }}</Outbound_Proxy_{{ n }}_>
<SIP_Transport_{{ n }}_>{{ account.transport }}</SIP_Transport_{{ n }}_>
<Display_Name_{{ n }}_>{{ account.display_name }}</Display_Name_{{ n }}_>
<User_ID_{{ n }}_>{{ account.username }}</User_ID_{{ n }}_>
<Password_{{ n }}_>{{ account.password }}</Password_{{ n }}_>
<Use_Auth_ID_{{ n }}_>Yes</Use_Auth_ID_{{ n }}_>
<Auth_ID_{{ n }}_>{{ account.auth_username }}</Auth_ID_{{ n }}_>
<DTMF_Tx_Method_{{ n }}_>{{ account.dtmf }}</DTMF_Tx_Method_{{ n }}_>
<Secure_Call_Setting_{{ n }}_>{{ account.srtp != "No" }}</Secure_Call_Setting_{{ n }}_>
{% if kind in ("mpp", "ata19x") and account.srtp != "No" %}
<Secure_Call_Option_{{ n }}_>{{ account.srtp }}</Secure_Call_Option_{{ n }}_>
{% endif %}
<Voice_Mail_Server_{{ n }}_>{{ account.servers.proxy if subscribes_mwi else "" }}</Voice_Mail_Server_{{ n }}_>
<Mailbox_ID_{{ n }}_>{{ account.username if subscribes_mwi else "" }}</Mailbox_ID_{{ n }}_>
{% if vlan and kind != "mpp" %}
<SIP_CoS_Value_{{ n }}_>{{ vlan.priority }}</SIP_CoS_Value_{{ n }}_>
<RTP_CoS_Value_{{ n }}_>{{ vlan.priority }}</RTP_CoS_Value_{{ n }}_>
{% endif %}
{# The server knows the numbers: whatever is dialled goes there. #}
{# The server's NOTIFY that asks for this file comes without credentials. #}
<Auth_Resync-Reboot_{{ n }}_>No</Auth_Resync-Reboot_{{ n }}_>
<Dial_Plan_{{ n }}_>([x*].)</Dial_Plan_{{ n }}_>
{% endfor %}
{% filter for_each(free_lines) %}
<Line_Enable_@_>No</Line_Enable_@_>
<Proxy_@_></Proxy_@_>
<Display_Name_@_></Display_Name_@_>
<User_ID_@_></User_ID_@_>
<Password_@_></Password_@_>
<Auth_ID_@_></Auth_ID_@_>
<Dial_Plan_@_>([x*].)</Dial_Plan_@_>
{% endfilter %}
{% endblock %}
{% block keys %}
{% if is_mpp and model.modules %}
<PoE_Power_Required>{{ "Maximum" if has_side_car else "Normal" }}</PoE_Power_Required>
{% endif %}
{% for key in spa_keys %}
{% if key.extension %}
<Extension_{{ key.name }}_>{{ key.extension }}</Extension_{{ key.name }}_>
<Short_Name_{{ key.name }}_>{{ key.label }}</Short_Name_{{ key.name }}_>
<Extended_Function_{{ key.name }}_>{{ key.function }}</Extended_Function_{{ key.name }}_>
{% else %}
<{{ key.name }}>{{ key.function }}</{{ key.name }}>
{% endif %}
{% endfor %}
{% filter for_each(free_keys) %}
<Extension_@_>Disabled</Extension_@_>
<Short_Name_@_></Short_Name_@_>
<Extended_Function_@_></Extended_Function_@_>
{% endfilter %}
{% filter for_each(free_side_car_keys) %}
<@></@>
{% endfilter %}
{% endblock %}
{% block custom %}
{% endblock %}
{% if kind == "spa1" %}
{% block router %}
{% include "router.tpl" %}
{% endblock %}
{% endif %}
</flat-profile>
