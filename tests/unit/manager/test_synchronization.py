"""Phones are told, watched for, and told at a pace; codes give them their user."""

import pytest
from twisted.internet import defer

from provd.errors import (
    DeviceNotFound,
    InvalidDocument,
    NoAutocreateConfig,
    NoWayToNotify,
    ProvisioningRefused,
    SynchronizeError,
    TooManyAttempts,
    UnknownProvisioningCode,
)
from provd.manager.provisioning import Attempts, Provisioning
from provd.manager.synchronization import Synchronizations
from tests.unit.manager.core import LINE, MAIN, later, mac, result

TRIGGER = "000000000001.cfg"


@pytest.fixture
def synced(core):
    """A core with a configured device, and what synchronises it."""

    def make(confirm_seconds=60, success_means="sent", way="test"):
        core.synchronizations = Synchronizations(
            clock=core.clock,
            manager=core.manager,
            history=core.journal.history,
            jobs=core.jobs,
            way=lambda: way,
            confirm_seconds=confirm_seconds,
            success_means=success_means,
        )
        core.journal.fetched = core.synchronizations.fetched
        core.config("c1", raw_config={"sip_lines": {"1": LINE}})
        core.device("d1", 1, config="c1")
        return core

    return make


def outcomes(core, device_id="d1"):
    return [entry.outcome for entry in reversed(core.journal.history.of(device_id))]


def test_a_phone_that_comes_is_noted_with_the_seconds_it_took(synced):
    core = synced()
    operation = core.synchronizations.begin("d1")
    assert operation.state == "success"
    assert core.synchronizations.waiting == 1
    core.clock.advance(4)
    core.synchronizations.fetched("d1", "/other.bin")
    core.synchronizations.fetched("d2", f"/{TRIGGER}")
    assert outcomes(core) == ["sent"]
    core.synchronizations.fetched("d1", f"/{TRIGGER}")
    assert outcomes(core) == ["sent", "fetched"]
    assert core.journal.history.of("d1")[0].seconds == 4
    assert (core.synchronizations.waiting, core.synchronizations.confirmed) == (0, 1)


def test_a_phone_that_does_not_come_is_noted_and_logged(synced, caplog):
    core = synced(confirm_seconds=60)
    core.synchronizations.begin("d1")
    core.clock.advance(60)
    assert outcomes(core) == ["sent", "not confirmed"]
    assert "did not come within 60 s" in caplog.text
    assert core.synchronizations.waiting == 0
    core.synchronizations.fetched("d1", TRIGGER)
    assert outcomes(core) == ["sent", "not confirmed"]


@pytest.mark.parametrize("comes", [True, False])
def test_success_may_mean_that_the_file_was_fetched(synced, comes):
    core = synced(success_means="fetched")
    operation = core.synchronizations.begin("d1")
    assert operation.state == "progress"
    if comes:
        core.synchronizations.fetched("d1", TRIGGER)
        assert operation.state == "success"
    else:
        core.clock.advance(60)
        assert operation.state == "fail"
        assert "60 s" in operation.error


def test_a_phone_may_come_before_the_message_is_known_to_be_sent(synced):
    core = synced()
    core.probe.synchronized = defer.Deferred()
    operation = core.synchronizations.begin("d1")
    core.synchronizations.fetched("d1", TRIGGER)
    assert operation.state == "progress"
    core.probe.synchronized.callback(None)
    assert operation.state == "success"
    assert outcomes(core) == ["sent", "fetched"]


def test_what_was_not_sent_is_not_waited_for(synced):
    core = synced()
    core.probe.synchronized = defer.fail(SynchronizeError("no way"))
    operation = core.synchronizations.begin("d1")
    assert operation.state == "fail"
    assert outcomes(core) == ["not sent: no way"]
    assert core.synchronizations.waiting == 0
    assert core.synchronizations.failed == 1


def test_nobody_is_watched_where_that_is_switched_off(synced):
    core = synced(confirm_seconds=0, success_means="fetched")
    assert core.synchronizations.begin("d1").state == "success"
    assert core.synchronizations.waiting == 0
    assert outcomes(core) == ["sent"]


def test_two_messages_to_one_phone_are_both_answered_by_one_fetch(synced):
    core = synced()
    core.synchronizations.begin("d1")
    core.synchronizations.begin("d1")
    core.synchronizations.fetched("d1", TRIGGER)
    assert outcomes(core) == ["sent", "sent", "fetched", "fetched"]


def test_a_stop_ends_what_waits(synced):
    core = synced(success_means="fetched")
    operation = core.synchronizations.begin("d1")
    result(defer.Deferred.fromCoroutine(core.jobs.stop()))
    assert operation.state == "fail"
    assert operation.error == "the daemon stops"
    assert core.clock.getDelayedCalls() == []


# Many


def many(core, count, **options):
    for number in range(2, count + 1):
        core.device(f"d{number}", number, config="c1")
    ids = [f"d{number}" for number in range(1, count + 1)]
    options = {"per_second": 10, "max_failures": 0, **options}
    return core.synchronizations.begin_many(ids, **options)


def told(core):
    return core.probe.count("synchronize")


def test_many_are_told_at_a_pace(synced):
    core = synced(confirm_seconds=0)
    operation = many(core, 5, per_second=2)
    assert (told(core), operation.format()) == (1, "progress;1/5")
    core.clock.advance(0.5)
    assert told(core) == 2
    core.clock.advance(0.4)
    assert told(core) == 2
    core.clock.pump([0.5] * 4)
    assert (told(core), operation.format()) == (5, "success;5/5")


def test_too_many_failures_stop_it(synced):
    core = synced(confirm_seconds=0)
    core.probe.raises["synchronize"] = ValueError("refused")
    operation = many(core, 10, max_failures=2)
    core.clock.pump([0.1] * 12)
    assert told(core) == 3
    assert operation.state == "fail"
    assert operation.error == "3 of 3 devices failed, no more are told"


def test_some_failures_do_not_stop_it_and_are_counted_by_reason(synced):
    core = synced(confirm_seconds=0)
    core.probe.raises["synchronize"] = ValueError("refused")
    operation = many(core, 3, max_failures=3)
    core.clock.pump([0.1] * 5)
    assert (operation.format(), operation.error) == ("fail;3/3", "3 of 3 devices failed")
    assert operation.details == {
        "told": 0,
        "failed": 3,
        "confirmed": 0,
        "awaited": 0,
        "reasons": [{"reason": "ValueError: refused", "devices": 3, "example": "d1"}],
    }


def test_phones_that_come_later_are_counted_as_confirmed(synced):
    core = synced(confirm_seconds=60)
    operation = many(core, 3)
    core.clock.pump([0.1] * 5)
    assert operation.format() == "success;3/3"
    assert (operation.details["told"], operation.details["awaited"]) == (3, 3)
    core.synchronizations.fetched("d1", TRIGGER)
    assert (operation.details["confirmed"], operation.details["awaited"]) == (1, 2)
    core.clock.advance(60)
    assert (operation.details["confirmed"], operation.details["awaited"]) == (1, 0)


def test_where_there_is_no_way_to_tell_phones_it_ends_with_the_first(synced):
    core = synced(confirm_seconds=60, way="none")
    core.probe.synchronized = defer.fail(NoWayToNotify())
    operation = many(core, 10, max_failures=20)
    core.clock.pump([0.1] * 3)
    assert told(core) == 1
    assert operation.state == "fail"
    assert operation.error == "no phone can be told: general.sync_service_type is none"


def test_a_plugin_with_a_way_of_its_own_needs_no_other(synced):
    core = synced(confirm_seconds=0, way="none")
    operation = many(core, 3)
    core.clock.pump([0.1] * 3)
    assert operation.format() == "success;3/3"


def test_phones_that_do_not_come_are_failures_where_success_means_fetched(synced):
    core = synced(confirm_seconds=5, success_means="fetched")
    operation = many(core, 30, per_second=1, max_failures=1)
    core.clock.pump([1] * 20)
    assert operation.state == "fail"
    assert told(core) < 10


def test_forgetting_it_stops_it(synced):
    core = synced(confirm_seconds=0)
    operation = many(core, 10)
    operation.is_forgotten = True
    core.clock.pump([0.1] * 12)
    assert told(core) == 1
    assert operation.error == "stopped"


def test_phones_that_take_their_time_do_not_slow_the_others_down(synced):
    core = synced(confirm_seconds=60)
    operation = many(core, 200, per_second=10)
    core.clock.pump([0.1] * 199)
    assert (told(core), operation.format()) == (200, "success;200/200")
    assert core.synchronizations.waiting == 200
    core.clock.pump([1] * 61)
    assert core.synchronizations.not_confirmed == 200
    assert core.jobs.names == []


def test_where_success_means_fetched_few_phones_are_in_danger_at_one_time(synced):
    core = synced(confirm_seconds=60, success_means="fetched")
    operation = many(core, 200, per_second=10, max_failures=0)
    core.clock.pump([0.1] * 500)
    assert (told(core), operation.format()) == (64, "progress;0/200")
    core.clock.pump([1] * 80)
    assert told(core) == 64
    assert operation.state == "fail"
    assert core.synchronizations.waiting == 0


def test_what_was_late_does_not_come_as_a_burst(synced):
    core = synced(confirm_seconds=0)
    core.probe.synchronized = slow = defer.Deferred()
    operation = many(core, 200, per_second=10)
    core.clock.pump([0.1] * 300)
    assert told(core) == 64
    core.probe.synchronized = defer.succeed(None)
    slow.callback(None)
    assert told(core) <= 64 + 11
    core.clock.pump([0.1] * 140)
    assert operation.format() == "success;200/200"


@pytest.mark.parametrize(("success_means", "state"), [("sent", "success"), ("fetched", "fail")])
def test_a_stop_ends_those_that_wait_for_many(synced, caplog, success_means, state):
    core = synced(confirm_seconds=60, success_means=success_means)
    operation = many(core, 5)
    core.clock.pump([0.1] * 5)
    assert core.synchronizations.waiting == 5
    result(defer.Deferred.fromCoroutine(core.jobs.stop()))
    assert operation.state == state
    assert core.synchronizations.waiting == 0
    assert core.clock.getDelayedCalls() == []
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}]


def test_a_stop_ends_those_that_are_not_told_yet(synced):
    core = synced(confirm_seconds=60)
    operation = many(core, 5)
    result(defer.Deferred.fromCoroutine(core.jobs.stop()))
    assert (told(core), operation.error) == (1, "the daemon stops")
    assert core.clock.getDelayedCalls() == []


def test_none_at_all_is_a_success(synced):
    core = synced()
    operation = core.synchronizations.begin_many([], per_second=1, max_failures=0)
    assert operation.format() == "success;0"


# Codes


@pytest.fixture
def coded(synced):
    core = synced(confirm_seconds=0)
    core.config("autoprov", role="autocreate", raw_config={"sip_lines": {"1": LINE}})
    core.config("alice", raw_config={"sip_lines": {"1": LINE}}, X_provisioning_code="734512")
    core.provisioning = Provisioning(core.clock, core.manager, core.synchronizations)
    return core


def provision(core, code, **who):
    return result(later(core.provisioning.provision(code=code, **who)))


@pytest.mark.parametrize("who", [{"device_id": "d1"}, {"mac": mac(1)}, {"ip": "10.0.0.1"}])
def test_a_code_gives_the_phone_its_config_and_tells_it(coded, who):
    device = {**coded.stored("d1"), "ip": "10.0.0.1"}
    result(later(coded.manager.replace_device("d1", device, device["tenant_uuid"], None)))
    done = provision(coded, "734512", **who)
    assert (done.device_id, done.config_id) == ("d1", "alice")
    assert coded.stored("d1")["config"] == "alice"
    assert coded.stored("d1")["configured"] is True
    assert done.operation.state == "success"
    assert told(coded) == 1


def test_the_code_autoprov_makes_a_new_phone_of_it(coded):
    provision(coded, "734512", device_id="d1")
    done = provision(coded, "autoprov", device_id="d1")
    assert done.config_id.startswith("autoprov")
    assert coded.stored("d1")["config"] == done.config_id
    provision(coded, "734512", device_id="d1")
    with pytest.raises(Exception, match="autoprov"):  # made for this phone only, and gone with it
        result(later(coded.manager.config(done.config_id)))


def test_no_autocreate_config_no_new_phone(synced):
    core = synced()
    core.provisioning = Provisioning(core.clock, core.manager, core.synchronizations)
    with pytest.raises(NoAutocreateConfig):
        provision(core, "autoprov", device_id="d1")


def test_wrong_codes_change_nothing_and_make_wait(coded):
    coded.device("d9", 9)
    for who in ({"mac": mac(1)}, {"device_id": "d1"}, {"mac": mac(1)}):
        with pytest.raises(UnknownProvisioningCode):
            provision(coded, "1", **who)
    with pytest.raises(TooManyAttempts) as caught:
        provision(coded, "734512", mac=mac(1))
    assert 0 < caught.value.seconds <= 2
    assert coded.stored("d1")["config"] == "c1"
    with pytest.raises(UnknownProvisioningCode):
        provision(coded, "1", device_id="d9")  # another device
    coded.clock.advance(2)
    provision(coded, "734512", mac=mac(1))
    with pytest.raises(UnknownProvisioningCode):
        provision(coded, "1", mac=mac(1))  # forgiven: it counts from one again


def test_a_caller_who_speaks_for_many_devices_has_to_wait_too(coded):
    for number in range(2, 40):
        coded.device(f"d{number}", number)
    outcomes = []
    for number in range(2, 40):
        try:
            provision(coded, "1", device_id=f"d{number}", caller="tenant a")
        except (UnknownProvisioningCode, TooManyAttempts) as error:
            outcomes.append(type(error))
    assert outcomes == [UnknownProvisioningCode] * 30 + [TooManyAttempts] * 8
    with pytest.raises(TooManyAttempts):  # one's own good code buys nothing
        provision(coded, "734512", device_id="d1", caller="tenant a")
    provision(coded, "734512", device_id="d1", caller="tenant b")


def test_who_names_no_device_learns_nothing_of_codes(coded):
    for code in ("734512", "1"):
        with pytest.raises(DeviceNotFound):
            provision(coded, code, device_id="none")


def test_who_or_what_is_meant_must_be_clear(coded):
    with pytest.raises(DeviceNotFound):
        provision(coded, "734512", mac=mac(9))
    with pytest.raises(InvalidDocument):
        provision(coded, "734512")
    for code in ("", "x" * 129):
        with pytest.raises(InvalidDocument):
            provision(coded, code, mac=mac(1))
    coded.config("bob", X_provisioning_code="734512")
    with pytest.raises(ProvisioningRefused, match="alice and bob"):
        provision(coded, "734512", mac=mac(1))
    coded.config("eve", X_provisioning_code="1")
    coded.insert_raw("devices", {"id": "d2", "mac": mac(1), "tenant_uuid": MAIN})
    with pytest.raises(ProvisioningRefused, match="more than one"):
        provision(coded, "1", mac=mac(1))


def test_a_device_out_of_sight_is_not_there(coded):
    with pytest.raises(DeviceNotFound):
        provision(coded, "734512", mac=mac(1), visible=frozenset(("other",)))


def test_each_wrong_code_doubles_the_wait_up_to_a_bound(coded):
    attempts = Attempts(coded.clock)
    for _ in range(30):
        attempts.wrong("a")
    with pytest.raises(TooManyAttempts) as caught:
        attempts.check("a")
    assert caught.value.seconds == 300
    attempts.check("b")
    coded.clock.advance(300)
    attempts.check("a")
    coded.clock.advance(1000)
    attempts.wrong("a")
    attempts.check("a")


def test_sources_are_bounded(coded, monkeypatch):
    monkeypatch.setattr("provd.manager.provisioning._MAX_SOURCES", 3)
    attempts = Attempts(coded.clock)
    for number in range(5):
        for _ in range(4):
            attempts.wrong(f"s{number}")
    attempts.check("s0")
    with pytest.raises(TooManyAttempts):
        attempts.check("s4")
