"""What every family is tried with: its models, raw configs of many kinds, and its own parser."""

import functools
import glob
import importlib.util
import os
import tomllib

from provd.plugin.phones.family import FAMILY_FILE, read_family
from tests.unit.plugins import vendor_plugins

# Values that nothing else in a file looks like: each must come back from the file.
CANARIES = {
    "sip_lines.1.username": "usr-one",
    "sip_lines.1.auth_username": "auth-one",
    "sip_lines.1.password": "pw\"1'&<x>;#% é",
    "sip_lines.1.display_name": "Zoé & <Cie> Дарья 電話 \N{TELEPHONE RECEIVER}",
    "sip_lines.1.number": "71001",
    "sip_lines.1.proxy_ip": "proxy1.example.org",
    "sip_lines.1.backup_proxy_ip": "backup1.example.org",
    "sip_lines.1.outbound_proxy_ip": "route1.example.org",
    "sip_lines.1.voicemail": "*9811",
    "sip_lines.2.username": "usr-two",
    "sip_lines.2.password": "pw-two",
    "sip_lines.2.proxy_ip": "proxy2.example.org",
    "ntp_ip": "192.0.2.77",
    "dns_ip": "192.0.2.53",
    "vlan_id": 1234,
    "vlan_priority": 6,
    "vlan_pc_port_id": 2345,
    "syslog_ip": "192.0.2.51",
    "syslog_port": 5514,
    "admin_username": "boss",
    "admin_password": "849201",
    "user_username": "staff",
    "user_password": "730184",
    "exten_pickup_call": "*8811",
    "exten_pickup_group": "*8822",
    "exten_dnd": "*7811",
    "exten_fwd_unconditional": "*2111",
    "exten_fwd_no_answer": "*2211",
    "exten_fwd_busy": "*2311",
    "exten_park": "*7001",
    "funckeys.speeddial": "88001",
    "funckeys.blf": "88002",
    "funckeys.park": "88003",
    "X_xivo_phonebook_ip": "directory.example.org",
    "sip_servers_root_and_intermediate_certificates": "MIIBcanary",
}
LOCALES = ("de_DE", "en_US", "es_ES", "fr_FR", "fr_CA", "it_IT", "nl_NL", "xx_YY")
ZONES = (
    "Europe/Paris",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Gaza",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Africa/Casablanca",
    "UTC",
)
BASE = {
    **vendor_plugins.BASE_RAW_CONFIG,
    "sip_transport": "udp",
    "sip_srtp_mode": "disabled",
    "sccp_call_managers": {},
    "funckeys": {},
    "sip_lines": {},
}
LINE = {
    "username": "user1",
    "auth_username": "user1",
    "password": "secret1",
    "display_name": "Alice",
    "number": "1001",
    "proxy_ip": "10.0.0.1",
    "registrar_ip": "10.0.0.1",
}
AUTOPROV = {
    **BASE,
    "sip_lines": {
        "1": {
            **LINE,
            "username": "autoprov",
            "auth_username": "autoprov",
            "password": "autoprov",
            "display_name": "Autoprov",
            "number": "autoprov",
        }
    },
}


def rich():
    """Return a raw config that holds every canary."""
    one = {key.split(".")[2]: CANARIES[key] for key in CANARIES if key.startswith("sip_lines.1.")}
    two = {key.split(".")[2]: CANARIES[key] for key in CANARIES if key.startswith("sip_lines.2.")}
    one["registrar_ip"], two["registrar_ip"] = one["proxy_ip"], two["proxy_ip"]
    two["auth_username"] = two["username"]
    plain = {key: value for key, value in CANARIES.items() if "." not in key}
    plain["sip_servers_root_and_intermediate_certificates"] = [
        "-----BEGIN CERTIFICATE-----\nMIIBcanary\n-----END CERTIFICATE-----\n"
    ]
    return {
        **BASE,
        **plain,
        "X_xivo_user_uuid": "5b0a0f3e-0000-4000-8000-000000000001",
        "ntp_enabled": True,
        "dns_enabled": True,
        "vlan_enabled": True,
        "syslog_enabled": True,
        "syslog_level": "info",
        "locale": "fr_FR",
        "timezone": "Europe/Paris",
        "exten_voicemail": "*98",
        "sip_subscribe_mwi": True,
        "sip_lines": {"1": one, "2": two},
        "funckeys": {
            "3": {"type": "speeddial", "value": "88001", "label": "Taxi & <Co>"},
            "4": {"type": "blf", "value": "88002", "label": "Bob"},
            "5": {"type": "park", "value": "88003", "label": "Park"},
        },
    }


def variants(model):
    """Return name → raw config, of all kinds that phones get."""
    configs = {"autoprov": AUTOPROV, "rich": rich()}
    two = {**BASE, "sip_lines": {"1": {**LINE, "backup_proxy_ip": "10.0.0.2"}, "2": LINE}}
    configs["two lines with backup"] = two
    for transport in ("udp", "tcp", "tls"):
        for srtp in ("disabled", "preferred", "required"):
            configs[f"{transport}, srtp {srtp}"] = {
                **BASE,
                "sip_transport": transport,
                "sip_srtp_mode": srtp,
                "sip_dtmf_mode": "SIP-INFO" if transport == "tcp" else "RTP-in-band",
                "sip_lines": {"1": LINE},
            }
    kinds = ("speeddial", "blf", "park")
    slots = len(model.slots) if model is not None else 10
    configs["all keys"] = {
        **BASE,
        "sip_lines": {"1": LINE},
        "exten_pickup_call": "*8",
        "funckeys": {
            str(n): {"type": kinds[n % 3], "value": str(2000 + n), "label": f"L{n}"}
            for n in range(1, slots + 2)
        },
    }
    for locale in LOCALES:
        configs[f"locale {locale}"] = {**AUTOPROV, "locale": locale}
    for zone in ZONES:
        configs[f"zone {zone}"] = {**AUTOPROV, "timezone": zone}
    configs["many lines and keys"] = {
        **BASE,
        "sip_lines": {str(n): {**LINE, "username": f"u{n}"} for n in range(1, 201)},
        "funckeys": {str(n): {"type": "blf", "value": str(n), "label": "x"} for n in range(1, 501)},
    }
    configs["sccp"] = {
        **BASE,
        "protocol": "SCCP",
        "sccp_call_managers": {"1": {"ip": "10.0.0.1"}, "2": {"ip": "10.0.0.2", "port": 2001}},
    }
    return configs


@functools.cache
def family_names():
    """Return the directories of all families."""
    return sorted(
        os.path.basename(os.path.dirname(path))
        for path in glob.glob(os.path.join(vendor_plugins.ROOT, "*", FAMILY_FILE))
    )


@functools.cache
def family(name):
    return read_family(os.path.join(vendor_plugins.ROOT, name, FAMILY_FILE))


@functools.cache
def parser(name):
    """Return the module `tests/parser.py` of a family."""
    path = os.path.join(vendor_plugins.ROOT, name, "tests", "parser.py")
    spec = importlib.util.spec_from_file_location(f"parser_of_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def judgement(name):
    """Return what `tests/judge.toml` of a family says.

    [device] members of the device to try with; [missing] canary → why the phone has no place for
    it, `all` or by a pattern of models: { "D1*" = "…" }; [refused] variant → pattern of the message.
    """
    path = os.path.join(vendor_plugins.ROOT, name, "tests", "judge.toml")
    if not os.path.exists(path):
        return {}
    with open(path, "rb") as stream:
        return tomllib.load(stream)


def requests(name):
    """Return the requests by which phones of a family are recognised, and what each tells."""
    path = os.path.join(vendor_plugins.ROOT, name, "tests", "requests.json")
    return vendor_plugins.read_json(path, default=[])


def device_of(name, model, version=None):
    """Return a device of a model; its MAC is of the vendor."""
    described = family(name)
    ouis = sorted(described.identification.ouis) or ["00:00:5e"]
    known = described.models[model]
    return {
        "id": "d1",
        "mac": f"{ouis[0]}:12:34:56",
        "sn": "CCQ18230ABC",
        "vendor": described.vendor_of(known),
        "model": model,
        **({"version": version} if version else {}),
        **judgement(name).get("device", {}),
    }
