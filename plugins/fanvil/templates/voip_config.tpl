<?xml version="1.0" encoding="UTF-8"?>
<VOIP_CONFIG_FILE>
<version>2.0002</version>
{% block network %}
<QOS_CONFIG_MODULE>
<Enable_VLAN>{{ 1 if vlan else 0 }}</Enable_VLAN>
{% if vlan %}
<VLAN_ID>{{ vlan.id }}</VLAN_ID>
<Signalling_Priority>{{ vlan.priority }}</Signalling_Priority>
<Voice_Priority>{{ vlan.priority }}</Voice_Priority>
{% endif %}
{% if vlan and vlan.pc_id is not none %}
<Enable_PVID>2</Enable_PVID>
<PVID_Value>{{ vlan.pc_id }}</PVID_Value>
{% endif %}
</QOS_CONFIG_MODULE>
{% endblock %}
{% block syslog %}
{% if syslog %}
<DEBUG_CONFIG_MODULE>
<Syslog_address>{{ syslog.host }}</Syslog_address>
<Syslog_port>{{ syslog.port }}</Syslog_port>
<MGR_Trace_Level>{{ syslog.level }}</MGR_Trace_Level>
<SIP_Trace_Level>{{ syslog.level }}</SIP_Trace_Level>
</DEBUG_CONFIG_MODULE>
{% endif %}
{% endblock %}
<GLOBAL_CONFIG_MODULE>
{% block dns %}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
<DHCP_Auto_DNS>0</DHCP_Auto_DNS>
<Primary_DNS>{{ dns }}</Primary_DNS>
{% endif %}
{% endblock %}
{% block time %}
{% if ntp %}
<Enable_SNTP>1</Enable_SNTP>
<SNTP_Server>{{ ntp }}</SNTP_Server>
{% endif %}
{% if time %}
<Time_Zone>{{ time.code }}</Time_Zone>
<Time_Zone_Name>{{ time.name }}</Time_Zone_Name>
<Enable_DST>{{ 2 if time.dst else 0 }}</Enable_DST>
{% if time.dst %}
<DST_Fixed_Type>{{ time.dst.fixed }}</DST_Fixed_Type>
<DST_Min_Offset>{{ time.dst.minutes }}</DST_Min_Offset>
{% for when, change in time.dst.changes %}
{% for part, value in change.items() %}
<DST_{{ when }}_{{ part }}>{{ value }}</DST_{{ when }}_{{ part }}>
{% endfor %}
{% endfor %}
{% endif %}
{% endif %}
{% endblock %}
</GLOBAL_CONFIG_MODULE>
<SIP_CONFIG_MODULE>
{# Without it the event check-sync goes unheard. #}
<Notify_Reboot>1</Notify_Reboot>
<SIP_Line_List>
{% block accounts %}
{% for line in lines %}
{% set account = line.account %}
<SIP_Line_Entry>
<ID>SIP{{ account.number }}</ID>
<Enable_Reg>1</Enable_Reg>
<Phone_Number>{{ account.username }}</Phone_Number>
<Display_Name>{{ account.display_name }}</Display_Name>
<Register_Addr>{{ line.registrar.host }}</Register_Addr>
<Register_Port>{{ line.registrar.port }}</Register_Port>
<Register_User>{{ account.auth_username }}</Register_User>
<Register_Pswd>{{ line.password }}</Register_Pswd>
<Proxy_Addr>{{ line.proxy.host }}</Proxy_Addr>
<Proxy_Port>{{ line.proxy.port }}</Proxy_Port>
<Proxy_User>{{ account.auth_username }}</Proxy_User>
<Proxy_Pswd>{{ line.password }}</Proxy_Pswd>
<Backup_Addr>{{ line.backup.host if line.backup else none }}</Backup_Addr>
{% if line.backup %}
<Backup_Port>{{ line.backup.port }}</Backup_Port>
<Backup_Transpo>{{ account.transport }}</Backup_Transpo>
<Enable_Failback>1</Enable_Failback>
{% endif %}
<Transport>{{ account.transport }}</Transport>
<Media_Crypto>{{ account.srtp }}</Media_Crypto>
<DTMF_Mode>{{ account.dtmf }}</DTMF_Mode>
<MWI_Num>{{ account.voicemail }}</MWI_Num>
<Subscribe>{{ mwi }}</Subscribe>
<Pickup_Num>{{ extens.pickup_call }}</Pickup_Num>
<Call_Park_Num>{{ extens.park }}</Call_Park_Num>
<DNDOn_SvcCode>{{ dnd_code }}</DNDOn_SvcCode>
<DNDOff_SvcCode>{{ dnd_code }}</DNDOff_SvcCode>
<CFUOn_SvcCode>{{ extens.fwd_unconditional }}</CFUOn_SvcCode>
<CFUOff_SvcCode>{{ extens.fwd_unconditional }}</CFUOff_SvcCode>
<CFBOn_SvcCode>{{ extens.fwd_busy }}</CFBOn_SvcCode>
<CFBOff_SvcCode>{{ extens.fwd_busy }}</CFBOff_SvcCode>
<CFNOn_SvcCode>{{ extens.fwd_no_answer }}</CFNOn_SvcCode>
<CFNOff_SvcCode>{{ extens.fwd_no_answer }}</CFNOff_SvcCode>
</SIP_Line_Entry>
{% endfor %}
{% for number in free_lines %}
<SIP_Line_Entry>
<ID>SIP{{ number }}</ID>
<Enable_Reg>0</Enable_Reg>
<Phone_Number></Phone_Number>
<Display_Name></Display_Name>
<Register_Addr></Register_Addr>
<Register_User></Register_User>
<Register_Pswd></Register_Pswd>
<Proxy_Addr></Proxy_Addr>
<Proxy_User></Proxy_User>
<Proxy_Pswd></Proxy_Pswd>
<Backup_Addr></Backup_Addr>
<MWI_Num></MWI_Num>
</SIP_Line_Entry>
{% endfor %}
{% endblock %}
</SIP_Line_List>
</SIP_CONFIG_MODULE>
<PHONE_CONFIG_MODULE>
{% block display %}
<LCD_Title>{{ title }}</LCD_Title>
<Menu_Password>{{ menu_password }}</Menu_Password>
{% if display_language is not none %}
<Language>{{ display_language }}</Language>
{% endif %}
{% if date_form is not none %}
<Date_Display_Style>{{ date_form }}</Date_Display_Style>
{% endif %}
{% endblock %}
{% block keys %}
{% for _, keys in key_pages.items() %}
<Function_Key>
{% for key in keys %}
<Function_Key_Entry>
<ID>Fkey{{ key.position }}</ID>
<Type>{{ key.type }}</Type>
<Value>{{ key.value }}</Value>
<Title>{{ key.title }}</Title>
</Function_Key_Entry>
{% endfor %}
</Function_Key>
{% endfor %}
{% endblock %}
{% block phonebook %}
{% if directory %}
<Desktop_Softkey>history;dsskey1;;menu;</Desktop_Softkey>
{% endif %}
<Softkey_Config>
<Softkey_Config_Entry>
<ID>SoftFkey1</ID>
<Type>{{ 7 if directory else 0 }}</Type>
<Value>{{ directory }}</Value>
<Title>{{ "Directory" if directory else none }}</Title>
</Softkey_Config_Entry>
</Softkey_Config>
{% endblock %}
</PHONE_CONFIG_MODULE>
{% block logins %}
{% if logins %}
<MMI_CONFIG_MODULE>
<MMI_Account>
{% for number, level, login in logins %}
<MMI_Account_Entry>
<ID>Account{{ number }}</ID>
<Name>{{ login.name }}</Name>
{% if login.password is not none %}
<Password>{{ login.password }}</Password>
{% endif %}
<Level>{{ level }}</Level>
</MMI_Account_Entry>
{% endfor %}
</MMI_Account>
</MMI_CONFIG_MODULE>
{% endif %}
{% endblock %}
{% block provisioning %}
<AUTOUPDATE_CONFIG_MODULE>
{# Protocol 2 is TFTP: it takes an address without a port. #}
<Download_Server_IP>{{ phone.server }}</Download_Server_IP>
<Config_File_Name>Fanvil/$mac.cfg</Config_File_Name>
<Download_Protocol>2</Download_Protocol>
<Download_Mode>1</Download_Mode>
<DHCP_Option>66</DHCP_Option>
<PNP_Enable>0</PNP_Enable>
<Save_Provision_Info>1</Save_Provision_Info>
{% if firmware %}
<Auto_Image_URL>{{ firmware }}</Auto_Image_URL>
{% endif %}
</AUTOUPDATE_CONFIG_MODULE>
{% endblock %}
{% block custom %}
{% endblock %}
{% include "custom.tpl" ignore missing %}
</VOIP_CONFIG_FILE>
