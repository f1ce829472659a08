<?xml version="1.0" encoding="UTF-8"?>
<sysConf>
<Version>{{ format_version }}</Version>
{% block provisioning %}
<ap>
<DownloadCommonConf>0</DownloadCommonConf>
<DownloadDeviceConf>1</DownloadDeviceConf>
<SaveProvisionInfo>1</SaveProvisionInfo>
<FlashServerIP>{{ base_url }}</FlashServerIP>
<FlashFileName>Fanvil/$mac.cfg</FlashFileName>
<FlashProtocol>{{ flash_protocol }}</FlashProtocol>
<FlashMode>1</FlashMode>
<FlashInterval>1</FlashInterval>
<pnp>
<PNPEnable>0</PNPEnable>
</pnp>
<opt>
<DHCPOption>66</DHCPOption>
</opt>
</ap>
<fwCheck>
<EnableAutoUpgrade>{{ firmware is not none }}</EnableAutoUpgrade>
<UpgradeServer1>{% if firmware %}{{ base_url }}/Fanvil/{{ phone.mac }}{% endif %}</UpgradeServer1>
<UpgradeServer2></UpgradeServer2>
<AutoUpgradeInterval>24</AutoUpgradeInterval>
</fwCheck>
{% endblock %}
{% block network %}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
<net>
<PrimaryDNS>{{ dns }}</PrimaryDNS>
<DHCPAutoDNS>0</DHCPAutoDNS>
</net>
{% endif %}
<qos>
<EnableVLAN>{{ vlan is not none }}</EnableVLAN>
{% if vlan %}
<VLANID>{{ vlan.id }}</VLANID>
<SignallingPriority>{{ vlan.priority }}</SignallingPriority>
<VoicePriority>{{ vlan.priority }}</VoicePriority>
<VideoPriority>{{ vlan.priority }}</VideoPriority>
{% endif %}
{# 1: the computer's port is in the VLAN of the phone. #}
<EnablePVID>{{ 2 if vlan and vlan.pc_id is not none else 1 }}</EnablePVID>
{% if vlan and vlan.pc_id is not none %}
<PVIDValue>{{ vlan.pc_id }}</PVIDValue>
{% endif %}
<EnablediffServ>1</EnablediffServ>
<SignalDSCP>46</SignalDSCP>
<VoiceDSCP>46</VoiceDSCP>
</qos>
<log>
<OutputDevice>{{ "syslog" if syslog else "stdout" }}</OutputDevice>
{% if syslog %}
<Level>{{ syslog.level_name }}</Level>
<SyslogServer>{{ syslog.host }}</SyslogServer>
<SyslogServerPort>{{ syslog.port }}</SyslogServerPort>
{% endif %}
</log>
{% endblock %}
{% block phone %}
<phone>
<MenuPassword>{{ menu_password }}</MenuPassword>
<KeyLockPassword>{{ menu_password }}</KeyLockPassword>
<display>
{% if language is not none %}
<DefaultLanguage>{{ language }}</DefaultLanguage>
{% endif %}
<LCDTitle>{{ title }}</LCDTitle>
</display>
<date>
<EnableSNTP>{{ ntp is not none }}</EnableSNTP>
{% if ntp %}
<SNTPServer>{{ ntp }}</SNTPServer>
<SNTPTimeout>60</SNTPTimeout>
{% endif %}
{% if time %}
<TimeZone>{{ time.code }}</TimeZone>
<TimeZoneName>{{ time.name }}</TimeZoneName>
<EnableDST>{{ 2 if time.dst else 0 }}</EnableDST>
{# Firmware from 2.14 on calls it so. #}
<DSTType>{{ 2 if time.dst else 0 }}</DSTType>
{% if time.dst %}
<DSTFixedType>{{ time.rule }}</DSTFixedType>
<DSTMinOffset>{{ time.dst.save // 60 }}</DSTMinOffset>
{% for name, change in (("Start", time.dst.start), ("End", time.dst.end)) %}
<DST{{ name }}Mon>{{ change.month }}</DST{{ name }}Mon>
<DST{{ name }}Hour>{{ change.hour }}</DST{{ name }}Hour>
{% if change.week is not none %}
<DST{{ name }}Week>{{ -1 if change.is_last_week else change.week }}</DST{{ name }}Week>
<DST{{ name }}Wday>{{ change.sunday_first - 1 }}</DST{{ name }}Wday>
{% else %}
<DST{{ name }}Wday>{{ change.day }}</DST{{ name }}Wday>
{% endif %}
{% endfor %}
{% endif %}
{% endif %}
</date>
<timeDisplay>
<TimeDisplayStyle>0</TimeDisplayStyle>
{% if date_style is not none %}
<DateDisplayStyle>{{ date_style }}</DateDisplayStyle>
{% endif %}
</timeDisplay>
{% if has_soft_keys %}
<softkey>
<DesktopSoftkey>{{ "history;dss1;;menu;" if phonebook else "history;contact;dnd;menu;" }}</DesktopSoftkey>
</softkey>
<xmlContact index="1">
<Name>{% if contacts %}Phonebook{% endif %}</Name>
<Addr>{{ contacts }}</Addr>
</xmlContact>
{% endif %}
</phone>
<cti>
<DNDOnUrl>{{ dnd_urls[0] }}</DNDOnUrl>
<DNDOffUrl>{{ dnd_urls[1] }}</DNDOffUrl>
</cti>
{% if country is not none %}
<mm>
<SelectYourTone>{{ country }}</SelectYourTone>
</mm>
{% endif %}
{% endblock %}
{% block security %}
<web>
<EnableTelnet>0</EnableTelnet>
{% for login in logins %}
<account index="{{ loop.index }}">
<Name>{{ login.name }}</Name>
{% if login.password is not none %}
<Password>{{ login.password }}</Password>
{% endif %}
<Level>{{ login.level }}</Level>
</account>
{% endfor %}
</web>
{% endblock %}
{% block accounts %}
<sip>
<SIPPort>5060</SIPPort>
{# Without it the phone would not obey the event check-sync. #}
<NotifyReboot>1</NotifyReboot>
{% for line in lines %}
<line index="{{ line.account.number }}">
<PhoneNumber>{{ line.account.username }}</PhoneNumber>
<DisplayName>{{ line.account.name }}</DisplayName>
<RegisterAddr>{{ line.servers.registrar.host }}</RegisterAddr>
<RegisterPort>{{ line.servers.registrar.port }}</RegisterPort>
<RegisterUser>{{ line.account.auth_username }}</RegisterUser>
<RegisterPswd>{{ line.password }}</RegisterPswd>
<RegisterTTL>60</RegisterTTL>
<EnableReg>1</EnableReg>
<ProxyAddr>{{ line.proxy.host }}</ProxyAddr>
<ProxyPort>{{ line.proxy.port }}</ProxyPort>
<ProxyUser>{{ line.account.auth_username }}</ProxyUser>
<ProxyPswd>{{ line.password }}</ProxyPswd>
<BackupAddr>{{ line.backup.host if line.backup }}</BackupAddr>
<BackupPort>{{ line.backup.port if line.backup }}</BackupPort>
<BackupTransport>{{ line.account.transport if line.backup else 0 }}</BackupTransport>
<BackupTTL>{{ 60 if line.backup else 3600 }}</BackupTTL>
<BackupMode>0</BackupMode>
<BakProxyAddr>{{ line.backup_proxy.host if line.backup_proxy }}</BakProxyAddr>
<BakProxyPort>{{ line.backup_proxy.port if line.backup_proxy }}</BakProxyPort>
<EnableFailback>1</EnableFailback>
<Transport>{{ line.account.transport }}</Transport>
<MediaCrypto>{{ line.account.srtp }}</MediaCrypto>
<DTMFMode>{{ line.account.dtmf }}</DTMFMode>
<MWINum>{{ line.account.voicemail }}</MWINum>
<Subscribe>{{ subscribe_mwi }}</Subscribe>
<PickupNum>{{ extens.pickup_call }}</PickupNum>
<CallParkNum>{{ extens.park }}</CallParkNum>
<SvcCodeMode>1</SvcCodeMode>
{% for name, code in service_codes %}
<{{ name }}OnSvcCode>{{ code }}</{{ name }}OnSvcCode>
<{{ name }}OffSvcCode>{{ code }}</{{ name }}OffSvcCode>
{% endfor %}
{% if is_doorphone and loop.first %}
<AutoAnswer>1</AutoAnswer>
{% endif %}
</line>
{% endfor %}
{% filter for_each(free_lines) %}
<line index="@">
<PhoneNumber></PhoneNumber>
<DisplayName></DisplayName>
<RegisterAddr></RegisterAddr>
<RegisterUser></RegisterUser>
<RegisterPswd></RegisterPswd>
<EnableReg>0</EnableReg>
</line>
{% endfilter %}
</sip>
<call>
<port index="1">
<CallWaiting>{{ not switchboard }}</CallWaiting>
<AutoOnhook>1</AutoOnhook>
<AutoOnhookTime>0</AutoOnhookTime>
<RingPriority>0</RingPriority>
</port>
</call>
{% endblock %}
{% block keys %}
<dsskey>
{% if page_count %}
<FuncKeyPageNum>{{ page_count }}</FuncKeyPageNum>
{% endif %}
{% for page in pages %}
<{{ page.element }} index="{{ page.number }}">
{% for index, key in page.keys %}
<Fkey index="{{ index }}">
<Type>{{ key.type }}</Type>
<Value>{{ key.value }}</Value>
<Title>{{ key.title }}</Title>
</Fkey>
{% endfor %}
{% filter for_each(page.free) %}
<Fkey index="@">
<Type>0</Type>
<Value></Value>
<Title></Title>
</Fkey>
{% endfilter %}
</{{ page.element }}>
{% endfor %}
{% for index, key in soft_keys %}
<dssSoft index="{{ index }}">
<Type>{{ key.type }}</Type>
<Value>{{ key.value }}</Value>
<Title>{{ key.title }}</Title>
</dssSoft>
{% endfor %}
</dsskey>
{% endblock %}
{% block custom %}
{% endblock %}
</sysConf>
