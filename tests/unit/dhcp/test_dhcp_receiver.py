"""The socket of DHCP events: a real one, with the real reactor."""

import grp
import os
import socket
import stat
from contextlib import asynccontextmanager

import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task

from provd.dhcp.receiver import DhcpReceiver
from provd.errors import SettingsError, StoreUnavailable
from provd.model.dhcpinfo import DhcpInfo

MAC = "00:15:65:0a:0b:0c"


def commit(ip="10.0.0.9", mac=MAC):
    return f"commit\n{ip}\n{mac}\n06079.65\n".encode()


def send(path, *datagrams):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(str(path))
        for datagram in datagrams:
            client.send(datagram)


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await task.deferLater(reactor, 0.01)
    raise AssertionError("it did not happen in 5 s")


@asynccontextmanager
async def receiving(path, handle, **options):
    receiver = DhcpReceiver(reactor, str(path), handle, **options)
    receiver.startService()
    try:
        yield receiver
    finally:
        await receiver.stopService()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dhcp.sock"


@pytest.fixture
def seen():
    return []


@pytest.fixture
def handle(seen):
    async def remember(info):
        seen.append(info)

    return remember


@pytest_twisted.ensureDeferred
async def test_events_reach_the_handler_in_their_order(path, seen, handle):
    async with receiving(path, handle):
        send(path, *(commit(f"10.0.0.{number}") for number in range(1, 6)))
        await until(lambda: len(seen) == 5)
    assert seen == [DhcpInfo("commit", f"10.0.0.{n}", MAC, {60: "ye"}) for n in range(1, 6)]


@pytest_twisted.ensureDeferred
async def test_what_is_no_event_is_logged_and_the_next_one_counts(path, seen, handle, caplog):
    async with receiving(path, handle):
        send(path, b"\xff\xfe", b"", b"x" * 5000, commit())
        await until(lambda: seen)
    assert len(seen) == 1
    assert caplog.text.count("a DHCP event is left out") == 3
    assert "longer than 2048 bytes" in caplog.text


@pytest_twisted.ensureDeferred
async def test_an_event_that_fails_is_logged_and_hurts_no_other(path, seen, caplog):
    async def fail(info):
        seen.append(info)
        if len(seen) == 1:
            raise StoreUnavailable("the store is away")
        if len(seen) == 2:
            raise ZeroDivisionError

    async with receiving(path, fail):
        send(path, commit(), commit(), commit())
        await until(lambda: len(seen) == 3)
    assert f"the DHCP event of {MAC} is lost: the store is away" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest_twisted.ensureDeferred
async def test_one_slow_phone_holds_up_its_own_events_only(path, seen):
    gate = defer.Deferred()
    macs = [f"00:15:65:0a:0b:{number:02x}" for number in range(32)]

    async def slow(info):
        if info.mac == macs[0]:
            await gate
        seen.append(info.mac)

    async with receiving(path, slow) as receiver:
        for mac in [macs[0], *macs]:
            receiver.datagram_received(commit(mac=mac))
        # Others that share its worker wait too; most do not.
        await until(lambda: len(seen) > 8)
        assert macs[0] not in seen
        gate.callback(None)
        await until(lambda: len(seen) == 33)


@pytest_twisted.ensureDeferred
async def test_no_more_events_wait_than_allowed(path, seen, caplog):
    gate = defer.Deferred()

    async def slow(info):
        await gate
        seen.append(info.ip)

    async with receiving(path, slow, queue_size=3) as receiver:
        for number in range(1, 11):
            receiver.datagram_received(commit(f"10.0.0.{number}"))
        gate.callback(None)
        await until(lambda: len(seen) == 4)  # one that is handled and three that wait
        receiver.datagram_received(commit("10.0.0.99"))
    assert caplog.text.count("DHCP events are lost: 3 wait already") == 1
    assert "6 DHCP events were lost" in caplog.text
    assert seen == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.99"]


@pytest_twisted.ensureDeferred
async def test_stopping_gives_up_what_is_running_and_removes_the_socket(path, seen, caplog):
    cancelled = []

    async def never(_info):
        seen.append(1)
        await defer.Deferred(lambda _: cancelled.append(1))

    receiver = DhcpReceiver(reactor, str(path), never)
    receiver.startService()
    send(path, commit(), commit())
    await until(lambda: seen)
    await receiver.stopService()
    assert cancelled == [1]
    assert not path.exists()
    assert not [entry for entry in path.parent.iterdir() if entry.name.startswith(".")]
    assert "1 DHCP events are lost, as the daemon stops" in caplog.text
    assert receiver not in reactor.getReaders()


@pytest_twisted.ensureDeferred
async def test_the_socket_has_the_mode_and_group_of_the_settings(path, handle):
    group = grp.getgrgid(os.getgid()).gr_name
    async with receiving(path, handle, mode=0o600, group=group):
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_gid == os.getgid()


@pytest_twisted.ensureDeferred
async def test_a_socket_that_nobody_reads_is_replaced(path, seen, handle):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as old:
        old.bind(str(path))
    async with receiving(path, handle):
        send(path, commit())
        await until(lambda: seen)


@pytest_twisted.ensureDeferred
async def test_a_socket_that_somebody_reads_is_left_alone(path, seen, handle):
    async with receiving(path, handle):
        second = DhcpReceiver(reactor, str(path), handle)
        with pytest.raises(SettingsError, match="another process reads"):
            second.startService()
        await second.stopService()
        send(path, commit())
        await until(lambda: seen)


@pytest_twisted.ensureDeferred
async def test_stopping_leaves_a_socket_that_another_process_put_there(path, handle):
    async with receiving(path, handle):
        path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(str(path))
    assert path.is_socket()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"owner": "nobody-has-this-name"}, "nobody-has-this-name"),
        ({"group": "nobody-has-this-name"}, "nobody-has-this-name"),
    ],
)
def test_an_unknown_owner_stops_the_start_and_leaves_nothing(path, handle, options, reason):
    with pytest.raises(SettingsError, match=reason):
        DhcpReceiver(reactor, str(path), handle, **options).startService()
    assert list(path.parent.iterdir()) == []


def test_a_file_that_is_no_socket_is_never_replaced(path, handle):
    path.write_text("precious")
    with pytest.raises(SettingsError, match="is no socket"):
        DhcpReceiver(reactor, str(path), handle).startService()
    assert path.read_text() == "precious"


def test_a_directory_that_is_missing_stops_the_start(tmp_path, handle):
    path = tmp_path / "missing" / "dhcp.sock"
    with pytest.raises(SettingsError, match="No such file or directory"):
        DhcpReceiver(reactor, str(path), handle).startService()
