"""Every row of the plugin API is used by plugins written for it, below both import roots.

The plugin in `tests/plugins/rows` tries most rows from within the daemon; what needs a phone or a
load that fails is below. ROWS names each row; one that nothing exercises fails.
"""

import json
import re
import shutil
import socket
import struct
import textwrap
import time
from pathlib import Path

import pytest
from harness import Daemon

from provd import compat
from provd.errors import PluginLoadError
from provd.plugin.builder import STANDARD_DIRECTORIES
from provd.plugin.host import PluginHost

SOURCE = Path(__file__).parents[1] / "plugins" / "rows"
ROOTS = {"rows-wazo": "wazo_provd", "rows-old": "provd"}

ROWS = {
    1: """abstract_plugin plugins synchronize tzinform devices.config devices.device devices.schemas
        devices.ident devices.pgasso download loaders localization operation persist.common
        phonebook phoned_users proxy security servers.http servers.http_site servers.tftp
        servers.tftp.service servers.tftp.packet services synchro util main packet_constants hasattr
        old_services old_pgasso old_ident third_party""",
    2: """execfile_relative execfile_traceback execfile_scopes file_and_name cwd_and_path app
        plugin_dir gen_cfg spec_cfg id_is_set_afterwards first_marked_class directories
        configure_common_at_load plugin_info capabilities already_loaded bad_plugin_info
        interface_version error_in_entry no_plugin_class failing_constructor
        failing_configure_common old_base_class observers live_proxies""",
    3: """bases services info attributes defaults synchronize_default tftpboot_dir reactor_thread
        configure refusal private_copies deconfigure call_order synchronize trigger_filename
        sensitive_filename close""",
    4: """class_attributes get_dev_template no_template get_template dump render lookup
        default_options freshness template_object""",
    5: """request_type associator support http_extractor tftp_extractor dhcp_extractor association
        listing_403 not_get_405 subclass_of_the_file_service path_preprocess resource_tree
        text_for_bytes post no_resource hook_service async_hook_service http_log_service
        tftp_file_service tftp_null_service tftp_string_service tftp_ignore tftp_later
        tftp_second_answer tftp_prov_dev""",
    6: """abstract_bases invalid_parameter base_service attr_parameter dict_parameter
        persistent_decorator json_persister fetchfw_class_attributes fetchfw_downloaders
        fetchfw_add_password fetchfw_root_dir fetchfw_services fetchfw_packages rest_configure
        rest_install""",
    7: "registry service observers translated_text",
    8: "phonebook_url phonebook_url_missing phonebook_url_from_format user_service_url",
    9: """standard_extractor updaters_of_info collaborating_extractor all_plugins_extractor
        retrievers_by_key add_retriever first_retriever updaters_of_devices autocreate_updater
        outdated_ip_updater associator_updater abstract_bases""",
    10: "devices reconfigure_and_synchronize configs pg_mgr attributes",
    11: """zones zones_without_dst as_string unknown_zone week_start_on_monday time negative_dst
        aliases_at_import databases iso_weekdays""",
    12: "standard_sip_synchronize not_enough_information service_object",
    13: """norm_mac format_mac to_and_from_mac ip uuid is_normed bytes operation download rwlock proxy
        loader persist_common devices_config devices_device schemas packets""",
}
NAMES = [f"{section}.{name}" for section, names in ROWS.items() for name in names.split()]

OUTSIDE = {}
"""Row -> its function here, for those that are not tried from within."""


def row(name):
    def register(function):
        assert name not in OUTSIDE
        OUTSIDE[name] = function
        return function

    return register


def copy_source(directory, plugin_id):
    """Put the plugin there as a build would, with the imports of its root."""
    target = directory / plugin_id
    shutil.copytree(SOURCE, target)
    for path in target.glob("*.py"):
        path.write_text(path.read_text().replace("wazo_provd", ROOTS[plugin_id]))
    for name in STANDARD_DIRECTORIES:
        (target / name).mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A daemon with the plugin below both roots."""
    state = tmp_path_factory.mktemp("rows")
    for plugin_id in ROOTS:
        copy_source(state / "plugins", plugin_id)
    running = Daemon(
        state,
        {"plugin_config": {plugin_id: {"shade": plugin_id} for plugin_id in ROOTS}},
        plugins=None,
    ).start()
    yield running
    running.stop()


class Bench:
    """One of the two plugins, and a phone of it."""

    def __init__(self, daemon, plugin_id, directory):
        self.daemon = daemon
        self.plugin_id = plugin_id
        self.root = ROOTS[plugin_id]
        self.directory = directory
        self.number = 1 + list(ROOTS).index(plugin_id)
        self.mac = f"00:00:5e:01:00:0{self.number}"
        self.source = f"127.0.9.{self.number}"
        self.agent = f"Rowan R1 1.0 {self.mac}"
        self.name = f"rowan-{self.mac.replace(':', '')}"

    @property
    def served(self):
        return self.daemon.state / "plugins" / self.plugin_id / "var" / "tftpboot"

    def phone(self):
        """Return the device, made of a request of the phone and given to the plugin."""
        if not self.daemon.devices(mac=self.mac):
            self.daemon.phone("/", self.agent, self.source)
        device = self.daemon.device(mac=self.mac)
        if device.get("plugin") != self.plugin_id:
            self.put({**device, "plugin": self.plugin_id})
        return self.daemon.device(mac=self.mac)

    def put(self, device):
        answer = self.daemon.put(f"/dev_mgr/devices/{device['id']}", {"device": device})
        assert answer.status == 204, answer

    def get(self, path, **kwargs):
        self.phone()
        return self.daemon.phone(path, self.agent, self.source, **kwargs)

    def tftp(self, name, seconds=5.0):
        """Return the answer to a read request, as a packet."""
        self.phone()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((self.source, 0))
            client.settimeout(seconds)
            client.sendto(
                b"\0\1" + name.encode() + b"\0octet\0", ("127.0.0.1", self.daemon.tftp_port)
            )
            try:
                packet, peer = client.recvfrom(2000)
            except TimeoutError:
                return None
            if packet[:2] == b"\0\3":
                client.sendto(b"\0\4" + packet[2:4], peer)
            return packet

    def seen(self):
        """Return what the services around others saw."""
        return self.get("/seen").json

    def within(self, name):
        """Run a row in the daemon and return its outcome, None while it runs."""
        path = f"/pg_mgr/plugins/{self.plugin_id}/configure/{name}"
        assert self.daemon.put(path, {"param": {"value": "run"}}).status == 204
        return self.daemon.wait_for(
            lambda: self.daemon.get(path).json["param"]["value"], f"the end of {name}", 20
        )

    def host(self):
        """Return a host of its own, for loads that fail."""
        compat.install()
        made = PluginHost(
            str(self.directory / "plugins"),
            general_config={"check_compat_min": True, "check_compat_max": True},
            plugin_config={},
            base_raw_config={"ip": "10.0.0.1"},
        )
        self.add("good")
        return made

    def add(self, plugin_id, body="", info=(), entry=None):
        """Add a small plugin whose class body is `body`."""
        folder = self.directory / "plugins" / plugin_id
        folder.mkdir(parents=True)
        document = {"version": "1", "description": "", "capabilities": {}, **dict(info)}
        (folder / "plugin-info").write_text(json.dumps(document))
        (folder / "entry.py").write_text(
            entry
            or f"from {self.root}.plugins import StandardPlugin\n"
            "class P(StandardPlugin):\n    IS_PLUGIN = True\n"
            + textwrap.indent(body, " " * 4)
        )
        return folder

    def refuses(self, plugin_id, reason):
        """Check that a plugin does not load, that its reason is told, and that others do load."""
        host = self.host()
        with pytest.raises(PluginLoadError, match=reason):
            host.load(plugin_id)
        host.load_all()
        assert [loaded.id for loaded in host] == ["good"]
        assert re.search(reason, host.load_errors[plugin_id])


@pytest.fixture
def bench(request, rows, tmp_path):
    return Bench(rows, request.param, tmp_path)


@pytest.mark.parametrize("bench", ROOTS, indirect=True)
@pytest.mark.parametrize("name", NAMES)
def test_a_row_holds(bench, name):
    if name in OUTSIDE:
        OUTSIDE[name](bench)
    else:
        assert bench.within(name) == "passed"


@pytest.mark.parametrize("plugin_id", ROOTS)
def test_every_row_is_exercised_and_named(rows, plugin_id):
    parameters = rows.get(f"/pg_mgr/plugins/{plugin_id}/configure").json["params"]
    within = [parameter["id"] for parameter in parameters]
    assert sorted([*within, *OUTSIDE]) == sorted(NAMES)


# 2: loading


@row("2.plugin_info")
def plugin_info(bench):
    info = bench.daemon.get(f"/pg_mgr/plugins/{bench.plugin_id}/info").json["plugin_info"]
    assert (info["version"], info["colour"]) == ("1.0", "blue")
    assert info["description"] == "Every row of the plugin API"
    assert "description_fr" not in info


@row("2.capabilities")
def capabilities(bench):
    info = bench.daemon.get(f"/pg_mgr/plugins/{bench.plugin_id}/info").json["plugin_info"]
    own = json.loads((SOURCE / "plugin-info").read_text())["capabilities"]
    assert info["capabilities"] == own


@row("2.already_loaded")
def already_loaded(bench):
    host = bench.host()
    host.load("good")
    with pytest.raises(PluginLoadError, match="already loaded"):
        host.load("good")


@row("2.bad_plugin_info")
def bad_plugin_info(bench):
    (bench.add("bad") / "plugin-info").write_text('{"version": "1"}')
    bench.refuses("bad", "description")


@row("2.interface_version")
def interface_version(bench):
    bench.add("bad", info={"plugin_iface_version_min": 0.3})
    bench.refuses("bad", "plugin_iface_version_min")


@row("2.error_in_entry")
def error_in_entry(bench):
    bench.add("bad", entry=f"from {bench.root}.plugins import nothing_of_the_kind\n")
    bench.refuses("bad", "nothing_of_the_kind")


@row("2.no_plugin_class")
def no_plugin_class(bench):
    bench.add("bad", entry=f"from {bench.root}.plugins import StandardPlugin as P\n")
    bench.refuses("bad", "IS_PLUGIN")


@row("2.failing_constructor")
def failing_constructor(bench):
    bench.add("bad", "def __init__(self, *args):\n    raise OSError('no disk')\n")
    bench.refuses("bad", "no disk")


@row("2.failing_configure_common")
def failing_configure_common(bench):
    bench.add("bad", "def configure_common(self, raw_config):\n    raise OSError('no disk')\n")
    loaded = bench.host().load("bad")
    assert loaded.damage == "OSError: no disk"


@row("2.old_base_class")
def old_base_class(bench):
    bench.add(
        "ancient",
        entry=f"from {bench.root}.abstract_plugin import AbstractPlugin\n"
        "class P(AbstractPlugin):\n"
        "    IS_PLUGIN = True\n"
        "    def __init__(self, *args): pass\n"
        "    def configure_common(self, raw_config): pass\n"
        "    def close(self): pass\n",
    )
    assert bench.host().load("ancient").plugin.id == "ancient"


@row("2.observers")
def observers(bench):
    bench.add(
        "watcher",
        f"from {bench.root}.plugins import BasePluginManagerObserver as _Observer\n"
        "def __init__(self, app, *args):\n"
        "    super().__init__(app, *args)\n"
        "    self.seen = []\n"
        "    self.observer = self._Observer(self.seen.append, lambda i: self.seen.append('-' + i))\n"
        "    app.attach(self.observer)\n",
    )
    host = bench.host()
    host.app = host
    seen = host.load("watcher").plugin.seen
    host.load("good")
    host.unload("good")
    assert seen == ["watcher", "good", "-good"]


@row("2.live_proxies")
def live_proxies(bench):
    bench.add("shown", "def __init__(self, *a):\n    super().__init__(*a)\n    self.cfg = a[2]\n")
    proxies = {}
    host = bench.host()
    host._general_config["proxies"] = proxies
    cfg = host.load("shown").plugin.cfg
    proxies["http"] = "http://proxy:1"
    assert cfg["proxies"] == {"http": "http://proxy:1"}
    assert cfg is not host._general_config


# 3: the plugin, seen by a phone and an operator


@row("3.configure")
def configure(bench):
    device = bench.phone()
    assert device["configured"] is True
    username = bench.daemon.get(f"/cfg_mgr/configs/{device['config']}/raw").json["raw_config"][
        "sip_lines"
    ]["1"]["username"]
    assert (bench.served / f"{bench.name}.cfg").read_text() == f"[R1 {username}]"


@row("3.refusal")
def refusal(bench):
    path = f"/cfg_mgr/configs/{bench.phone()['config']}"
    config = bench.daemon.get(path).json["config"]
    refusing = {**config, "raw_config": {**config["raw_config"], "X_refuse": "1"}}
    assert bench.daemon.put(path, {"config": refusing}).status == 204
    try:
        assert bench.daemon.device(mac=bench.mac)["configured"] is False
        bench.daemon.wait_for(
            lambda: f"plugin {bench.plugin_id} failed in configure" in bench.daemon.log, "the line"
        )
    finally:
        assert bench.daemon.put(path, {"config": config}).status == 204
    assert bench.daemon.device(mac=bench.mac)["configured"] is True


@row("3.private_copies")
def private_copies(bench):
    device = bench.phone()
    raw_config = bench.daemon.get(f"/cfg_mgr/configs/{device['config']}/raw").json["raw_config"]
    assert device["mac"] == bench.mac
    assert raw_config["ip"] == "127.0.0.1"


@row("3.deconfigure")
def deconfigure(bench):
    device = bench.phone()
    path = bench.served / f"{bench.name}.cfg"
    assert path.exists()
    bench.put({key: value for key, value in device.items() if key != "plugin"})
    assert not path.exists()
    bench.put(device)
    assert path.exists()


@row("3.call_order")
def call_order(bench):
    bench.phone()
    calls = bench.daemon.state / "plugins" / bench.plugin_id / "var" / "calls"
    before = calls.read_text().count("\n") if calls.exists() else 0
    assert bench.daemon.post("/pg_mgr/reload", {"id": bench.plugin_id}).status == 204
    lines = calls.read_text().splitlines()
    assert len(lines) == before + 1
    assert re.fullmatch(r"constructor configure_common( (de)?configure)* close", lines[-1])


@row("3.synchronize")
def synchronize(bench):
    device = bench.phone()
    bench.put({**device, "description": "before"})
    answer = bench.daemon.post("/dev_mgr/synchronize", {"id": device["id"]})
    assert answer.status == 201
    bench.daemon.wait_for(
        lambda: bench.daemon.device(mac=bench.mac)["description"] == "synchronised", "the update"
    )


@row("3.trigger_filename")
def trigger_filename(bench):
    device = bench.phone()
    config = bench.daemon.get(f"/cfg_mgr/configs/{device['config']}").json["config"]
    assert bench.get(f"/files/{bench.name}.cfg").status == 200
    state = bench.daemon.device(mac=bench.mac)["remote_state_sip_username"]
    assert state == config["raw_config"]["sip_lines"]["1"]["username"]


@row("3.sensitive_filename")
def sensitive_filename(bench):
    line = f"Sensitive file requested from {bench.source}: {bench.name}.cfg"

    def count():
        return bench.daemon.security_log.read_text().count(line)

    bench.phone()
    before = count()
    for name in (f"{bench.name}.cfg", "common.cfg", f"{bench.name}.cfg"):
        bench.get(f"/files/{name}")
    bench.daemon.wait_for(lambda: count() >= before + 2, "the lines")
    assert "common.cfg" not in bench.daemon.security_log.read_text()


@row("3.close")
def close(bench):
    bench.add("one", "def close(self):\n    raise RuntimeError('no')\n")
    host = bench.host()
    host.load("one")
    host.load("good")
    host.close()
    assert len(host) == 0


# 5: requests of a phone


def unknown_phone(bench, number):
    return f"00:00:5e:01:0{bench.number}:{number:02x}"


@row("5.http_extractor")
def http_extractor(bench):
    mac = unknown_phone(bench, 1)
    bench.daemon.phone("/", f"Rowan R1 1.0 {mac}", f"127.0.9.1{bench.number}")
    device = bench.daemon.device(mac=mac)
    assert (device["vendor"], device["model"], device["version"]) == ("Rowan", "R1", "1.0")


@row("5.tftp_extractor")
def tftp_extractor(bench):
    other = Bench(bench.daemon, bench.plugin_id, bench.directory)
    other.mac, other.source = unknown_phone(bench, 2), f"127.0.9.2{bench.number}"
    other.phone = lambda: None
    other.tftp(f"rowan-{other.mac.replace(':', '')}.cfg")
    assert bench.daemon.device(mac=other.mac)["vendor"] == "Rowan"


@row("5.dhcp_extractor")
def dhcp_extractor(bench):
    mac = unknown_phone(bench, 3)
    option = "060" + ".".join(f"{byte:02x}" for byte in b"rowan:R9")
    info = {"op": "commit", "ip": f"10.98.0.{bench.number}", "mac": mac, "options": [option]}
    assert bench.daemon.post("/dev_mgr/dhcpinfo", {"dhcp_info": info}).status == 204
    device = bench.daemon.device(mac=mac)
    assert (device["vendor"], device["model"]) == ("Rowan", "R9")
    assert device["options"] == {"seen": "rowan:R9"}


@row("5.association")
def association(bench):
    """Among equals the greatest id wins; 310 is as good as any integer from 300."""
    for number, model in ((4, "R1"), (5, "unheard-of")):
        mac = unknown_phone(bench, number)
        bench.daemon.phone(
            "/", f"Rowan {model} 1.0 {mac}", f"127.0.9.{30 + 2 * number + bench.number}"
        )
        assert bench.daemon.device(mac=mac)["plugin"] == max(ROOTS)


@row("5.listing_403")
def listing_403(bench):
    assert bench.get("/files/").status == 403


@row("5.not_get_405")
def not_get_405(bench):
    for method in ("POST", "PUT"):
        assert bench.get("/files/common.cfg", method=method).status == 405
    assert bench.get("/files/common.cfg", method="HEAD").status == 200


@row("5.subclass_of_the_file_service")
def subclass_of_the_file_service(bench):
    (bench.served / "deep" / "er").mkdir(parents=True, exist_ok=True)
    (bench.served / "deep" / "er" / "x.txt").write_text("deep")
    assert bench.get("/files/deep/er/x.txt").text == "deep"


@row("5.path_preprocess")
def path_preprocess(bench):
    assert bench.get("//files//common.cfg").status == 200


@row("5.resource_tree")
def resource_tree(bench):
    answer = bench.get("/tree/a/b?c=d")
    assert answer.status == 202
    assert answer.headers["x-rowan"] == "tree"
    assert f"{bench.mac} b'/tree/a/b' [b'a', b'b']" in answer.text


@row("5.text_for_bytes")
def text_for_bytes(bench):
    assert bench.get("/tree").body.startswith("é ".encode())


@row("5.post")
def post(bench):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert bench.get("/tree", method="POST", body="a=b", headers=headers).text == "posted b"


@row("5.no_resource")
def no_resource(bench):
    answer = bench.get("/nowhere/x")
    assert answer.status == 404
    assert "nothing of Rowan" in answer.text


@row("5.hook_service")
def hook_service(bench):
    assert bench.get("/hooked/common.cfg").text.startswith("part")
    assert bench.seen()["hooked"][-1] == "common.cfg"


@row("5.async_hook_service")
def async_hook_service(bench):
    assert bench.get("/waiting/common.cfg").text.startswith("part")


@row("5.http_log_service")
def http_log_service(bench):
    assert bench.get("/logged/common.cfg").text.startswith("part")
    assert "/logged/common.cfg" in bench.seen()["logged"][-1]


@row("5.tftp_file_service")
def tftp_file_service(bench):
    assert bench.tftp("common.cfg").startswith(b"\0\3\0\1part")
    assert bench.tftp("missing")[:4] == b"\0\5\0\1"
    assert bench.tftp("../../entry.py")[:4] == b"\0\5\0\1"


@row("5.tftp_null_service")
def tftp_null_service(bench):
    assert bench.tftp("x.null") == b"\0\5\0\2not yours\0"


@row("5.tftp_string_service")
def tftp_string_service(bench):
    assert bench.tftp("x.text") == b"\0\3\0\1" + "répété".encode()


@row("5.tftp_ignore")
def tftp_ignore(bench):
    assert bench.tftp("x.silent", seconds=0.3) is None


@row("5.tftp_later")
def tftp_later(bench):
    assert bench.tftp("x.late") == b"\0\3\0\1fw\n"


@row("5.tftp_second_answer")
def tftp_second_answer(bench):
    assert bench.tftp("x.twice") == struct.pack("!HH", 5, 1) + b"once\0"
    assert bench.seen()["second"] == ["x.twice"]


@row("5.tftp_prov_dev")
def tftp_prov_dev(bench):
    assert bench.tftp("common.cfg").startswith(b"\0\3\0\1part")
    seen = bench.seen()
    assert seen["tftp_devices"][-1]["mac"] == bench.mac
    assert "common.cfg" in seen["logged"][-1]


# 6: services over REST


@row("6.rest_configure")
def rest_configure(bench):
    path = f"/pg_mgr/plugins/{bench.plugin_id}/configure"
    assert bench.daemon.put(f"{path}/no.such.row", {"param": {"value": "1"}}).status == 404
    assert bench.daemon.get(f"{path}/no.such.row").status == 404


@row("6.rest_install")
def rest_install(bench):
    path = f"/pg_mgr/plugins/{bench.plugin_id}/install"
    assert bench.daemon.get(f"{path}/installable").json["pkgs"]["fw"]["version"] == "1.0"
    assert bench.daemon.post(f"{path}/install", {"id": "fw"}).status == 201
    bench.daemon.wait_for(
        lambda: "fw" in bench.daemon.get(f"{path}/installed").json["pkgs"], "the installation"
    )
    assert (bench.served / "firmware" / "fw" / "fw.bin").read_bytes() == b"fw\n"
    deadline = time.monotonic() + 5
    while bench.daemon.post(f"{path}/uninstall", {"id": "fw"}).status != 204:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert bench.daemon.get(f"{path}/installed").json["pkgs"] == {}


# 11: the quirk of one family


@row("11.iso_weekdays")
def iso_weekdays(bench):
    from provd.compat.quirks import quirk

    entry = (
        f"from {bench.root} import tzinform\n"
        f"from {bench.root}.plugins import StandardPlugin\n"
        "class P(StandardPlugin):\n    IS_PLUGIN = True\n"
        "    def day(self):\n"
        "        return tzinform.get_timezone_info('Europe/Paris')['dst']['start']['day']\n"
    )
    for plugin_id in ("wazo-yealink-v99", "wazo-rowan-v99"):
        bench.add(plugin_id, entry=entry)
    host = bench.host()
    host._quirk = quirk
    days = [host.load(f"wazo-{name}-v99").plugin.day() for name in ("yealink", "rowan")]
    assert days == ["W5.7", "W5.1"]
