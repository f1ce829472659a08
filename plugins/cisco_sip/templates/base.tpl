<?xml version="1.0" encoding="UTF-8"?>
{# An administrator's template may replace any block, or fill "custom", with more elements:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
<device>
<fullConfig>true</fullConfig>
<deviceProtocol>SIP</deviceProtocol>
{% block security %}
{% if admin and admin.password %}
<sshUserId>{{ admin.name }}</sshUserId>
<sshPassword>{{ admin.password }}</sshPassword>
{% endif %}
<deviceSecurityMode>{{ first.srtp if first else 1 }}</deviceSecurityMode>
<transportLayerProtocol>{{ first.transport if first else 2 }}</transportLayerProtocol>
{% endblock %}
<devicePool>
{% block time %}
<dateTimeSetting>
<dateTemplate>D-M-YA</dateTemplate>
{% if zone_name %}
<timeZone>{{ zone_name }}</timeZone>
{% endif %}
<ntps>
{% if ntp %}
<ntp>
<name>{{ ntp }}</name>
<ntpMode>Unicast</ntpMode>
</ntp>
{% endif %}
</ntps>
</dateTimeSetting>
{% endblock %}
{% block servers %}
<callManagerGroup>
<members>
{% for server in servers %}
<member priority="{{ loop.index0 }}">
<callManager>
<ports>
<ethernetPhonePort>2000</ethernetPhonePort>
<sipPort>{{ server.port }}</sipPort>
<securedSipPort>{{ server.port if first.transport_name == "tls" else 5061 }}</securedSipPort>
</ports>
<processNodeName>{{ server.host }}</processNodeName>
</callManager>
</member>
{% endfor %}
</members>
</callManagerGroup>
{% endblock %}
</devicePool>
<sipProfile>
<sipProxies>
<outboundProxy>{{ outbound.host if outbound else "" }}</outboundProxy>
<outboundProxyPort>{{ outbound.port if outbound else "" }}</outboundProxyPort>
<registerWithProxy>true</registerWithProxy>
</sipProxies>
<sipCallFeatures>
{% include "features.tpl" %}
</sipCallFeatures>
<sipStack>
{% include "stack.tpl" %}
</sipStack>
<autoAnswerTimer>1</autoAnswerTimer>
<autoAnswerAltBehavior>false</autoAnswerAltBehavior>
<autoAnswerOverride>true</autoAnswerOverride>
<transferOnhookEnabled>true</transferOnhookEnabled>
<enableVad>false</enableVad>
<preferredCodec>none</preferredCodec>
<dtmfAvtPayload>101</dtmfAvtPayload>
<dtmfDbLevel>3</dtmfDbLevel>
<dtmfOutofBand>{{ first.dtmf if first else "avt" }}</dtmfOutofBand>
<alwaysUsePrimeLine>false</alwaysUsePrimeLine>
<alwaysUsePrimeLineVoiceMail>false</alwaysUsePrimeLineVoiceMail>
<kpml>3</kpml>
<phoneLabel>{{ first.name if first else "" }}</phoneLabel>
<stutterMsgWaiting>1</stutterMsgWaiting>
<callStats>false</callStats>
<silentPeriodBetweenCallWaitingBursts>10</silentPeriodBetweenCallWaitingBursts>
<disableLocalSpeedDialConfig>false</disableLocalSpeedDialConfig>
{% block accounts %}
<sipLines>
{% for line in lines %}
<line button="{{ line.button }}" lineIndex="{{ line.index }}">
<featureID>{{ line.feature }}</featureID>
<featureLabel>{{ line.label }}</featureLabel>
{% if line.account %}
{% set account = line.account %}
<proxy>{{ line.proxy.host if line.proxy else "USECALLMANAGER" }}</proxy>
<port>{{ account.servers.proxy.port }}</port>
<name>{{ account.username }}</name>
<displayName>{{ account.display_name }}</displayName>
<autoAnswer>
<autoAnswerEnabled>2</autoAnswerEnabled>
</autoAnswer>
<callWaiting>{{ 1 if switchboard else 3 }}</callWaiting>
<authName>{{ account.auth_username }}</authName>
<authPassword>{{ account.password }}</authPassword>
<sharedLine>false</sharedLine>
<messageWaitingLampPolicy>1</messageWaitingLampPolicy>
<messagesNumber>{{ account.voicemail }}</messagesNumber>
<ringSettingIdle>4</ringSettingIdle>
<ringSettingActive>5</ringSettingActive>
<contact>{{ account.extension or account.username }}</contact>
<forwardCallInfoDisplay>
<callerName>true</callerName>
<callerNumber>false</callerNumber>
<redirectedNumber>false</redirectedNumber>
<dialedNumber>true</dialedNumber>
</forwardCallInfoDisplay>
<maxNumCalls>5</maxNumCalls>
<busyTrigger>5</busyTrigger>
{% else %}
<speedDialNumber>{{ line.number }}</speedDialNumber>
{% if line.feature == 21 %}
<featureOptionMask>1</featureOptionMask>
{% endif %}
{% endif %}
</line>
{% endfor %}
</sipLines>
{% endblock %}
<externalNumberMask>{{ first.extension if first else "" }}</externalNumberMask>
<voipControlPort>5060</voipControlPort>
<startMediaPort>10000</startMediaPort>
<stopMediaPort>50000</stopMediaPort>
<dscpForAudio>184</dscpForAudio>
<dscpVideo>136</dscpVideo>
<ringSettingBusyStationPolicy>0</ringSettingBusyStationPolicy>
<dialTemplate>dialplan.xml</dialTemplate>
</sipProfile>
<commonProfile>
{% if admin and admin.password %}
<phonePassword>{{ admin.password }}</phonePassword>
{% endif %}
<backgroundImageAccess>true</backgroundImageAccess>
<callLogBlfEnabled>2</callLogBlfEnabled>
</commonProfile>
{% block firmware %}
{% if load %}
<loadInformation>{{ load }}</loadInformation>
{% endif %}
{% endblock %}
<vendorConfig>
<disableSpeaker>false</disableSpeaker>
<disableSpeakerAndHeadset>false</disableSpeakerAndHeadset>
<pcPort>0</pcPort>
<settingsAccess>1</settingsAccess>
<garp>0</garp>
<autoSelectLineEnable>0</autoSelectLineEnable>
<webAccess>0</webAccess>
<joinAndDirectTransferPolicy>0</joinAndDirectTransferPolicy>
<spanToPCPort>1</spanToPCPort>
<loggingDisplay>1</loggingDisplay>
<loadServer></loadServer>
<videoCapability>1</videoCapability>
<rtcp>1</rtcp>
<videoRtcp>1</videoRtcp>
<ciscoCamera>1</ciscoCamera>
<hideVideoByDefault>0</hideVideoByDefault>
<softKeyControl>1</softKeyControl>
{% if syslog %}
<logServer>{{ syslog.host }}:{{ syslog.port }}</logServer>
{% endif %}
</vendorConfig>
{% block language %}
{% include "locale.tpl" %}
{% endblock %}
{% block services %}
<directoryURL>{{ phonebook }}</directoryURL>
{% endblock %}
<dscpForSCCPPhoneConfig>96</dscpForSCCPPhoneConfig>
<dscpForSCCPPhoneServices>0</dscpForSCCPPhoneServices>
<dscpForCm2Dvce>96</dscpForCm2Dvce>
<dndCallAlert>1</dndCallAlert>
<dndReminderTimer>5</dndReminderTimer>
<capfAuthMode>0</capfAuthMode>
<capfList>
<capf>
<phonePort>3804</phonePort>
</capf>
</capfList>
<certHash></certHash>
<encrConfig>false</encrConfig>
<addOnModules></addOnModules>
{% block custom %}
{% endblock %}
</device>
