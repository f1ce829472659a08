"""Plugins over their life, over REST, from a repository that the test serves."""

import contextlib
import hashlib
import io
import json
import random
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from provd.plugin import builder

ALPHA = """\
import os

from twisted.internet import defer
from wazo_provd.devices.config import RawConfigError
from wazo_provd.plugins import StandardPlugin
from wazo_provd.servers.http import HTTPNoListingFileService
from wazo_provd.services import (
    BaseConfigurationService,
    DictConfigurationServiceParameter,
    InvalidParameterError,
    JsonConfigPersister,
    PersistentConfigureServiceDecorator,
)

VERSION = "@VERSION@"


def check_level(value):
    if value not in (None, "low", "high"):
        raise InvalidParameterError("level: low or high")


class Alpha(StandardPlugin):
    IS_PLUGIN = True

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        os.makedirs(self._tftpboot_dir, exist_ok=True)
        self.http_service = HTTPNoListingFileService(self._tftpboot_dir)
        values = {}
        parameters = {
            "level": DictConfigurationServiceParameter(
                values, "level", "The level", check_level, description_fr="Le niveau"
            ),
            "a.b-c_d": DictConfigurationServiceParameter(values, "other"),
        }
        self.services = {
            "configure": PersistentConfigureServiceDecorator(
                BaseConfigurationService(parameters),
                JsonConfigPersister(os.path.join(plugin_dir, "var", "config.json")),
            )
        }

    def _path(self, device):
        return os.path.join(self._tftpboot_dir, device["id"] + ".cfg")

    def configure(self, device, raw_config):
        if "X_value" not in raw_config:
            raise RawConfigError("no value")
        with open(self._path(device), "w") as stream:
            stream.write(f"{VERSION} {raw_config['X_value']}")

    def deconfigure(self, device):
        try:
            os.unlink(self._path(device))
        except FileNotFoundError:
            pass

    def synchronize(self, device, raw_config):
        if "X_fails" in raw_config:
            return defer.fail(ValueError("the phone is off"))
        return defer.succeed(None)
"""

BETA = """\
from provd.plugins import FetchfwPluginHelper, StandardPlugin
from provd.servers.tftp.service import TFTPFileService


class Beta(StandardPlugin):
    IS_PLUGIN = True

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        downloaders = FetchfwPluginHelper.new_downloaders(gen_cfg.get("proxies"))
        self.services = FetchfwPluginHelper(plugin_dir, downloaders).services()
        self.tftp_service = TFTPFileService(self._tftpboot_dir)
"""

PACKAGES = """\
[pkg_fw]
version: 1.0
description: Firmware
description_fr: Micrologiciel
files: fw lang
install: fw

[pkg_lost]
version: 2.0
description: Nowhere to be found
files: lost
install: fw

[file_fw]
url: {url}/fw.zip
size: {size}
sha1sum: {sha1sum}

[file_lang]
url: {url}/lang.txt
size: 5
sha1sum: {lang}

[file_lost]
url: {url}/lost.zip
size: 5
sha1sum: {lang}

[install_fw]
a-b: unzip *.zip
b-c: cp *.rom fw/
"""

# Does not get smaller in an archive, so that half of it is several blocks.
PADDING = random.Random(1).randbytes(200_000).hex()

OPERATION = re.compile(r"(?:(\w+)\|)?(waiting|progress|success|fail)(?:;(\d+)(?:/([1-9]\d*))?)?")


def parse(text):
    """Return `(label, state, current, end, children)`; fails where the text breaks the grammar."""

    def one(position):
        match = OPERATION.match(text, position)
        assert match, (text, position)
        position = match.end()
        children = []
        while text.startswith("(", position):
            child, position = one(position + 1)
            assert text.startswith(")", position), (text, position)
            children.append(child)
            position += 1
        return (*match.groups(), children), position

    parsed, end = one(0)
    assert end == len(text), text
    return parsed


FIRMWARE = random.Random(2).randbytes(400_000)


class Server:
    """Serves what is in `files`; a file in `held` is sent half, the other half when `go` is set."""

    def __init__(self):
        self.files = {}
        self.held = set()
        self.go = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                content = server.files.get(name)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    half = len(content) // 2 if name in server.held else 0
                    self.wfile.write(content[:half])
                    self.wfile.flush()
                    if half:
                        server.go.wait(20)
                    self.wfile.write(content[half:])

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()

    @contextlib.contextmanager
    def holding(self, *names):
        self.go.clear()
        self.held = set(names)
        try:
            yield
        finally:
            self.go.set()
            self.held = set()


class Shop:
    """The repository: builds versions of the two plugins and serves them."""

    def __init__(self, directory):
        self.directory = directory
        self.server = Server()
        self.repository = directory / "repository"
        self.repository.mkdir()
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as content:
            content.writestr("one.rom", FIRMWARE)
        self.server.files["fw.zip"] = archive.getvalue()
        self.server.files["lang.txt"] = b"hello"
        self.publish("1.0")

    def publish(self, version, alpha=ALPHA, extra=()):
        """Offer both plugins in that version; `alpha` is the code of the first."""

        def sha1(content):
            return hashlib.sha1(content).hexdigest()

        packages = PACKAGES.format(
            url=self.server.url,
            size=len(self.server.files["fw.zip"]),
            sha1sum=sha1(self.server.files["fw.zip"]),
            lang=sha1(b"hello"),
        )
        for plugin_id, files in {
            "test-alpha": {
                "entry.py": alpha.replace("@VERSION@", version),
                "pad": PADDING,
                **dict(extra),
            },
            "test-beta": {"entry.py": BETA, "pkgs/pkgs.db": packages},
        }.items():
            family = self.directory / f"source-{version}" / plugin_id
            info = {
                "version": version,
                "description": f"{plugin_id} in {version}",
                "description_fr": f"{plugin_id} en {version}",
                "capabilities": {"Test, X1, 1": {"lines": 2}},
                "x_extra": [1],
            }
            for name, content in {**files, "plugin-info": json.dumps(info)}.items():
                path = family / "src" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
            (family / "build.toml").write_text(
                f'[[plugin]]\nid = "{plugin_id}"\nsources = ["src"]\n'
            )
            for built in builder.build(str(family), str(self.directory / "built")):
                builder.package(built, str(self.repository))
        self.index = builder.index(str(self.repository), strict=True)
        for path in self.repository.iterdir():
            self.server.files[path.name] = path.read_bytes()

    def filename(self, plugin_id):
        return self.index[plugin_id]["filename"]


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path)
    yield made
    made.server.stop()


@pytest.fixture
def daemon(make_daemon, shop):
    return make_daemon(
        settings={"general": {"plugin_server": shop.server.url}}, plugins="none"
    ).start()


def begin(daemon, what, plugin_id=None, path="/pg_mgr/install"):
    """Begin an operation; return its path below /0.2."""
    answer = daemon.post(f"{path}/{what}", {} if plugin_id is None else {"id": plugin_id})
    assert answer.status == 201, answer
    assert answer.body == b""
    location = answer.headers["location"]
    assert re.fullmatch(rf"/0\.2{re.escape(path)}/{what}/[1-9]\d*", location)
    return location.removeprefix("/0.2")


def status(daemon, operation):
    answer = daemon.get(operation)
    assert answer.status == 200, answer
    assert {"status"} <= set(answer.json) <= {"status", "reason"}
    text = answer.json["status"]
    parse(text)
    return text


def moving(daemon, operation):
    """Wait until some bytes came; return the status text."""

    def counted():
        text = status(daemon, operation)
        return text if re.search(r"progress;[1-9]", text) else None

    return daemon.wait_for(counted, "the first bytes")


def finish(daemon, operation):
    """Wait for the end; return the status text. The operation is forgotten."""

    def ended():
        text = status(daemon, operation)
        return text if parse(text)[1] in {"success", "fail"} else None

    text = daemon.wait_for(ended, f"the end of {operation}", 30)
    assert daemon.delete(operation).status == 204
    assert daemon.get(operation).status == 404
    return text


def do(daemon, what, *args, **kwargs):
    return finish(daemon, begin(daemon, what, *args, **kwargs))


def stocked(daemon):
    """Fetch the list, install both plugins."""
    assert parse(do(daemon, "update"))[1] == "success"
    for plugin_id in ("test-alpha", "test-beta"):
        assert parse(do(daemon, "install", plugin_id))[1] == "success"


def make_device(daemon, device_id, value="v", **raw_config):
    config = {"id": device_id, "parent_ids": [], "raw_config": {"X_value": value, **raw_config}}
    assert daemon.post("/cfg_mgr/configs", {"config": config}).status == 201
    device = {"id": device_id, "plugin": "test-alpha", "config": device_id}
    assert daemon.post("/dev_mgr/devices", {"device": device}).status == 201


def is_configured(daemon, device_id):
    return daemon.get(f"/dev_mgr/devices/{device_id}").json["device"]["configured"]


def rendered(daemon, device_id):
    path = daemon.state / "plugins" / "test-alpha" / "var" / "tftpboot" / f"{device_id}.cfg"
    return path.read_text() if path.exists() else None


# The list


def test_before_any_update_nothing_is_installable(daemon):
    for name in ("installable", "installed"):
        assert daemon.get(f"/pg_mgr/install/{name}").json == {"pkgs": {}}
    assert daemon.get("/pg_mgr/plugins").json == {"plugins": {}}
    answer = daemon.post("/pg_mgr/install/install", {"id": "test-alpha"})
    assert answer.status == 400
    assert "test-alpha" in answer.text


def test_an_update_counts_the_bytes_of_the_list(daemon, shop):
    size = len(shop.server.files["plugins.db"])
    with shop.server.holding("plugins.db"):
        operation = begin(daemon, "update")
        assert operation == "/pg_mgr/install/update/1"
        assert parse(status(daemon, operation))[:2] == ("update", "progress")
        again = daemon.post("/pg_mgr/install/update", {})
        assert again.status == 400
    assert finish(daemon, operation) == f"update|success;{size}"
    assert finish(daemon, begin(daemon, "update")) == f"update|success;{size}"


def test_what_is_installable_is_described_in_the_current_language(daemon, shop):
    assert parse(do(daemon, "update"))[1] == "success"
    expected = {
        plugin_id: {
            "version": "1.0",
            "description": f"{plugin_id} in 1.0",
            "capabilities": {"Test, X1, 1": {"lines": 2}},
            "dsize": shop.index[plugin_id]["dsize"],
            "sha1sum": shop.index[plugin_id]["sha1sum"],
            "x_extra": [1],
        }
        for plugin_id in ("test-alpha", "test-beta")
    }
    assert daemon.get("/pg_mgr/install/installable").json == {"pkgs": expected}
    assert daemon.put("/configure/locale", {"param": {"value": "fr_FR"}}).status == 204
    shown = daemon.get("/pg_mgr/install/installable").json["pkgs"]
    assert shown["test-beta"]["description"] == "test-beta en 1.0"


def test_an_update_that_fails_keeps_the_old_list(daemon, shop):
    assert parse(do(daemon, "update"))[1] == "success"
    before = daemon.get("/pg_mgr/install/installable").json
    for content in (b"{", b"[]", b"\xff", None):
        shop.server.files["plugins.db"] = content
        assert parse(do(daemon, "update"))[:2] == ("update", "fail")
        assert daemon.get("/pg_mgr/install/installable").json == before


def test_a_list_that_is_corrupt_is_500_in_plain_text(daemon):
    assert parse(do(daemon, "update"))[1] == "success"
    (daemon.state / "plugins" / "plugins.db").write_text("{")
    answer = daemon.get("/pg_mgr/install/installable")
    assert answer.status == 500
    assert answer.headers["content-type"].startswith("text/plain")


def test_without_a_server_nothing_can_be_fetched(daemon):
    assert parse(do(daemon, "update"))[1] == "success"
    assert daemon.put("/configure/plugin_server", {"param": {"value": None}}).status == 204
    assert daemon.post("/pg_mgr/install/update", {}).status == 400
    assert daemon.post("/pg_mgr/install/install", {"id": "test-alpha"}).status == 400


# Install, upgrade, uninstall


def test_an_installation_shows_its_progress_and_ends_with_devices_configured(daemon, shop):
    make_device(daemon, "early", "first")
    assert is_configured(daemon, "early") is False
    assert parse(do(daemon, "update"))[1] == "success"
    size = shop.index["test-alpha"]["dsize"]
    with shop.server.holding(shop.filename("test-alpha")):
        operation = begin(daemon, "install", "test-alpha")
        text = moving(daemon, operation)
        assert re.fullmatch(rf"install\|progress\(download\|progress;\d+/{size}\)", text)
        for what in ("install", "upgrade"):
            assert daemon.post(f"/pg_mgr/install/{what}", {"id": "test-alpha"}).status == 400
        assert daemon.get("/pg_mgr/plugins/test-alpha/info").status == 404
    assert finish(daemon, operation) == f"install|success(download|success;{size}/{size})"
    assert is_configured(daemon, "early") is True
    assert rendered(daemon, "early") == "1.0 first"
    again = daemon.post("/pg_mgr/install/install", {"id": "test-alpha"})
    assert (again.status, again.text) == (400, "plugin test-alpha is already installed")


def test_what_is_installed_and_loaded_is_listed(daemon):
    stocked(daemon)
    loaded = daemon.get("/pg_mgr/plugins").json["plugins"]
    assert loaded == {
        plugin_id: {"links": [{"rel": "pg.plugin", "href": f"/0.2/pg_mgr/plugins/{plugin_id}"}]}
        for plugin_id in ("test-alpha", "test-beta")
    }
    info = daemon.get("/pg_mgr/plugins/test-alpha/info").json["plugin_info"]
    assert info == {
        "version": "1.0",
        "description": "test-alpha in 1.0",
        "capabilities": {"Test, X1, 1": {"lines": 2}},
        "x_extra": [1],
    }
    assert daemon.get("/pg_mgr/install/installed").json["pkgs"]["test-alpha"] == info
    for plugin_id, name in (("test-alpha", "configure"), ("test-beta", "install")):
        base = f"/0.2/pg_mgr/plugins/{plugin_id}"
        assert daemon.get(base.removeprefix("/0.2")).json == {
            "links": [
                {"rel": "pg.info", "href": f"{base}/info"},
                {"rel": f"srv.{name}", "href": f"{base}/{name}"},
            ]
        }
    assert daemon.get("/pg_mgr/plugins/test-alpha/install").status == 404
    assert daemon.get("/pg_mgr/plugins/test-alpha/install/installed").status == 404
    assert daemon.get("/pg_mgr/plugins/test-beta/configure").status == 404
    assert daemon.get("/pg_mgr/plugins/test-beta/configure/level").status == 404


def test_a_directory_that_is_broken_does_not_hide_the_others(daemon):
    stocked(daemon)
    plugins = daemon.state / "plugins"
    for name, content in (("broken", "{"), ("list", "[]"), (".hidden", "{}")):
        (plugins / name).mkdir()
        (plugins / name / "plugin-info").write_text(content)
    (plugins / "empty").mkdir()
    assert set(daemon.get("/pg_mgr/install/installed").json["pkgs"]) == {"test-alpha", "test-beta"}


def test_an_archive_that_is_cached_is_not_fetched_again(daemon, shop):
    stocked(daemon)
    assert daemon.post("/pg_mgr/install/uninstall", {"id": "test-alpha"}).status == 204
    del shop.server.files[shop.filename("test-alpha")]
    assert daemon.put("/configure/plugin_server", {"param": {"value": None}}).status == 204
    assert do(daemon, "install", "test-alpha") == "install|success"
    assert do(daemon, "upgrade", "test-alpha") == "upgrade|success"


def test_an_archive_that_is_not_what_was_announced_is_not_installed(daemon, shop):
    assert parse(do(daemon, "update"))[1] == "success"
    name = shop.filename("test-alpha")
    shop.server.files[name] = shop.server.files[name][:-1] + b"?"
    label, state, _, _, (download,) = parse(do(daemon, "install", "test-alpha"))
    assert (label, state) == ("install", "fail")
    assert download[:2] == ("download", "fail")
    assert daemon.get("/pg_mgr/install/installed").json == {"pkgs": {}}
    shop.publish("1.0")
    assert parse(do(daemon, "install", "test-alpha"))[1] == "success"


def test_an_upgrade_renders_devices_with_the_new_version_and_keeps_what_is_under_var(daemon, shop):
    stocked(daemon)
    make_device(daemon, "d1", "x")
    assert rendered(daemon, "d1") == "1.0 x"
    own = daemon.state / "plugins" / "test-alpha" / "var" / "templates" / "own.tpl"
    own.write_text("mine")
    shop.publish("2.0")
    assert parse(do(daemon, "update"))[1] == "success"
    size = shop.index["test-alpha"]["dsize"]
    assert do(daemon, "upgrade", "test-alpha") == f"upgrade|success(download|success;{size}/{size})"
    assert daemon.get("/pg_mgr/plugins/test-alpha/info").json["plugin_info"]["version"] == "2.0"
    assert is_configured(daemon, "d1") is True
    assert rendered(daemon, "d1") == "2.0 x"
    assert own.read_text() == "mine"


@pytest.mark.parametrize(
    "code",
    [
        "1 / 0",
        "import nowhere.at.all",
        "x = (",
        "class NoPlugin: pass",
        "raise KeyboardInterrupt",
        "raise SystemExit(3)",
    ],
)
def test_a_plugin_that_does_not_load_fails_and_an_old_version_stays(daemon, shop, code):
    stocked(daemon)
    make_device(daemon, "d1", "x")
    shop.publish("3.0", alpha=code)
    assert parse(do(daemon, "update"))[1] == "success"
    label, state, _, _, (download,) = parse(do(daemon, "upgrade", "test-alpha"))
    assert (label, state) == ("upgrade", "fail")
    assert download[:2] == ("download", "success")
    assert daemon.get("/pg_mgr/plugins/test-alpha/info").json["plugin_info"]["version"] == "1.0"
    assert is_configured(daemon, "d1") is True
    assert rendered(daemon, "d1") == "1.0 x"
    assert daemon.post("/pg_mgr/install/uninstall", {"id": "test-alpha"}).status == 204
    assert parse(do(daemon, "install", "test-alpha"))[:2] == ("install", "fail")
    assert "test-alpha" not in daemon.get("/pg_mgr/plugins").json["plugins"]


def test_the_reason_of_a_failed_upgrade_is_in_its_operation(daemon, shop):
    stocked(daemon)
    shop.publish("3.0", alpha="1 / 0")
    assert parse(do(daemon, "update"))[1] == "success"
    operation = begin(daemon, "upgrade", "test-alpha")
    daemon.wait_for(lambda: parse(status(daemon, operation))[1] == "fail", "the failure")
    document = daemon.get(operation).json
    assert set(document) == {"status", "reason"}
    assert "division by zero" in document["reason"]


def test_the_version_of_an_upgrade_is_obeyed_or_refused(daemon, shop):
    stocked(daemon)

    def upgrade(version):
        body = {"id": "test-alpha", "version": version}
        answer = daemon.post("/pg_mgr/install/upgrade", body)
        if answer.status == 201:
            finish(daemon, answer.headers["location"].removeprefix("/0.2"))
        info = daemon.get("/pg_mgr/plugins/test-alpha/info").json["plugin_info"]
        return answer, info["version"]

    shop.publish("2.0")
    do(daemon, "update")
    answer, version = upgrade("1.5")
    assert (answer.status, version) == (400, "1.0")
    assert "version 1.5 of test-alpha is not offered; the repository has 2.0" in answer.text
    assert upgrade(2)[0].status == 400
    assert upgrade("2.0")[1] == "2.0"
    for archive in shop.repository.glob("test-*-2.0.*"):
        archive.unlink()  # a repository offers the newest that it holds
    shop.publish("1.0")
    assert parse(do(daemon, "update"))[1] == "success"
    answer, version = upgrade("1.0")
    assert (answer.status, answer.text, version) == (201, "", "1.0")
    answer = daemon.post(f"{BASE}/install", {"id": "fw", "version": "0.0"})
    assert answer.status == 400
    answer = daemon.post("/pg_mgr/install/uninstall", {"id": "test-alpha"})
    answer = daemon.post("/pg_mgr/install/install", {"id": "test-alpha", "version": "9"})
    assert (answer.status, "not offered" in answer.text) == (400, True)


def test_an_uninstalled_plugin_is_gone_and_its_devices_are_not_configured(daemon):
    stocked(daemon)
    make_device(daemon, "d1")
    assert is_configured(daemon, "d1") is True
    answer = daemon.post("/pg_mgr/install/uninstall", {"id": "test-alpha"})
    assert (answer.status, answer.body) == (204, b"")
    assert not (daemon.state / "plugins" / "test-alpha").exists()
    device = daemon.get("/dev_mgr/devices/d1").json["device"]
    assert (device["configured"], device["plugin"]) == (False, "test-alpha")
    assert daemon.get("/pg_mgr/plugins/test-alpha/info", token="invalid").status == 404
    again = daemon.post("/pg_mgr/install/uninstall", {"id": "test-alpha"})
    assert (again.status, again.text) == (400, "plugin not found")


ODD_IDS = [
    "",
    ".",
    "..",
    "../plugins/test-beta",
    "test-beta/",
    "/",
    "x" * 5000,
    "a\0b",
    "plugins.db",
]


def test_ids_that_are_paths_touch_nothing(daemon):
    stocked(daemon)
    before = sorted(str(path) for path in (daemon.state / "plugins").rglob("*"))
    for plugin_id in ODD_IDS:
        for path in ("install/install", "install/upgrade", "install/uninstall", "reload"):
            answer = daemon.post(f"/pg_mgr/{path}", {"id": plugin_id})
            assert answer.status == 400, (plugin_id, path, answer)
    after = sorted(str(path) for path in (daemon.state / "plugins").rglob("*"))
    assert after == before


def test_texts_of_what_cannot_begin(daemon):
    answer = daemon.post("/pg_mgr/install/upgrade", {"id": "test-alpha"})
    assert (answer.status, answer.text) == (400, "plugin test-alpha is not already installed")
    answer = daemon.post("/pg_mgr/install/uninstall", {"id": "test-alpha"})
    assert (answer.status, answer.text) == (400, "plugin not found")
    assert daemon.post("/pg_mgr/reload", {"id": "test-alpha"}).status == 400


def test_a_reload_runs_the_new_code_and_a_broken_one_leaves_devices_unconfigured(daemon):
    stocked(daemon)
    make_device(daemon, "d1", "x")
    entry = daemon.state / "plugins" / "test-alpha" / "entry.py"
    code = entry.read_text()
    entry.write_text(code.replace('VERSION = "1.0"', 'VERSION = "edited"'))
    answer = daemon.post("/pg_mgr/reload", {"id": "test-alpha"})
    assert (answer.status, answer.body) == (204, b"")
    assert rendered(daemon, "d1") == "edited x"
    entry.write_text("1 / 0")
    answer = daemon.post("/pg_mgr/reload", {"id": "test-alpha"})
    assert answer.status == 400
    assert "test-alpha" in answer.text
    assert is_configured(daemon, "d1") is False
    assert daemon.get("/pg_mgr/plugins/test-alpha/info").status == 404
    assert "test-alpha" in daemon.get("/pg_mgr/install/installed").json["pkgs"]
    entry.write_text(code)
    assert daemon.post("/pg_mgr/reload", {"id": "test-alpha"}).status == 204
    assert is_configured(daemon, "d1") is True
    assert rendered(daemon, "d1") == "1.0 x"


def test_a_plugin_without_its_common_files_is_installed_as_damaged_and_serves(daemon, shop):
    broken = ALPHA.replace("@VERSION@", "4.0") + (
        "    def configure_common(self, raw_config): raise KeyError('no template')\n"
    )
    shop.publish("4.0", alpha=broken)
    assert parse(do(daemon, "update"))[1] == "success"
    assert parse(do(daemon, "install", "test-alpha"))[:2] == ("install", "success")
    make_device(daemon, "d1", "x")
    assert is_configured(daemon, "d1") is True
    assert rendered(daemon, "d1") == "4.0 x"
    status = daemon.get("/status").json
    assert status["plugins"]["test-alpha"]["damage"] == "KeyError: 'no template'"
    assert "test-alpha" not in status["plugins_not_loaded"]
    assert "plugin test-alpha is damaged: it cannot write its common files" in daemon.log


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(3)", "GeneratorExit"])
@pytest.mark.parametrize("later", [False, True])
def test_a_synchronisation_from_which_a_plugin_wants_to_exit_ends_as_failed(
    daemon, shop, raised, later
):
    end = (
        f"return defer.fail({raised if '(' in raised else raised + '()'})"
        if later
        else f"raise {raised}"
    )
    shop.publish(
        "4.0", alpha=ALPHA.replace('return defer.fail(ValueError("the phone is off"))', end)
    )
    assert parse(do(daemon, "update"))[1] == "success"
    assert parse(do(daemon, "install", "test-alpha"))[:2] == ("install", "success")
    make_device(daemon, "bad", X_fails=True)
    location = daemon.post("/dev_mgr/synchronize", {"id": "bad"}).headers["location"]
    assert finish(daemon, location.removeprefix("/0.2")) == "fail"
    assert daemon.get("/status").json["ready"] is True


def test_a_synchronisation_ends_as_the_plugin_says(daemon):
    stocked(daemon)
    make_device(daemon, "good")
    make_device(daemon, "bad", X_fails=True)
    for device_id, expected in (("good", "success"), ("bad", "fail")):
        location = daemon.post("/dev_mgr/synchronize", {"id": device_id}).headers["location"]
        assert finish(daemon, location.removeprefix("/0.2")) == expected


def test_plugins_are_there_again_after_a_restart(daemon):
    stocked(daemon)
    make_device(daemon, "d1")
    daemon.restart()
    assert set(daemon.get("/pg_mgr/plugins").json["plugins"]) == {"test-alpha", "test-beta"}
    assert is_configured(daemon, "d1") is True


# Parameters of a plugin


def test_the_parameters_of_a_plugin_are_read_set_and_kept(daemon):
    stocked(daemon)
    base = "/pg_mgr/plugins/test-alpha/configure"

    def link(name):
        return [{"rel": "srv.configure.param", "href": f"/0.2{base}/{name}"}]

    assert daemon.get(base).json == {
        "params": [
            {"id": "level", "description": "The level", "value": None, "links": link("level")},
            {"id": "a.b-c_d", "description": None, "value": None, "links": link("a.b-c_d")},
        ]
    }
    assert daemon.put(f"{base}/level", {"param": {"value": "high"}}).status == 204
    assert daemon.put(f"{base}/a.b-c_d", {"param": {"value": "é"}}).status == 204
    refused = daemon.put(f"{base}/level", {"param": {"value": "middle"}})
    assert (refused.status, refused.text) == (400, "level: low or high")
    assert daemon.get(f"{base}/level").json == {"param": {"value": "high"}}
    for path in (f"{base}/none", f"{base}/__class__"):
        assert daemon.get(path).status == 404
        assert daemon.put(path, {"param": {"value": "x"}}).status == 404
    assert daemon.put(f"{base}/level", {"param": {}}).status == 400
    assert daemon.post("/pg_mgr/reload", {"id": "test-alpha"}).status == 204
    assert daemon.get(f"{base}/level").json == {"param": {"value": "high"}}
    assert daemon.put(f"{base}/level", {"param": {"value": None}}).status == 204
    assert daemon.get(f"{base}/level").json == {"param": {"value": None}}


def test_descriptions_of_plugin_parameters_follow_the_locale(daemon):
    stocked(daemon)
    assert daemon.put("/configure/locale", {"param": {"value": "fr_FR"}}).status == 204
    params = daemon.get("/pg_mgr/plugins/test-alpha/configure").json["params"]
    assert [param["id"] for param in params] == ["level", "a.b-c_d"]
    assert params[0]["description"] == "Le niveau"
    assert params[1]["description"] is None


# Packages of a plugin

BASE = "/pg_mgr/plugins/test-beta/install"


def test_the_packages_of_a_plugin_are_linked_and_listed(daemon, shop):
    stocked(daemon)
    assert daemon.get(BASE).json == {
        "links": [
            {"rel": f"srv.install.{name}", "href": f"/0.2{BASE}/{name}"}
            for name in ("install", "uninstall", "installed", "installable")
        ]
    }
    size = len(shop.server.files["fw.zip"]) + 5
    assert daemon.get(f"{BASE}/installed").json == {"pkgs": {}}
    assert daemon.get(f"{BASE}/installable").json == {
        "pkgs": {
            "fw": {"version": "1.0", "description": "Firmware", "dsize": size},
            "lost": {"version": "2.0", "description": "Nowhere to be found", "dsize": 5},
        }
    }


def test_a_package_is_installed_upgraded_and_removed(daemon, shop):
    stocked(daemon)
    size = len(shop.server.files["fw.zip"])
    with shop.server.holding("fw.zip"):
        operation = begin(daemon, "install", "fw", path=BASE)
        text = moving(daemon, operation)
        label, state, _, _, (download, installation) = parse(text)
        assert (label, state) == ("install_pkg", "progress")
        assert download[:2] == ("download", "progress")
        assert installation[:2] == ("install", "waiting")
        assert len(download[4]) == 2
        assert daemon.post(f"{BASE}/install", {"id": "fw"}).status == 400
    assert finish(daemon, operation) == (
        f"install_pkg|success(download|success(success;{size}/{size})(success;5/5))(install|success)"
    )
    assert daemon.get(f"{BASE}/installed").json == {
        "pkgs": {"fw": {"version": "1.0", "description": "Firmware"}}
    }
    rom = daemon.state / "plugins" / "test-beta" / "var" / "tftpboot" / "fw" / "one.rom"
    assert rom.read_bytes() == FIRMWARE
    assert do(daemon, "upgrade", "fw", path=BASE) == (
        "install_pkg|success(download|success)(install|success)"
    )
    answer = daemon.post(f"{BASE}/uninstall", {"id": "fw"})
    assert (answer.status, answer.body) == (204, b"")
    assert not rom.exists()
    assert daemon.get(f"{BASE}/installed").json == {"pkgs": {}}
    for what in ("uninstall", "upgrade"):
        assert daemon.post(f"{BASE}/{what}", {"id": "fw"}).status == 400


def test_a_package_that_cannot_be_fetched_ends_as_failed(daemon):
    stocked(daemon)
    label, state, _, _, children = parse(do(daemon, "install", "lost", path=BASE))
    assert (label, state) == ("install_pkg", "fail")
    assert children[0][:2] == ("download", "fail")
    assert daemon.get(f"{BASE}/installed").json == {"pkgs": {}}


def test_an_unknown_package_is_400(daemon):
    stocked(daemon)
    answer = daemon.post(f"{BASE}/install", {"id": "none"})
    assert (answer.status, answer.text) == (400, "package not found")
    for what in ("install", "upgrade", "uninstall"):
        assert daemon.post(f"{BASE}/{what}", {"id": "none"}).status == 400
        assert daemon.post(f"{BASE}/{what}", {}).text == 'Missing "id" key'


def test_operations_of_packages_keep_their_numbers_over_a_reload(daemon):
    stocked(daemon)
    first = begin(daemon, "install", "fw", path=BASE)
    finish(daemon, first)
    assert daemon.post("/pg_mgr/reload", {"id": "test-beta"}).status == 204
    second = begin(daemon, "install", "fw", path=BASE)
    assert second != first
    finish(daemon, second)
    assert daemon.get(f"{BASE}/install/99").status == 404
    assert daemon.get(f"{BASE}/upgrade/1").status == 404
