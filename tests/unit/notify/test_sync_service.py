"""Plugins that notify as they always did, through a notifier instead of the gateway."""

import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task, threads

from provd.compat import synchronize
from provd.compat.synchronize import standard_sip_synchronize
from provd.errors import SynchronizeError
from provd.notify.interface import Phone
from provd.notify.legacy import HEARD_SECONDS, SyncService


class Recorder:
    """A notifier that notes what it is asked."""

    def __init__(self):
        self.asked = []
        self.phones = []
        self.answer = defer.succeed(None)
        self.status = "ok"

    def start(self):
        pass

    async def stop(self):
        pass

    async def notify(self, phone, *, event, variables=()):
        self.phones.append(phone)
        endpoint = None if phone.is_shared else phone.account
        self.asked.append((endpoint, phone.address, event, list(variables)))
        await self.answer


@pytest.fixture
def notifier():
    made = Recorder()
    synchronize.register_sync_service(SyncService(reactor, made))
    yield made
    synchronize.unregister_sync_service()


def failed(work):
    failures = []
    work.addErrback(failures.append)
    return failures[0].value


@pytest.mark.parametrize(
    ("device", "endpoint", "address"),
    [
        ({"remote_state_sip_username": "abc", "ip": "10.0.0.9"}, "abc", "10.0.0.9"),
        ({"remote_state_sip_username": "abc"}, "abc", None),
        ({"remote_state_sip_username": "ap12345678", "ip": "10.0.0.9"}, None, "10.0.0.9"),
        ({"remote_state_sip_username": "ap123", "ip": "10.0.0.9"}, "ap123", "10.0.0.9"),
        ({"ip": "10.0.0.9"}, None, "10.0.0.9"),
    ],
)
def test_the_standard_helper_names_account_and_address(notifier, device, endpoint, address):
    results = []
    work = standard_sip_synchronize(
        device, event="check-sync;reboot=true", extra_vars=["Content=a=b"]
    )
    work.addCallback(results.append)
    assert results == [None]
    assert notifier.asked == [(endpoint, address, "check-sync;reboot=true", [("Content", "a=b")])]


@pytest.mark.parametrize("device", [{}, {"remote_state_sip_username": "ap12345678"}, {"ip": ""}])
def test_a_device_that_cannot_be_found_is_an_error(notifier, device):
    assert isinstance(failed(standard_sip_synchronize(device)), SynchronizeError)
    assert notifier.asked == []


def test_a_failure_of_the_notifier_fails_the_deferred(notifier):
    notifier.answer = defer.fail(SynchronizeError("no answer"))
    assert str(failed(standard_sip_synchronize({"ip": "10.0.0.9"}))) == "no answer"


@pytest.mark.parametrize("bad", ["Content", "=x", ""])
def test_a_variable_that_is_none_fails_the_deferred(notifier, bad):
    assert "Name=value" in str(
        failed(standard_sip_synchronize({"ip": "10.0.0.9"}, extra_vars=[bad]))
    )
    assert notifier.asked == []


def test_methods_of_the_old_interface_return_a_deferred_in_the_reactors_thread(notifier):
    service = synchronize.get_sync_service()
    assert service.TYPE == "AsteriskAMI"
    for method in (service.sip_notify, service.sip_notify_by_ip, service.sip_notify_by_peer):
        assert method("x", "check-sync", None).called
    assert [asked[:2] for asked in notifier.asked] == [(None, "x"), (None, "x"), ("x", None)]


@pytest_twisted.ensureDeferred
async def test_in_another_thread_methods_block_and_raise(notifier):
    service = synchronize.get_sync_service()
    assert await threads.deferToThread(service.sip_notify_by_peer, "abc", "check-sync") is None
    assert notifier.asked == [("abc", None, "check-sync", [])]
    notifier.answer = defer.fail(SynchronizeError("no answer"))
    with pytest.raises(SynchronizeError, match="no answer"):
        await threads.deferToThread(service.sip_notify_by_ip, "10.0.0.9", "check-sync")


def test_the_notifier_learns_the_mac_and_who_else_could_be_meant():
    made = Recorder()
    there = [
        {"id": "me", "remote_state_sip_username": "autoprov"},
        {"id": "a", "mac": "02:00:00:00:00:0a", "remote_state_sip_username": "autoprov"},
        {"id": "b"},
        {"id": "c", "remote_state_sip_username": "carol"},
    ]
    clock = task.Clock()
    service = SyncService(clock, made, lambda *_asked: defer.succeed(there))
    device = {"id": "me", "mac": "02:00:00:00:00:01", "ip": "10.0.0.9"}
    clock.advance(1)

    def told(**more):
        service.notify_device({**device, **more}, "check-sync", is_shared=synchronize.is_shared)
        return made.phones[-1]

    phone = told(remote_state_sip_username="autoprov")
    assert (phone.account, phone.is_shared, phone.mac) == ("autoprov", True, "02:00:00:00:00:01")
    assert phone.rivals == ("02:00:00:00:00:0a", "b")
    assert told(remote_state_sip_username="carol").rivals == ("b", "c")
    there[1]["ip"] = "10.0.0.10"
    assert told(remote_state_sip_username="autoprov").rivals == ("b",)
    there[1]["ip"] = "10.0.0.9"
    assert told().rivals == ("02:00:00:00:00:0a", "b", "c")
    service.hear("me", Phone("autoprov", "10.0.0.9", port=5072))
    assert told().port == 5072
    clock.advance(HEARD_SECONDS)
    assert told().port is None
