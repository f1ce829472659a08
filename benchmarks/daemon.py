"""A daemon to measure: an installation with many devices and plugins, and what it costs."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import re
import shutil
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")

_spec = importlib.util.spec_from_file_location("harness", ROOT / "tests/integration/harness.py")
harness = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(harness)

# As most plugins are: an extractor of their own, which nobody else's phones match.
ENTRY = """\
import os
import re

from twisted.internet import defer
from wazo_provd.devices.pgasso import BasePgAssociator, DeviceSupport
from wazo_provd.plugins import StandardPlugin, TemplatePluginHelper
from wazo_provd.servers.http import HTTPNoListingFileService
from wazo_provd.servers.tftp.service import TFTPFileService
from wazo_provd.util import norm_mac

USER_AGENT = re.compile(r"^Synthetic{number} (\\w+) ([\\w.]+) ([\\da-f:]{{17}})")


class Extractor:
    def extract(self, request, request_type):
        return defer.succeed(self._extract(request))

    def _extract(self, request):
        agent = request.getHeader(b"User-Agent")
        match = agent and USER_AGENT.match(agent.decode("ascii"))
        if not match:
            return None
        model, version, mac = match.groups()
        return {{
            "vendor": "Synthetic{number}",
            "model": model,
            "version": version,
            "mac": norm_mac(mac),
        }}


class Associator(BasePgAssociator):
    def _do_associate(self, vendor, model, version):
        if vendor == "Synthetic{number}":
            return DeviceSupport.COMPLETE
        return DeviceSupport.IMPROBABLE


class Synthetic(StandardPlugin):
    IS_PLUGIN = True

    http_dev_info_extractor = Extractor()
    pg_associator = Associator()

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        os.makedirs(self._tftpboot_dir, exist_ok=True)
        self._template_helper = TemplatePluginHelper(plugin_dir)
        self.http_service = HTTPNoListingFileService(self._tftpboot_dir)
        self.tftp_service = TFTPFileService(self._tftpboot_dir)

    def configure(self, device, raw_config):
        name = device["mac"].replace(":", "") + ".cfg"
        template = self._template_helper.get_dev_template(name, device)
        self._template_helper.dump(template, raw_config, os.path.join(self._tftpboot_dir, name))
"""
TEMPLATE = """\
{% for number, line in sip_lines.items() %}
line.{{ number }}.server = {{ line["proxy_ip"] }}
line.{{ number }}.user = {{ line["username"] }}
{% endfor %}
"""


def mac_of(number):
    return f"00:15:65:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def address_of(number):
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def agent_of(number):
    return f"Yealink SIP-T46S 66.86.0.15 {mac_of(number)}"


def config_name(number):
    return mac_of(number).replace(":", "") + ".cfg"


def write_plugins(directory, count):
    """Write `count` small plugins of phones that do not exist."""
    for number in range(count):
        plugin = directory / f"synthetic-{number:03}"
        (plugin / "templates").mkdir(parents=True)
        (plugin / "entry.py").write_text(ENTRY.format(number=number))
        (plugin / "templates" / "base.tpl").write_text(TEMPLATE)
        capabilities = {f"Synthetic{number}, A{model}, 1.0": {"lines": 2} for model in range(4)}
        information = {"version": "1.0", "description": "", "capabilities": capabilities}
        (plugin / "plugin-info").write_text(json.dumps(information))


def copy_plugins(source, target):
    """Copy every directory of `source` that is a plugin; return how many there were."""
    found = [path.parent for path in sorted(source.glob("*/plugin-info"))]
    for plugin in found:
        shutil.copytree(plugin, target / plugin.name)
    return len(found)


def seed(directory, count):
    """Write an old installation with `count` devices of an own config each, to be imported."""
    devices, configs = directory / "jsondb/devices", directory / "jsondb/configs"
    devices.mkdir(parents=True)
    configs.mkdir()

    def config(name, parents, raw_config, **more):
        document = {"id": name, "parent_ids": parents, "raw_config": raw_config, **more}
        (configs / name).write_text(json.dumps(document))

    line = {"username": "u", "password": "p", "display_name": "d", "proxy_ip": "192.0.2.1"}
    both = ["base", "defaultconfigdevice"]
    config("base", [], {"ntp_enabled": True, "ntp_ip": "192.0.2.2"})
    config("defaultconfigdevice", [], {"locale": "fr_FR"})
    config("autoprov", both, {"sip_lines": {"1": line}}, role="autocreate")
    for number in range(count):
        name = f"d{number:07}"
        config(name, both, {"sip_lines": {"1": {**line, "username": name}}})
        device = {
            "id": name,
            "mac": mac_of(number),
            "ip": address_of(number),
            "vendor": "Yealink",
            "model": "T46S",
            "version": "66.86.0.15",
            "plugin": "provd-yealink",
            "config": name,
            "configured": False,
            "description": f"desk {number * 7919 % 100_003}",
        }
        (devices / name).write_text(json.dumps(device))


class Bench:
    """The daemon that is measured, with its devices rendered."""

    def __init__(self, work, options, missing):
        self.work, self.options = work, options
        self._missing = missing
        self.first_memory = 0.0
        self.first_stalls = 0
        self.next_phone = 0x800000
        self.state = work / "state"
        seed(self.state, options.devices)
        plugins = self.state / "plugins"
        plugins.mkdir()
        if options.plugins is None:
            write_plugins(plugins, options.synthetic)
            extra = options.synthetic
        else:
            extra = copy_plugins(options.plugins, plugins)
        self.daemon = harness.Daemon(
            self.state,
            settings={
                "database": {"type": "json"},
                "general": {"http_listen_port": None},
                "limits": {"creation_rate_per_source": 10**9, "creation_rate": 10**6},
            },
        )
        self.extra_plugins = extra

    def start(self):
        """Start it and wait for the import and the first rendering of all devices."""
        self.daemon.start()
        self.settle(1800)
        # The import of an old installation is not measured; the memory it took is not given back.
        self.restart()
        self.settle()
        self.first_memory = self.memory_mb()
        self.first_stalls = len(self.daemon.stalls())

    def left_out(self, why):
        """Tell, once, what is not measured."""
        if why not in self._missing:
            self._missing.append(why)
            print(why, flush=True)

    def device_count(self):
        """Return how many devices there are."""
        return self.daemon.get("/dev_mgr/devices", limit=1).json["total"]

    def plugin_count(self):
        """Return how many plugins are loaded."""
        return len(self.daemon.get("/pg_mgr/plugins").json["plugins"])

    def settle(self, seconds=600):
        """Wait until no background job runs."""
        self.daemon.wait_for(lambda: not self.daemon.get("/status").json["jobs"], "rest", seconds)

    def restart(self):
        """Return the seconds from the start of the process until REST answers."""
        self.daemon.stop()
        began = time.monotonic()
        self.daemon.spawn()
        while time.monotonic() - began < 60:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.daemon.get("/status").status == 200:
                    return time.monotonic() - began
            time.sleep(0.01)
        raise RuntimeError(f"the daemon does not answer: {self.daemon.log[-2000:]}")

    @property
    def files(self):
        """The directory of the files that phones ask for."""
        return self.state / "plugins/provd-yealink/var/tftpboot"

    @property
    def phone_url(self):
        return f"http://127.0.0.1:{self.daemon.proxied_port}/"

    def rest_url(self, path):
        return f"http://127.0.0.1:{self.daemon.rest_port}/0.2{path}"

    def fresh_phones(self, count):
        """Return the first of `count` numbers of phones that nobody has seen."""
        first = self.next_phone
        self.next_phone += count
        return first

    def expect_tftp(self):
        """Make the address that TFTP clients come from that of device 42 (or the last one)."""
        number = min(42, self.options.devices - 1)
        path = f"/dev_mgr/devices/d{number:07}"
        device = self.daemon.get(path).json["device"]
        if device["ip"] != "127.0.0.1":
            answer = self.daemon.put(path, {"device": {**device, "ip": "127.0.0.1"}})
            assert answer.status == 204, answer
        return mac_of(number).replace(":", "")

    def memory_mb(self):
        status = Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def cpu_seconds(pid):
    """Return the processor time that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS
