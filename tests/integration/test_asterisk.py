"""Telling phones to reload through a real Asterisk, 16 and 22, and codes dialled on them."""

import json
import re

import pytest
from harness import ROOT, Daemon, free_port

from tests.integration.asterisk import SECRET, Asterisk, Phone, fetch
from tests.integration.workshop import finish

AGENT = "Yealink SIP-T46S 66.86.0.15 {}"
DOCS = (ROOT / "docs" / "resync.md").read_text()
DIALPLAN = re.search(r"```ini\n(\[provd-autoprov\].*?)```", DOCS, re.DOTALL)[1].replace(
    "[provd-autoprov]", "[phones]"
)


@pytest.fixture(scope="module", params=[16, 22], ids=["asterisk-16", "asterisk-22"])
def program(request):
    found, reason = fetch(request.param)
    if found is None:
        pytest.skip(reason)
    return found


class House:
    """An Asterisk, a daemon that is connected to it, and phones of both."""

    def __init__(self, tmp_path, program, **options):
        self.agi_port = free_port()
        self.asterisk = Asterisk(program, tmp_path / "asterisk", **options)
        self.asterisk.dialplan = DIALPLAN.replace(":4573", f":{self.agi_port}")
        self.daemon = Daemon(
            tmp_path / "provd",
            {
                "general": {"sync_service_type": "ami", "sync_confirm_seconds": 0},
                "ami": {
                    "host": "127.0.0.1",
                    "port": self.asterisk.ami_port,
                    "secret": SECRET,
                    "timeout": 2,
                },
                "agi": {"port": self.agi_port},
            },
        )
        self.phones = []

    def start(self):
        self.asterisk.start()
        self.daemon.start()
        for name, code in (("alice", "1111"), ("bob", "2222")):
            line = {"username": name, "password": "x", "proxy_ip": "127.0.0.1"}
            config = {"id": name, "parent_ids": ["base"], "raw_config": {"sip_lines": {"1": line}}}
            config["X_provisioning_code"] = code
            assert self.daemon.post("/cfg_mgr/configs", {"config": config}).status == 201
        return self

    def stop(self):
        for phone in self.phones:
            phone.close()
        if self.daemon.process is not None:
            self.daemon.stop()
        self.asterisk.stop()

    @property
    def way(self):
        return self.daemon.get("/status").json["synchronization"]["status"]

    def wait_for_way(self, way="ok"):
        self.daemon.wait_for(lambda: way in self.way, way)

    def phone(self, mac, account="autoprov", **options):
        """A phone that has loaded its file and registered; return its device's id, and it."""
        self.fetch(mac)
        device = self.daemon.device(mac=mac)
        if account != "autoprov":
            path = f"/dev_mgr/devices/{device['id']}"
            assert self.daemon.put(path, {"device": {**device, "config": account}}).status == 204
            self.fetch(mac)
        phone = Phone(self.asterisk, account, **options)
        self.phones.append(phone)
        return device["id"], phone.register()

    def fetch(self, mac):
        name = f"/{mac.replace(':', '')}.cfg"
        assert self.daemon.phone(name, AGENT.format(mac)).status == 200

    def synchronize(self, device_id):
        """Return the status and the reason of a synchronisation."""
        answer = self.daemon.post("/dev_mgr/synchronize", {"id": device_id})
        state = finish(self.daemon, answer)
        path = answer.headers["location"].removeprefix("/0.2")
        return state, self.daemon.get(path).json.get("reason", "")


@pytest.fixture
def make_house(tmp_path, program):
    made = []

    def make(**options):
        made.append(House(tmp_path, program, **options))
        return made[-1]

    yield make
    for house in made:
        house.stop()


@pytest.fixture
def house(make_house):
    made = make_house().start()
    made.wait_for_way()
    return made


FIRST, SECOND, THIRD = (f"00:15:65:00:00:0{number}" for number in (1, 2, 3))


def test_of_new_phones_behind_one_address_each_is_told_by_itself(house):
    colleague_id, colleague = house.phone(THIRD, "alice")
    _, first = house.phone(FIRST)
    second_id, second = house.phone(SECOND, agent=f"Yealink SIP-T46S 66.86.0.15 {SECOND}")
    assert house.synchronize(second_id) == ("success", "")
    notify = second.wait_for_notify()
    assert notify.startswith(f"NOTIFY {second.uri} ")
    assert "Event: check-sync" in notify
    assert house.synchronize(colleague_id) == ("success", "")
    colleague.wait_for_notify()
    assert [phone.told() for phone in (colleague, first, second)] == [1, 0, 1]


def test_a_phone_that_cannot_be_told_from_its_neighbour_is_not_guessed(house):
    _, colleague = house.phone(THIRD, "alice")
    first_id, first = house.phone(FIRST)
    _, second = house.phone(SECOND)
    state, reason = house.synchronize(first_id)
    assert state == "fail"
    assert "none of the 2 contacts of account 'autoprov' names the phone's MAC" in reason
    assert [phone.told() for phone in (colleague, first, second)] == [0, 0, 0]


def test_of_two_phones_with_one_account_only_the_own_is_told(house):
    first_id, first = house.phone(FIRST, "alice", agent=f"Yealink {FIRST}")
    _, second = house.phone(SECOND, "alice", agent=f"Yealink {SECOND}")
    assert house.synchronize(first_id) == ("success", "")
    first.wait_for_notify()
    first.register(0)
    state, reason = house.synchronize(first_id)
    assert state == "fail"
    assert "have other MACs" in reason
    assert second.told() == 0


def test_an_unregistered_phone_is_a_failure_with_that_reason(house):
    device_id, phone = house.phone(FIRST, "alice")
    phone.register(0)
    state, reason = house.synchronize(device_id)
    assert state == "fail"
    assert "account 'alice' has no registered contact" in reason
    history = house.daemon.get(f"/dev_mgr/devices/{device_id}/history").json["history"]
    assert any("no registered contact" in str(entry) for entry in history)


def test_a_missing_endpoint_for_uris_is_told(make_house):
    house = make_house(default=None).start()
    house.wait_for_way()
    device_id, _ = house.phone(FIRST, "alice", agent=f"Yealink {FIRST}")
    house.phone(SECOND, "alice", agent=f"Yealink {SECOND}")
    state, reason = house.synchronize(device_id)
    assert state == "fail"
    assert "set default_outbound_endpoint in [global] of pjsip.conf" in reason


def test_a_user_without_write_system_is_shown_in_the_status(make_house):
    house = make_house(write="call,originate").start()
    house.wait_for_way("the AMI user 'provd' lacks write = system in manager.conf")
    device_id, _ = house.phone(FIRST, "alice")
    assert "lacks write = system" in house.synchronize(device_id)[1]


def test_a_notify_given_up_is_not_delivered_later(house):
    device_id, phone = house.phone(FIRST, "alice")
    house.asterisk.sleep()
    state, reason = house.synchronize(device_id)
    house.asterisk.wake()
    assert state == "fail"
    assert "no answer in 2 s" in reason
    house.wait_for_way()
    assert phone.told() == 0
    assert house.synchronize(device_id) == ("success", "")
    phone.wait_for_notify()


def test_an_asterisk_without_the_command_is_told_in_words(make_house):
    house = make_house(without=("res_pjsip_notify",)).start()
    house.wait_for_way()
    device_id, _ = house.phone(FIRST, "alice")
    assert "Asterisk has no PJSIPNotify" in house.synchronize(device_id)[1]


def test_chan_sip_is_told_where_it_is_alone(make_house, program):
    if "bullseye" not in str(program):
        pytest.skip("Asterisk 21 dropped chan_sip")
    pjsip = {"chan_pjsip", "pbx_config"}
    house = make_house(modules=("chan_sip",))
    house.asterisk.modules = [
        name for name in house.asterisk.modules if "pjsip" not in name and name not in pjsip
    ]
    house.start()
    house.wait_for_way()
    device_id, phone = house.phone(FIRST, "alice")
    assert house.synchronize(device_id) == ("success", "")
    assert "Event: check-sync" in phone.wait_for_notify()
    phone.register(0)
    assert "no registered contact" in house.synchronize(device_id)[1]


# Codes


def config_of(house, mac):
    return house.daemon.device(mac=mac)["config"]


@pytest.mark.parametrize("told", ["name", "agent"])
def test_a_dialled_code_is_that_of_the_phone_that_dialled(house, told):
    _, colleague = house.phone(THIRD, "bob")
    _, first = house.phone(FIRST)
    _, second = house.phone(SECOND, **{told: SECOND.replace(":", "")})
    assert second.dial("*771111") == 200
    assert second.wait_for_notify().startswith(f"NOTIFY {second.uri} ")
    assert config_of(house, SECOND) == "alice"
    assert config_of(house, FIRST).startswith("autoprov")
    assert [phone.told() for phone in (colleague, first, second)] == [0, 0, 1]


def test_the_only_new_phone_at_an_address_is_told_from_a_colleagues(house):
    _, colleague = house.phone(THIRD, "bob")
    _, first = house.phone(FIRST)
    assert first.dial("*771111") == 200
    assert first.wait_for_notify().startswith(f"NOTIFY {first.uri} ")
    assert config_of(house, FIRST) == "alice"
    assert config_of(house, THIRD) == "bob"
    assert colleague.told() == 0


def test_a_code_of_a_phone_that_cannot_be_told_provisions_nobody(house):
    house.phone(FIRST)
    _, second = house.phone(SECOND)
    second.dial("*771111")
    house.daemon.wait_for(lambda: "the call does not tell which" in house.daemon.log, "the refusal")
    configs = json.dumps(house.daemon.devices())
    assert '"alice"' not in configs


def test_the_documented_dialplan_can_dial_autoprov(house):
    _, phone = house.phone(FIRST, "alice")
    assert phone.dial("*77autoprov") == 200
    phone.wait_for_notify()
    assert config_of(house, FIRST).startswith("autoprov")
