"""Events of a real RabbitMQ: handled at once, whatever happens to the broker in between."""

import time

import pytest

from tests.integration.wazo import (
    MAIN,
    SECOND,
    THIRD,
    AuthService,
    Broker,
    SilentServer,
    bus_status,
    create,
    give_key,
    is_there,
    keys,
    ready,
    settings,
    tenant_deleted,
)


@pytest.fixture(scope="module")
def auth():
    service = AuthService()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    running = Broker(tmp_path_factory.mktemp("amqp") / "node").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def wazo(auth, broker, tmp_path_factory):
    import harness

    once = {"syncdb": {"start_sec": 0, "interval_sec": 86400}}
    running = harness.Daemon(
        tmp_path_factory.mktemp("provd"), settings(auth, broker.port, **once), plugins="none"
    )
    yield ready(running)
    running.stop()


@pytest.fixture(autouse=True)
def connected(request, broker):
    """Begin each test with the broker there and the shared daemon connected to it."""
    if broker._node is None:
        broker.start()
    if "wazo" in request.fixturenames:
        daemon = request.getfixturevalue("wazo")
        daemon.wait_for(lambda: bus_status(daemon) == "ok", "a connection", 40)


def gone_at_once(daemon, device_id, seconds=2.0):
    daemon.wait_for(lambda: not is_there(daemon, device_id), "the end of a device", seconds)


def test_the_devices_of_a_deleted_tenant_are_gone_at_once(wazo, broker):
    theirs = [create(wazo, SECOND, id=f"theirs-{number}") for number in range(200)]
    others = [create(wazo, THIRD), create(wazo, MAIN)]
    broker.delete_tenant(SECOND)
    gone_at_once(wazo, theirs[-1], 1.0)
    wazo.wait_for(lambda: not wazo.devices(id={"$in": theirs}), "the end of the others", 1.0)
    assert all(is_there(wazo, device_id) for device_id in others)


def test_the_key_of_a_deleted_tenant_is_gone_also_after_a_restart(wazo, broker):
    give_key(wazo, SECOND, "key-of-second")
    give_key(wazo, THIRD, "key-of-third")
    broker.delete_tenant(SECOND)
    wazo.wait_for(
        lambda: keys(wazo, SECOND, THIRD) == [None, "key-of-third"], "the end of a key", 2
    )
    wazo.restart()
    assert keys(wazo, SECOND, THIRD) == [None, "key-of-third"]


def test_the_queue_and_its_binding_are_as_other_programs_expect(wazo, broker):
    queues = broker.ctl("list_queues", "name", "durable", "auto_delete", "consumers", "messages")[
        1:
    ]
    assert len(queues) == 1
    name, *facts = queues[0]
    prefix, _, random = name.partition(".")
    assert prefix == "wazo-provd"
    assert len(bytes.fromhex(random)) == 3
    assert facts == ["false", "true", "1", "0"]
    bindings = broker.ctl("list_bindings", "source_name", "destination_name", "arguments")
    assert ["wazo-headers", name, '[{"name","auth_tenant_deleted"},{"x-match","all"}]'] in bindings
    exchanges = broker.ctl("list_exchanges", "name", "type", "durable", "auto_delete")
    assert ["wazo-headers", "headers", "true", "false"] in exchanges


def test_bad_messages_are_acknowledged_and_the_next_good_one_is_handled(wazo, broker):
    device_id = create(wazo, SECOND)
    headers, good = tenant_deleted(SECOND)
    before = len(wazo.log)
    bad = [
        b"",
        b"\xff\xfe{",
        b"[" * 100_000,
        b"[]",
        b'"text"',
        b"null",
        {"name": "auth_tenant_deleted"},
        {"data": None},
        {"data": [{"uuid": SECOND}]},
        {"data": {}},
        {"data": {"uuid": None}},
        {"data": {"uuid": ""}},
        {"data": {"uuid": 5}},
        {"data": {"uuid": {"$exists": True}}},
        {"data": {"uuid": [SECOND]}},
        {"name": "something_else", "data": {"uuid": "no-tenant-at-all"}},
    ]
    broker.publish(*((headers, body) for body in bad))
    broker.publish(({"name": "auth_tenant_added"}, good))
    assert is_there(wazo, device_id)
    broker.publish((headers, good))
    gone_at_once(wazo, device_id)
    wazo.wait_for(
        lambda: (
            broker.ctl("list_queues", "messages", "messages_unacknowledged")[1:] == [["0", "0"]]
        ),
        "the acknowledgement of all messages",
    )
    said = wazo.log[before:]
    assert said.count("a message of the bus is left out") == len(bad) - 1
    assert "Traceback" not in said
    assert bus_status(wazo) == "ok"


@pytest.mark.slow
def test_a_broker_that_stops_and_comes_back_is_connected_again(wazo, broker):
    broker.stop()
    wazo.wait_for(lambda: bus_status(wazo) == "fail", "the loss of the connection", 3)
    device_id = create(wazo, SECOND)
    broker.start()
    wazo.wait_for(lambda: bus_status(wazo) == "ok", "a connection", 40)
    broker.delete_tenant(SECOND)
    gone_at_once(wazo, device_id)
    assert "Traceback" not in wazo.log


@pytest.mark.slow
def test_a_tenant_that_is_deleted_while_the_broker_is_killed_is_found_afterwards(
    wazo, auth, broker
):
    ours, theirs = create(wazo, SECOND), create(wazo, THIRD)
    broker.kill()
    wazo.wait_for(lambda: bus_status(wazo) == "fail", "the loss of the connection", 3)
    auth.tenants = [MAIN, SECOND]
    try:
        broker.start()
        # The comparison that the settings ask for is a day away.
        wazo.wait_for(lambda: not is_there(wazo, theirs), "the comparison", 40)
    finally:
        auth.tenants = [MAIN, SECOND, THIRD]
    assert is_there(wazo, ours)
    assert bus_status(wazo) == "ok"


def test_a_queue_that_somebody_deletes_is_made_again(wazo, broker):
    name = broker.ctl("list_queues", "name")[1][0]
    with broker.connection() as connection:
        connection.channel().queue_delete(name)
    wazo.wait_for(lambda: "ConsumerCancelled" in wazo.log, "the end of the queue", 5)
    wazo.wait_for(lambda: bus_status(wazo) == "ok", "a connection", 10)
    device_id = create(wazo, SECOND)
    broker.delete_tenant(SECOND)
    gone_at_once(wazo, device_id)


@pytest.mark.slow
def test_a_daemon_that_starts_before_the_broker_serves_and_connects_later(
    auth, make_daemon, tmp_path
):
    late = Broker(tmp_path / "late")
    daemon = ready(make_daemon(settings=settings(auth, late.port), plugins="none"))
    assert bus_status(daemon) == "fail"
    assert daemon.get("/status").json["rest_api"] == "ok"
    device_id = create(daemon, SECOND)
    try:
        late.start()
        daemon.wait_for(lambda: bus_status(daemon) == "ok", "a connection", 40)
        late.delete_tenant(SECOND)
        gone_at_once(daemon, device_id)
        assert daemon.stop() < 2
        daemon.wait_for(
            lambda: late.ctl("list_queues", "name")[1:] == [], "the end of the queue", 5
        )
    finally:
        late.stop()


def test_a_refused_password_is_told_and_never_written_to_the_log(auth, broker, make_daemon):
    given = settings(auth, broker.port)
    given["bus"] |= {"username": "guest", "password": "a-wrong-pass-phrase"}
    daemon = ready(make_daemon(settings=given, plugins="none"))
    daemon.wait_for(lambda: "ACCESS_REFUSED" in daemon.log, "the refusal", 10)
    assert bus_status(daemon) == "fail"
    assert daemon.stop() < 2
    assert "pass-phrase" not in daemon.log
    assert "Traceback" not in daemon.log


def test_an_exchange_of_another_type_is_told_and_tried_again(auth, broker, make_daemon):
    given = settings(auth, broker.port)
    given["bus"] |= {"exchange_name": "amq.topic"}
    daemon = ready(make_daemon(settings=given, plugins="none"))
    daemon.wait_for(lambda: daemon.log.count("PRECONDITION_FAILED") >= 2, "a second try", 10)
    assert bus_status(daemon) == "fail"
    assert "Traceback" not in daemon.log


def test_a_broker_that_says_nothing_delays_neither_start_nor_stop(auth, make_daemon):
    silent = SilentServer()
    daemon = make_daemon(settings=settings(auth, silent.port), plugins="none")
    try:
        ready(daemon)
        with silent.accept():
            assert bus_status(daemon) == "fail"
            assert daemon.stop() < 2
    finally:
        silent.close()


def test_a_broker_that_stands_still_delays_the_stop_by_a_second_at_most(auth, broker, make_daemon):
    daemon = ready(make_daemon(settings=settings(auth, broker.port), plugins="none"))
    daemon.wait_for(lambda: bus_status(daemon) == "ok", "a connection")
    broker.freeze()
    try:
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < 3
        assert "failed" not in daemon.log
    finally:
        broker.thaw()


def test_local_tokens_need_no_bus(make_daemon):
    silent = SilentServer()
    try:
        daemon = make_daemon(
            settings={"bus": {"host": "127.0.0.1", "port": silent.port}}, plugins="none"
        )
        daemon.start()
        assert bus_status(daemon) == "ok"
        with pytest.raises(TimeoutError):
            silent.accept(1)
    finally:
        silent.close()
