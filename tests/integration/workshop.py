"""A plugin with packages and parameters of its own, in a repository served on loopback."""

import contextlib
import functools
import hashlib
import io
import json
import shutil
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from provd.plugin import builder

PLUGIN = "test-tools"
PACKAGE = "fw"
PARAMETER = "level"

ENTRY = """\
import contextlib
import os

from wazo_provd.plugins import FetchfwPluginHelper, StandardPlugin
from wazo_provd.servers.http import HTTPNoListingFileService
from wazo_provd.services import (
    BaseConfigurationService,
    DictConfigurationServiceParameter,
    InvalidParameterError,
)


def check_level(value):
    if value not in (None, "low", "high"):
        raise InvalidParameterError("level: low or high")


class Tools(StandardPlugin):
    IS_PLUGIN = True

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        os.makedirs(self._tftpboot_dir, exist_ok=True)
        self.http_service = HTTPNoListingFileService(self._tftpboot_dir)
        downloaders = FetchfwPluginHelper.new_downloaders(gen_cfg.get("proxies"))
        level = DictConfigurationServiceParameter({}, "level", "The level", check_level)
        self.services = {
            **FetchfwPluginHelper(plugin_dir, downloaders).services(),
            "configure": BaseConfigurationService({"level": level}),
        }

    def configure(self, device, raw_config):
        with open(os.path.join(self._tftpboot_dir, device["id"] + ".cfg"), "w") as stream:
            stream.write("@VERSION@ " + str(raw_config.get("X_value")))

    def deconfigure(self, device):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._tftpboot_dir, device["id"] + ".cfg"))
"""

PACKAGES = """\
[pkg_fw]
version: 1.0
description: Firmware
files: fw
install: fw

[file_fw]
url: {url}/fw.zip
size: {size}
sha1sum: {sha1sum}

[install_fw]
a-b: unzip *.zip
b-c: cp *.rom fw/
"""


class Workshop:
    """Builds the plugin in any version, and serves the repository's directory over HTTP.

    What is in `others`, another repository, is offered as well.
    """

    def __init__(self, directory, others=None):
        self._directory = directory
        self._repository = directory / "repository"
        self._repository.mkdir(parents=True)
        for archive in others.glob("*.tar.bz2") if others else ():
            shutil.copy(archive, self._repository)

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *args):
                pass

        handler = functools.partial(Handler, directory=str(self._repository))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as content:
            content.writestr("one.rom", b"firmware" * 1000)
        self._firmware = archive.getvalue()
        (self._repository / "fw.zip").write_bytes(self._firmware)
        self.publish("1.0")

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def publish(self, version):
        """Offer the plugin in that version."""
        family = self._directory / f"source-{version}"
        packages = PACKAGES.format(
            url=self.url,
            size=len(self._firmware),
            sha1sum=hashlib.sha1(self._firmware).hexdigest(),
        )
        info = {
            "version": version,
            "description": "Tools",
            "capabilities": {"Test, X1, 1": {"lines": 2}},
        }
        for name, content in {
            "entry.py": ENTRY.replace("@VERSION@", version),
            "pkgs/pkgs.db": packages,
            "plugin-info": json.dumps(info),
        }.items():
            path = family / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (family / "build.toml").write_text(f'[[plugin]]\nid = "{PLUGIN}"\nsources = ["src"]\n')
        for built in builder.build(str(family), str(self._directory / "built")):
            builder.package(built, str(self._repository))
        builder.index(str(self._repository), strict=True)


@contextlib.contextmanager
def workshop(directory, others=None):
    made = Workshop(directory, others)
    try:
        yield made
    finally:
        made.stop()


def settings(shop):
    """Return the settings of a daemon that installs from the workshop."""
    return {"general": {"plugin_server": shop.url}}


def finish(daemon, answer):
    """Wait for the end of the operation that `answer` began; return its last status."""
    assert answer.status == 201, answer
    path = answer.headers["location"].removeprefix("/0.2")

    def ended():
        text = daemon.get(path).json["status"]
        state = text.partition("(")[0].partition(";")[0].rpartition("|")[2]
        return text if state in {"success", "fail"} else None

    return daemon.wait_for(ended, f"the end of {path}", 30)


def install(daemon):
    """Install the plugin."""
    finish(daemon, daemon.post("/pg_mgr/install/update", {}))
    text = finish(daemon, daemon.post("/pg_mgr/install/install", {"id": PLUGIN}))
    assert text.startswith("install|success"), text
