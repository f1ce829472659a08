<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
{# An administrator's template may replace any block, or fill "custom" with more attributes:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %}
   A phone takes each attribute once in a file. #}
<{{ root }}
{% block device %}
device.set="1"
{% if is_uc_software %}
device.prov.tagSerialNo.set="1"
device.prov.tagSerialNo="1"
{% endif %}
{% endblock %}
{% block network %}
device.net.vlanId.set="1"
device.net.vlanId="{{ vlan.id if vlan else "" }}"
{% if vlan %}
qos.ethernet.rtp.user_priority="{{ vlan.priority }}"
qos.ethernet.callControl.user_priority="{{ vlan.priority }}"
{% endif %}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
device.dns.serverAddress.set="1"
device.dns.serverAddress="{{ dns }}"
{% endif %}
device.syslog.serverName.set="1"
device.syslog.serverName="{{ syslog.host if syslog else "" }}"
device.syslog.transport.set="1"
device.syslog.transport="{{ 1 if syslog else 0 }}"
device.syslog.renderLevel.set="1"
device.syslog.renderLevel="{{ syslog.level if syslog else 1 }}"
{% endblock %}
{% block security %}
{% for account, password in passwords %}
device.auth.local{{ account }}Password.set="1"
device.auth.local{{ account }}Password="{{ password }}"
{% endfor %}
{% for certificate in certificates %}
sec.TLS.customCaCert.{{ loop.index }}="{{ certificate }}"
sec.TLS.profile.1.caCert.application{{ loop.index }}="1"
{% endfor %}
{% if certificates %}
sec.TLS.profileSelection.SIP="ApplicationProfile1"
{% endif %}
{% endblock %}
{% block time %}
tcpIpApp.sntp.address="{{ ntp }}"
tcpIpApp.sntp.address.overrideDHCP="{{ 1 if ntp else 0 }}"
{% for name, value in time.items() %}
tcpIpApp.sntp.{{ name }}="{{ value }}"
{% endfor %}
{% endblock %}
{% block language %}
lcl.ml.lang="{{ language }}"
{% endblock %}
{% block accounts %}
sec.srtp.enable="{{ srtp[0] }}"
sec.srtp.offer="{{ srtp[1] }}"
sec.srtp.require="{{ srtp[2] }}"
tone.dtmf.viaRtp="{{ dtmf[0] }}"
tone.dtmf.rfc2833Control="{{ dtmf[1] }}"
voIpProt.SIP.dtmfViaSignaling.rfc2976="{{ dtmf[2] }}"
{% for number, account in accounts.items() %}
reg.{{ number }}.address="{{ account.username }}"
reg.{{ number }}.auth.userId="{{ account.auth_username }}"
reg.{{ number }}.auth.password="{{ account.password }}"
reg.{{ number }}.displayName="{{ account.display_name }}"
reg.{{ number }}.label="{{ account.extension or account.name }}"
{% set servers = account.servers %}
{% for server in (servers.registrar, servers.backup_registrar) if server %}
{% set prefix = "reg.%d.server.%d"|format(number, loop.index) %}
{{ prefix }}.address="{{ server.host }}"
{{ prefix }}.port="{{ server.port }}"
{{ prefix }}.transport="{{ account.transport }}"
{{ prefix }}.expires="3600"
{{ prefix }}.register="1"
{{ prefix }}.retryMaxCount="2"
{% endfor %}
{# A proxy that is not the registrar is the way to it. #}
{% set route = servers.outbound_proxy or (servers.proxy if servers.proxy != servers.registrar else none) %}
{% if route %}
reg.{{ number }}.outboundProxy.address="{{ route.host }}"
reg.{{ number }}.outboundProxy.port="{{ route.port }}"
reg.{{ number }}.outboundProxy.transport="{{ account.transport }}"
{% endif %}
reg.{{ number }}.srtp.enable="{{ account.srtp[0] }}"
reg.{{ number }}.srtp.offer="{{ account.srtp[1] }}"
reg.{{ number }}.srtp.require="{{ account.srtp[2] }}"
msg.mwi.{{ number }}.subscribe="{{ account.extension or account.username if phone.values.flag("sip_subscribe_mwi") else "" }}"
msg.mwi.{{ number }}.callBackMode="{{ "contact" if account.voicemail else "disabled" }}"
msg.mwi.{{ number }}.callBack="{{ account.voicemail }}"
{% endfor %}
{% endblock %}
{% block codes %}
{% if extens.pickup_call %}
call.directedCallPickupMethod="legacy"
call.directedCallPickupString="{{ extens.pickup_call }}"
{% endif %}
{% if extens.park and is_uc_software %}
feature.callPark.enabled="1"
call.parkedCallString="{{ extens.park }}"
{% endif %}
call.callWaiting.enable="{{ not switchboard }}"
{% endblock %}
{% block keys %}
{% for key in keys %}
attendant.resourceList.{{ key.number }}.address="{{ key.value }}"
attendant.resourceList.{{ key.number }}.label="{{ key.label }}"
attendant.resourceList.{{ key.number }}.type="{{ key.code }}"
{% endfor %}
{% endblock %}
{% block phonebook %}
{% if phonebook %}
mb.main.home="{{ phonebook }}"
softkey.1.enable="1"
softkey.1.action="{{ phonebook }}"
softkey.1.label="{{ directory }}"
softkey.1.use.idle="1"
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
/>
