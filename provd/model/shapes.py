"""Shapes of the documents that the store holds, for type checkers and for readers."""

from __future__ import annotations

from typing import Any, TypedDict


class Device(TypedDict, total=False):
    """A device; it may have further keys."""

    id: str
    mac: str | None
    ip: str | None
    sn: str | None
    uuid: str | None
    vendor: str | None
    model: str | None
    version: str | None
    plugin: str | None
    config: str | None
    configured: bool
    added: str
    options: dict[str, Any]
    description: str | None
    tenant_uuid: str | None
    is_new: bool
    remote_state_sip_username: str


class SipLine(TypedDict, total=False):
    """A line, in `sip_lines` under its number as text."""

    proxy_ip: str
    proxy_port: int
    backup_proxy_ip: str
    backup_proxy_port: int
    registrar_ip: str
    registrar_port: int
    backup_registrar_ip: str
    backup_registrar_port: int
    outbound_proxy_ip: str
    outbound_proxy_port: int
    username: str
    auth_username: str
    password: str
    display_name: str
    number: str
    dtmf_mode: str
    srtp_mode: str
    voicemail: str


class CallManager(TypedDict, total=False):
    """A call manager, in `sccp_call_managers` under its priority as text."""

    ip: str
    port: int


class FuncKey(TypedDict, total=False):
    """A function key, in `funckeys` under its number as text."""

    type: str
    value: str
    label: str
    line: int


class RawConfig(TypedDict, total=False):
    """Parameters of a phone; keys that begin by `X_` are free."""

    ip: str
    http_port: int
    http_base_url: str
    tftp_port: int
    dns_enabled: bool
    dns_ip: str
    ntp_enabled: bool
    ntp_ip: str
    vlan_enabled: bool
    vlan_id: int
    vlan_priority: int
    vlan_pc_port_id: int
    syslog_enabled: bool
    syslog_ip: str
    syslog_port: int
    syslog_level: str
    admin_username: str
    admin_password: str
    user_username: str
    user_password: str
    timezone: str
    locale: str
    config_version: int
    protocol: str
    sip_proxy_ip: str
    sip_proxy_port: int
    sip_backup_proxy_ip: str
    sip_backup_proxy_port: int
    sip_registrar_ip: str
    sip_registrar_port: int
    sip_backup_registrar_ip: str
    sip_backup_registrar_port: int
    sip_outbound_proxy_ip: str
    sip_outbound_proxy_port: int
    sip_dtmf_mode: str
    sip_srtp_mode: str
    sip_transport: str
    sip_servers_root_and_intermediate_certificates: list[str]
    sip_local_root_and_intermediate_certificates: list[str]
    sip_local_certificate: str
    sip_local_key: str
    sip_subscribe_mwi: bool
    sip_lines: dict[str, SipLine]
    sccp_call_managers: dict[str, CallManager]
    exten_dnd: str
    exten_fwd_unconditional: str
    exten_fwd_no_answer: str
    exten_fwd_busy: str
    exten_fwd_disable_all: str
    exten_park: str
    exten_pickup_group: str
    exten_pickup_call: str
    exten_voicemail: str
    funckeys: dict[str, FuncKey]
    _comment: Any


class Config(TypedDict, total=False):
    """A config; it may have further keys."""

    id: str
    parent_ids: list[str]
    raw_config: RawConfig
    role: str
    transient: bool
    deletable: bool
    label: str
    displayname: str
    registrar_main: str
    proxy_main: str
    X_type: str
