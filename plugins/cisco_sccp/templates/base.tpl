<?xml version="1.0" encoding="UTF-8"?>
{# An administrator's template may replace any block, or fill "custom", with more elements:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
<device>
<deviceProtocol>SCCP</deviceProtocol>
{% block security %}
{% if admin and admin.password and model.fact("logins") %}
<sshUserId>{{ admin.name }}</sshUserId>
<sshPassword>{{ admin.password }}</sshPassword>
<commonProfile>
<phonePassword>{{ admin.password }}</phonePassword>
</commonProfile>
{% endif %}
{% endblock %}
<devicePool>
{% block time %}
<dateTimeSetting>
<dateTemplate>D-M-YA</dateTemplate>
{% if zone_name %}
<timeZone>{{ zone_name }}</timeZone>
{% endif %}
{% if ntp %}
<ntps>
<ntp>
<name>{{ ntp }}</name>
<ntpMode>Unicast</ntpMode>
</ntp>
</ntps>
{% endif %}
</dateTimeSetting>
{% endblock %}
{% block servers %}
<callManagerGroup>
<members>
{% for manager in managers %}
<member priority="{{ manager.priority }}">
<callManager>
<ports>
<ethernetPhonePort>{{ manager.port }}</ethernetPhonePort>
</ports>
<processNodeName>{{ manager.host }}</processNodeName>
</callManager>
</member>
{% endfor %}
</members>
</callManagerGroup>
{% endblock %}
<srstInfo>
<srstOption>Disable</srstOption>
</srstInfo>
</devicePool>
{# What phones report when they register; nothing depends on it. #}
<versionStamp>{Dec 17 2010 16:03:58}</versionStamp>
{% block firmware %}
{% if load %}
<loadInformation>{{ load }}</loadInformation>
{% endif %}
{% endblock %}
<addOnModules></addOnModules>
{% block language %}
{% if language %}
<userLocale>
<name>i18n/{{ language.name }}</name>
<langCode>{{ language.code }}</langCode>
</userLocale>
<networkLocale>i18n/{{ language.network }}</networkLocale>
{% endif %}
{% endblock %}
<idleTimeout>0</idleTimeout>
{% block services %}
<authenticationURL></authenticationURL>
<directoryURL>{{ phonebook }}</directoryURL>
<idleURL></idleURL>
<informationURL></informationURL>
<messagesURL></messagesURL>
<proxyServerURL></proxyServerURL>
<servicesURL></servicesURL>
{% endblock %}
<vendorConfig>
<disableSpeaker>false</disableSpeaker>
<disableSpeakerAndHeadset>false</disableSpeakerAndHeadset>
<enableGroupListen>true</enableGroupListen>
<g722CodecSupport>2</g722CodecSupport>
</vendorConfig>
<advertiseG722Codec>1</advertiseG722Codec>
{% block custom %}
{% endblock %}
</device>
