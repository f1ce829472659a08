"""Synchronisation and provisioning over REST, and whether the phones come."""

import datetime as dt
import itertools
import json
import time

import pytest
import pytest_twisted
from harness import Daemon, free_port
from twisted.internet import defer
from twisted.internet.threads import deferToThread

from tests.integration.workshop import finish
from tests.unit.notify.test_ami_notifier import SECRET, AmiServer, contact

PLUGIN = "test-told"
TENANT = "aaaaaaaa-0000-4000-8000-00000000000a"
CONFIRM_SECONDS = 1

ENTRY = r"""
import re

from provd.plugin.api import DeviceSupport, RenderedFile, VendorPlugin, norm_mac
from twisted.internet import defer

AGENT = re.compile(r"Told (\w+) (\S+)")


class Told(VendorPlugin):
    IS_PLUGIN = True

    @staticmethod
    def escape(value):
        return str(value)

    def extract(self, request):
        match = AGENT.search(request.user_agent or "")
        return match and {"vendor": "Told", "model": match[1], "mac": norm_mac(match[2])}

    def associate(self, info):
        return DeviceSupport.COMPLETE if info.get("vendor") == "Told" else DeviceSupport.NONE

    def file_names(self, device):
        mac = device["mac"].replace(":", "")
        return [f"{mac}.cfg", f"{mac}.xml"]

    def get_remote_state_trigger_filename(self, device):
        return self.file_names(device)[0]

    def render(self, device, raw_config):
        user = raw_config["sip_lines"]["1"]["username"]
        return [RenderedFile(name, user.encode()) for name in self.file_names(device)]

    def synchronize(self, device, raw_config):
        if "X_refuses" in raw_config:
            return defer.fail(Exception("the phone is busy"))
        return defer.succeed(None)
"""
INFO = {"version": "1.0", "description": "Told", "capabilities": {"Told, M1, 1": {}}}


def start(state, general=None, **sections):
    """Start a daemon that has the plugin."""
    plugin = state / "plugins" / PLUGIN
    plugin.mkdir(parents=True)
    (plugin / "entry.py").write_text(ENTRY)
    (plugin / "plugin-info").write_text(json.dumps(INFO))
    general = {"sync_confirm_seconds": CONFIRM_SECONDS, **(general or {})}
    return Daemon(state, {"general": general, **sections}, plugins="none").start()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon where a synchronisation is a success when it was sent."""
    running = start(tmp_path_factory.mktemp("provd"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A daemon where it is one when the phone has fetched its file."""
    running = start(tmp_path_factory.mktemp("provd"), {"sync_success": "fetched"})
    yield running
    running.stop()


class Phones:
    """Phones of one daemon, numbered on, so that no test meets those of another."""

    def __init__(self):
        self.count = 0

    def add(self, daemon, model="M1", config="autoprov", token=None, **more):
        """Create a device; return its id."""
        self.count += 1
        number = self.count
        device = {
            "id": f"phone{number}",
            "mac": f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
            "vendor": "Told",
            "model": model,
            "plugin": PLUGIN,
            "config": config,
            **more,
        }
        answer = daemon.post("/dev_mgr/devices", {"device": device}, token=token)
        assert answer.status == 201, answer
        return device["id"]


@pytest.fixture(scope="module")
def phones():
    return Phones()


def add_config(daemon, name, parents=("autoprov",), **more):
    config = {"id": name, "parent_ids": list(parents), "raw_config": {}, **more}
    answer = daemon.post("/cfg_mgr/configs", {"config": config})
    assert answer.status == 201, answer


def fetch(daemon, device_id, kind="cfg"):
    """The phone loads one of its files."""
    device = daemon.device(id=device_id)
    name = f"/{device['mac'].replace(':', '')}.{kind}"
    answer = daemon.phone(name, f"Told {device['model']} {device['mac']}")
    assert answer.status == 200, answer
    return answer.text


def entries(daemon, device_id):
    """Return the synchronisations of a device, oldest first."""
    history = daemon.get(f"/dev_mgr/devices/{device_id}/history").json["history"]
    return [entry for entry in reversed(history) if entry["event"] == "synchronize"]


def outcomes(daemon, device_id):
    return [entry["outcome"] for entry in entries(daemon, device_id)]


def synchronize(daemon, device_id):
    return daemon.post("/dev_mgr/synchronize", {"id": device_id})


def resynchronize(daemon, token=None, **body):
    return daemon.post("/dev_mgr/resynchronize", body, token=token)


def status(daemon, answer):
    return daemon.get(answer.headers["location"].removeprefix("/0.2")).json["status"]


# One phone


def test_the_history_tells_that_the_phone_came_and_after_how_long(daemon, phones):
    phone = phones.add(daemon)
    assert finish(daemon, synchronize(daemon, phone)) == "success"
    assert outcomes(daemon, phone) == ["sent"]
    fetch(daemon, phone, "xml")  # not the file that tells
    assert outcomes(daemon, phone) == ["sent"]
    time.sleep(0.2)
    fetch(daemon, phone)
    sent, fetched = entries(daemon, phone)
    assert (sent["outcome"], sent["seconds"]) == ("sent", None)
    assert fetched["outcome"] == "fetched"
    assert 0.2 <= fetched["seconds"] < CONFIRM_SECONDS
    fetch(daemon, phone)
    assert len(entries(daemon, phone)) == 2


def test_the_history_tells_that_the_phone_did_not_come(daemon, phones):
    phone = phones.add(daemon)
    before = daemon.get("/status").json["synchronization"]
    assert finish(daemon, synchronize(daemon, phone)) == "success"
    daemon.wait_for(lambda: len(entries(daemon, phone)) == 2, "the end of waiting")
    assert outcomes(daemon, phone) == ["sent", "not confirmed"]
    after = daemon.get("/status").json["synchronization"]
    assert after["not_confirmed"] == before["not_confirmed"] + 1
    assert f"device {phone} was told to reload and did not come within 1 s" in daemon.log


def test_the_history_tells_why_a_phone_could_not_be_told(daemon, phones):
    add_config(daemon, "busy", raw_config={"X_refuses": True})
    phone = phones.add(daemon, config="busy")
    assert finish(daemon, synchronize(daemon, phone)) == "fail"
    assert outcomes(daemon, phone) == [f"not sent: device {phone}: the phone is busy"]


def test_success_may_wait_for_the_phone(strict, phones):
    phone = phones.add(strict)
    answer = synchronize(strict, phone)
    assert status(strict, answer) == "progress"
    fetch(strict, phone)
    assert status(strict, answer) == "success"
    assert outcomes(strict, phone) == ["sent", "fetched"]


def test_a_phone_that_does_not_come_may_be_a_failure(strict, phones):
    phone = phones.add(strict)
    answer = synchronize(strict, phone)
    assert finish(strict, answer) == "fail"
    path = answer.headers["location"].removeprefix("/0.2")
    assert strict.get(path).json == {"status": "fail", "reason": "no fetch within 1 s"}
    assert outcomes(strict, phone) == ["sent", "not confirmed"]


# Many


@pytest.fixture(scope="module")
def fleet(daemon, phones):
    """Phones that differ in what they can be chosen by; gives names for them."""
    add_config(daemon, "site")
    add_config(daemon, "floor", ["site"])
    add_config(daemon, "desk", ["floor"])
    in_tenant = daemon.make_token("in-tenant", "provd.#", tenant=TENANT)
    return {
        "plain": phones.add(daemon, model="Fleet"),
        "floor": phones.add(daemon, model="Fleet", config="floor"),
        "desk": phones.add(daemon, model="Fleet", config="desk"),
        "other": phones.add(daemon, model="Rare", config="desk"),
        "theirs": phones.add(daemon, model="Fleet", token=in_tenant),
        "unready": phones.add(daemon, model="Fleet", config="nothing"),
    }


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"model": "Fleet"}, {"plain", "floor", "desk", "theirs"}),
        ({"model": "Rare", "plugin": PLUGIN}, {"other"}),
        ({"plugin": PLUGIN}, {"plain", "floor", "desk", "theirs", "other"}),
        ({"plugin": "provd-nothing"}, set()),
        ({"config": "site"}, {"floor", "desk", "other"}),
        ({"config": "desk"}, {"desk", "other"}),
        ({"config": "site", "model": "Fleet"}, {"floor", "desk"}),
        ({"tenant_uuid": TENANT}, {"theirs"}),
        ({"tenant_uuid": TENANT, "model": "Rare"}, set()),
        ({"selector": {"model": {"$in": ["Fleet", "Rare"]}, "config": "desk"}}, {"desk", "other"}),
        ({"selector": {"config": "desk"}, "model": "Fleet"}, {"desk"}),
        ({"selector": {"configured": False}}, set()),
        ({"selector": {"model": "Fleet", "configured": True}, "config": "desk"}, {"desk"}),
        ({"selector": {}}, {"plain", "floor", "desk", "theirs", "other"}),
    ],
)
def test_the_phones_that_a_body_names_are_told_and_no_others(daemon, fleet, body, told):
    before = {name: outcomes(daemon, phone).count("sent") for name, phone in fleet.items()}
    text = finish(daemon, resynchronize(daemon, per_second=1000, **body))
    # Phones of other tests may be away; that fails the whole, not these.
    assert text.startswith(("success;", "fail;"))
    after = {name: outcomes(daemon, phone).count("sent") for name, phone in fleet.items()}
    assert {name for name in fleet if after[name] > before[name]} == told


def test_a_tenant_tells_its_own_phones_only(daemon, fleet):
    token = daemon.make_token("theirs", "provd.#", tenant=TENANT)
    answer = resynchronize(daemon, token, selector={})
    assert finish(daemon, answer) == "success;1/1"
    answer = daemon.post("/dev_mgr/synchronize", {"id": fleet["plain"]}, token=token)
    assert answer.status == 404
    code = {"id": fleet["plain"], "code": "autoprov"}
    assert daemon.post("/dev_mgr/provision", code, token=token).status == 404


def test_the_pace_is_kept_and_the_operation_counts(daemon, phones):
    some = [phones.add(daemon, model="Paced") for _ in range(4)]
    answer = resynchronize(daemon, model="Paced", per_second=4)
    daemon.wait_for(lambda: status(daemon, answer) == "progress;2/4", "the second phone", 5)
    assert finish(daemon, answer) == "success;4/4"
    times = sorted(
        dt.datetime.fromisoformat(entries(daemon, phone)[0]["time"]).timestamp() for phone in some
    )
    gaps = [later - before for before, later in itertools.pairwise(times)]
    assert min(gaps) > 0.2
    assert times[-1] - times[0] < 5


def test_too_many_failures_stop_it(daemon, phones):
    add_config(daemon, "jammed", raw_config={"X_refuses": True})
    some = [phones.add(daemon, model="Jammed", config="jammed") for _ in range(6)]
    answer = resynchronize(daemon, model="Jammed", per_second=20, max_failures=2)
    assert finish(daemon, answer) == "fail;3/6"
    assert sum(bool(entries(daemon, phone)) for phone in some) == 3
    assert "3 of 3 devices failed, no more are told" in daemon.log
    answer = resynchronize(daemon, model="Jammed", per_second=100, max_failures=6)
    assert finish(daemon, answer) == "fail;6/6"


def test_phones_that_do_not_come_stop_it_where_that_is_a_failure(strict, phones):
    some = [phones.add(strict, model="Asleep") for _ in range(30)]
    answer = resynchronize(strict, model="Asleep", per_second=5, max_failures=1)
    assert finish(strict, answer).startswith("fail;2/30")
    told = sum(bool(entries(strict, phone)) for phone in some)
    assert 2 <= told <= 12


def test_forgetting_it_stops_it(daemon, phones):
    some = [phones.add(daemon, model="Spared") for _ in range(5)]
    answer = resynchronize(daemon, model="Spared", per_second=2)
    path = answer.headers["location"].removeprefix("/0.2")
    assert daemon.delete(path).status == 204
    assert daemon.get(path).status == 404
    daemon.wait_for(
        lambda: "the synchronisation of devices was stopped after 1" in daemon.log, "the stop"
    )
    assert [outcomes(daemon, phone).count("sent") for phone in some].count(1) == 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "Which devices?"),
        ([], "Which devices?"),
        ("all", "Which devices?"),
        ({"per_second": 5}, "Which devices?"),
        ({"plugin": None}, '"plugin" key is not a text'),
        ({"plugin": 1}, 'The value of the "plugin" key is not a text'),
        ({"config": ["a"]}, 'The value of the "config" key is not a text'),
        ({"selector": "all"}, 'The value of the "selector" key is not an object'),
        ({"selector": {"$or": []}}, "$or"),
        ({"selector": {"model": {"$like": "T"}}}, "$like"),
        ({"selector": {"model": "a"}, "model": "b"}, '"model" is given twice'),
        ({"model": "a", "per_second": 0}, '"per_second" key is no number from 0.01 to 1000'),
        ({"model": "a", "per_second": "5"}, '"per_second" key is no number'),
        ({"model": "a", "per_second": True}, '"per_second" key is no number'),
        ({"model": "a", "max_failures": -1}, '"max_failures" key is no number from 0'),
    ],
)
def test_a_body_that_is_wrong_tells_what_is_allowed(daemon, body, text):
    answer = daemon.post("/dev_mgr/resynchronize", body)
    assert answer.status == 400
    assert text in answer.text


# Codes


def provision(daemon, **body):
    return daemon.post("/dev_mgr/provision", body)


def add_user(daemon, name, code):
    line = {"username": name, "password": "x", "proxy_ip": "10.1.1.1"}
    add_config(
        daemon, name, ["base"], raw_config={"sip_lines": {"1": line}}, X_provisioning_code=code
    )


def test_a_code_gives_the_phone_its_user_and_tells_it(daemon, phones):
    add_user(daemon, "alice", "734512")
    phone = phones.add(daemon)
    assert fetch(daemon, phone) == "autoprov"
    mac = daemon.device(id=phone)["mac"]
    answer = provision(daemon, mac=mac.upper().replace(":", "-"), code="734512")
    assert answer.status == 200
    assert answer.json == {
        "device": phone,
        "config": "alice",
        "synchronize": answer.json["synchronize"],
    }
    path = answer.json["synchronize"].removeprefix("/0.2")
    assert daemon.get(path).json["status"] == "success"
    assert fetch(daemon, phone) == "alice"
    assert outcomes(daemon, phone) == ["sent", "fetched"]
    answer = provision(daemon, id=phone, code="autoprov")
    assert answer.json["config"].startswith("autoprov")
    assert fetch(daemon, phone) == "autoprov"
    assert outcomes(daemon, phone) == ["sent", "fetched"] * 2


def test_wrong_codes_are_told_and_then_have_to_wait(daemon, phones):
    add_user(daemon, "bob", "881102")
    phone = phones.add(daemon)
    for _ in range(3):
        answer = provision(daemon, id=phone, code="wrong-code")
        assert (answer.status, answer.text) == (400, "no config has this provisioning code")
    answer = provision(daemon, id=phone, code="881102")
    assert answer.status == 429
    assert answer.headers["retry-after"] == "2"
    assert "3 wrong provisioning codes" in answer.text
    assert daemon.device(id=phone)["config"] == "autoprov"
    time.sleep(2)
    assert provision(daemon, id=phone, code="881102").status == 200
    assert "wrong-code" not in daemon.log


def test_a_phone_that_nobody_knows_is_not_found(daemon):
    add_user(daemon, "carol", "202020")
    for who in ({"id": "nobody"}, {"mac": "02:ff:00:00:00:01"}, {"ip": "10.9.9.9"}):
        assert provision(daemon, code="202020", **who).status == 404
        assert provision(daemon, code="autoprov", **who).status == 404


def test_what_is_not_clear_is_refused(daemon, phones):
    add_user(daemon, "dave", "303030")
    add_user(daemon, "erin", "404040")
    add_user(daemon, "frank", "404040")
    for _ in range(2):
        phones.add(daemon, ip="192.0.2.77")
    answer = provision(daemon, ip="192.0.2.77", code="303030")
    assert answer.status == 400
    assert "more than one device has 192.0.2.77" in answer.text
    answer = provision(daemon, id=phones.add(daemon), code="404040")
    assert answer.status == 400
    assert "erin and frank have the same provisioning code" in answer.text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"id": "phone1"}, 'Missing "code" key'),
        ([], 'Missing "code" key'),
        ({"id": "phone1", "code": 1}, 'The value of the "code" key is not a text'),
        ({"code": "1"}, 'one of "id", "mac" and "ip" is needed'),
        ({"code": "1", "mac": "02:ee"}, "mac: "),
        ({"code": "1", "ip": "10.0.0.256"}, "ip: "),
        ({"code": "1", "id": 7}, 'The value of the "id" key is not a text'),
        ({"code": "", "id": "phone1"}, "code: a text of 1 to 128 characters"),
        ({"code": "1" * 129, "id": "phone1"}, "code: a text of 1 to 128 characters"),
    ],
)
def test_a_request_that_is_wrong_tells_what_is_needed(daemon, body, text):
    answer = daemon.post("/dev_mgr/provision", body)
    assert answer.status == 400
    assert text in answer.text


# Through Asterisk's AMI


@pytest.fixture
def asterisk():
    server = AmiServer()
    server.contacts = [contact("grace", "127.0.0.1")]
    server.listen()
    yield server
    pytest_twisted.blockon(defer.Deferred.fromCoroutine(server.close()))


@pytest.fixture
def with_ami(tmp_path, asterisk):
    """A daemon that is connected to Asterisk, with our plugins."""
    daemon = Daemon(
        tmp_path / "provd",
        {
            "general": {"sync_service_type": "ami", "sync_success": "fetched"},
            "ami": {"host": "127.0.0.1", "port": asterisk.number, "secret": SECRET, "timeout": 2},
        },
    )

    async def begin():
        await deferToThread(daemon.start)
        await deferToThread(daemon.wait_for, lambda: way(daemon) == "ok", "the connection")

    pytest_twisted.blockon(defer.Deferred.fromCoroutine(begin()))
    yield daemon
    pytest_twisted.blockon(deferToThread(daemon.stop))


def way(daemon):
    return daemon.get("/status").json["synchronization"]["status"]


AGENT = "Yealink SIP-T46S 66.86.0.15 00:15:65:aa:bb:cc"
FILE = "/001565aabbcc.cfg"


def boot(daemon):
    """Load the file of a Yealink phone; return the id of its device."""
    assert daemon.phone(FILE, AGENT).status == 200
    return daemon.device(mac="00:15:65:aa:bb:cc")["id"]


def boot_of_a_user(daemon):
    """The same, of a phone that has an account of its own."""
    add_user(daemon, "grace", "505050")
    device = daemon.device(id=boot(daemon))
    path = f"/dev_mgr/devices/{device['id']}"
    assert daemon.put(path, {"device": {**device, "config": "grace"}}).status == 204
    return boot(daemon)


@pytest_twisted.ensureDeferred
async def test_asterisk_is_asked_to_notify_the_account_of_the_phone(with_ami, asterisk):
    daemon = with_ami
    phone = await deferToThread(boot_of_a_user, daemon)
    answer = await deferToThread(synchronize, daemon, phone)

    def is_sent():
        return outcomes(daemon, phone) == ["sent"]

    await deferToThread(daemon.wait_for, is_sent, "the message")
    (fields,) = asterisk.named("PJSIPNotify")
    assert ("Endpoint", "grace") in fields
    assert ("Variable", "Event=check-sync") in fields
    assert await deferToThread(status, daemon, answer) == "progress"
    await deferToThread(boot, daemon)
    assert await deferToThread(status, daemon, answer) == "success"
    assert await deferToThread(outcomes, daemon, phone) == ["sent", "fetched"]


@pytest_twisted.ensureDeferred
async def test_an_asterisk_that_refuses_or_is_away_is_told_in_words_and_phones_go_on(
    with_ami, asterisk
):
    daemon = with_ami
    phone = await deferToThread(boot_of_a_user, daemon)

    def fail():
        assert finish(daemon, synchronize(daemon, phone)) == "fail"
        return outcomes(daemon, phone)[-1]

    asterisk.answer = lambda _fields: [("Response", "Error"), ("Message", "Unable to retrieve")]
    told = await deferToThread(fail)
    assert told.startswith("not sent: NOTIFY 'check-sync' to 'grace' by AMI")
    assert told.endswith(": Unable to retrieve")

    await asterisk.close()
    told = await deferToThread(fail)
    assert f"by AMI at 127.0.0.1:{asterisk.number}: not connected: " in told
    assert await deferToThread(way, daemon) != "ok"
    await deferToThread(boot, daemon)
    log = await deferToThread(lambda: daemon.log)
    assert f"the synchronisation of device {phone} failed: " in log
    assert SECRET not in log + told

    asterisk.answer = lambda _fields: [("Response", "Success"), ("Message", "NOTIFY sent")]
    asterisk.listen()
    await deferToThread(daemon.wait_for, lambda: way(daemon) == "ok", "the new connection")
    assert len(asterisk.named("PJSIPNotify")) == 1  # what failed is not kept for later
    answer = await deferToThread(synchronize, daemon, phone)
    assert await deferToThread(status, daemon, answer) == "progress"
    await deferToThread(boot, daemon)
    assert await deferToThread(finish, daemon, answer) == "success"


@pytest_twisted.ensureDeferred
async def test_a_daemon_whose_asterisk_was_never_there_serves_phones(tmp_path):
    daemon = Daemon(
        tmp_path / "provd",
        {
            "general": {"sync_service_type": "ami"},
            "ami": {"host": "127.0.0.1", "port": free_port(), "secret": SECRET},
        },
    )
    try:
        await deferToThread(daemon.start)
        phone = await deferToThread(boot, daemon)
        await deferToThread(lambda: finish(daemon, synchronize(daemon, phone)))
        (told,) = await deferToThread(outcomes, daemon, phone)
        assert told.startswith("not sent: ")
        await deferToThread(boot, daemon)
    finally:
        await deferToThread(daemon.stop)
