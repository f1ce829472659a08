"""What `/0.2/status` tells of the bus while its broker is away; no broker is needed for that."""

import pytest
from harness import free_port

from tests.integration.wazo import AuthService, SilentServer, bus_status, ready, settings


@pytest.fixture
def auth():
    service = AuthService()
    yield service
    service.stop()


@pytest.fixture
def silent():
    server = SilentServer()
    yield server
    server.close()


def test_the_bus_fails_where_no_broker_listens_and_all_else_works(make_daemon, auth):
    daemon = make_daemon(settings=settings(auth, free_port()), plugins="none")
    ready(daemon)
    assert bus_status(daemon) == "fail"
    status = daemon.get("/status").json
    assert (status["rest_api"], status["ready"]) == ("ok", True)
    assert daemon.post("/dev_mgr/devices", {"device": {"id": "made"}}).status == 201
    daemon.wait_for(lambda: "the bus is not connected" in daemon.log, "a line in the log")
    assert daemon.stop() < 5


def test_the_bus_fails_where_the_broker_says_nothing(make_daemon, auth, silent):
    daemon = make_daemon(settings=settings(auth, silent.port), plugins="none")
    ready(daemon)
    with silent.accept():
        assert bus_status(daemon) == "fail"
        assert daemon.stop() < 10


def test_the_bus_is_well_where_none_is_needed(make_daemon):
    daemon = make_daemon(settings={"bus": {"port": free_port()}}, plugins="none").start()
    assert bus_status(daemon) == "ok"
