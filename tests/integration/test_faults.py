"""Faults of files, disks, settings and plugins: one readable line, nothing lost, the rest goes on."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest
from harness import Daemon, free_port

AGENT = "Yealink SIP-T46S 66.86.0.15 {mac}"
KNOWN = "00:15:65:10:00:01"


class Wrapped(Daemon):
    """A daemon started through another program, which limits what it may do."""

    wrapper = ()

    def spawn(self):
        command = [
            *self.wrapper,
            str(shutil.which("twistd", path=os.path.dirname(os.sys.executable))),
            "--nodaemon", "--no_save", "--pidfile=", "--logger", "provd.logs.observer",
            "provd", "--config-file", str(self.write_settings()), *self.options,
        ]  # fmt: skip
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        return self


def without_privilege(daemon):
    """Make root subject to file modes, as every other user is."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root, and no setpriv (util-linux)")
        daemon.wrapper = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    return daemon


@pytest.fixture
def make(tmp_path):
    """Make daemons that are stopped after the test."""
    made = []

    def build(name="provd", **kwargs):
        made.append(Wrapped(tmp_path / name, **{"plugins": None, **kwargs}))
        return made[-1]

    yield build
    for running in made:
        if running.process is not None and running.process.poll() is None:
            running.stop()


def refused_start(daemon, *words):
    """Start a daemon that cannot work; return the one line that says why."""
    before = len(daemon.log) if daemon.log_path.exists() else 0
    daemon.spawn()
    try:
        code = daemon.process.wait(30)
    except subprocess.TimeoutExpired:
        daemon.kill()
        raise AssertionError(f"it started, or hangs: {daemon.log[before:]}") from None
    output = daemon.log[before:]
    assert code != 0, output
    assert "Traceback" not in output, output
    said = [line for line in output.splitlines() if all(word in line for word in words)]
    assert len(said) == 1, (words, output)
    # Beside it only what happens in a start that goes well, and news of a busy machine.
    others = [
        line
        for line in output.splitlines()
        if re.search(r"\[(WARNING|ERROR|CRITICAL)\]", line)
        and line not in said
        and "the loop stood still" not in line
    ]
    assert not others, others
    return said[0]


def boot(daemon, mac=KNOWN, source="127.0.0.2"):
    return daemon.phone(f"/{mac.replace(':', '')}.cfg", AGENT.format(mac=mac), source)


def add_config(daemon, config_id, **values):
    document = {"id": config_id, "parent_ids": ["base"], "raw_config": {"X_value": values}}
    return daemon.post("/cfg_mgr/configs", {"config": document})


# Settings


def test_a_settings_file_that_is_not_there(make, tmp_path):
    running = make()
    running.write_settings = lambda: tmp_path / "nowhere.yml"
    refused_start(running, "nowhere.yml", "No such file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"general: [unclosed", ("line 1",)),
        (b"general:\n\tverbose: true\n", ("line 2",)),
        (b"\xff\xfe\x00", ("config.yml",)),
        (b"- a list", ("mapping",)),
        (b"general: 5", ("general", "5")),
        (b"general: {tftp_port: many}", ("general.tftp_port", "many", "integer")),
        (b"general: {verbose: 'yes'}", ("general.verbose", "true, false")),
        (b"rest_api: {port: 70000}", ("rest_api.port", "70000")),
        (b"database: {type: oracle}", ("database.type", "oracle", "sqlite")),
        (b"general: {sync_service_type: magic}", ("general.sync_service_type", "magic")),
        (b"general: {base_raw_config_file: nowhere.json}", ("base_raw_config_file", "nowhere.json")),
        (b"general: !exec {command: 'false'}", ("false", "exit status 1")),
        (b"general: !!python/object/apply:os.system ['true']", ("config.yml",)),
        (b"&a [*a]", ("config.yml",)),
        (b"tenants: {x: {}}", ("tenants", "UUID")),
    ],
)  # fmt: skip
def test_a_settings_file_that_cannot_be_used(make, content, words):
    running = make()
    path = running.state / "config.yml"
    path.write_bytes(content)
    running.write_settings = lambda: path
    refused_start(running, *words)


def test_a_settings_file_that_is_a_directory(make, tmp_path):
    running = make()
    running.write_settings = lambda: tmp_path
    refused_start(running, str(tmp_path), "directory")


def test_a_settings_file_that_may_not_be_read(make):
    running = without_privilege(make())
    running.write_settings().chmod(0)
    running.write_settings = lambda: running.state / "config.yml"
    refused_start(running, "config.yml", "Permission denied")


def test_an_unknown_key_is_warned_of_with_the_nearest_name(make):
    running = make(settings={"general": {"http_listen_prot": 1}, "databse": {}}).start()
    assert (
        "unknown key general.http_listen_prot; did you mean general.http_listen_port?"
        in running.log
    )
    assert "unknown key databse; did you mean database?" in running.log


def test_a_log_file_that_cannot_be_opened(make, tmp_path):
    running = make(settings={"logging": {"file": str(tmp_path / "no" / "provd.log")}})
    refused_start(running, "log file", "provd.log", "No such file")


# Ports


@pytest.mark.parametrize("which", ["rest_port", "http_port", "proxied_port"])
def test_a_tcp_port_in_use(make, which):
    running = make()
    with socket.create_server(("127.0.0.1", getattr(running, which))):
        refused_start(running, str(getattr(running, which)), "in use")


def test_a_udp_port_in_use(make):
    running = make()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", running.tftp_port))
        refused_start(running, str(running.tftp_port), "in use")


def test_a_port_that_may_not_be_bound(make):
    running = make(settings={"general": {"http_listen_interface": "192.0.2.1"}})
    refused_start(running, "192.0.2.1", "assign requested address")


# Databases that cannot be used


def filled(make, **kwargs):
    """Return a stopped daemon whose database holds something."""
    running = make(**kwargs).start()
    assert add_config(running, "kept", text="x" * 2000).status == 201
    running.stop()
    return running


def untouched(path):
    return path.read_bytes(), path.stat().st_ino


def test_a_database_of_garbage_is_refused_and_left_alone(make):
    running = make()
    path = running.state / "provd.db"
    path.write_bytes(b"not a database, but somebody may want it back\n" * 500)
    before = untouched(path)
    refused_start(running, "provd.db", "not a database")
    assert untouched(path) == before


def test_a_database_of_another_program_is_refused_and_left_alone(make):
    running = make()
    path = running.state / "provd.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.executescript("CREATE TABLE devices (name TEXT); INSERT INTO devices VALUES ('x');")
    before = untouched(path)
    refused_start(running, "provd.db", "not one of provd")
    assert untouched(path) == before


def test_a_database_of_a_newer_version_is_refused_and_left_alone(make):
    running = filled(make)
    path = running.state / "provd.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version=99")
    before = untouched(path)
    refused_start(running, "provd.db", "newer provd")
    assert untouched(path) == before


@pytest.mark.parametrize("where", ["middle", "last page", "root of configs", "cut"])
def test_a_damaged_database_is_refused_and_left_alone(make, where):
    running = filled(make)
    path = running.state / "provd.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        (size,) = other.execute("PRAGMA page_size").fetchone()
        (root,) = other.execute(
            "SELECT rootpage FROM sqlite_master WHERE name='configs'"
        ).fetchone()
        (pages,) = other.execute("PRAGMA page_count").fetchone()
    content = bytearray(path.read_bytes())
    page = {"middle": 2, "last page": pages, "root of configs": root, "cut": 0}[where]
    if page:
        content[(page - 1) * size : page * size] = b"\xa5" * size
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    before = untouched(path)
    refused_start(running, "provd.db")
    assert untouched(path) == before


def test_a_directory_in_place_of_the_database(make):
    running = make()
    (running.state / "provd.db").mkdir()
    refused_start(running, "provd.db")


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_database_that_may_not_be_written(make, what):
    running = without_privilege(filled(make))
    path = running.state / "provd.db"
    before = untouched(path)
    target, mode = (path, 0o400) if what == "file" else (running.state, 0o500)
    target.chmod(mode)
    running.write_settings = lambda: running.state / "config.yml"
    try:
        refused_start(running, str(running.state))
    finally:
        target.chmod(0o700)
    assert untouched(path) == before


def test_a_second_daemon_on_one_database_is_refused_and_the_first_goes_on(make, tmp_path):
    first = make().start()
    second = make("second", settings={"general": {"base_storage_dir": str(first.state)}})
    staging = first.state / "plugins" / ".staging-of-the-first"
    staging.mkdir()
    refused_start(second, "provd.db", "another process uses this database")
    assert staging.exists()
    assert add_config(first, "after").status == 201


# The store under a running daemon


@pytest.fixture
def serving(make):
    """A daemon with plugins and a known phone that runs a config of its own."""
    running = make(plugins="all").start()
    assert boot(running).status == 200
    return running


def check_reads(daemon):
    """Fail unless known phones and readers notice nothing."""
    answer = boot(daemon)
    assert answer.status == 200
    assert "account.1.user_name = " in answer.text
    assert daemon.get("/dev_mgr/devices").json["devices"]
    assert daemon.get("/cfg_mgr/configs/base").status == 200
    assert daemon.get("/status").status == 200


def check_recovered(daemon, name):
    """Fail unless writes work again and last."""
    assert add_config(daemon, name).status == 201
    assert boot(daemon, "00:15:65:10:00:99", "127.0.0.99").status == 200
    daemon.restart()
    assert daemon.get(f"/cfg_mgr/configs/{name}").status == 200
    assert len(daemon.devices(mac="00:15:65:10:00:99")) == 1
    check_reads(daemon)


def test_a_database_locked_by_another_program_stops_writes_only(serving):
    with contextlib.closing(
        sqlite3.connect(serving.state / "provd.db", isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        outcome = []
        writer = threading.Thread(target=lambda: outcome.append(add_config(serving, "refused")))
        writer.start()
        time.sleep(0.2)
        started = time.monotonic()
        check_reads(serving)
        assert time.monotonic() - started < 2
        writer.join()
        assert outcome[0].status == 503
        assert "locked" in outcome[0].text
        assert boot(serving, "00:15:65:10:00:05", "127.0.0.5").status in {404, 503}
        other.execute("ROLLBACK")
    assert "Traceback" not in serving.log
    assert serving.get("/cfg_mgr/configs/refused").status == 404
    check_recovered(serving, "after")


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_database_file_moved_away_stops_writes_until_it_is_back(serving, suffix):
    assert add_config(serving, "before").status == 201
    path = serving.state / f"provd.db{suffix}"
    away = path.with_name("away")
    path.rename(away)
    answer = add_config(serving, "refused")
    assert answer.status == 503
    assert "removed" in answer.text
    check_reads(serving)
    path.write_bytes(b"")
    assert "replaced" in add_config(serving, "refused").text
    away.rename(path)
    check_recovered(serving, "after")
    assert serving.get("/cfg_mgr/configs/before").status == 200
    assert "Traceback" not in serving.log


def test_files_that_may_not_grow_stop_writes_only(serving):
    """A limit of the process stands for a quota: even the log cannot be written."""
    if shutil.which("prlimit") is None:
        pytest.skip("no prlimit (util-linux)")
    assert add_config(serving, "before").status == 201
    wal = serving.state / "provd.db-wal"

    def limit(size):
        subprocess.run(
            ["prlimit", f"--pid={serving.process.pid}", f"--fsize={size}:unlimited"], check=True
        )

    device = serving.device(mac=KNOWN)
    limit(wal.stat().st_size)
    try:
        for number in range(20):
            answer = add_config(serving, f"refused{number}", text="x" * 50_000)
            assert answer.status in {503, 507}, answer
        check_reads(serving)
        changed = serving.put(
            f"/dev_mgr/devices/{device['id']}", {"device": {**device, "description": "changed"}}
        )
        assert changed.status in {204, 503, 507}
        check_reads(serving)
    finally:
        limit("unlimited")
    for number in range(20):
        assert serving.get(f"/cfg_mgr/configs/refused{number}").status == 404
    shown = serving.get(f"/dev_mgr/devices/{device['id']}").json["device"]
    assert shown.get("description") == ("changed" if changed.status == 204 else None)
    check_recovered(serving, "after")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes, full at will."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")

    class Disk:
        path = place

        @staticmethod
        def fill():
            with contextlib.suppress(OSError), (place / "filler").open("wb", 0) as filler:
                while True:
                    filler.write(bytes(4096))

        @staticmethod
        def free():
            (place / "filler").unlink()

    yield Disk
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_stops_writes_only(make, small_disk):
    running = Wrapped(small_disk.path / "provd", plugins="all", settings={
        "logging": {"file": str(small_disk.path.parent / "provd.log"),
                    "security_file": str(small_disk.path.parent / "security.log")},
    })  # fmt: skip
    running.log_path = small_disk.path.parent / "output.log"
    try:
        running.start()
        assert boot(running).status == 200
        device = running.device(mac=KNOWN)
        own = boot(running).body
        statuses = set()
        small_disk.fill()
        for number in range(40):
            answer = add_config(running, f"c{number}", text="x" * 20_000)
            statuses.add(answer.status)
            if answer.status != 201:
                assert answer.status == 507, answer
                assert "full" in answer.text
                assert running.get(f"/cfg_mgr/configs/c{number}").status == 404
                break
        assert 507 in statuses
        check_reads(running)
        # A change that cannot be stored must not cost the phone the file it has.
        config = running.get(f"/cfg_mgr/configs/{device['config']}").json["config"]
        config["raw_config"]["sip_lines"]["1"]["display_name"] = "n" * 30_000
        assert running.put(f"/cfg_mgr/configs/{device['config']}", {"config": config}).status == 507
        assert boot(running).body == own
        moved = {**device, "model": "T42S", "description": "d" * 30_000}
        assert running.put(f"/dev_mgr/devices/{device['id']}", {"device": moved}).status == 507
        assert boot(running).status == 200
        assert boot(running, "00:15:65:10:00:07", "127.0.0.7").status in {200, 404, 503}
        check_reads(running)
        small_disk.free()
        check_recovered(running, "after")
        assert boot(running).body == own
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()


def test_a_page_damaged_under_a_running_daemon_ends_in_a_status(serving):
    for number in range(200):
        assert add_config(serving, f"c{number}", text="x" * 1000).status == 201
    serving.restart()
    path = serving.state / "provd.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = other.execute("PRAGMA page_size").fetchone()
        pages = os.path.getsize(path) // size
    with path.open("r+b") as stream:
        for page in range(8, pages):
            stream.seek(page * size)
            stream.write(b"\xa5" * size)
    statuses = {serving.get(f"/cfg_mgr/configs/c{number}").status for number in range(0, 200, 5)}
    assert 503 in statuses
    assert statuses <= {200, 404, 503}
    assert serving.get("/cfg_mgr/configs").status == 503
    assert serving.get("/status").status == 200
    serving.stop()
    before = untouched(path)
    refused_start(serving, "provd.db")
    assert untouched(path) == before


# The plugins directory


def test_a_plugins_directory_that_is_not_there_is_made(make, tmp_path):
    running = make(settings={"general": {"plugins_dir": str(tmp_path / "a" / "b")}}).start()
    assert (tmp_path / "a" / "b").is_dir()
    assert running.get("/pg_mgr/plugins").json["plugins"] == {}


def test_a_file_in_place_of_the_plugins_directory(make, tmp_path):
    (tmp_path / "plugins").write_text("a file")
    running = make(settings={"general": {"plugins_dir": str(tmp_path / "plugins")}})
    refused_start(running, str(tmp_path / "plugins"))
    assert (tmp_path / "plugins").read_text() == "a file"


def test_a_plugins_directory_that_may_not_be_read(make, tmp_path):
    (tmp_path / "plugins").mkdir(mode=0)
    running = without_privilege(
        make(settings={"general": {"plugins_dir": str(tmp_path / "plugins")}})
    )
    refused_start(running, str(tmp_path / "plugins"), "Permission denied")


GOOD_INFO = {"version": "1.0", "description": "", "capabilities": {}}


def install(daemon, plugin_id, code, info=GOOD_INFO):
    """Put a plugin in place, as an installation leaves it."""
    directory = daemon.state / "plugins" / plugin_id
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "plugin-info").write_text(info if isinstance(info, str) else json.dumps(info))
    if code is not None:
        (directory / "entry.py").write_text(code)
    return directory


def test_junk_among_the_plugins_is_named_and_left_out(make):
    running = make()
    plugins = running.state / "plugins"
    install(running, "bad-json", "", "{")
    install(running, "bad-list", "", "[]")
    install(running, "no-entry", None)
    install(running, "bad-syntax", "def (")
    install(running, "no-class", "x = 1")
    install(running, "bad-import", "import nothing_of_that_name")
    install(running, "bad-exit", "raise SystemExit(3)")
    install(running, "bad-bytes", None).joinpath("entry.py").write_bytes(b"\xff\xfe = \x00")
    install(running, "bad-interface", "", {**GOOD_INFO, "plugin_iface_version_min": 99})
    install(running, "bad-interface-text", "", {**GOOD_INFO, "plugin_iface_version_min": "x"})
    install(running, "deep", "", "[" * 100_000)
    (plugins / "empty").mkdir()
    (plugins / "a file").write_text("x")
    (plugins / "loop").symlink_to(plugins / "loop")
    (plugins / "dangling").symlink_to("/nowhere")
    (plugins / "line\nbreak").mkdir()
    os.mkdir(os.fsencode(plugins) + b"/\xff\xfe")
    (plugins / "info-is-directory" / "plugin-info").mkdir(parents=True)
    (plugins / "plugins.db").write_text("{")
    shutil.copytree(
        os.path.join(os.path.dirname(__file__), "..", "..", "plugins", "zero", "plugin"),
        plugins / "good",
    )
    running.start()
    status = running.get("/status").json
    assert list(status["plugins"]) == ["good"]
    broken = set(status["plugins_not_loaded"])
    assert {
        "bad-json",
        "bad-list",
        "no-entry",
        "bad-syntax",
        "no-class",
        "bad-import",
        "bad-exit",
        "bad-bytes",
        "bad-interface",
        "bad-interface-text",
        "deep",
    } <= broken
    for plugin_id in broken:
        assert plugin_id in running.log
    assert running.get("/pg_mgr/plugins").status == 200
    assert running.get("/pg_mgr/install/installed").status == 200
    assert "plugins.db" in running.get("/pg_mgr/install/installable").text


EVIL = """
import os
from provd.plugin.api import StandardPlugin, HTTPNoListingFileService, TFTPFileService
from twisted.internet import defer
from twisted.web import resource

FLAG = os.path.join(os.path.dirname(__file__), "fails")


def check(name):
    try:
        with open(FLAG) as stream:
            mode, _, wanted = stream.read().partition(" ")
    except OSError:
        return None
    if wanted != name:
        return None
    if mode == "deferred":
        return defer.fail(ValueError("evil " + name))
    if mode == "exit":
        raise SystemExit(3)
    if mode == "nonsense":
        return object()
    if mode == "recursion":
        return check(name)
    raise ValueError("evil " + name)


class Extractor:
    def __init__(self, kind):
        self.kind = kind

    def extract(self, request, request_type):
        bad = check(self.kind + "_extract")
        if bad is not None:
            return bad
        if self.kind == "http":
            agent = request.getHeader(b"User-Agent") or b""
            if not agent.startswith(b"Evil "):
                return None
            mac = agent.split()[1].decode()
        elif self.kind == "tftp":
            name = request["packet"]["filename"]
            if not name.startswith(b"evil-"):
                return None
            mac = ":".join(name[5:17].decode()[i:i + 2] for i in range(0, 12, 2))
        else:
            return None
        return defer.succeed({"mac": mac, "vendor": "Evil", "model": "E1", "version": "1"})


class Associator:
    def associate(self, info):
        bad = check("associate")
        if bad is not None:
            return bad
        return 600 if info.get("vendor") == "Evil" else 0


class Http(HTTPNoListingFileService):
    def getChild(self, path, request):
        bad = check("getChild")
        if bad is not None:
            return bad
        if check("render"):
            return resource.Resource()
        return super().getChild(path, request)

    def render_GET(self, request):
        bad = check("render")
        return super().render_GET(request) if bad is None else bad


class Tftp(TFTPFileService):
    def handle_read_request(self, request, response):
        bad = check("handle_read_request")
        return super().handle_read_request(request, response) if bad is None else bad


class Evil(StandardPlugin):
    IS_PLUGIN = True

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        check("__init__")
        os.makedirs(self._tftpboot_dir, exist_ok=True)
        self._http = Http(self._tftpboot_dir)
        self._tftp = Tftp(self._tftpboot_dir)
        self.tftp_dev_info_extractor = Extractor("tftp")
        self.dhcp_dev_info_extractor = Extractor("dhcp")
        self.pg_associator = Associator()

    @property
    def http_dev_info_extractor(self):
        check("http_dev_info_extractor")
        return Extractor("http")

    @property
    def http_service(self):
        check("http_service")
        return self._http

    @property
    def tftp_service(self):
        check("tftp_service")
        return self._tftp

    def _path(self, device):
        return os.path.join(self._tftpboot_dir, "evil-" + device["mac"].replace(":", ""))

    def configure_common(self, raw_config):
        check("configure_common")

    def configure(self, device, raw_config):
        check("configure")
        with open(self._path(device), "w") as stream:
            stream.write("evil but well\\n")

    def deconfigure(self, device):
        check("deconfigure")
        try:
            os.unlink(self._path(device))
        except OSError:
            pass

    def synchronize(self, device, raw_config):
        return check("synchronize") or defer.succeed(None)

    def get_remote_state_trigger_filename(self, device):
        return check("get_remote_state_trigger_filename") or os.path.basename(self._path(device))

    def is_sensitive_filename(self, filename):
        return check("is_sensitive_filename") or False

    def close(self):
        check("close")
"""

METHODS = [
    "__init__", "http_dev_info_extractor", "http_service", "tftp_service", "http_extract", "tftp_extract",
    "dhcp_extract", "associate", "configure_common", "configure", "deconfigure", "synchronize",
    "get_remote_state_trigger_filename", "is_sensitive_filename", "getChild", "render",
    "handle_read_request", "close",
]  # fmt: skip


@pytest.fixture(scope="module")
def beside_evil(tmp_path_factory):
    """A daemon with our plugins and one that fails on demand."""
    running = Daemon(tmp_path_factory.mktemp("evil"))
    install(running, "evil", EVIL)
    running.start()
    yield running
    (running.state / "plugins" / "evil" / "fails").unlink(missing_ok=True)
    running.stop()


def use_everything(daemon, number):
    """Let an evil phone and an operator pass through every method of the plugin."""
    mac = f"00:0e:11:00:{number >> 8:02x}:{number & 255:02x}"
    flat = mac.replace(":", "")
    answers = []
    for _ in range(2):
        answers.append(daemon.phone(f"/evil-{flat}", f"Evil {mac}", "127.0.0.13"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("127.0.0.13", 0))
            client.settimeout(0.3)  # a service may answer never, for all the daemon can know
            client.sendto(f"\0\1evil-{flat}\0octet\0".encode(), ("127.0.0.1", daemon.tftp_port))
            with contextlib.suppress(TimeoutError):
                _, peer = client.recvfrom(1000)
                client.sendto(b"\0\4\0\1", peer)
        answers.append(daemon.phone(f"/evil-{flat}", f"Evil {mac}", "127.0.0.13"))
    dhcp = {"dhcp_info": {"op": "commit", "ip": "127.0.0.13", "mac": mac, "options": []}}
    daemon.post("/dev_mgr/dhcpinfo", dhcp)
    for device in daemon.devices(mac=mac):
        path = f"/dev_mgr/devices/{device['id']}"
        answers.append(
            daemon.put(path, {"device": {**device, "description": "x", "plugin": "evil"}})
        )
        answers.append(daemon.post("/dev_mgr/reconfigure", {"id": device["id"]}))
        daemon.post("/dev_mgr/synchronize", {"id": device["id"]})
        answers.append(daemon.delete(path))
    daemon.post("/pg_mgr/reload", {"id": "evil"})
    return answers


@pytest.mark.parametrize("mode", ["raise", "deferred", "nonsense", "recursion", "exit"])
@pytest.mark.parametrize("method", METHODS)
def test_a_plugin_that_fails_hurts_its_own_devices_only(beside_evil, method, mode):
    daemon = beside_evil
    number = METHODS.index(method) * 8 + len(mode)
    fails = daemon.state / "plugins" / "evil" / "fails"
    before = len(daemon.log)
    fails.write_text(f"{mode} {method}")
    try:
        answers = use_everything(daemon, number)
        for answer in answers:
            assert b"Traceback" not in answer.body
            assert b"evil " not in answer.body or answer.body == b"evil but well\n"
        mac = f"00:15:65:11:{number >> 8:02x}:{number & 255:02x}"
        for _ in range(2):
            answer = boot(daemon, mac, f"127.0.7.{number % 250 + 1}")
            assert answer.status == 200
            assert "account.1.user_name = " in answer.text
        assert daemon.device(mac=mac)["plugin"].startswith("provd-yealink")
        result = daemon.tftp_get(f"{mac.replace(':', '')}.cfg", daemon.state / "got")
        assert result.returncode == 0
        assert daemon.get("/status").json["ready"] is True
        # Only what no family of ours knows for sure is asked of other plugins.
        daemon.phone("/evil-000e13000001", "Evil 00:0e:13:00:00:01", "127.0.0.15")
        if mode == "raise" and method != "dhcp_extract":
            said = [line for line in daemon.log[before:].splitlines() if "evil" in line]
            assert any(re.search(r"\[(WARNING|ERROR)\].*plugin evil\b", line) for line in said), (
                said
            )
    finally:
        fails.unlink()
    daemon.post("/pg_mgr/reload", {"id": "evil"})
    mac = f"00:0e:12:00:{number >> 8:02x}:{number & 255:02x}"
    answer = daemon.phone(f"/evil-{mac.replace(':', '')}", f"Evil {mac}", "127.0.0.14")
    assert answer.body == b"evil but well\n"


# An installation that is there already


@pytest.fixture
def old_installation(tmp_path):
    """What an older daemon kept in files, some of it broken."""
    storage = tmp_path / "provd"
    devices, configs = storage / "jsondb" / "devices", storage / "jsondb" / "configs"
    devices.mkdir(parents=True)
    configs.mkdir()
    line = {"username": "alice", "password": "s3cret", "proxy_ip": "192.0.2.10", "number": "1"}
    documents = {
        configs / "base": {"id": "base", "parent_ids": [], "raw_config": {"ntp_enabled": False}},
        configs / "c1": {"id": "c1", "parent_ids": ["base"], "raw_config": {"sip_lines": {"1": line}}},
        configs / "autoprov": {"id": "autoprov", "parent_ids": ["base"], "role": "autocreate",
                               "raw_config": {"sip_lines": {"1": {**line, "username": "autoprov"}}}},
        devices / "d1": {"id": "d1", "mac": KNOWN, "plugin": "provd-yealink", "config": "c1",
                         "vendor": "Yealink", "model": "T46S", "ip": "127.0.0.2"},
        devices / "d2": {"id": "another", "mac": "00:15:65:10:00:02", "configured": True},
    }  # fmt: skip
    for path, document in documents.items():
        path.write_text(json.dumps(document, separators=(",", ":")))
    (devices / "broken").write_text("{")
    (devices / "list").write_text("[]")
    (configs / "bytes").write_bytes(b"\xff\xfe")
    (configs / "folder").mkdir()
    (storage / "app.json").write_text(
        json.dumps(
            {
                "plugin_server": "http://repo.example/",
                "NAT": "1",
                "locale": "fr_FR",
                "odd": 1,
                "tenants": {
                    "11111111-2222-4333-8444-555555555555": {"provisioning_key": "a1b2c3d4e5"}
                },
            }
        )
    )
    return storage


def files_below(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


def test_an_old_installation_is_there_after_the_first_start(make, old_installation):
    before = files_below(old_installation / "jsondb"), (old_installation / "app.json").read_bytes()
    running = make(settings={"database": {"type": "json"}}, plugins="all")
    running.settings["general"]["plugin_server"] = running.settings["general"]["plugin_server"]
    running.start()
    assert "Traceback" not in running.log
    for _ in range(2):
        assert {device["id"] for device in running.devices()} == {"d1", "d2"}
        configs = {config["id"] for config in running.get("/cfg_mgr/configs").json["configs"]}
        assert configs == {"base", "c1", "autoprov"}
        assert running.get("/configure/NAT").json["param"]["value"] == 1
        assert running.get("/configure/locale").json["param"]["value"] == "fr_FR"
        assert (
            running.get("/configure/plugin_server").json["param"]["value"] == "http://repo.example/"
        )
        running.restart()
    for name in ("broken", "list", "bytes"):
        assert re.search(rf"\[WARNING\].*{name} is left out", running.log)
    assert "d2: the id 'another' inside is ignored" in running.log
    assert (
        files_below(old_installation / "jsondb"),
        (old_installation / "app.json").read_bytes(),
    ) == before


def test_what_was_imported_is_not_imported_again(make, old_installation):
    running = make(settings={"database": {"type": "json"}}).start()
    assert running.delete("/dev_mgr/devices/d1").status == 204
    running.restart()
    assert {device["id"] for device in running.devices()} == {"d2"}


def test_an_imported_phone_is_served_its_old_config(make, old_installation):
    (old_installation / "app.json").unlink()
    running = make(settings={"database": {"type": "json"}}, plugins="all").start()
    answer = boot(running)
    assert answer.status == 200
    assert "account.1.user_name = alice\n" in answer.text


def test_a_first_start_that_was_killed_during_the_import_is_made_up_for(make, old_installation):
    devices = old_installation / "jsondb" / "devices"
    for number in range(3000):
        (devices / f"many{number}").write_text(json.dumps({"id": f"many{number}"}))
    running = make(settings={"database": {"type": "json"}})
    for delay in (0.6, 0.8, 1.0):
        running.spawn()
        time.sleep(delay)
        running.kill()
    running.start()
    assert len(running.devices()) == 3002
    assert running.get("/cfg_mgr/configs/c1").status == 200
    assert running.get("/configure/NAT").json["param"]["value"] == 1


def test_a_broken_app_json_is_named_and_the_documents_are_there(make, old_installation):
    (old_installation / "app.json").write_text("{")
    running = make(settings={"database": {"type": "json"}}).start()
    assert re.search(r"\[WARNING\].*app\.json is left out", running.log)
    assert {device["id"] for device in running.devices()} == {"d1", "d2"}


# Tokens


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"tokens": 5}'])
def test_a_tokens_file_that_cannot_be_used_is_refused_and_left_alone(make, content):
    running = make().start()
    running.stop()
    path = running.state / "tokens.json"
    path.write_bytes(content)
    refused_start(running, "tokens.json")
    assert path.read_bytes() == content


# Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_stops_in_time_and_transfers_that_run_are_finished(make, number):
    running = make(plugins="all").start()
    assert boot(running).status == 200
    device = running.device(mac=KNOWN)
    content = os.urandom(300_000)
    root = running.state / "plugins" / device["plugin"] / "var" / "tftpboot"
    (root / "large.rom").write_bytes(content)
    got = {}

    def over_http():
        with socket.create_connection(
            ("127.0.0.1", running.http_port), 5, ("127.0.0.2", 0)
        ) as client:
            agent = AGENT.format(mac=KNOWN)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(f"GET /large.rom HTTP/1.0\r\nUser-Agent: {agent}\r\n\r\n".encode())
            received = b""
            while part := client.recv(8192):
                received += part
                if len(received) < 200_000:
                    time.sleep(0.03)
            got["http"] = received.partition(b"\r\n\r\n")[2]

    def over_tftp():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("127.0.0.2", 0))
            client.settimeout(3)
            client.sendto(b"\0\1large.rom\0octet\0", ("127.0.0.1", running.tftp_port))
            received = b""
            while True:
                datagram, peer = client.recvfrom(1000)
                received += datagram[4:]
                client.sendto(b"\0\4" + datagram[2:4], peer)
                if len(datagram) < 516:
                    break
                time.sleep(0.002)
            got["tftp"] = received

    readers = [threading.Thread(target=over_http), threading.Thread(target=over_tftp)]
    for reader in readers:
        reader.start()
    time.sleep(0.3)
    started = time.monotonic()
    running.process.send_signal(number)
    code = running.process.wait(8)
    took = time.monotonic() - started
    for reader in readers:
        reader.join()
    assert took < 5
    assert code in {0, -number}
    assert got["http"] == content
    assert got["tftp"] == content
    assert "Traceback" not in running.log
    assert took > 0.2  # else the transfers were over before, and this test says nothing


def test_it_stops_in_time_though_clients_hang(make):
    running = make(plugins="all").start()
    assert boot(running).status == 200
    with contextlib.ExitStack() as stack:
        for port in (running.http_port, running.rest_port, running.proxied_port):
            for _ in range(20):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
                client.sendall(b"GET /0.2/dev_mgr HTTP/1.1\r\nX: ")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for number in range(20):
                client.sendto(b"\0\1001565100001.cfg\0octet\0", ("127.0.0.1", running.tftp_port))
                time.sleep(0.01 if number else 0.1)
        assert running.stop() < 5
    assert running.process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in running.log


def test_it_stops_in_time_during_its_start(make):
    running = make(plugins="all")
    for delay in (0.1, 0.5, 0.8, 1.2):
        running.spawn()
        time.sleep(delay)
        started = time.monotonic()
        running.process.terminate()
        running.process.wait(8)
        assert time.monotonic() - started < 5
    assert "Traceback" not in running.log
    running.start()
    assert boot(running).status == 200


# Descriptors


def test_phones_are_served_though_strangers_take_all_connections(make):
    if shutil.which("prlimit") is None:
        pytest.skip("no prlimit (util-linux)")
    running = make(plugins="all")
    running.wrapper = ("prlimit", "--nofile=400:400")
    running.start()
    assert boot(running).status == 200
    with contextlib.ExitStack() as stack:
        for number in range(600):
            client = stack.enter_context(
                socket.create_connection(
                    ("127.0.0.1", running.http_port), 5, (f"127.0.8.{number % 200 + 1}", 0)
                )
            )
            with contextlib.suppress(ConnectionError):
                client.sendall(b"GET /x HTTP/1.1\r\nX: ")
        started = time.monotonic()
        assert boot(running).status == 200
        assert boot(running, "00:15:65:10:00:03", "127.0.0.3").status == 200
        assert running.tftp_get("001565100001.cfg", running.state / "got").returncode == 0
        assert add_config(running, "meanwhile").status == 201
        assert time.monotonic() - started < 5
    assert "Traceback" not in running.log


def test_the_lock_of_a_daemon_that_was_killed_does_not_stay(make):
    running = make().start()
    with (running.state / "provd.db.lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    running.kill()
    running.start()
    assert free_port()
