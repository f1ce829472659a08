{# What a phone gets. A template of your own may extend this one and replace any block, or fill
   "custom" with more lines. #}
[ipp]
{% block language %}
LanguageType={{ language if language is not none else 0 }}
{% endblock %}

[net]
{% block network %}
DNSSrv1={{ dns or "0.0.0.0" }}
VLAN={{ vlan is not none }}
{% endblock %}

[sip]
{% block sip %}
CallPkupFlg=sc
CallPkupSC={% if extens.pickup_call %}{{ extens.pickup_call }}X{% endif +%}
{% for n in range(1, model.lines + 1) %}
{% set account = accounts.get(n) %}
{% if account %}
DisplayNumFlag{{ n }}=1
DisplayNum{{ n }}={{ account.extension }}
DisplayName{{ n }}={{ account.display_name }}
ProxyServerMP{{ n }}={{ server_of(account, account.servers.proxy) }}
ProxyServerBK{{ n }}={{ server_of(account, account.servers.backup_proxy) }}
RegisterServerMP{{ n }}={{ server_of(account, account.servers.registrar) }}
RegisterServerBK{{ n }}={{ server_of(account, account.servers.backup_registrar) }}
regid{{ n }}={{ account.auth_username }}
regpwd{{ n }}={{ account.password }}
TEL{{ n }}Number={{ account.username }}
TEL0{{ n }}Use=1
{% else %}
DisplayNumFlag{{ n }}=0
DisplayNum{{ n }}=
DisplayName{{ n }}=
ProxyServerMP{{ n }}=
ProxyServerBK{{ n }}=
RegisterServerMP{{ n }}=
RegisterServerBK{{ n }}=
regid{{ n }}=
regpwd{{ n }}=
TEL{{ n }}Number=
TEL0{{ n }}Use=0
{% endif %}
{% endfor %}
{% for n in range(1, 5) %}
TransportFlgMP{{ n }}={{ first.transport if first else 0 }}
TransportFlgBK{{ n }}={{ first.transport if first else 0 }}
{% endfor %}
VoiceMailTelNum={{ first.voicemail if first else "" }}
subscribe_event={{ phone.values.flag("sip_subscribe_mwi") }}
sw_notify_autoprovision=1
AuthNotifyCheckSync={{ first.servers.proxy.host if first else "" }}
{% endblock %}

[sys]
config_sn={{ serial }}
{% block system %}
CountryCode={{ tone or "US" }}
dtmf_mode_flag={{ first.dtmf if first else 1 }}
Phonebook1_url={{ phonebook }}
Phonebook1_name={{ "Directory" if phonebook else "" }}
{% endblock %}
{% block keys %}
{% for key in keys %}
{{ key.name }}={{ key.code }}/<sip:{{ key.value }}>
{% endfor %}
{% for slot in free_slots %}
{{ slot.name }}=L/<sip:>
{% endfor %}
{% endblock %}
{% block security %}
{% if user %}
UserID={{ user.name }}
{% if user.password %}
UserPWD={{ user.password }}
{% endif %}
{% endif %}
{% if admin %}
TelnetID={{ admin.name }}
{% if admin.password %}
TelnetPWD={{ admin.password }}
WebPWD={{ admin.password }}
{% endif %}
{% endif %}
{% endblock %}

[qos]
{% block qos %}
{% if vlan %}
VLANid1={{ vlan.id }}
VLANTag1={{ vlan.priority }}
{% if vlan.pc_id is not none %}
VLANid2={{ vlan.pc_id }}
{% endif %}
{% endif %}
{% endblock %}

[ntp]
{% block time %}
NTPFlag={{ ntp is not none }}
NtpIP={{ ntp }}
{% if zone_code is not none %}
NtpZoneNum={{ zone_code }}
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
