"""Devices of tenants that wazo-auth does not know any more go, and nothing else does."""

import json
import re
import time

import pytest
from harness import free_port

from tests.integration.wazo import (
    MAIN,
    SECOND,
    THIRD,
    AuthService,
    create,
    give_key,
    is_there,
    keys,
    ready,
    settings,
)


@pytest.fixture(scope="module")
def auth():
    service = AuthService()
    yield service
    service.stop()


@pytest.fixture
def own_auth():
    """A service that only one daemon of one test asks."""
    service = AuthService()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def daemon_of_suite(auth, tmp_path_factory):
    """A daemon as the acceptance suite restarts it: the period is in a file of conf.d."""
    import harness

    state = tmp_path_factory.mktemp("provd")
    drop_in = state / "conf.d"
    drop_in.mkdir()
    document = {"general": {"syncdb": {"start_sec": 0, "interval_sec": 0.1}}}
    (drop_in / "01-syncdb.yml").write_text(json.dumps(document))
    given = settings(auth, free_port()) | {"extra_config_files": str(drop_in)}
    running = harness.Daemon(state, given, plugins="none")
    yield ready(running)
    running.stop()


@pytest.fixture
def wazo(daemon_of_suite, auth):
    yield daemon_of_suite
    auth.tenants = [MAIN, SECOND, THIRD]
    auth.failure = None
    compared(daemon_of_suite, auth)


def compared(daemon, auth, times=4):
    """Wait until some whole comparisons are done."""
    wanted = auth.lists + times
    daemon.wait_for(lambda: auth.lists >= wanted, "a comparison", 20)


def test_devices_and_key_of_a_tenant_that_is_gone_vanish_and_all_others_stay(wazo, auth):
    ours = [create(wazo, SECOND) for _ in range(3)] + [create(wazo, MAIN)]
    theirs = [create(wazo, THIRD) for _ in range(3)]
    give_key(wazo, SECOND, "key-of-second")
    give_key(wazo, THIRD, "key-of-third")
    compared(wazo, auth)
    assert all(is_there(wazo, device_id) for device_id in ours + theirs)
    auth.tenants = [MAIN, SECOND]
    wazo.wait_for(lambda: not any(is_there(wazo, device_id) for device_id in theirs), "the end", 5)
    wazo.wait_for(
        lambda: keys(wazo, SECOND, THIRD) == ["key-of-second", None], "the end of a key", 5
    )
    compared(wazo, auth)
    assert all(is_there(wazo, device_id) for device_id in ours)


@pytest.mark.parametrize("failure", ["status", "refusal", "nonsense"])
def test_a_list_that_fails_deletes_nothing_and_the_next_good_one_counts(wazo, auth, failure):
    theirs = create(wazo, THIRD)
    auth.tenants = [MAIN, SECOND]
    auth.failure = failure
    create(wazo, THIRD, id=f"made-in-{failure}")
    compared(wazo, auth)
    still_there = create(wazo, THIRD)
    compared(wazo, auth)
    assert is_there(wazo, still_there)
    auth.failure = None
    wazo.wait_for(lambda: not is_there(wazo, theirs), "the end", 5)


@pytest.mark.parametrize("tenants", [[], [SECOND], [SECOND, THIRD], [5, None, MAIN]])
def test_an_implausible_list_deletes_nothing(wazo, auth, tenants):
    auth.tenants = tenants
    compared(wazo, auth)
    device_ids = [create(wazo, tenant) for tenant in (MAIN, SECOND, THIRD)]
    compared(wazo, auth)
    assert all(is_there(wazo, device_id) for device_id in device_ids)


def test_rest_and_phones_are_quick_at_the_shortest_periods(own_auth, make_daemon):
    auth = own_auth
    daemon = make_daemon(
        settings=settings(auth, free_port(), syncdb={"start_sec": 0, "interval_sec": 0}),
        plugins="none",
    )
    ready(daemon)
    for _ in range(100):
        create(daemon, SECOND)
    began, lists = time.monotonic(), auth.lists
    seconds = []
    while time.monotonic() - began < 2:
        before = time.monotonic()
        assert daemon.get("/status").status == 200
        daemon.phone("/nothing", "nobody")
        seconds.append(time.monotonic() - before)
    assert sorted(seconds)[len(seconds) // 2] < 0.1
    assert auth.lists - lists >= 2
    assert daemon.stop() < 2


def test_a_service_that_comes_late_is_asked_again_soon(own_auth, make_daemon):
    own_auth.failure = "status"
    period = {"start_sec": 0.3, "interval_sec": 0.3}
    daemon = make_daemon(settings=settings(own_auth, free_port(), syncdb=period), plugins="none")
    ready(daemon)
    theirs = create(daemon, THIRD)
    own_auth.tenants = [MAIN, SECOND]
    compared(daemon, own_auth, 5)
    assert is_there(daemon, theirs)
    # One line, not one for each try.
    assert len(re.findall("tenants are not compared, .*: 500", daemon.log)) == 1
    own_auth.failure = None
    daemon.wait_for(lambda: not is_there(daemon, theirs), "the end", 5)
    assert "tenants are compared again" in daemon.log
    assert "Traceback" not in daemon.log


def test_local_tokens_mean_no_comparison(make_daemon):
    daemon = make_daemon(
        settings={"general": {"syncdb": {"start_sec": 0, "interval_sec": 0}}}, plugins="none"
    )
    daemon.start()
    stranger = create(daemon, THIRD)
    time.sleep(0.5)
    assert is_there(daemon, stranger)
    assert "compared:" not in daemon.log


def test_devices_made_under_local_authorisation_move_to_the_main_tenant(own_auth, tmp_path):
    import harness

    daemon = harness.Daemon(tmp_path / "provd", plugins="none").start()
    answer = daemon.post("/dev_mgr/devices", {"device": {"id": "before"}})
    assert answer.status == 201, answer
    daemon.stop()
    given = settings(own_auth, free_port(), syncdb={"start_sec": 0, "interval_sec": 0.1})
    daemon.settings = harness.merged(daemon.settings, given)
    try:
        ready(daemon)
        compared(daemon, own_auth)
        device = daemon.wait_for(
            lambda: daemon.get("/dev_mgr/devices/before").json,
            "the move",
        )["device"]
        assert device["tenant_uuid"] == MAIN
        assert device["is_new"] is True
    finally:
        daemon.stop()
