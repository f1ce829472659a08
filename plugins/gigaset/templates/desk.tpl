<?xml version="1.0" encoding="utf-8"?>
{# What a P710 to P855 gets; a template of your own may extend this one and fill "custom". #}
<settings>
<phone-settings>
{% block provisioning %}
<setting_server perm="RW">{{ base_url }}/{mac}.xml</setting_server>
<update_policy perm="R">auto_update</update_policy>
{% endblock %}
{% block network %}
<vlan_id perm="R">{{ vlan.id if vlan }}</vlan_id>
<vlan_qos perm="R">{{ vlan.priority if vlan }}</vlan_qos>
{% set pc_id = vlan.pc_id if vlan else none %}
<vlan_port_tagging perm="R">{{ "on" if pc_id is not none else "off" }}</vlan_port_tagging>
<vlan_pc_id perm="R">{{ pc_id }}</vlan_pc_id>
{% if dns %}
<dns_server1 perm="R">{{ dns }}</dns_server1>
{% endif %}
<syslog_server perm="R">{% if syslog %}{{ syslog.host }}:{{ syslog.port }}{% endif %}</syslog_server>
{% endblock %}
{% block time %}
{% if ntp %}
<ntp_server perm="R">{{ ntp }}</ntp_server>
{% endif %}
{% if zone_code %}
<timezone perm="R">{{ zone_code }}</timezone>
{% endif %}
{% endblock %}
{% block language %}
{% set desk_language = phone.in_language(tables.desk_languages, "language") %}
{% if desk_language %}
<language perm="R">{{ desk_language }}</language>
<web_language perm="R">{{ desk_language }}</web_language>
{% endif %}
{% if phone.country_code in tables.desk_tones %}
<tone_scheme perm="R">{{ tables.desk_tones[phone.country_code] }}</tone_scheme>
{% endif %}
{% endblock %}
{% block security %}
{% if admin and admin.password %}
<http_user perm="R">{{ admin.name }}</http_user>
<http_pass perm="R">{{ admin.password }}</http_pass>
<webserver_admin_name perm="R">{{ admin.name }}</webserver_admin_name>
<webserver_admin_password perm="R">{{ admin.password }}</webserver_admin_password>
<admin_mode_password perm="R">{{ admin.password }}</admin_mode_password>
<admin_mode_password_confirm perm="R">{{ admin.password }}</admin_mode_password_confirm>
{% endif %}
{% if user and user.password %}
<webserver_user_name perm="R">{{ user.name }}</webserver_user_name>
<webserver_user_password perm="R">{{ user.password }}</webserver_user_password>
{% endif %}
{% endblock %}
{% block services %}
{% set first = phone.first_account %}
{% if first and first.voicemail %}
<dkey_retrieve perm="R">speed {{ first.voicemail }}</dkey_retrieve>
{% endif %}
{% endblock %}
{% block accounts %}
{% for number, account in accounts.items() %}
{% set route = account.servers.outbound_proxy or account.servers.proxy %}
<user_active idx="{{ number }}" perm="R">on</user_active>
<user_name idx="{{ number }}" perm="R">{{ account.username }}</user_name>
<user_pname idx="{{ number }}" perm="R">{{ account.auth_username }}</user_pname>
<user_pass idx="{{ number }}" perm="R">{{ account.password }}</user_pass>
<user_host idx="{{ number }}" perm="R">{{ account.servers.registrar.host }}</user_host>
<user_outbound idx="{{ number }}" perm="R">{{ route }};transport={{ account.transport_name }}</user_outbound>
<user_realname idx="{{ number }}" perm="R">{{ account.display_name }}</user_realname>
<user_idle_text idx="{{ number }}" perm="R">{{ account.name }}</user_idle_text>
<user_idle_number idx="{{ number }}" perm="R">{{ account.extension }}</user_idle_number>
<user_mailbox idx="{{ number }}" perm="R">{{ account.voicemail }}</user_mailbox>
<user_dtmf_info idx="{{ number }}" perm="R">{{ "sip_info_only" if account.dtmf == 4 else "off" }}</user_dtmf_info>
<user_srtp idx="{{ number }}" perm="R">{{ "off" if account.srtp == "disabled" else "on" }}</user_srtp>
<user_savp idx="{{ number }}" perm="R">{{ {"disabled": "off", "preferred": "optional", "required": "mandatory"}[account.srtp] }}</user_savp>
<user_auth_tag idx="{{ number }}" perm="R">off</user_auth_tag>
<call_waiting idx="{{ number }}" perm="R">{{ "off" if switchboard else "on" }}</call_waiting>
{% for setting, name in (("dnd_on_code", "dnd"), ("dnd_off_code", "dnd"), ("fwd_all_on_code", "fwd_unconditional"), ("fwd_all_off_code", "fwd_unconditional"), ("fwd_busy_on_code", "fwd_busy"), ("fwd_busy_off_code", "fwd_busy"), ("fwd_time_on_code", "fwd_no_answer"), ("fwd_time_off_code", "fwd_no_answer"), ("blf_directed_call_pickup", "pickup_call")) if extens[name] %}
<{{ setting }} idx="{{ number }}" perm="R">{{ extens[name] }}</{{ setting }}>
{% endfor %}
{% endfor %}
{# A backup server is an identity of its own that nobody sees. #}
{% for number, idx in backups.items() %}
{% set account = accounts[number] %}
{% set backup = account.servers.backup_registrar %}
<user_failover_identity idx="{{ number }}" perm="R">{{ idx }}</user_failover_identity>
<user_active idx="{{ idx }}" perm="R">on</user_active>
<hide_identity idx="{{ idx }}" perm="R">true</hide_identity>
<user_name idx="{{ idx }}" perm="R">{{ account.username }}</user_name>
<user_pname idx="{{ idx }}" perm="R">{{ account.auth_username }}</user_pname>
<user_pass idx="{{ idx }}" perm="R">{{ account.password }}</user_pass>
<user_host idx="{{ idx }}" perm="R">{{ backup.host }}</user_host>
<user_outbound idx="{{ idx }}" perm="R">{{ backup }};transport={{ account.transport_name }}</user_outbound>
{% endfor %}
{% for number in free_lines if number not in backups.values() %}
<user_active idx="{{ number }}" perm="R">off</user_active>
<user_name idx="{{ number }}" perm="R"></user_name>
<user_pass idx="{{ number }}" perm="R"></user_pass>
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
</phone-settings>
<functionKeys>
{% block keys %}
{% for key in keys %}
<fkey idx="{{ key.number - 1 }}" context="{{ key.line }}" label="{{ key.label }}" perm="R">{% if key.type == "line" %}line{% elif key.type == "blf" %}blf {{ key.value }}{% if key.pickup %}|{{ key.pickup }}{% endif %}{% else %}speed {{ key.value }}{% endif %}</fkey>
{% endfor %}
{% filter for_each(free_keys) %}
<fkey idx="@" context="active" label="" perm="R">none</fkey>
{% endfilter %}
{% endblock %}
</functionKeys>
</settings>
