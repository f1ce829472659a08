<?xml version="1.0" encoding="utf-8"?>
{# An administrator's template may replace any block, or fill "custom", with more elements:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
<settings>
<phone-settings>
{% block common %}
{% include "common.tpl" %}
{% endblock %}
{% block network %}
<vlan_id>{{ vlan.id if vlan }}</vlan_id>
<vlan_qos>{{ vlan.priority if vlan }}</vlan_qos>
{# Otherwise left alone: a base with a fixed address has its server set by hand. #}
{% if dns %}
<dns_server1>{{ dns }}</dns_server1>
{% endif %}
<syslog_server>{% if syslog %}{{ syslog.host }}{% if syslog.port != 514 %}:{{ syslog.port }}{% endif %}{% endif %}</syslog_server>
{% if syslog %}
<log_level>{{ syslog.level }}</log_level>
{% endif %}
{% endblock %}
{% block time %}
{% if ntp %}
<ntp_server>{{ ntp }}</ntp_server>
{% endif %}
{% if zone_code %}
<timezone_by_country_region>off</timezone_by_country_region>
<timezone>{{ zone_code }}</timezone>
{% endif %}
{% endblock %}
{% block language %}
{% if language %}
<language>{{ language }}</language>
<web_language>{{ language }}</web_language>
{% endif %}
{% if country %}
<tone_scheme>{{ country }}</tone_scheme>
{% endif %}
{% endblock %}
{% block security %}
{% if admin %}
<http_user>{{ admin.name }}</http_user>
<http_pass>{{ admin.password }}</http_pass>
{% if is_newer %}
<http_engineer_user>Engineer</http_engineer_user>
<http_engineer_pass>{{ admin.password }}</http_engineer_pass>
{% else %}
<admin_mode_password>{{ admin.password }}</admin_mode_password>
{% endif %}
{% endif %}
{% if user and is_newer %}
<http_basic_user>{{ user.name }}</http_basic_user>
<http_basic_pass>{{ user.password }}</http_basic_pass>
{% endif %}
{% endblock %}
{% block services %}
{% if phonebook %}
<phonebook_server_location>3</phonebook_server_location>
<phonebook_location>{{ phonebook }}</phonebook_location>
{% endif %}
{% endblock %}
{% block servers %}
{% for server in servers %}
{% set idx = loop.index %}
<srv_sip_server_alias idx="{{ idx }}">Server {{ idx }}</srv_sip_server_alias>
<user_host idx="{{ idx }}">{{ server.host }}</user_host>
<user_outbound idx="{{ idx }}">{{ server.outbound }}</user_outbound>
<srv_sip_transport idx="{{ idx }}">{{ server.transport }}</srv_sip_transport>
<user_srtp idx="{{ idx }}">{{ server.srtp }}</user_srtp>
<srv_srtp_auth idx="{{ idx }}">{{ server.srtp != "off" }}</srv_srtp_auth>
<user_dtmf_info idx="{{ idx }}">{{ server.dtmf }}</user_dtmf_info>
<codec_priority_list idx="{{ idx }}">pcma,pcmu,g722,g729,telephone-event</codec_priority_list>
{% endfor %}
{% endblock %}
{% block accounts %}
{% for number, account in accounts.items() if number in server_of %}
<user_active idx="{{ number }}">on</user_active>
<user_name idx="{{ number }}">{{ account.username }}</user_name>
<user_pname idx="{{ number }}">{{ account.auth_username }}</user_pname>
<user_pass idx="{{ number }}">{{ account.password }}</user_pass>
<user_realname idx="{{ number }}">{{ account.display_name }}</user_realname>
{% if is_newer %}
<user_mailbox idx="{{ number }}">{{ mailbox_label }}</user_mailbox>
<user_mailnumber idx="{{ number }}">{{ account.voicemail }}</user_mailnumber>
<subscr_sip_line_name idx="{{ number }}">{{ account.extension or account.username }}</subscr_sip_line_name>
{% else %}
<user_mailbox idx="{{ number }}">{{ account.voicemail }}</user_mailbox>
{% endif %}
<subscr_sip_hs_idx idx="{{ number }}">{{ number }}</subscr_sip_hs_idx>
<subscr_dect_ac_code idx="{{ number }}">{{ "%04d"|format(number) }}</subscr_dect_ac_code>
<subscr_sip_ua_data_server_id idx="{{ number }}">{{ server_of[number] }}</subscr_sip_ua_data_server_id>
{% endfor %}
{% filter for_each(unused) %}
<user_active idx="@">off</user_active>
{% endfilter %}
{% endblock %}
{% block custom %}
{% endblock %}
</phone-settings>
</settings>
