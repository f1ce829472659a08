<?xml version="1.0" encoding="UTF-8"?>
{# An administrator's template may replace any block, or fill "custom" with more elements:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
<config>
{% block security %}
{% if password %}
<setting id="login_password" value="{{ password }}"/>
{% endif %}
{% endblock %}
{% block time %}
<setting id="time_source" value="ntp"/>
{% if ntp %}
<setting id="ntp_server" value="{{ ntp }}"/>
<setting id="ntp_resync" value="86400"/>
{% endif %}
{% if zone %}
<setting id="time_zone" value="{{ zone.name }}"/>
{% endif %}
{% endblock %}
{% block language %}
{% if language %}
<setting id="locale" value="{{ language }}"/>
{% endif %}
{% endblock %}
{% block network %}
<setting id="network_vlan_id" value="{{ vlan.id if vlan else 0 }}"/>
<setting id="network_vlan_qos" value="{{ vlan.priority if vlan else 0 }}"/>
{% if vlan and vlan.pc_id is not none %}
<setting id="pc_vlan_id" value="{{ vlan.pc_id }}"/>
{% endif %}
{% endblock %}
{% block features %}
<setting id="enable_check_sync" value="1"/>
<setting id="accept_local_calls" value="any"/>
<setting id="backlight_timeout" value="30"/>
<setting id="ehs" value="Plantronics"/>
<setting id="enable_blf_on_unused_line_keys" value="1"/>
<setting id="blf_contact_group" value="Default"/>
<contacts url="{{ base_url }}/Digium/{{ phone.mac }}-contacts.xml" id="internal"/>
<ringtones>
<alerts>
<alert alert_info="normal" ringtone_id="Digium" ring_type="normal"/>
<alert alert_info="answer" ringtone_id="" ring_type="answer"/>
<alert alert_info="ring-answer" ringtone_id="Digium" ring_type="answer"/>
<alert alert_info="intercom" ringtone_id="" ring_type="answer"/>
<alert alert_info="visual" ringtone_id="" ring_type="visual"/>
</alerts>
</ringtones>
{% endblock %}
{% block accounts %}
<accounts>
{% for number, account in accounts.items() %}
{% set servers = account.servers %}
{# A proxy that is not the registrar is the way to it. #}
{% set route = servers.outbound_proxy or (servers.proxy if servers.proxy != servers.registrar else none) %}
<account index="{{ number - 1 }}" status="1" register="1" account_id="{{ account.username }}" username="{{ account.username }}" authname="{{ account.auth_username }}" password="{{ account.password }}" line_label="{{ account.name }}" caller_id="{{ account.display_name }}"{% if route %} outbound_proxy="{{ route.host }}" outbound_port="{{ route.port }}"{% endif %} dial_plan="x.T6" visual_voicemail="0" voicemail="{% if account.voicemail %}sip:{{ account.voicemail }}@{{ servers.registrar.host }}{% endif %}"{% if phone.values.flag("sip_subscribe_mwi") %} needMwiSubscription="1"{% endif %} conflict="replace">
<host_primary server="{{ servers.registrar.host }}" port="{{ servers.registrar.port }}" transport="{{ account.transport }}"{% if account.srtp %} media_encryption="{{ account.srtp }}"{% endif %} reregister="3600" retry="25" num_retries="5"/>
{% if servers.backup_registrar %}
<host_alternate server="{{ servers.backup_registrar.host }}" port="{{ servers.backup_registrar.port }}" transport="{{ account.transport }}"{% if account.srtp %} media_encryption="{{ account.srtp }}"{% endif %} reregister="3600" retry="25" num_retries="5"/>
{% endif %}
<permission id="record_own_calls" value="0"/>
</account>
{% endfor %}
{% for number in free_lines %}
<account index="{{ number - 1 }}" status="0" register="0" conflict="replace"/>
{% endfor %}
</accounts>
{% endblock %}
{% block firmware %}
{% if firmware and firmware_version %}
<firmwares>
<firmware model="{{ model.name }}" version="{{ firmware_version }}" url="{{ firmware }}"/>
</firmwares>
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
</config>
