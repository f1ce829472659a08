<?xml version="1.0" encoding="UTF-8"?>
<sysConf>
<Version>{{ "2.0000000000" if model.fact("language") == "v" else "2.0002" }}</Version>
{% block network %}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
<net>
<DHCPAutoDNS>0</DHCPAutoDNS>
<PrimaryDNS>{{ dns }}</PrimaryDNS>
</net>
{% endif %}
<qos>
<EnableVLAN>{{ 1 if vlan else 0 }}</EnableVLAN>
{% if vlan %}
<VLANID>{{ vlan.id }}</VLANID>
<SignallingPriority>{{ vlan.priority }}</SignallingPriority>
<VoicePriority>{{ vlan.priority }}</VoicePriority>
{% endif %}
{% if vlan and vlan.pc_id is not none %}
<EnablePVID>2</EnablePVID>
<PVIDValue>{{ vlan.pc_id }}</PVIDValue>
{% endif %}
</qos>
{% endblock %}
{% block syslog %}
{% if syslog %}
<log>
<OutputDevice>syslog</OutputDevice>
<SyslogServer>{{ syslog.host }}</SyslogServer>
<SyslogServerPort>{{ syslog.port }}</SyslogServerPort>
<Level>{{ syslog.level }}</Level>
</log>
{% endif %}
{% endblock %}
<phone>
{% block time %}
{% if ntp or time %}
<date>
{% if ntp %}
<EnableSNTP>1</EnableSNTP>
<SNTPServer>{{ ntp }}</SNTPServer>
{% endif %}
{% if time %}
<TimeZone>{{ time.code }}</TimeZone>
<TimeZoneName>{{ time.name }}</TimeZoneName>
<EnableDST>{{ 2 if time.dst else 0 }}</EnableDST>
{% if time.dst %}
<DSTFixedType>{{ time.dst.fixed }}</DSTFixedType>
<DSTMinOffset>{{ time.dst.minutes }}</DSTMinOffset>
{% for when, change in time.dst.changes %}
{% for part, value in change.items() %}
<DST{{ when }}{{ part }}>{{ value }}</DST{{ when }}{{ part }}>
{% endfor %}
{% endfor %}
{% endif %}
{% endif %}
</date>
{% endif %}
{% if date_form is not none %}
<timeDisplay>
<DateDisplayStyle>{{ date_form }}</DateDisplayStyle>
</timeDisplay>
{% endif %}
{% endblock %}
{% block display %}
<display>
<LCDTitle>{{ title }}</LCDTitle>
{% if display_language is not none %}
<DefaultLanguage>{{ display_language }}</DefaultLanguage>
{% endif %}
</display>
<MenuPassword>{{ menu_password }}</MenuPassword>
<KeyLockPassword>{{ menu_password }}</KeyLockPassword>
{% endblock %}
{% block phonebook %}
<xmlContact index="1">
<Name>{{ "Directory" if contacts else none }}</Name>
<Addr>{{ contacts }}</Addr>
</xmlContact>
{% if directory and not has_soft_keys %}
<softKeyConfig>
<DesktopSoftkey>history;dss1;;menu;</DesktopSoftkey>
</softKeyConfig>
{% endif %}
{% endblock %}
</phone>
{% block tones %}
{% if country is not none %}
<mm>
<SelectYourTone>{{ country }}</SelectYourTone>
</mm>
{% endif %}
{% endblock %}
<sip>
{# Without it the event check-sync goes unheard. #}
<NotifyReboot>1</NotifyReboot>
{% block accounts %}
{% for line in lines %}
{% set account = line.account %}
<line index="{{ account.number }}">
<EnableReg>1</EnableReg>
<PhoneNumber>{{ account.username }}</PhoneNumber>
<DisplayName>{{ account.display_name }}</DisplayName>
<RegisterAddr>{{ line.registrar.host }}</RegisterAddr>
<RegisterPort>{{ line.registrar.port }}</RegisterPort>
<RegisterUser>{{ account.auth_username }}</RegisterUser>
<RegisterPswd>{{ line.password }}</RegisterPswd>
<ProxyAddr>{{ line.proxy.host }}</ProxyAddr>
<ProxyPort>{{ line.proxy.port }}</ProxyPort>
<ProxyUser>{{ account.auth_username }}</ProxyUser>
<ProxyPswd>{{ line.password }}</ProxyPswd>
<BackupAddr>{{ line.backup.host if line.backup else none }}</BackupAddr>
{% if line.backup %}
<BackupPort>{{ line.backup.port }}</BackupPort>
<BackupTransport>{{ account.transport }}</BackupTransport>
<EnableFailback>1</EnableFailback>
{% endif %}
<Transport>{{ account.transport }}</Transport>
<MediaCrypto>{{ account.srtp }}</MediaCrypto>
<DTMFMode>{{ account.dtmf }}</DTMFMode>
<MWINum>{{ account.voicemail }}</MWINum>
<Subscribe>{{ mwi }}</Subscribe>
<PickupNum>{{ extens.pickup_call }}</PickupNum>
<CallParkNum>{{ extens.park }}</CallParkNum>
<DNDOnSvcCode>{{ dnd_code }}</DNDOnSvcCode>
<DNDOffSvcCode>{{ dnd_code }}</DNDOffSvcCode>
<CFUOnSvcCode>{{ extens.fwd_unconditional }}</CFUOnSvcCode>
<CFUOffSvcCode>{{ extens.fwd_unconditional }}</CFUOffSvcCode>
<CFBOnSvcCode>{{ extens.fwd_busy }}</CFBOnSvcCode>
<CFBOffSvcCode>{{ extens.fwd_busy }}</CFBOffSvcCode>
<CFNOnSvcCode>{{ extens.fwd_no_answer }}</CFNOnSvcCode>
<CFNOffSvcCode>{{ extens.fwd_no_answer }}</CFNOffSvcCode>
{% if model.type == "doorphone" %}
<AutoAnswer>{{ 1 if loop.first else 0 }}</AutoAnswer>
{% endif %}
</line>
{% endfor %}
{% for number in free_lines %}
<line index="{{ number }}">
<EnableReg>0</EnableReg>
<PhoneNumber></PhoneNumber>
<DisplayName></DisplayName>
<RegisterAddr></RegisterAddr>
<RegisterUser></RegisterUser>
<RegisterPswd></RegisterPswd>
<ProxyAddr></ProxyAddr>
<ProxyUser></ProxyUser>
<ProxyPswd></ProxyPswd>
<BackupAddr></BackupAddr>
<MWINum></MWINum>
</line>
{% endfor %}
{% endblock %}
</sip>
{% block services %}
<cti>
<DNDOnUrl>{{ dnd_urls[0] if dnd_urls else none }}</DNDOnUrl>
<DNDOffUrl>{{ dnd_urls[1] if dnd_urls else none }}</DNDOffUrl>
</cti>
{% endblock %}
{% block keys %}
<dsskey>
{% if model.count("page") %}
<FuncKeyPageNum>{{ page_count }}</FuncKeyPageNum>
{% endif %}
{% for (kind, page), keys in key_pages.items() %}
{% if kind == "dssSoft" %}
{% for key in keys %}
<dssSoft index="{{ key.position }}">
<Type>{{ key.type }}</Type>
<Value>{{ key.value }}</Value>
<Title>{{ key.title }}</Title>
</dssSoft>
{% endfor %}
{% else %}
<{{ kind }} index="{{ page }}">
{% for key in keys %}
<Fkey index="{{ key.position }}">
<Type>{{ key.type }}</Type>
<Value>{{ key.value }}</Value>
<Title>{{ key.title }}</Title>
</Fkey>
{% endfor %}
</{{ kind }}>
{% endif %}
{% endfor %}
{% if not has_soft_keys %}
<dssSoft index="1">
<Type>{{ 21 if directory else 0 }}</Type>
<Value>{{ directory }}</Value>
<Title>{{ "Directory" if directory else none }}</Title>
</dssSoft>
{% endif %}
</dsskey>
{% endblock %}
{% block logins %}
{% if logins %}
<web>
{% for number, level, login in logins %}
<account index="{{ number }}">
<Name>{{ login.name }}</Name>
{% if login.password is not none %}
<Password>{{ login.password }}</Password>
{% endif %}
<Level>{{ level }}</Level>
</account>
{% endfor %}
</web>
{% endif %}
{% endblock %}
{% block provisioning %}
<ap>
<FlashServerIP>{{ base_url }}</FlashServerIP>
<FlashFileName>Fanvil/$mac.cfg</FlashFileName>
<FlashProtocol>{{ protocol }}</FlashProtocol>
<FlashMode>1</FlashMode>
<FlashInterval>1</FlashInterval>
<SaveProvisionInfo>1</SaveProvisionInfo>
<pnp>
<PNPEnable>0</PNPEnable>
</pnp>
<opt>
<DHCPOption>66</DHCPOption>
</opt>
</ap>
<fwCheck>
<EnableAutoUpgrade>{{ 1 if firmware else 0 }}</EnableAutoUpgrade>
{% if firmware %}
<UpgradeServer1>{{ base_url }}/Fanvil/{{ phone.mac }}</UpgradeServer1>
<AutoUpgradeInterval>24</AutoUpgradeInterval>
{% endif %}
</fwCheck>
{% endblock %}
{% block custom %}
{% endblock %}
{% include "custom.tpl" ignore missing %}
</sysConf>
