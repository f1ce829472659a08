{# An administrator's template may replace any block, or fill "custom" with more lines:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
# {{ model.name }}
{% block common %}
{% include "common.tpl" %}
{% if model.fact("directory") %}
play a ring splash: 0
{% endif %}
{% if model.fact("idle_screen") %}
idle screen mode: 1
{% endif %}
{% endblock %}
{% block provisioning %}
{% for name, value in server %}
{{ name }}: {{ value }}
{% endfor %}
upgrade uri: {{ upgrade_url }}
{% endblock %}
{% block network %}
{% if vlan %}
tagging enabled: 1
vlan id: {{ vlan.id }}
priority non-ip: {{ vlan.priority }}
vlan id port 1: {{ pc_vlan }}
{% else %}
tagging enabled: 0
{% endif %}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
dns1: {{ dns }}
{% endif %}
{% if syslog %}
log server ip: {{ syslog.host }}
log server port: {{ syslog.port }}
{% for module in log_modules %}
log module {{ module }}: {{ syslog.level }}
{% endfor %}
{% endif %}
{% endblock %}
{% block time %}
{% if ntp %}
time server disabled: 0
time server1: {{ ntp }}
{% else %}
time server disabled: 1
{% endif %}
{% for name, value in time %}
{{ name }}: {{ value }}
{% endfor %}
{% endblock %}
{% block language %}
{% if language_file %}
language: 1
language 1: {{ language_file }}
{% elif language %}
language: 0
{% endif %}
{% if country %}
tone set: {{ country }}
{% endif %}
{% if language %}
input language: {{ language.input }}
{% endif %}
{% endblock %}
{% block security %}
{% if admin and admin.password %}
admin password: {{ admin.password }}
{% endif %}
{% if user and user.password %}
user password: {{ user.password }}
{% endif %}
{% if certificates %}
sips trusted certificates: {{ certificates }}
{% endif %}
{% endblock %}
{% block services %}
{% if directory %}
directory script: {{ directory }}
{% endif %}
{% if extens.pickup_call %}
directed call pickup: 1
directed call pickup prefix: {{ extens.pickup_call }}
{% endif %}
{% if switchboard %}
sip xml notify event: 1
call waiting: 0
{% endif %}
{% endblock %}
{% block accounts %}
sip transport protocol: {{ (accounts.values()|first).transport if accounts else 1 }}
sip out-of-band dtmf: {{ dtmf[0] }}
sip dtmf method: {{ dtmf[1] }}
sip explicit mwi subscription: {{ phone.values.flag("sip_subscribe_mwi") }}
{% for n, account in accounts.items() %}
{% set servers = account.servers %}
sip line{{ n }} user name: {{ account.username }}
sip line{{ n }} auth name: {{ account.auth_username }}
sip line{{ n }} password: {{ account.password }}
{% if account.display_name %}
sip line{{ n }} display name: {{ account.display_name }}
{% endif %}
sip line{{ n }} screen name: {{ account.name }}
{% if account.extension %}
sip line{{ n }} screen name 2: {{ account.extension }}
{% endif %}
sip line{{ n }} proxy ip: {{ servers.proxy.host }}
sip line{{ n }} proxy port: {{ servers.proxy.port }}
sip line{{ n }} backup proxy ip: {{ servers.backup_proxy.host if servers.backup_proxy else "0.0.0.0" }}
sip line{{ n }} backup proxy port: {{ servers.backup_proxy.port if servers.backup_proxy else 5060 }}
sip line{{ n }} registrar ip: {{ servers.registrar.host }}
sip line{{ n }} registrar port: {{ servers.registrar.port }}
sip line{{ n }} backup registrar ip: {{ servers.backup_registrar.host if servers.backup_registrar else "0.0.0.0" }}
sip line{{ n }} backup registrar port: {{ servers.backup_registrar.port if servers.backup_registrar else 5060 }}
{% if servers.outbound_proxy %}
sip line{{ n }} outbound proxy: {{ servers.outbound_proxy.host }}
sip line{{ n }} outbound proxy port: {{ servers.outbound_proxy.port }}
{% endif %}
sip line{{ n }} dtmf method: {{ account.dtmf[1] }}
sip line{{ n }} srtp mode: {{ account.srtp }}
{% if account.voicemail %}
sip line{{ n }} vmail: {{ account.voicemail }}
{% endif %}
{% if n in parks %}
sip line{{ n }} park pickup config: {{ parks[n] }};{{ parks[n] }};asterisk
{% endif %}
{% endfor %}
{% endblock %}
{% block keys %}
{% for number in model.fact("unlocked", ()) %}
prgkey{{ number }} locked: 0
{% endfor %}
{% for name, value in key_settings %}
{{ name }}: {{ value }}
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
