"""From requests to devices and plugins (contract: request processing §§1-5, 7, 8)."""

import logging

import pytest
from twisted.internet import defer

from provd.model.requests import RequestType
from tests.unit.manager.core import LINE, MAIN, FakeRequest, later, mac, result, tftp_request

AGENT = f"Acme A1 1.0 {mac(1)}"


@pytest.fixture
def ready(core):
    core.autoprov()
    return core


def identify(core, agent=AGENT, ip="10.1.0.1", path="/common.cfg"):
    request = FakeRequest(path, agent)
    return later(core.pipeline.identify(RequestType.HTTP, request, ip, path.rsplit("/", 1)[-1]))


@pytest.fixture
def security_lines(caplog):
    caplog.set_level(logging.INFO, "provd.security_events")
    return lambda: [r.getMessage() for r in caplog.records if r.name == "provd.security_events"]


# The first request of a phone


def test_a_phone_never_seen_gets_device_config_plugin_and_file(ready, security_lines):
    identified = ready.http(AGENT)
    [device] = ready.all_stored()
    assert device == {
        "id": device["id"],
        "mac": mac(1),
        "ip": "10.1.0.1",
        "vendor": "Acme",
        "model": "A1",
        "version": "1.0",
        "plugin": "acme-1",
        "config": device["config"],
        "configured": True,
        "added": "auto",
        "tenant_uuid": MAIN,
        "is_new": True,
    }
    assert ready.stored(device["config"], "configs")["parent_ids"] == ["autoprov"]
    assert identified.loaded.id == "acme-1"
    assert ready.rendered()["sip_lines"]["1"]["username"] == "alice"
    assert security_lines() == [f"New device created automatically from 10.1.0.1: {device['id']}"]


def test_a_request_that_tells_nothing_makes_no_device(ready, security_lines):
    for _ in range(5):
        assert ready.http(None).loaded is None
    assert ready.all_stored() == []
    assert security_lines() == []


NAMELESS = "Acme A1 1.0"


def test_a_phone_without_a_name_is_served_common_files_and_makes_no_device(ready, caplog):
    caplog.set_level(logging.INFO)
    ready.device("d9", 9, vendor="Other", model="O1", ip="10.1.0.1")
    for _ in range(5):
        identified = ready.http(NAMELESS)
        assert identified.record is None
        assert identified.loaded.id == "acme-1"
    assert [device["id"] for device in ready.all_stored()] == ["d9"]
    assert [c["id"] for c in ready.all_stored("configs")] == ["autoprov"]
    assert "Traceback" not in caplog.text
    assert not [r for r in caplog.records if r.exc_info and r.levelno >= logging.INFO]


def test_a_phone_without_a_name_at_its_own_address_makes_no_device_its_plugin_cannot_serve(
    ready, caplog
):
    caplog.set_level(logging.INFO)
    identified = ready.http(NAMELESS)  # the plugin needs a MAC for the name of a file
    assert identified.record is None
    assert identified.loaded.id == "acme-1"
    assert ready.all_stored() == []
    assert len(ready.all_stored("configs")) == 1
    lines = [r for r in caplog.records if "no device is created" in r.getMessage()]
    assert len(lines) == 1
    assert not [r for r in caplog.records if r.exc_info and r.levelno >= logging.INFO]


def test_what_a_phone_told_without_a_name_is_known_when_it_has_one(ready):
    ready.http(NAMELESS)
    result(
        ready.pipeline.identify(
            RequestType.TFTP, tftp_request("000000000001.cfg"), "10.1.0.1", "000000000001.cfg"
        )
    )
    [device] = ready.all_stored()
    assert (device["mac"], device["model"], device["version"]) == (mac(1), "A1", "1.0")
    ready.http(NAMELESS, "10.1.0.2")
    ready.clock.advance(301)
    result(
        ready.pipeline.identify(
            RequestType.TFTP, tftp_request("000000000002.cfg"), "10.1.0.2", "000000000002.cfg"
        )
    )
    assert "model" not in ready.all_stored()[1]


def by_address(core):
    """Have a plugin that names its files by the address of a phone."""
    type(core.host.get("acme-1").plugin).path = lambda self, device: (
        f"{self._tftpboot_dir}/{device['ip']}.cfg"
    )


def test_a_phone_without_a_name_whose_plugin_serves_by_address_becomes_a_device(ready):
    by_address(ready)
    for _ in range(5):
        identified = ready.http(NAMELESS)
    [device] = ready.all_stored()
    assert identified.record.id == device["id"]
    assert device["ip"] == "10.1.0.1"
    assert device["configured"] is True


def test_an_address_that_somebody_has_makes_no_device_without_a_name(ready):
    by_address(ready)
    ready.device("d8", 8, vendor="Other", ip="10.1.0.1")
    ready.device("d9", 9, vendor="Other", ip="10.1.0.1")
    assert ready.http(NAMELESS).record is None
    assert len(ready.all_stored()) == 2


# A request that names several devices


def told(core, ip="10.1.0.1", **info):
    """Let a phone ask that tells `info`; return the device it is."""
    core.probe.extract = lambda _request, _kind: defer.succeed({"vendor": "Acme", **info})
    core.extraction._memo.clear()
    return core.http(f"anything {sorted(info.items())}", ip).record.id


def test_automatic_devices_of_one_phone_become_the_oldest_of_them(ready):
    first = told(ready, sn="7")
    second = told(ready, "10.1.0.2", mac=mac(1))
    assert first != second
    assert told(ready, mac=mac(1), sn="7") == first
    [device] = ready.all_stored()
    assert (device["id"], device["mac"], device["sn"]) == (first, mac(1), "7")
    assert len(ready.all_stored("configs")) == 2  # autoprov and the one made of it
    assert ready.rendered() is not None


def test_a_claimed_device_comes_before_an_automatic_one_and_takes_it_over(ready):
    told(ready, mac=mac(1))
    result(ready.manager.insert_device({"id": "d", "sn": "7", "config": "autoprov"}, MAIN))
    assert told(ready, mac=mac(1), sn="7") == "d"
    assert [device["id"] for device in ready.all_stored()] == ["d"]
    assert ready.stored("d")["mac"] == mac(1)


def test_of_two_claimed_devices_the_one_with_the_mac_is_taken(ready, caplog):
    ready.device("m", 1)
    result(ready.manager.insert_device({"id": "s", "sn": "7"}, MAIN))
    assert told(ready, mac=mac(1), sn="7") == "m"
    assert "names several devices: m by mac, s by sn" in caplog.text
    assert "sn" not in ready.stored("m")
    assert "mac" not in ready.stored("s")


def test_a_serial_number_of_a_phone_with_another_mac_changes_nothing(ready):
    ready.device("m", 1)
    other = told(ready, mac=mac(2), sn="7")
    assert told(ready, mac=mac(1), sn="7") == "m"
    assert ready.stored(other)["sn"] == "7"
    assert "sn" not in ready.stored("m")


def test_of_devices_that_share_a_mac_the_owner_is_taken(ready):
    existing(ready, "x", mac=mac(1), added="auto")
    existing(ready, "a", mac=mac(1))
    assert retrieved(ready, {"mac": mac(1)}) == "a"


def test_without_an_autocreate_config_the_device_has_none(core):
    core.http(AGENT)
    [device] = core.all_stored()
    assert "config" not in device
    assert device["plugin"] == "acme-1"
    assert device["configured"] is False


@pytest.mark.parametrize("seed", range(20))
def test_simultaneous_first_requests_of_one_phone_make_one_device(ready, seed):
    ready.store.slow = True
    waiting = [identify(ready) for _ in range(4)]
    ready.store.run_randomly(seed)
    ids = {result(request).record.id for request in waiting}
    assert len(ids) == 1
    assert [device["id"] for device in ready.all_stored()] == list(ids)
    assert len(ready.all_stored("configs")) == 2
    assert ready.probe.count("configure") == 1


@pytest.mark.parametrize("seed", range(10))
def test_first_requests_of_many_phones_do_not_mix(ready, seed):
    ready.store.slow = True
    waiting = {
        n: [identify(ready, f"Acme A1 1.0 {mac(n)}", f"10.1.0.{n}") for _ in range(2)]
        for n in range(1, 6)
    }
    ready.store.run_randomly(seed)
    for number, requests in waiting.items():
        for request in requests:
            assert result(request).device["mac"] == mac(number)
    addresses = {device["mac"]: device["ip"] for device in ready.all_stored()}
    assert addresses == {mac(n): f"10.1.0.{n}" for n in range(1, 6)}


def test_a_phone_that_hangs_up_while_its_device_is_stored_is_not_created_twice(ready):
    ready.http("Acme A1 1.0 " + mac(9), "10.1.0.9")
    ready.manager.devices._lookups[("mac", mac(1))] = ()
    ready.store.slow = True
    first = identify(ready)
    while not any(operation[0] == "write" for operation in ready.store.pending):
        ready.store.step(ready.store.choices()[0])
    first.cancel()
    first.addErrback(lambda _: None)
    second = identify(ready)
    ready.store.run()
    result(second)
    assert [d["mac"] for d in ready.all_stored()] == [mac(9), mac(1)]


def test_a_device_whose_insert_nobody_waits_for_any_more_is_known_all_the_same(ready):
    result(ready.manager.devices.by_key("mac", mac(1)))
    ready.store.slow = True
    first = identify(ready)
    while not any(operation[0] == "write" for operation in ready.store.pending):
        ready.store.step(ready.store.choices()[0])
    first.cancel()
    first.addErrback(lambda _: None)
    ready.store.run()
    ready.store.slow = False
    ready.http(AGENT)
    assert len(ready.all_stored()) == 1
    assert ready.rendered() is not None


# Retrieval


def existing(core, device_id, **members):
    document = {"id": device_id, "tenant_uuid": "t9", "configured": False, **members}
    core.insert_raw("devices", document)


def retrieved(core, info, ip="10.1.0.1"):
    core.probe.extract = lambda *_: defer.succeed(info)
    identified = core.http("x", ip)
    return identified.record.id if identified.record is not None else None


def test_the_mac_wins_over_serial_uuid_and_address(core):
    existing(core, "by-ip", ip="10.1.0.1")
    existing(core, "by-uuid", uuid="u1")
    existing(core, "by-sn", sn="s1")
    existing(core, "by-mac", mac=mac(1))
    everything = {"mac": mac(1), "sn": "s1", "uuid": "u1"}
    assert retrieved(core, everything) == "by-mac"


def test_the_serial_wins_over_uuid_and_the_uuid_over_the_address(core):
    existing(core, "by-ip", ip="10.1.0.2")
    existing(core, "by-uuid", uuid="u1")
    existing(core, "by-sn", sn="s1")
    assert retrieved(core, {"mac": mac(1), "sn": "s1", "uuid": "u1"}) == "by-sn"
    assert retrieved(core, {"uuid": "u1"}) == "by-uuid"
    assert retrieved(core, {}, "10.1.0.2") == "by-ip"


def test_of_several_devices_with_one_mac_the_first_is_taken(core):
    existing(core, "first", mac=mac(1))
    existing(core, "second", mac=mac(1))
    assert retrieved(core, {"mac": mac(1)}) == "first"


@pytest.mark.parametrize(
    ("members", "matches"),
    [
        ({}, True),
        ({"mac": mac(1), "vendor": "Acme", "model": "A1"}, True),
        ({"mac": mac(2)}, False),
        ({"vendor": "Other"}, False),
        ({"model": "A2"}, False),
        ({"version": "9", "sn": "9"}, True),
    ],
)
def test_a_device_of_the_same_address_must_not_contradict(core, members, matches):
    existing(core, "known", ip="10.1.0.1", **members)
    info = {"vendor": "Acme", "model": "A1", "version": "1.0", "mac": mac(1)}
    assert (retrieved(core, info) == "known") is matches


def test_of_two_candidates_with_one_address_none_is_taken(core, caplog):
    core.parameters._nat = "1"
    existing(core, "one", ip="10.1.0.1")
    existing(core, "two", ip="10.1.0.1")
    assert retrieved(core, {"vendor": "Acme"}) not in {"one", "two"}
    assert "2 devices or more have the address 10.1.0.1" in caplog.text


def test_a_candidate_is_found_among_contradicting_ones(core):
    core.parameters._nat = "1"
    existing(core, "other", ip="10.1.0.1", vendor="Other")
    existing(core, "mine", ip="10.1.0.1")
    assert retrieved(core, {"vendor": "Acme"}) == "mine"


def test_devices_of_every_tenant_are_found(core):
    existing(core, "theirs", mac=mac(1))
    assert retrieved(core, {"mac": mac(1)}) == "theirs"


def test_the_secure_retriever_takes_no_uuid_and_creates_nothing(make_core):
    core = make_core(retriever="secure")
    existing(core, "by-uuid", uuid="u1")
    existing(core, "by-sn", sn="s1")
    existing(core, "by-ip", ip="10.1.0.2")
    assert retrieved(core, {"uuid": "u1"}) is None
    assert retrieved(core, {"sn": "s1"}) == "by-sn"
    assert retrieved(core, {}, "10.1.0.2") == "by-ip"
    assert retrieved(core, {"mac": mac(7)}, "10.1.0.7") is None
    assert len(core.all_stored()) == 3


# Updates


def test_what_a_device_lacks_is_added_and_what_it_has_stays(ready):
    existing(ready, "d1", mac=mac(1), vendor="Mine", model="Own", plugin="", config=None)
    ready.http(AGENT)
    device = ready.stored("d1")
    assert device["vendor"] == "Mine"
    assert device["model"] == "Own"
    assert device["version"] == "1.0"
    assert device["ip"] == "10.1.0.1"


def test_address_and_version_follow_the_phone(ready):
    ready.http(AGENT)
    ready.http(f"Acme A2 2.0 {mac(1)}", "10.1.0.5")
    [device] = ready.all_stored()
    assert device["version"] == "2.0"
    assert device["ip"] == "10.1.0.5"
    assert device["model"] == "A1"
    assert ready.rendered() is not None


def test_an_address_is_taken_from_the_devices_that_had_it(ready):
    ready.http(AGENT, "10.1.0.1")
    ready.http(f"Acme A1 1.0 {mac(2)}", "10.1.0.1")
    by_mac = {device["mac"]: device for device in ready.all_stored()}
    assert "ip" not in by_mac[mac(1)]
    assert by_mac[mac(2)]["ip"] == "10.1.0.1"


def test_a_known_phone_takes_the_address_that_another_has_too(ready):
    ready.http(AGENT, "10.1.0.1")
    existing(ready, "other", ip="10.1.0.1", vendor="Other")
    ready.start()
    ready.http(AGENT, "10.1.0.1")
    assert "ip" not in ready.stored("other")


def test_behind_a_nat_phones_share_an_address(ready):
    ready.parameters._nat = "1"
    for number in (1, 2, 3):
        ready.http(f"Acme A1 1.0 {mac(number)}", "10.1.0.1")
    assert [device["ip"] for device in ready.all_stored()] == ["10.1.0.1"] * 3
    assert ready.pipeline.identify_now(
        RequestType.HTTP, FakeRequest("/common.cfg", AGENT), "10.1.0.1", "common.cfg"
    )


@pytest.mark.parametrize("plugin", ["other-9", "acme-2"])
def test_a_plugin_once_set_stays(make_core, plugin):
    core = make_core(plugins=("acme-1", "acme-2"))
    existing(core, "d1", mac=mac(1), plugin=plugin)
    core.http(AGENT)
    assert core.stored("d1")["plugin"] == plugin


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_plugin_or_config_that_is_null_or_empty_counts_as_absent(ready, nothing):
    existing(ready, "d1", mac=mac(1), plugin=nothing, config=nothing)
    ready.http(AGENT)
    assert ready.stored("d1")["plugin"] == "acme-1"
    assert ready.stored("d1")["config"].startswith("autoprov")
    assert ready.stored("d1")["configured"] is True


def test_a_config_that_is_unknown_is_not_replaced(ready):
    existing(ready, "d1", mac=mac(1), config="unknown")
    ready.http(AGENT)
    assert ready.stored("d1")["config"] == "unknown"
    assert ready.stored("d1")["configured"] is False


def test_the_secure_updater_changes_nothing(make_core):
    core = make_core(updater="secure")
    core.autoprov()
    existing(core, "d1", mac=mac(1), plugin="acme-1")
    before = core.stored("d1")
    identified = core.http(AGENT)
    assert core.stored("d1") == before
    assert identified.loaded.id == "acme-1"


def test_an_operators_change_made_during_a_request_is_kept(ready):
    ready.http(AGENT)
    device_id = ready.all_stored()[0]["id"]
    ready.store.slow = True
    request = identify(ready, f"Acme A1 2.0 {mac(1)}", "10.1.0.8")
    while not any(operation[0] == "write" for operation in ready.store.pending):
        ready.store.step(ready.store.choices()[0])
    document = {**ready.stored(device_id), "description": "by hand", "version": "1.0"}
    update = later(ready.manager.replace_device(device_id, document, MAIN, None))
    ready.store.run()
    result(request)
    result(update)
    assert ready.stored(device_id)["description"] == "by hand"


# Association


def scored(make_core, scores, info=None):
    plugins = tuple(scores)
    core = make_core(plugins=plugins)
    for name, score in scores.items():

        def associate(_info, score=score):
            if isinstance(score, Exception):
                raise score
            return score

        core.probes[name].associate = associate
    core.http(AGENT)
    return core.all_stored()[0].get("plugin")


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ({"acme-1": 299, "acme-2": 0}, None),
        ({"acme-1": 300, "acme-2": 299}, "acme-1"),
        ({"acme-1": 310, "acme-2": 300}, "acme-1"),
        ({"acme-1": 500, "acme-2": 500}, "acme-2"),
        ({"acme-1": 600, "acme-2": 500, "other-1": 600}, "other-1"),
        ({"acme-1": RuntimeError("no"), "acme-2": 300}, "acme-2"),
        ({"acme-1": None, "acme-2": "600"}, None),
    ],
)
def test_the_best_score_of_300_and_more_wins_and_the_greatest_id_among_equals(
    make_core, scores, chosen
):
    assert scored(make_core, scores) == chosen


def test_an_associator_is_told_what_the_request_said_not_what_is_stored(core):
    seen = []

    def associate(info):
        seen.append(dict(info))
        return 0

    core.probe.associate = associate
    existing(core, "d1", mac=mac(1), vendor="Stored", sn="s")
    core.http(AGENT)
    assert seen[0]["vendor"] == "Acme"
    assert "sn" not in seen[0]


def test_an_associator_that_spoils_its_argument_spoils_nothing_else(make_core):
    core = make_core(plugins=("acme-1", "acme-2"))

    def spoil(info):
        info.clear()
        info["vendor"] = "Spoilt"
        return 0

    core.probes["acme-1"].associate = spoil
    core.http(AGENT)
    [device] = core.all_stored()
    assert device["vendor"] == "Acme"
    assert device["mac"] == mac(1)
    assert device["plugin"] == "acme-2"


# Limits


def test_creation_is_bounded_for_one_source(make_core, caplog):
    core = make_core(rates=(1000.0, 2.0))
    for number in range(1, 5):
        core.http(f"Acme A1 1.0 {mac(number)}", "10.1.0.1")
    core.http(f"Acme A1 1.0 {mac(9)}", "10.1.0.2")
    assert {device["mac"] for device in core.all_stored()} == {mac(1), mac(2), mac(9)}
    assert "10.1.0.1 creates more than 2 devices a minute" in caplog.text


def test_creation_stops_at_too_many_unclaimed_devices_and_goes_on_when_some_are_claimed(
    make_core,
):
    core = make_core(max_unclaimed=3)
    for number in range(1, 6):
        core.http(f"Acme A1 1.0 {mac(number)}", f"10.1.0.{number}")
    assert len(core.all_stored()) == 3
    for device in core.all_stored():
        result(core.manager.replace_device(device["id"], device, "t2", {"t2"}))
    core.clock.advance(61)
    core.http(f"Acme A1 1.0 {mac(8)}", "10.1.0.8")
    assert len(core.all_stored()) == 4


def test_before_the_main_tenant_is_known_no_device_is_created_but_known_ones_are_served(ready):
    ready.http(AGENT)
    ready.manager.main_tenant = None
    assert ready.http(AGENT).loaded is not None
    assert ready.http(f"Acme A1 1.0 {mac(2)}", "10.1.0.2").record is None
    assert len(ready.all_stored()) == 1


# Remote state


def configured_phone(core):
    core.config("c1", raw_config={"sip_lines": {"1": LINE}})
    core.device("d1", 1, config="c1", ip="10.1.0.1", vendor="Acme", model="A1", version="1.0")
    return "/" + mac(1).replace(":", "") + ".cfg"


def test_the_download_of_the_trigger_file_tells_which_account_the_phone_runs(core):
    trigger = configured_phone(core)
    core.http(AGENT, path="/common.cfg")
    assert "remote_state_sip_username" not in core.stored("d1")
    core.http(AGENT, path="/some/where" + trigger)
    assert core.stored("d1")["remote_state_sip_username"] == "alice"


def test_the_account_follows_a_change_only_when_the_phone_fetches(core):
    trigger = configured_phone(core)
    core.http(AGENT, path=trigger)
    line = {**LINE, "username": "bob"}
    document = {"parent_ids": [], "raw_config": {"sip_lines": {"1": line}}}
    result(core.manager.replace_config("c1", document))
    core.http(AGENT, path="/common.cfg")
    assert core.stored("d1")["remote_state_sip_username"] == "alice"
    core.http(AGENT, path=trigger)
    assert core.stored("d1")["remote_state_sip_username"] == "bob"


def test_the_account_is_that_of_the_devices_own_config_not_of_a_parent(core):
    core.config("parent", raw_config={"sip_lines": {"1": LINE}})
    core.config("c1", ["parent"])
    core.device("d1", 1, config="c1", ip="10.1.0.1", vendor="Acme", model="A1", version="1.0")
    core.http(AGENT, path="/" + mac(1).replace(":", "") + ".cfg")
    assert "remote_state_sip_username" not in core.stored("d1")


def test_a_device_that_is_not_configured_has_no_remote_state(core):
    core.probe.raises["configure"] = ValueError("no")
    trigger = configured_phone(core)
    core.http(AGENT, path=trigger)
    assert "remote_state_sip_username" not in core.stored("d1")


def test_a_request_that_updates_the_device_stores_the_remote_state_with_it(core):
    trigger = configured_phone(core)
    revision = core.store._revision
    core.http(f"Acme A1 3.0 {mac(1)}", path=trigger)
    assert core.stored("d1")["version"] == "3.0"
    assert core.stored("d1")["remote_state_sip_username"] == "alice"
    assert core.store._revision == revision + 1


def test_the_first_file_of_a_new_phone_tells_its_remote_state(ready):
    trigger = "/" + mac(1).replace(":", "") + ".cfg"
    ready.http(AGENT, path=trigger)
    ready.http(AGENT, path=trigger)
    assert ready.all_stored()[0]["remote_state_sip_username"] == "alice"


# Other protocols


def test_tftp_and_http_requests_of_one_phone_find_one_device(ready):
    ready.http(AGENT)
    request = tftp_request(mac(1).replace(":", "") + ".cfg")
    identified = result(ready.pipeline.identify(RequestType.TFTP, request, "10.1.0.1", "x"))
    assert identified.record.id == ready.all_stored()[0]["id"]
    assert len(ready.all_stored()) == 1


def test_dhcp_overwrites_what_plugins_say_of_the_mac(core):
    core.probe.extract = lambda *_: defer.succeed({"mac": mac(5), "vendor": "Acme"})
    request = {"ip": "10.1.0.1", "mac": mac(1), "options": {60: "Acme"}}
    result(core.pipeline.identify(RequestType.DHCP, request, "10.1.0.1", None))
    [device] = core.all_stored()
    assert device["mac"] == mac(1)
    assert device["vendor"] == "Acme"


def test_what_a_plugin_says_of_the_address_is_overwritten(core):
    core.probe.extract = lambda *_: defer.succeed({"ip": "192.0.2.1", "mac": mac(1)})
    core.http("x", "10.1.0.1")
    assert core.all_stored()[0]["ip"] == "10.1.0.1"


# Security lines


def test_a_sensitive_file_is_logged_with_control_characters_escaped(core, security_lines):
    loaded = core.host.get("acme-1")
    core.pipeline.log_if_sensitive(loaded, "a\nb.cfg", "10.1.0.1")
    core.pipeline.log_if_sensitive(loaded, "harmless.txt", "10.1.0.1")
    core.probe.raises["is_sensitive_filename"] = RuntimeError("no")
    core.pipeline.log_if_sensitive(loaded, "c.cfg", "10.1.0.1")
    assert security_lines() == [r"Sensitive file requested from 10.1.0.1: a\x0ab.cfg"]


def test_no_security_line_is_written_for_a_device_that_was_not_stored(ready, security_lines):
    ready.manager.main_tenant = None
    ready.http(AGENT)
    assert security_lines() == []


def test_numbers_of_requests_wrap_at_100(ready):
    ready.http(AGENT)
    numbers = [ready.http(AGENT).number for _ in range(250)]
    assert set(numbers) == set(range(100))


# Taken for a phone of another vendor


def test_an_automatic_device_of_another_vendor_is_corrected_by_a_clear_request(ready, caplog):
    ready.http(AGENT)
    [device] = ready.all_stored()
    ready.put(device["id"], vendor="Cisco", model="SPA942")
    assert ready.http(AGENT).loaded.id == "acme-1"
    corrected = ready.stored(device["id"])
    assert (corrected["vendor"], corrected["model"]) == ("Acme", "A1")
    assert "was taken for a phone of Cisco; it is a Acme A1" in caplog.text


def test_what_an_operator_says_of_a_device_is_left_alone(ready):
    ready.device(vendor="Cisco", model="SPA942", config="autoprov")
    ready.http(AGENT)
    [device] = ready.all_stored()
    assert (device["vendor"], device["model"]) == ("Cisco", "SPA942")
