"""The verbs of provd-admin, on files of a temporary directory."""

import contextlib
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from provd.admin import cli
from provd.store.interface import Insert
from provd.store.sqlite import SqliteStore

TENANT = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def state(tmp_path):
    directory = tmp_path / "state"
    directory.mkdir()
    (tmp_path / "config.yml").write_text(
        json.dumps({"general": {"base_storage_dir": str(directory)}})
    )
    return directory


@pytest.fixture
def source(tmp_path):
    """An installation of wazo-provd, with what goes wrong in one."""
    root = tmp_path / "wazo"
    devices, configs = root / "jsondb/devices", root / "jsondb/configs"
    devices.mkdir(parents=True)
    configs.mkdir()
    for name, parents in (("base", []), ("autoprov", ["base"]), ("d1", ["base"])):
        document = {"id": name, "parent_ids": parents, "raw_config": {}}
        (configs / name).write_text(json.dumps(document))
    (configs / "bad").write_text('{"id": "bad"}')
    device = {"id": "d1", "mac": "00:11:22:33:44:55", "config": "d1", "tenant_uuid": TENANT}
    (devices / "d1").write_text(json.dumps(device))
    (devices / "odd id").write_text('{"id": "odd id", "mac": "not a mac"}')
    (devices / "broken").write_text('{"id"')
    (root / "app.json").write_text(
        json.dumps(
            {
                "NAT": "1",
                "unknown": 1,
                "locale": "nonsense",
                "tenants": {TENANT: {"provisioning_key": "a1b2c3d4e5"}},
            }
        )
    )
    plugin = root / "plugins" / "xivo-x"
    for name in ("cache", "templates", "tftpboot", "installed"):
        (plugin / "var" / name).mkdir(parents=True)
    (plugin / "plugin-info").write_text('{"version": "1"}')
    (plugin / "entry.py").write_text("")
    (plugin / "var/templates/own.tpl").write_text("mine")
    (plugin / "var/cache/firmware.zip").write_text("large")
    (plugin / "var/tftpboot/firmware.bin").write_text("kept")
    (root / "plugins" / "junk").mkdir()
    (root / "plugins" / "plugins.db").write_text("{}")
    return root


@pytest.fixture
def admin(tmp_path, capsys):
    """Run a verb; return its status, its report and what it said on standard error."""

    async def run(*argv):
        arguments = [argv[0], "-f", str(tmp_path / "config.yml"), "--json", *map(str, argv[1:])]
        status = await cli.run(reactor, cli.parse(arguments))
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else None, said.err

    return run


def snapshot(directory):
    return {
        path.relative_to(directory): (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in sorted(Path(directory).rglob("*"))
    }


async def fill(path, *, devices=3):
    store = SqliteStore(reactor, str(path))
    await store.open()
    documents = [Insert("devices", {"id": f"d{n}", "x": "é"}) for n in range(devices)]
    await store.write([*documents, Insert("configs", {"id": "c", "parent_ids": ["no"]})])
    await store.set_parameter("NAT", "1")
    await store.set_parameter("import", "done")
    await store.close()


def execute(path, sql, *values):
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        return other.execute(sql, values).fetchall()


def tally(report, name):
    values = report["tallies"][name]
    return {key: value for key, value in values.items() if value}


@pytest_twisted.ensureDeferred
async def test_without_apply_an_import_only_tells(admin, state, source):
    before = snapshot(source)
    status, report, _ = await admin("import", "--from", source)
    assert status == 1
    assert tally(report, "configs") == {"found": 3, "new": 3}
    assert tally(report, "devices") == {"found": 2, "new": 2}
    assert tally(report, "parameters") == {"found": 2, "new": 2}
    assert tally(report, "plugins") == {"found": 2, "new": 1}
    assert tally(report, "custom templates") == {"found": 1, "new": 1}
    problems = "\n".join(report["problems"])
    for word in ("devices/broken", "configs/bad", "unknown", "locale", "plugins/junk"):
        assert word in problems
    assert len(report["problems"]) == 5
    (strange,) = report["lists"]["ids that the REST API would refuse, kept"]
    assert "odd id" in strange
    (invalid,) = report["lists"]["documents that the REST API would refuse, kept"]
    assert "Non-normalized MAC" in invalid
    assert any("1 devices have no tenant" in note for note in report["notes"])
    assert list(state.iterdir()) == []
    assert snapshot(source) == before


@pytest_twisted.ensureDeferred
async def test_an_import_takes_over_everything_once(admin, state, source):
    before = snapshot(source)
    arguments = ("import", "--from", source, "--tenant", TENANT, "--apply")
    await admin(*arguments)
    ((text,),) = execute(state / "provd.db", "SELECT document FROM devices WHERE id = 'odd id'")
    assert json.loads(text) == {
        "id": "odd id", "mac": "not a mac", "configured": False, "tenant_uuid": TENANT,
    }  # fmt: skip
    assert execute(state / "provd.db", "SELECT name FROM parameters ORDER BY name") == [
        ("NAT",),
        ("tenants",),
    ]
    plugin = state / "plugins" / "xivo-x"
    assert (plugin / "var/templates/own.tpl").read_text() == "mine"
    assert (plugin / "var/tftpboot/firmware.bin").read_text() == "kept"
    assert list((plugin / "var/cache").iterdir()) == []
    assert sorted(os.listdir(state / "plugins")) == ["plugins.db", "xivo-x"]
    once = snapshot(state / "plugins")
    _, report, _ = await admin(*arguments)
    assert tally(report, "devices") == {"found": 2, "same": 2}
    assert tally(report, "configs") == {"found": 3, "same": 3}
    assert tally(report, "parameters") == {"found": 2, "same": 2}
    assert tally(report, "plugins") == {"found": 2, "same": 1}
    assert tally(report, "custom templates") == {"found": 1, "same": 1}
    assert snapshot(state / "plugins") == once
    assert snapshot(source) == before


@pytest_twisted.ensureDeferred
async def test_what_differs_is_replaced_only_when_asked(admin, state, source):
    arguments = ("import", "--from", source, "--apply")
    await admin(*arguments)
    device = {"id": "d1", "mac": "00:11:22:33:44:66", "tenant_uuid": TENANT}
    (source / "jsondb/devices/d1").write_text(json.dumps(device))
    (source / "plugins/xivo-x/var/templates/own.tpl").write_text("newer")
    (source / "plugins/xivo-x/var/templates/more.tpl").write_text("more")
    _, report, _ = await admin(*arguments)
    assert report["tallies"]["devices"]["different"] == ["d1"]
    assert report["tallies"]["custom templates"]["different"] == ["xivo-x/var/templates/own.tpl"]
    templates = state / "plugins/xivo-x/var/templates"
    assert (templates / "own.tpl").read_text() == "mine"
    assert (templates / "more.tpl").read_text() == "more"
    assert execute(state / "provd.db", "SELECT mac FROM devices WHERE id = 'd1'") == [
        ("00:11:22:33:44:55",)
    ]
    _, report, _ = await admin(*arguments, "--replace")
    assert report["tallies"]["devices"]["replaced"] == 1
    assert (templates / "own.tpl").read_text() == "newer"
    assert execute(state / "provd.db", "SELECT mac FROM devices WHERE id = 'd1'") == [
        ("00:11:22:33:44:66",)
    ]


@pytest_twisted.ensureDeferred
async def test_downloaded_firmware_comes_along_when_asked(admin, state, source):
    await admin("import", "--from", source, "--apply", "--with-cache")
    assert (state / "plugins/xivo-x/var/cache/firmware.zip").read_text() == "large"


@pytest_twisted.ensureDeferred
async def test_a_directory_that_is_no_installation_is_refused(admin, state, tmp_path):
    status, report, said = await admin("import", "--from", tmp_path / "nowhere", "--apply")
    assert (status, report) == (1, None)
    assert "nowhere" in said
    assert list(state.iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_settings_become_a_proposal(admin, state, tmp_path):
    theirs, ours = tmp_path / "etc-wazo", tmp_path / "etc"
    (theirs / "conf.d").mkdir(parents=True)
    (theirs / "config.yml").write_text(
        "general: {verbose: true, listen_interface: x, tftp_port: 6969}\n"
        "rest_api: {ip: '*'}\nbus: {password: hidden-secret}\n"
        "plugin_config: {xivo-x: {a: 1}}\n"
    )
    (theirs / "conf.d" / "50-network.yml").write_text(
        "general: {advertised_http_url: 'http://192.0.2.1:8667'}\n"
    )
    (theirs / "base_raw_config.json").write_text('{"X_comment": "c"}')
    (theirs / "retriever.py.conf.mine").write_text("retriever = None")
    before = snapshot(theirs)
    arguments = ("import", "--settings-from", theirs, "--settings-to", ours)
    status, report, _ = await admin(*arguments)
    assert status == 0
    assert not ours.exists()
    told = report["lists"]["settings that differ from our defaults"]
    assert "general.tftp_port: 6969" in told
    assert "bus.password" in told
    assert "hidden-secret" not in json.dumps(report)
    assert any("listen_interface" in note for note in report["notes"])
    for _ in range(2):
        status, report, _ = await admin(*arguments, "--apply")
        assert status == 0
    proposal = ours / "config.imported.yml"
    assert proposal.stat().st_mode & 0o777 == 0o600
    assert (ours / "retriever.py.conf.mine").read_text() == "retriever = None"
    assert tally(report, "files of settings") == {"found": 2, "same": 2}
    assert snapshot(theirs) == before
    from provd.settings import load

    settings = load({"config_file": str(proposal)})
    (warning,) = settings.warnings
    assert "auth.key_file" in warning
    assert settings.rest_api.ip == ""
    assert "dhcp" not in proposal.read_text()
    assert settings.bus.password == "hidden-secret"
    assert settings.general.advertised_http_url == "http://192.0.2.1:8667"
    assert settings.general.plugin_server == "http://provd.wazo.community/plugins/2/stable/"
    assert settings.general.request_config_dir == str(ours)
    assert settings.general.base_storage_dir == "/var/lib/provd"
    assert settings.plugin_config == {"xivo-x": {"a": 1}}
    (ours / "base_raw_config.json").write_text("{}")
    _, report, _ = await admin(*arguments, "--apply", "--replace")
    assert report["tallies"]["files of settings"]["different"] == ["base_raw_config.json"]
    assert (ours / "base_raw_config.json").read_text() == "{}"


@pytest_twisted.ensureDeferred
async def test_an_export_is_what_an_import_reads(admin, state, tmp_path):
    await fill(state / "provd.db")
    target = tmp_path / "out"
    status, report, _ = await admin("export", "--to", target)
    assert (status, report["problems"]) == (0, [])
    assert json.loads((target / "app.json").read_text()) == {"NAT": "1"}
    assert json.loads((target / "jsondb/devices/d1").read_text()) == {"id": "d1", "x": "é"}
    assert sorted(os.listdir(target / "jsondb/configs")) == ["c"]
    assert sorted(os.listdir(target)) == ["app.json", "jsondb"]


@pytest_twisted.ensureDeferred
async def test_an_export_replaces_another_only_when_asked_and_as_a_whole(admin, state, tmp_path):
    await fill(state / "provd.db")
    target = tmp_path / "out"
    (target / "jsondb/devices").mkdir(parents=True)
    (target / "jsondb/devices/old").write_text("{}")
    (target / "plugins").mkdir()
    status, _, said = await admin("export", "--to", target)
    assert status == 1
    assert "--replace" in said
    assert (target / "jsondb/devices/old").exists()
    status, _, _ = await admin("export", "--to", target, "--replace")
    assert status == 0
    assert sorted(os.listdir(target / "jsondb/devices")) == ["d0", "d1", "d2"]
    assert sorted(os.listdir(target)) == ["app.json", "jsondb", "plugins"]


@pytest_twisted.ensureDeferred
async def test_an_export_cut_short_between_two_renames_is_made_up_for(admin, state, tmp_path):
    await fill(state / "provd.db")
    target = tmp_path / "out"
    await admin("export", "--to", target)
    (target / "jsondb").rename(target / ".jsondb.before-export")
    (target / ".export-left").mkdir()
    status, _, said = await admin("export", "--to", target)
    assert status == 1
    assert "--replace" in said
    assert sorted(os.listdir(target)) == ["app.json", "jsondb"]
    assert sorted(os.listdir(target / "jsondb/devices")) == ["d0", "d1", "d2"]


@pytest_twisted.ensureDeferred
async def test_an_export_that_cannot_be_whole_says_so(admin, state, tmp_path):
    await fill(state / "provd.db")
    execute(state / "provd.db", "UPDATE devices SET document = '{' WHERE id = 'd1'")
    execute(
        state / "provd.db",
        "UPDATE devices SET id = 'a/b', document = '{\"id\": \"a/b\"}' WHERE id = 'd2'",
    )
    status, report, _ = await admin("export", "--to", tmp_path / "out")
    assert status == 1
    assert len(report["problems"]) == 2
    assert os.listdir(tmp_path / "out/jsondb/devices") == ["d0"]


@pytest_twisted.ensureDeferred
async def test_a_copy_of_a_store_has_the_same_documents_in_the_same_order(admin, state, tmp_path):
    await fill(state / "provd.db", devices=1100)
    target = tmp_path / "other.db"
    _, report, _ = await admin("copy", "--to", target)
    assert tally(report, "devices") == {"found": 1100, "new": 1100}
    assert not target.exists()
    status, _, _ = await admin("copy", "--to", target, "--apply")
    assert status == 0
    query = "SELECT id, document FROM devices ORDER BY rowid"
    assert execute(target, query) == execute(state / "provd.db", query)
    query = "SELECT * FROM parameters ORDER BY name"
    assert execute(target, query) == execute(state / "provd.db", query)
    _, report, _ = await admin("copy", "--from", f"sqlite:{target}", "--to", state / "provd.db")
    assert tally(report, "devices") == {"found": 1100, "same": 1100}


@pytest_twisted.ensureDeferred
async def test_a_copy_onto_itself_or_of_nothing_is_refused(admin, state, tmp_path):
    await fill(state / "provd.db")
    for arguments, words in [
        (("--to", state / "provd.db"), "the same"),
        (("--from", tmp_path / "no.db", "--to", tmp_path / "x.db"), "no such file"),
        (("--to", "ftp://host"), "no kind of store"),
    ]:
        status, _, said = await admin("copy", *arguments, "--apply")
        assert status == 1
        assert words in said


@pytest_twisted.ensureDeferred
async def test_backup_and_restore(admin, state, tmp_path):
    await fill(state / "provd.db")
    copy = tmp_path / "copy.db"
    assert (await admin("backup", copy))[0] == 0
    execute(state / "provd.db", "DELETE FROM devices")
    status, report, _ = await admin("restore", copy)
    assert status == 0
    assert Path(report["facts"]["the database that was there"]).exists()
    assert execute(state / "provd.db", "SELECT count(*) FROM devices") == [(3,)]
    status, _, said = await admin("restore", tmp_path / "config.yml")
    assert status == 1
    assert "config.yml" in said


@pytest_twisted.ensureDeferred
async def test_a_check_names_what_is_wrong_and_what_is_strange(admin, state):
    path = state / "provd.db"
    store = SqliteStore(reactor, str(path))
    await store.open()
    for document in (
        {"id": "a", "parent_ids": ["gone"], "raw_config": {}, "transient": True},
        {"id": "b", "parent_ids": ["a"], "raw_config": {}, "transient": True},
    ):
        await store.write([Insert("configs", document)])
    for number, more in enumerate([{"config": "b"}, {"config": "gone"}, {"plugin": "p"}, {}]):
        device = {"id": f"d{number}", "mac": "00:00:00:00:00:01", **more}
        await store.write([Insert("devices", device, shares=True)])
    await store.close()
    status, report, _ = await admin("check")
    assert (status, report["problems"]) == (0, [])
    assert report["lists"] == {
        "configs with a parent that is not there": ["a: gone"],
        "configs made for a device that is gone": ["a"],
        "devices with a config that is not there": ["d1: gone"],
        "plugins that devices want and that are not installed": ["p: 1 devices"],
        "identities of several devices": ["mac 00:00:00:00:00:01: d0 is served, not d1, d2, d3"],
    }
    assert report["facts"] == {"devices": 4, "configs": 2}
    execute(path, "UPDATE devices SET document = '{' WHERE id = 'd3'")
    status, report, _ = await admin("check")
    assert status == 1
    (problem,) = report["problems"]
    assert problem.startswith("devices/d3: cannot be used: the text is not JSON: ")
    status, report, _ = await admin("check", "--quarantine", "--compact")
    assert status == 0
    assert report["lists"]["in quarantine"] == ["devices/d3"]
    assert "compacted" in report["facts"]


@pytest_twisted.ensureDeferred
async def test_a_damaged_database_is_not_compacted(admin, state):
    await fill(state / "provd.db", devices=500)
    content = bytearray((state / "provd.db").read_bytes())
    content[8192:12288] = b"\xa5" * 4096
    (state / "provd.db").write_bytes(content)
    status, report, _ = await admin("check", "--compact")
    assert status == 1
    assert "not compacted" in report["problems"][-1]
    assert (state / "provd.db").read_bytes() == content


@pytest.mark.parametrize("verb", ["export", "check", "backup"])
@pytest_twisted.ensureDeferred
async def test_a_database_that_is_not_there_is_said_to_be_missing(admin, state, tmp_path, verb):
    more = {"export": ("--to", tmp_path / "x"), "backup": (tmp_path / "x",)}.get(verb, ())
    status, _, said = await admin(verb, *more)
    assert status == 1
    assert "provd.db" in said
    assert list(state.iterdir()) == []


def test_wrong_usage_ends_with_status_2(capsys):
    for arguments in ([], ["import"], ["fly"], ["backup"], ["export"]):
        with pytest.raises(SystemExit) as raised:
            cli.parse(arguments)
        assert raised.value.code == 2
    assert "--from" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest_twisted.ensureDeferred
async def test_what_root_makes_belongs_to_the_owner_of_the_state(admin, state, source):
    shutil.chown(state, 12345, 12346)
    await admin("import", "--from", source, "--apply")
    made = [path for path in state.rglob("*") if path != state]
    assert len(made) > 5
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(12345, 12346)}
