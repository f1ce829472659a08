<?xml version="1.0" encoding="utf-8"?>
{# An administrator's template may replace any block, or fill "custom", with more elements:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
<settings>
<phone-settings>
{% block common %}
{% include "common.tpl" %}
{% endblock %}
{% block provisioning %}
<setting_server perm="RW">{{ base_url }}/</setting_server>
{% if firmware or module_firmware %}
<firmware_status perm="R">{{ base_url }}/{{ phone.mac|upper }}-firmware.xml</firmware_status>
{% endif %}
{% endblock %}
{% block network %}
{% if vlan %}
<vlan_id perm="R">{{ vlan.id }}</vlan_id>
<vlan_qos perm="R">{{ vlan.priority }}</vlan_qos>
<vlan_port_tagging perm="R">{{ vlan.pc_id is not none }}</vlan_port_tagging>
<vlan_pc_id perm="R">{{ vlan.pc_id }}</vlan_pc_id>
{% else %}
<vlan_id perm="R"></vlan_id>
<vlan_qos perm="R"></vlan_qos>
<vlan_port_tagging perm="R">off</vlan_port_tagging>
<vlan_pc_id perm="R"></vlan_pc_id>
{% endif %}
{# Otherwise left alone: a phone with a fixed address has its server set by hand. #}
{% if dns %}
<dns_server1 perm="R">{{ dns }}</dns_server1>
{% endif %}
<syslog_server perm="R">{% if syslog %}{{ syslog.host }}:{{ syslog.port }}{% endif %}</syslog_server>
{% if syslog %}
<log_level perm="R">{{ syslog.level }}</log_level>
{% endif %}
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
{% if model.fact("plain_locale") and phone.locale %}
<locale perm="R">{{ phone.locale }}</locale>
{% endif %}
{% if language %}
<language perm="R">{{ language }}</language>
<web_language perm="R">{{ language }}</web_language>
{% endif %}
{% if country %}
<tone_scheme perm="R">{{ country }}</tone_scheme>
{% endif %}
{% endblock %}
{% block security %}
{% if admin %}
<http_user perm="R">{{ admin.name }}</http_user>
<http_pass perm="R">{{ admin.password }}</http_pass>
<admin_mode_password perm="R">{{ admin.password }}</admin_mode_password>
<webserver_admin_name perm="R">{{ admin.name }}</webserver_admin_name>
<webserver_admin_password perm="R">{{ admin.password }}</webserver_admin_password>
{% endif %}
{% if user %}
<webserver_user_name perm="R">{{ user.name }}</webserver_user_name>
<webserver_user_password perm="R">{{ user.password }}</webserver_user_password>
{% endif %}
{% endblock %}
{% block services %}
<call_waiting perm="R">{{ not switchboard }}</call_waiting>
<dkey_directory perm="R">{% if phonebook %}url {{ phonebook }}{% else %}keyevent F_DIRECTORY_SEARCH{% endif %}</dkey_directory>
<dkey_retrieve perm="R">{% if voicemail %}speed {{ voicemail }}{% else %}keyevent F_VOICEMAIL_INFO{% endif %}</dkey_retrieve>
{% if has_context_keys and phonebook %}
<context_key idx="0" perm="R">
<initialization>
<variable name="label" value="{{ directory_label }}"/>
<variable name="icon" value="kIconTypeFkeyAdrBook"/>
</initialization>
<action>
<url target="{{ phonebook }}" when="on press"/>
</action>
</context_key>
{% elif has_context_keys %}
<context_key idx="0" perm="R">keyevent F_ADR_BOOK</context_key>
{% endif %}
<status_msgs_that_are_blocked perm="R">{{ blocked }}</status_msgs_that_are_blocked>
{% endblock %}
{% block accounts %}
{% for identity in identities %}
{% set account = identity.account %}
{% set idx = identity.idx %}
<user_active idx="{{ idx }}" perm="R">on</user_active>
<user_name idx="{{ idx }}" perm="R">{{ account.username }}</user_name>
<user_pname idx="{{ idx }}" perm="R">{{ account.auth_username }}</user_pname>
<user_pass idx="{{ idx }}" perm="R">{{ account.password }}</user_pass>
<user_host idx="{{ idx }}" perm="R">{{ identity.host }}</user_host>
<user_outbound idx="{{ idx }}" perm="R">{{ identity.outbound }}</user_outbound>
<user_realname idx="{{ idx }}" perm="R">{{ account.display_name }}</user_realname>
<user_idle_text idx="{{ idx }}" perm="R">{{ account.name }}</user_idle_text>
<user_idle_number idx="{{ idx }}" perm="R">{{ account.extension }}</user_idle_number>
<user_mailbox idx="{{ idx }}" perm="R">{{ account.voicemail }}</user_mailbox>
<user_dtmf_info idx="{{ idx }}" perm="R">{{ account.dtmf }}</user_dtmf_info>
<user_srtp idx="{{ idx }}" perm="R">{{ account.srtp != "off" }}</user_srtp>
<user_savp idx="{{ idx }}" perm="R">{{ account.srtp }}</user_savp>
<user_auth_tag idx="{{ idx }}" perm="R">off</user_auth_tag>
<codec_priority_list idx="{{ idx }}" perm="R">pcma,pcmu,g722,g729,telephone-event</codec_priority_list>
<mac_info_in_sip_register idx="{{ idx }}" perm="R">on</mac_info_in_sip_register>
<hide_identity idx="{{ idx }}" perm="R">{{ "true" if identity.is_backup else "false" }}</hide_identity>
<user_failover_identity idx="{{ idx }}" perm="R">{{ identity.failover or "none" }}</user_failover_identity>
{% for setting, code in exten_settings %}
<{{ setting }} idx="{{ idx }}" perm="R">{{ code }}</{{ setting }}>
{% endfor %}
{% endfor %}
{% filter for_each(free_identities) %}
<user_active idx="@" perm="R">off</user_active>
<user_name idx="@" perm="R"></user_name>
<user_pname idx="@" perm="R"></user_pname>
<user_pass idx="@" perm="R"></user_pass>
<user_host idx="@" perm="R"></user_host>
<user_outbound idx="@" perm="R"></user_outbound>
<user_failover_identity idx="@" perm="R">none</user_failover_identity>
{% endfilter %}
{% endblock %}
{% block custom %}
{% endblock %}
</phone-settings>
<functionKeys e="2">
{% block keys %}
{% for key in fkeys %}
<fkey idx="{{ key.idx }}" context="{{ key.context }}" label="{{ key.label }}" short_label="{{ key.label }}" perm="R">{{ key.value }}</fkey>
{% endfor %}
{% for idx, value in default_fkeys %}
<fkey idx="{{ idx }}" context="active" label="" short_label="" perm="R">{{ value }}</fkey>
{% endfor %}
{% filter for_each(free_fkeys) %}
<fkey idx="@" context="active" label="" short_label="" perm="R">none</fkey>
{% endfilter %}
{% endblock %}
</functionKeys>
{% block certificates %}
{% if inline_certificates or certificate_urls %}
<certificates>
{% for certificate in inline_certificates %}
<certificate type="base64">{{ certificate }}</certificate>
{% endfor %}
{% for url in certificate_urls %}
<certificate url="{{ url }}"/>
{% endfor %}
</certificates>
{% endif %}
{% endblock %}
{% block language_files %}
{% for kind, files in language_files.items() if files %}
<{{ kind }}-languages>
{% for name, url in files %}
<language url="{{ url }}" name="{{ name }}"/>
{% endfor %}
</{{ kind }}-languages>
{% endfor %}
{% endblock %}
</settings>
