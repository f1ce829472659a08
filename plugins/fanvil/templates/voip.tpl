<?xml version="1.0" encoding="UTF-8"?>
<VOIP_CONFIG_FILE>
<version>2.0002</version>
{% block provisioning %}
<AUTOUPDATE_CONFIG_MODULE>
<Download_Server_IP>{{ base_url }}</Download_Server_IP>
<Config_File_Name>Fanvil/$mac.cfg</Config_File_Name>
<Download_Protocol>{{ flash_protocol }}</Download_Protocol>
<Download_Mode>1</Download_Mode>
<Download_Interval>1</Download_Interval>
<DHCP_Option>66</DHCP_Option>
<PNP_Enable>0</PNP_Enable>
<Save_Provision_Info>1</Save_Provision_Info>
<Auto_Image_URL>{{ firmware }}</Auto_Image_URL>
</AUTOUPDATE_CONFIG_MODULE>
{% endblock %}
{% block phone %}
<GLOBAL_CONFIG_MODULE>
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
<Primary_DNS>{{ dns }}</Primary_DNS>
<DHCP_Auto_DNS>0</DHCP_Auto_DNS>
{% endif %}
<Enable_SNTP>{{ ntp is not none }}</Enable_SNTP>
{% if ntp %}
<SNTP_Server>{{ ntp }}</SNTP_Server>
<SNTP_Timeout>60</SNTP_Timeout>
{% endif %}
{% if language is not none %}
<Language>{{ language }}</Language>
{% endif %}
{% if time %}
<Time_Zone>{{ time.code }}</Time_Zone>
<Time_Zone_Name>{{ time.name }}</Time_Zone_Name>
<Enable_DST>{{ 2 if time.dst else 0 }}</Enable_DST>
{% if time.dst %}
<DST_Fixed_Type>{{ time.rule }}</DST_Fixed_Type>
<DST_Min_Offset>{{ time.dst.save // 60 }}</DST_Min_Offset>
{% for name, change in (("Start", time.dst.start), ("End", time.dst.end)) %}
<DST_{{ name }}_Mon>{{ change.month }}</DST_{{ name }}_Mon>
<DST_{{ name }}_Hour>{{ change.hour }}</DST_{{ name }}_Hour>
{% if change.week is not none %}
<DST_{{ name }}_Week>{{ -1 if change.is_last_week else change.week }}</DST_{{ name }}_Week>
<DST_{{ name }}_Wday>{{ change.sunday_first - 1 }}</DST_{{ name }}_Wday>
{% else %}
<DST_{{ name }}_Wday>{{ change.day }}</DST_{{ name }}_Wday>
{% endif %}
<DST_{{ name }}_Min>{{ change.minute }}</DST_{{ name }}_Min>
{% endfor %}
{% endif %}
{% endif %}
<DND_On_Url>{{ dnd_urls[0] }}</DND_On_Url>
<DND_Off_Url>{{ dnd_urls[1] }}</DND_Off_Url>
</GLOBAL_CONFIG_MODULE>
{% if country is not none %}
<DSP_CONFIG_MODULE>
<Signal_Standard>{{ country }}</Signal_Standard>
</DSP_CONFIG_MODULE>
{% endif %}
<TELE_CONFIG_MODULE>
<Port_Config>
<Port_Config_Entry>
<ID>P1</ID>
<CallWaiting>{{ not switchboard }}</CallWaiting>
<Auto_Onhook>1</Auto_Onhook>
<Auto_Onhook_Time>0</Auto_Onhook_Time>
</Port_Config_Entry>
</Port_Config>
</TELE_CONFIG_MODULE>
{% endblock %}
{% block security %}
<MMI_CONFIG_MODULE>
<MMI_Account>
{% for login in logins %}
<MMI_Account_Entry>
<ID>Account{{ loop.index }}</ID>
<Name>{{ login.name }}</Name>
{% if login.password is not none %}
<Password>{{ login.password }}</Password>
{% endif %}
<Level>{{ login.level }}</Level>
</MMI_Account_Entry>
{% endfor %}
</MMI_Account>
</MMI_CONFIG_MODULE>
{% endblock %}
{% block accounts %}
<SIP_CONFIG_MODULE>
<SIP__Port>5060</SIP__Port>
{# Without it the phone would not obey the event check-sync. #}
<Notify_Reboot>1</Notify_Reboot>
<SIP_Line_List>
{% for line in lines %}
<SIP_Line_List_Entry>
<ID>SIP{{ line.account.number }}</ID>
<Phone_Number>{{ line.account.username }}</Phone_Number>
<Display_Name>{{ line.account.name }}</Display_Name>
<Register_Addr>{{ line.servers.registrar.host }}</Register_Addr>
<Register_Port>{{ line.servers.registrar.port }}</Register_Port>
<Register_User>{{ line.account.auth_username }}</Register_User>
<Register_Pswd>{{ line.password }}</Register_Pswd>
<Register_TTL>60</Register_TTL>
<Enable_Reg>1</Enable_Reg>
<Proxy_Addr>{{ line.proxy.host }}</Proxy_Addr>
<Proxy_Port>{{ line.proxy.port }}</Proxy_Port>
<Proxy_User>{{ line.account.auth_username }}</Proxy_User>
<Proxy_Pswd>{{ line.password }}</Proxy_Pswd>
<Backup_Addr>{{ line.backup.host if line.backup }}</Backup_Addr>
<Backup_Port>{{ line.backup.port if line.backup }}</Backup_Port>
<Backup_Transpo>{{ line.account.transport if line.backup else 0 }}</Backup_Transpo>
<Backup_TTL>{{ 60 if line.backup else 3600 }}</Backup_TTL>
<Backup_Mode>0</Backup_Mode>
<BakProxy_Addr>{{ line.backup_proxy.host if line.backup_proxy }}</BakProxy_Addr>
<BakProxy_Port>{{ line.backup_proxy.port if line.backup_proxy }}</BakProxy_Port>
<Enable_Failbac>1</Enable_Failbac>
<Transport>{{ line.account.transport }}</Transport>
<Media_Crypto>{{ line.account.srtp }}</Media_Crypto>
<DTMF_Mode>{{ line.account.dtmf }}</DTMF_Mode>
<MWI_Num>{{ line.account.voicemail }}</MWI_Num>
<Subscribe>{{ subscribe_mwi }}</Subscribe>
<Pickup_Num>{{ extens.pickup_call }}</Pickup_Num>
<CallPark_Num>{{ extens.park }}</CallPark_Num>
<SvcCode_Mode>1</SvcCode_Mode>
{% for name, code in service_codes %}
<{{ name }}On_SvcCode>{{ code }}</{{ name }}On_SvcCode>
<{{ name }}Off_SvcCode>{{ code }}</{{ name }}Off_SvcCode>
{% endfor %}
</SIP_Line_List_Entry>
{% endfor %}
{% filter for_each(free_lines) %}
<SIP_Line_List_Entry>
<ID>SIP@</ID>
<Phone_Number></Phone_Number>
<Display_Name></Display_Name>
<Register_Addr></Register_Addr>
<Register_User></Register_User>
<Register_Pswd></Register_Pswd>
<Enable_Reg>0</Enable_Reg>
</SIP_Line_List_Entry>
{% endfilter %}
</SIP_Line_List>
</SIP_CONFIG_MODULE>
{% endblock %}
{% block network %}
<QOS_CONFIG_MODULE>
<Enable_VLAN>{{ vlan is not none }}</Enable_VLAN>
{% if vlan %}
<VLAN_ID>{{ vlan.id }}</VLAN_ID>
<Signalling_Priority>{{ vlan.priority }}</Signalling_Priority>
<Voice_Priority>{{ vlan.priority }}</Voice_Priority>
{% endif %}
{# 1: the computer's port is in the VLAN of the phone. #}
<Enable_PVID>{{ 2 if vlan and vlan.pc_id is not none else 1 }}</Enable_PVID>
{% if vlan and vlan.pc_id is not none %}
<PVID_Value>{{ vlan.pc_id }}</PVID_Value>
{% endif %}
<Enable_diffServ>1</Enable_diffServ>
<Singalling_DSCP>46</Singalling_DSCP>
<Voice_DSCP>46</Voice_DSCP>
</QOS_CONFIG_MODULE>
<AAA_CONFIG_MODULE>
<Enable_Syslog>{{ syslog is not none }}</Enable_Syslog>
{% if syslog %}
<Syslog_address>{{ syslog.host }}</Syslog_address>
<Syslog_port>{{ syslog.port }}</Syslog_port>
{% endif %}
</AAA_CONFIG_MODULE>
{% if syslog %}
<DEBUG_CONFIG_MODULE>
<MGR_Trace_Level>{{ syslog.level_name }}</MGR_Trace_Level>
<SIP_Trace_Level>{{ syslog.level_name }}</SIP_Trace_Level>
</DEBUG_CONFIG_MODULE>
{% endif %}
{% endblock %}
{% block keys %}
<PHONE_CONFIG_MODULE>
<Menu_Password>{{ menu_password }}</Menu_Password>
<LCD_Title>{{ title }}</LCD_Title>
<Time_Display_Style>0</Time_Display_Style>
{% if date_style is not none %}
<Date_Display_Style>{{ date_style }}</Date_Display_Style>
{% endif %}
<Xml_PhoneBook>
<Xml_PhoneBook_Entry>
<ID>XML-PBook1</ID>
<Name>{% if contacts %}Phonebook{% endif %}</Name>
<Addr>{{ contacts }}</Addr>
</Xml_PhoneBook_Entry>
</Xml_PhoneBook>
{% if pages %}
<Function_Key>
{% for page in pages %}
{% for index, key in page.keys %}
<Function_Key_Entry>
<ID>Fkey{{ index }}</ID>
<Type>{{ key.type }}</Type>
<Value>{{ key.value }}</Value>
<Title>{{ key.title }}</Title>
</Function_Key_Entry>
{% endfor %}
{% filter for_each(page.free) %}
<Function_Key_Entry>
<ID>Fkey@</ID>
<Type>0</Type>
<Value></Value>
<Title></Title>
</Function_Key_Entry>
{% endfilter %}
{% endfor %}
</Function_Key>
{% endif %}
{% if soft_keys %}
<Soft_Dss_Key>
{% for index, key in soft_keys %}
<Soft_Dss_Key_Entry>
<ID>SoftFkey{{ index }}</ID>
<Type>{{ key.type }}</Type>
<Value>{{ key.value }}</Value>
<Title>{{ key.title }}</Title>
</Soft_Dss_Key_Entry>
{% endfor %}
</Soft_Dss_Key>
{% endif %}
</PHONE_CONFIG_MODULE>
<SCREEN_KEY_CONFIG_MODULE>
<Desktop_Softkey>{{ "history;dsskey1;;menu;" if phonebook else "history;contact;dnd;menu;" }}</Desktop_Softkey>
</SCREEN_KEY_CONFIG_MODULE>
{% endblock %}
{% block custom %}
{% endblock %}
</VOIP_CONFIG_FILE>
