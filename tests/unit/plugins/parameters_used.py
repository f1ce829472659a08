"""Which parameters each family uses, by what changes in its files.

`make parameters` runs it, and hands what it prints to docs/make_parameters.py.
"""

import copy
import json
import sys
import tempfile

from provd.errors import InvalidDocument
from provd.model.parameters import FUNCKEY, LINE, RAW_CONFIG
from provd.plugin import builder
from provd.plugin.host import PluginHost
from tests.unit.plugins import family_cases, vendor_plugins
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----"
# Two values of each kind that must not come out alike.
VALUES = {
    "sip_dtmf_mode": ("RTP-in-band", "SIP-INFO"),
    "sip_srtp_mode": ("disabled", "required"),
    "sip_transport": ("udp", "tcp"),
    "syslog_level": ("critical", "debug"),
    "protocol": ("SIP", "SCCP"),
    "timezone": ("Europe/Paris", "America/Lima"),
    "locale": ("fr_FR", "de_DE"),
    "config_version": (1, 2),
    "vlan_priority": (1, 7),
    "sip_servers_root_and_intermediate_certificates": ([PEM.format("A")], [PEM.format("B")]),
    "sip_local_root_and_intermediate_certificates": ([PEM.format("A")], [PEM.format("B")]),
    "_comment": ("one", "two"),
    "dtmf_mode": ("RTP-in-band", "SIP-INFO"),
    "srtp_mode": ("disabled", "required"),
    "type": ("speeddial", "park"),
    "line": (1, 2),
    "http_base_url": ("http://10.0.0.1:8667", "http://10.0.0.2:8667"),
}
CONTAINERS = ("sip_lines", "sccp_call_managers", "funckeys")


def values(name):
    if name in VALUES:
        return VALUES[name]
    if name.endswith("_port"):
        return 5070, 5071
    if name.endswith("_id"):
        return 10, 20
    if name.endswith(("_enabled", "_mwi")):
        return True, False
    if name.endswith("_ip") or name == "ip":
        return "192.0.2.1", "192.0.2.2"
    return f"{name}1", f"{name}2"


def first(table):
    return {one.name: values(one.name)[0] for one in table if one.name not in CONTAINERS}


def full():
    """Return a raw config with all parameters; its second line has what is global."""
    return {
        **BASE_RAW_CONFIG,
        **first(RAW_CONFIG),
        "sip_lines": {"1": first(LINE), "2": {"username": "b", "password": "p"}},
        "sccp_call_managers": {"1": {"ip": "192.0.2.1"}},
        "funckeys": {"5": first(FUNCKEY), "6": {"type": "blf", "value": "1001"}},
    }


def places():
    """Yield (section, path of the object that holds it, parameter)."""
    for one in RAW_CONFIG:
        if one.name not in CONTAINERS:
            yield "", (), one
    for section, number, table in (("sip_lines", "1", LINE), ("funckeys", "5", FUNCKEY)):
        for one in table:
            yield section, (section, number), one


def largest_model(name):
    """Return the model of a family that has most lines and keys."""
    models = family_cases.family(name).models.values()
    return max(models, key=lambda model: (min(model.lines, 2), len(model.slots), model.lines)).name


def used_by(plugin, name):
    """Return the parameters that a family uses, such as `sip_lines.password`."""
    model = largest_model(name)
    firmware = family_cases.family(name).models[model].firmware
    device = family_cases.device_of(name, model, *firmware[-1:])
    before = list(plugin.render(copy.deepcopy(device), full()))
    used = []
    for section, path, parameter in places():
        raw_config = full()
        members = raw_config
        for step in path:
            members = members[step]
        members[parameter.name] = values(parameter.name)[1]
        try:
            is_used = list(plugin.render(copy.deepcopy(device), raw_config)) != before
        except InvalidDocument:  # who refuses a value has read it
            is_used = True
        if is_used:
            used.append(f"{section}.{parameter.name}".lstrip("."))
    return used


def table(plugins):
    """Return parameter → names of the families that use it."""
    found = {}
    for name, plugin in plugins.items():
        for parameter in used_by(plugin, name):
            found.setdefault(parameter, []).append(name)
    return {parameter: tuple(sorted(names)) for parameter, names in sorted(found.items())}


def main():
    with tempfile.TemporaryDirectory() as directory:
        for family in vendor_plugins.families():
            builder.build(family, directory)
        host = PluginHost(
            directory, general_config={}, plugin_config={}, base_raw_config=BASE_RAW_CONFIG
        )
        plugins = {
            name: host.load(family_cases.family(name).id).plugin
            for name in family_cases.family_names()
        }
        json.dump(table(plugins), sys.stdout)


if __name__ == "__main__":
    main()
