"""Which of our families use a parameter; written by `make parameters`."""

from __future__ import annotations

USED_BY: dict[str, tuple[str, ...]] = {
    "admin_password": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "admin_username": (
        "snom",
        "yealink",
    ),
    "dns_enabled": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "dns_ip": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "exten_dnd": (
        "snom",
        "yealink",
    ),
    "exten_fwd_busy": (
        "snom",
        "yealink",
    ),
    "exten_fwd_no_answer": (
        "snom",
        "yealink",
    ),
    "exten_fwd_unconditional": (
        "snom",
        "yealink",
    ),
    "exten_pickup_call": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "exten_pickup_group": ("yealink",),
    "exten_voicemail": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "funckeys.label": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "funckeys.line": (
        "grandstream",
        "yealink",
    ),
    "funckeys.type": (
        "grandstream",
        "yealink",
    ),
    "funckeys.value": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "http_base_url": (
        "snom",
        "yealink",
    ),
    "locale": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "ntp_enabled": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "ntp_ip": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_backup_proxy_ip": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_backup_proxy_port": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_dtmf_mode": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.auth_username": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.backup_proxy_ip": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.backup_proxy_port": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.display_name": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.dtmf_mode": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.number": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.outbound_proxy_ip": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.outbound_proxy_port": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.password": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.proxy_ip": (
        "grandstream",
        "yealink",
    ),
    "sip_lines.proxy_port": (
        "grandstream",
        "yealink",
    ),
    "sip_lines.registrar_ip": ("snom",),
    "sip_lines.srtp_mode": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.username": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_lines.voicemail": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_outbound_proxy_ip": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_outbound_proxy_port": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_proxy_ip": (
        "grandstream",
        "yealink",
    ),
    "sip_proxy_port": (
        "grandstream",
        "yealink",
    ),
    "sip_registrar_ip": ("snom",),
    "sip_servers_root_and_intermediate_certificates": ("yealink",),
    "sip_srtp_mode": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "sip_subscribe_mwi": (
        "grandstream",
        "yealink",
    ),
    "sip_transport": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "syslog_enabled": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "syslog_ip": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "syslog_level": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "syslog_port": (
        "snom",
        "yealink",
    ),
    "timezone": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "user_password": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "user_username": (
        "snom",
        "yealink",
    ),
    "vlan_enabled": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "vlan_id": (
        "grandstream",
        "snom",
        "yealink",
    ),
    "vlan_pc_port_id": (
        "snom",
        "yealink",
    ),
    "vlan_priority": (
        "grandstream",
        "snom",
        "yealink",
    ),
}
