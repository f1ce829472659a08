<?xml version="1.0" encoding="UTF-8"?>
{# For one line of an adapter: `account`. #}
<device>
<deviceProtocol>SIP</deviceProtocol>
<devicePool>
{% block time %}
<dateTimeSetting>
<dateTemplate>YA.M.D</dateTemplate>
{% if zone %}
<olsonTimeZone>{{ zone.name }}</olsonTimeZone>
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
<name>Default</name>
<tftpDefault>true</tftpDefault>
<members>
{% if account %}
{% set servers = account.servers %}
{% for server in (servers.proxy, servers.backup_proxy) if server %}
<member priority="{{ loop.index0 }}">
<callManager>
<name>{{ server.host }}</name>
<ports>
<sipPort>{{ server.port }}</sipPort>
</ports>
<processNodeName>{{ server.host }}</processNodeName>
</callManager>
</member>
{% endfor %}
{% endif %}
</members>
</callManagerGroup>
{% endblock %}
<srstInfo>
<userModifiable>false</userModifiable>
<isSecure>false</isSecure>
</srstInfo>
</devicePool>
<sipProfile>
<sipProxies>
<outboundProxy>{{ account.servers.outbound_proxy.host if account and account.servers.outbound_proxy else "" }}</outboundProxy>
<outboundProxyPort>{{ account.servers.outbound_proxy.port if account and account.servers.outbound_proxy else "" }}</outboundProxyPort>
<registerWithProxy>true</registerWithProxy>
</sipProxies>
<phoneLabel>{{ account.extension or account.username if account else "" }}</phoneLabel>
<dtmfOutofBand>{{ account.dtmf if account else "avt" }}</dtmfOutofBand>
<sipCallFeatures>
{% include "features.tpl" %}
<retainForwardInformation>true</retainForwardInformation>
</sipCallFeatures>
<sipStack>
{% include "stack.tpl" %}
</sipStack>
{% block accounts %}
<sipLines>
{% if account %}
<line>
<featureID>9</featureID>
<featureLabel>{{ account.name }}</featureLabel>
<proxy>{{ account.servers.proxy.host }}</proxy>
<port>{{ account.servers.proxy.port }}</port>
<displayName>{{ account.display_name or account.extension }}</displayName>
<contact>{{ account.extension or account.username }}</contact>
<name>{{ account.username }}</name>
<authName>{{ account.auth_username }}</authName>
<authPassword>{{ account.password }}</authPassword>
<sharedLine>false</sharedLine>
<messagesNumber>{{ account.voicemail }}</messagesNumber>
</line>
{% endif %}
</sipLines>
{% endblock %}
<dialTemplate>dialplan.xml</dialTemplate>
</sipProfile>
{% block language %}
{% include "locale.tpl" %}
{% endblock %}
{% block firmware %}
{% if load %}
<loadInformation>{{ load }}</loadInformation>
{% endif %}
{% endblock %}
<deviceSecurityMode>{{ account.srtp if account else 1 }}</deviceSecurityMode>
<transportLayerProtocol>{{ account.transport if account else 2 }}</transportLayerProtocol>
{% block custom %}
{% endblock %}
</device>
