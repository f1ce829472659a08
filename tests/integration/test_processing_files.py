"""Request-processing files in the running daemon: what they change, and what happens if they fail."""

import shutil

import pytest
from harness import ROOT

AGENT = "Yealink SIP-T46S 66.86.0.15 {mac}"
ONLY_KNOWN = "retriever = FirstCompositeDeviceRetriever([MacDeviceRetriever(app)])\n"
BROKEN = """
class Broken(AbstractDeviceRetriever):
    def retrieve(self, dev_info):
        if dev_info["ip"] == "127.0.0.66" or dev_info.get("mac") == "00:15:65:aa:00:66":
            raise LookupError("no such customer")
        return AddDeviceRetriever(app).retrieve(dev_info)

retriever = FirstCompositeDeviceRetriever([MacDeviceRetriever(app), Broken()])
"""
TAG = """
class Tag(AbstractDeviceUpdater):
    def update(self, device, dev_info, request, request_type):
        device["site"] = "north"
        return defer.succeed(None)

updater = CompositeDeviceUpdater([
    AddInfoDeviceUpdater(),
    PluginAssociatorDeviceUpdater(app.pg_mgr, ReverseAlphabeticConflictSolver()),
    AutocreateConfigDeviceUpdater(app),
    Tag(),
])
"""
EXTRACTOR = """
def vote(extractors):
    return CollaboratingDeviceInfoExtractor(VotingUpdater, extractors)

class NoModel(AllPluginsDeviceInfoExtractor):
    def extract(self, request, request_type):
        def without(info):
            return {key: value for key, value in info.items() if key != "model"}
        return super().extract(request, request_type).addCallback(without)

info_extractor = CollaboratingDeviceInfoExtractor(
    LastSeenUpdater, [NoModel(vote, app.pg_mgr), StandardDeviceInfoExtractor()]
)
"""


def boot(daemon, mac, source):
    return daemon.phone(f"/{mac.replace(':', '')}.cfg", AGENT.format(mac=mac), source)


def settings_for(tmp_path, **sources):
    for stage, source in sources.items():
        (tmp_path / f"{stage}.py.conf.mine").write_text(source)
    return {"general": {"request_config_dir": str(tmp_path), **dict.fromkeys(sources, "mine")}}


def dhcp(daemon, mac, ip):
    info = {"op": "commit", "ip": ip, "mac": mac, "options": []}
    return daemon.post("/dev_mgr/dhcpinfo", {"dhcp_info": info})


def test_an_own_retriever_decides_which_phones_are_known(make_daemon, tmp_path):
    daemon = make_daemon(settings=settings_for(tmp_path, retriever=ONLY_KNOWN)).start()
    assert boot(daemon, "00:15:65:aa:00:01", "127.0.0.21").status == 404
    assert daemon.devices() == []
    device = {"mac": "00:15:65:aa:00:01", "plugin": "provd-yealink", "config": "autoprov"}
    assert daemon.post("/dev_mgr/devices", {"device": device}).status == 201
    served = boot(daemon, "00:15:65:aa:00:01", "127.0.0.21")
    assert served.status == 200
    assert "account.1.user_name = autoprov\n" in served.text
    assert boot(daemon, "00:15:65:aa:00:01", "127.0.0.22").body == served.body
    assert daemon.device(mac="00:15:65:aa:00:01")["ip"] == "127.0.0.22"
    assert "retriever.py.conf.mine is used instead of the built-in retriever" in daemon.log


def test_own_extractor_and_updater_work_on_phones_never_seen(make_daemon, tmp_path):
    files = settings_for(tmp_path, info_extractor=EXTRACTOR, updater=TAG)
    daemon = make_daemon(settings=files).start()
    assert boot(daemon, "00:15:65:aa:00:02", "127.0.0.22").status == 200
    device = daemon.device(mac="00:15:65:aa:00:02")
    assert device["site"] == "north"
    assert device["plugin"] == "provd-yealink"
    assert device["configured"] is True
    assert "model" not in device


def test_a_file_that_fails_is_an_error_of_its_protocol_and_nothing_more(
    make_daemon, tmp_path, needs
):
    needs("tftp")
    daemon = make_daemon(settings=settings_for(tmp_path, retriever=BROKEN)).start()
    failed = boot(daemon, "00:15:65:aa:00:66", "127.0.0.66")
    assert failed.status == 500
    assert "Internal processing error" in failed.text
    assert "LookupError: no such customer" in daemon.log
    asked = daemon.tftp_get("001565aa0066.cfg", tmp_path / "got")
    assert "Error code 0: Internal processing error" in asked.stdout + asked.stderr
    assert dhcp(daemon, "00:15:65:aa:00:66", "127.0.0.67").status == 204
    assert "the DHCP event of 00:15:65:aa:00:66 is lost: the retriever failed" in daemon.log
    assert boot(daemon, "00:15:65:aa:00:03", "127.0.0.23").status == 200
    assert [device["mac"] for device in daemon.devices()] == ["00:15:65:aa:00:03"]


def test_packaged_files_in_place_change_nothing(make_daemon, tmp_path):
    for path in (ROOT / "etc" / "provd").glob("*.py.conf.*"):
        shutil.copy(path, tmp_path)
    settings = {"general": {"request_config_dir": str(tmp_path), "retriever": "secure"}}
    daemon = make_daemon(settings=settings).start()
    assert "instead of the built-in" not in daemon.log
    assert boot(daemon, "00:15:65:aa:00:04", "127.0.0.24").status == 404
    assert daemon.devices() == []


@pytest.mark.parametrize(
    ("stage", "source", "reason"),
    [
        ("retriever", None, "no such file"),
        ("updater", "updater = Missing()\n", "line 1: NameError: name 'Missing' is not defined"),
        ("info_extractor", "x = 1\n", "it defines no variable info_extractor"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start_with_one_line(
    make_daemon, tmp_path, stage, source, reason
):
    settings = settings_for(tmp_path, **{stage: source or ""})
    path = tmp_path / f"{stage}.py.conf.mine"
    if source is None:
        path.unlink()
    daemon = make_daemon(settings=settings, plugins=None).spawn()
    assert daemon.process.wait(30) == 1
    lines = [line for line in daemon.log.splitlines() if "[CRITICAL]" in line]
    assert len(lines) == 1
    assert f"provd cannot start: {path}: {reason}" in lines[0]
    assert "Traceback" not in daemon.log
    assert "[ERROR]" not in daemon.log
