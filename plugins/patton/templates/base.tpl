cli version 3.20
{# An administrator's template may replace any block, or fill "custom" with more commands:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% block time %}
{% for command in clock %}
{{ command|safe }}
{% endfor %}
{% if ntp %}
sntp-client
sntp-client server primary {{ ntp }}
{% endif %}
{% endblock %}
{% block security %}
{% if administrator and administrator.password %}
administrator {{ administrator.name }} password {{ administrator.password }}
{% endif %}
{% if user and user.password %}
operator {{ user.name }} password {{ user.password }}
{% endif %}
{% endblock %}
{% block provisioning %}
timer PROVISIONING_CONFIG now + 1 minute "provisioning execute PF_PROVISIONING_CONFIG"
profile provisioning PF_PROVISIONING_CONFIG
  destination configuration
  location 1 {{ base_url }}/{{ phone.mac }}.cfg
  activation reload graceful
{% if firmware %}
timer PROVISIONING_FIRMWARE now + 1 minute "provisioning execute PF_PROVISIONING_FIRMWARE"
profile provisioning PF_PROVISIONING_FIRMWARE
  destination script
  location 1 {{ firmware }}
  activation reload graceful
{% endif %}
actions
  rule ACT_CHECK_SYNC
    condition sip gateway:GW_SIP NOTIFY_CHECK_SYNC_RELOAD
    action "provisioning execute PF_PROVISIONING_CONFIG"
{% endblock %}
{% block syslog %}
{% if syslog %}
syslog-client
  remote {{ syslog.host }} {{ syslog.port }}
    facility kernel severity informational
    facility sip severity {{ syslog.level }}
{% endif %}
{% endblock %}
{% block voice %}
system
  ic voice 0
    low-bitrate-codec g729
{% if has_french_tones %}
profile call-progress-tone FR_Dialtone
  play 1 5000 440 -10
profile call-progress-tone FR_Alertingtone
  play 1 1500 440 -10
  pause 2 3500
profile call-progress-tone FR_Busytone
  play 1 500 440 -10
  pause 2 500
profile tone-set default
  map call-progress-tone dial-tone FR_Dialtone
  map call-progress-tone ringback-tone FR_Alertingtone
  map call-progress-tone busy-tone FR_Busytone
  map call-progress-tone release-tone FR_Busytone
  map call-progress-tone congestion-tone FR_Busytone
{% endif %}
profile voip default
  codec 1 g711alaw64k rx-length 20 tx-length 20
  codec 2 g711ulaw64k rx-length 20 tx-length 20
  dtmf-relay {{ dtmf }}
  ced net-side-detection
  fax transmission 1 relay t38-udp
  fax transmission 2 bypass g711alaw64k rx-length 20 tx-length 20
{% endblock %}
{% block network %}
{% if vlan %}
profile service-policy SP_VLAN_PRIO
  source traffic-class default
    set layer2 cos {{ vlan.priority }}
{% endif %}
context ip router
  interface eth0
    ipaddress dhcp
    tcp adjust-mss rx mtu
    tcp adjust-mss tx mtu
{% if vlan %}
    use profile service-policy SP_VLAN_PRIO out
port ethernet 0 0
  medium auto
  vlan {{ vlan.id }}
    encapsulation ip
    bind interface eth0 router
    no shutdown
{% else %}
port ethernet 0 0
  medium auto
  encapsulation ip
  bind interface eth0 router
{% endif %}
port ethernet 0 0
  no shutdown
{% endblock %}
{% block calls %}
context cs switch
  routing-table called-uri RT_FROM_SIP
{% for line in lines %}
    route {{ "sip:" ~ line.account.username ~ "@.%" }} dest-interface {{ line.interface }}
{% endfor %}
{% for server in servers %}
  interface sip IF_SIP_SERVER{{ server.number }}
    bind context sip-gateway GW_SIP
    route call dest-table RT_FROM_SIP
    remote {{ server.proxy.host }} {{ server.proxy.port }}
{% endfor %}
{% for line in lines %}
  service hunt-group HG_FROM_FXS{{ line.port }}
    timeout 3
{% for number in line.servers %}
    route call dest-interface IF_SIP_SERVER{{ number }}
{% endfor %}
  routing-table called-e164 RT_FROM_FXS{{ line.port }}
    route .T dest-service HG_FROM_FXS{{ line.port }}
  interface fxs {{ line.interface }}
    route call dest-table RT_FROM_FXS{{ line.port }}
    message-waiting-indication stutter-dial-tone
    message-waiting-indication frequency-shift-keying
    call-transfer
    subscriber-number {{ line.account.username }}
{% endfor %}
context cs switch
  no shutdown
{% endblock %}
{% block accounts %}
authentication-service AUTH
{% for name, password in logins %}
  username {{ name }} password {{ password }}
{% endfor %}
{% for server in servers %}
location-service LOC_SERVER{{ server.number }}
  domain {{ server.proxy.host }}
{% for account, registrar in server.registrars %}
  identity {{ account.username }}
    authentication outbound
      authenticate authentication-service AUTH username {{ account.auth_username }}
    call outbound
      preferred-transport-protocol {{ account.transport }}
    message inbound
      subscribe implicit
    registration outbound
      register auto
      registrar {{ registrar.host }} {{ registrar.port }}
      preferred-transport-protocol {{ account.transport }}
{% endfor %}
{% endfor %}
context sip-gateway GW_SIP
  interface TRANSPORT_ETH0
    bind interface eth0 port 5060
context sip-gateway GW_SIP
{% for server in servers %}
  bind location-service LOC_SERVER{{ server.number }}
{% endfor %}
  notify check-sync accept
  no shutdown
{% endblock %}
{% block ports %}
{% for line in lines %}
port fxs 0 {{ line.port }}
  encapsulation cc-fxs
  bind interface {{ line.interface }} switch
  no shutdown
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
