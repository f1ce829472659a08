"""The MongoDB store against a real server process: who may in, what is lost, what others see."""

import random
import signal
import time
import uuid

import pytest
import pytest_twisted
from twisted.internet import defer, protocol, reactor
from twisted.internet.task import deferLater

from provd.errors import (
    DuplicateId,
    RevisionConflict,
    SettingsError,
    StoreCorrupt,
    StoreUnavailable,
)
from provd.model.selectors import Query
from provd.store.interface import Changed, Delete, Insert, Replace
from provd.store.mongo import MongoStore, changes
from tests.mongo_server import Authority, MongoServer, free_port, mongo_database, mongo_server

__all__ = ["mongo_database", "mongo_server"]


def device(number, **values):
    return {"id": f"d{number}", "mac": f"00:11:22:33:44:{number:02x}", **values}


def sleep(seconds):
    return deferLater(reactor, seconds)


def start(coroutine):
    return defer.Deferred.fromCoroutine(coroutine)


async def both(*coroutines):
    return await defer.gatherResults([start(each) for each in coroutines], consumeErrors=True)


class Opened:
    """A store that is open for the length of a block."""

    def __init__(self, uri, name="provd", store=MongoStore, **options):
        self.store = store(reactor, uri, name, **options)

    async def __aenter__(self):
        await self.store.open()
        return self.store

    async def __aexit__(self, *_error):
        await self.store.close()


@pytest_twisted.async_yield_fixture
async def store(mongo_server, mongo_database):
    async with Opened(mongo_server.uri(), mongo_database) as opened:
        yield opened


@pytest_twisted.async_yield_fixture
async def other(mongo_server, mongo_database, store):
    """A second node's store on the same database."""
    async with Opened(mongo_server.uri(), mongo_database) as opened:
        yield opened


# Who may in


@pytest.fixture(scope="module")
def guarded():
    server = MongoServer(auth=True)
    server.add_user("provd", "s3cr=t,é", ["SCRAM-SHA-256"])
    server.add_user("old", "s3cret", ["SCRAM-SHA-1"])
    with server:
        yield server


@pytest.mark.parametrize(
    ("user", "options"),
    [
        ("provd:s3cr%3Dt%2C%C3%A9", "authSource=admin"),
        ("provd:s3cr%3Dt%2C%C3%A9", "authMechanism=SCRAM-SHA-256"),
        ("old:s3cret", ""),
        ("old:s3cret", "authMechanism=SCRAM-SHA-1"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_user_with_the_right_password_may_in(guarded, user, options):
    name = f"test_{uuid.uuid4().hex}"
    async with Opened(guarded.uri(options, user), name) as store:
        await store.write([Insert("devices", device(1))])
        assert await store.count("devices", {}) == 1


@pytest.mark.parametrize(
    ("user", "options"),
    [
        ("provd:wr0ng", ""),
        ("old:wr0ng", "authMechanism=SCRAM-SHA-1"),
        ("nobody:wr0ng", ""),
        (None, ""),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_refused_at_once_and_not_repeated(guarded, user, options):
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{guarded.port}") as caught:
        await MongoStore(reactor, guarded.uri(options, user), "provd").open()
    assert "wr0ng" not in str(caught.value)
    assert time.monotonic() - began < 3


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls_server(authority):
    with MongoServer(tls=authority.issue("localhost", "127.0.0.1")) as server:
        yield server


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest_twisted.ensureDeferred
async def test_a_server_proves_its_name_by_a_certificate(tls_server, authority, host):
    uri = tls_server.uri(f"tls=true&directConnection=true&tlsCAFile={authority.file}", host=host)
    async with Opened(uri, f"test_{uuid.uuid4().hex}") as store:
        await store.write([Insert("devices", device(1))])
        assert (await store.get("devices", "d1")).document == device(1)


@pytest_twisted.ensureDeferred
async def test_a_certificate_for_another_name_is_refused(authority):
    with MongoServer(tls=authority.issue("mongo.example")) as server:
        uri = server.uri(f"tls=true&tlsCAFile={authority.file}", host="localhost")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=f"localhost:{server.port}.*(?i:mismatch)"):
            await MongoStore(reactor, uri, "provd").open()
        assert time.monotonic() - began < 3


@pytest_twisted.ensureDeferred
async def test_a_certificate_of_an_unknown_authority_is_refused(tls_server, tmp_path):
    stranger = Authority(tmp_path, "a stranger")
    for options in (f"tls=true&tlsCAFile={stranger.file}", "tls=true"):
        uri = tls_server.uri(options, host="localhost")
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            await MongoStore(reactor, uri, "provd").open()


@pytest_twisted.ensureDeferred
async def test_plain_text_to_a_server_with_tls_and_the_reverse_end_in_time(
    tls_server, mongo_server, authority
):
    for uri in (
        tls_server.uri(),
        mongo_server.uri(f"tls=true&tlsCAFile={authority.file}", host="localhost"),
    ):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await MongoStore(reactor, uri, "provd", timeout=1).open()
        assert time.monotonic() - began < 3


@pytest_twisted.ensureDeferred
async def test_a_client_shows_its_own_certificate(authority):
    files = authority.issue("localhost"), authority.issue("node-1")
    with MongoServer(tls=files[0], client_ca=authority.file) as server:
        options = f"tls=true&directConnection=true&tlsCAFile={authority.file}"
        with pytest.raises(StoreUnavailable):
            await MongoStore(
                reactor, server.uri(options, host="localhost"), "provd", timeout=1
            ).open()
        options += f"&tlsCertificateKeyFile={files[1].both}"
        async with Opened(server.uri(options, host="localhost")) as store:
            await store.set_parameter("a", 1)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mongodb+srv://user:s3cret@cluster.example/", "name the hosts"),
        ("mongodb://user:s3cret@localhost/?tlsInsecure=true&tls=true", "certificates are verified"),
        (
            "mongodb://localhost/?tls=true&tlsAllowInvalidHostnames=true",
            "certificates are verified",
        ),
        ("mongodb://user:s3cret@localhost/?authMechanism=PLAIN&authSource=$external", "PLAIN"),
        ("mongodb://us/er:s3cret@localhost/", "address"),
        ("mongodb://user:s3cret@localhost:port/", "address"),
        ("mongodb://localhost/?tls=true&tlsCAFile=/nonexistent/ca.pem", "ca.pem"),
        ("http://localhost/", "address"),
    ],
)
def test_an_unusable_address_is_refused_without_its_password(uri, reason):
    with pytest.raises(SettingsError, match=reason) as caught:
        MongoStore(reactor, uri, "provd")
    assert "s3cret" not in str(caught.value)


def test_a_name_that_is_none_of_a_database_is_refused():
    for name in ("", "a.b", "a b", "$x", "x" * 64):
        with pytest.raises(SettingsError):
            MongoStore(reactor, "mongodb://localhost/", name)


@pytest_twisted.ensureDeferred
async def test_the_replica_set_must_be_the_one_that_is_named(mongo_server):
    with pytest.raises(StoreUnavailable, match="'secantus', not 'others'"):
        await MongoStore(reactor, mongo_server.uri("replicaSet=others"), "provd").open()
    async with Opened(mongo_server.uri("replicaSet=secantus"), f"test_{uuid.uuid4().hex}"):
        pass


@pytest_twisted.ensureDeferred
async def test_an_absent_server_is_named(tmp_path):
    port = free_port()
    uri = f"mongodb://user:s3cret@127.0.0.1:{port}/"
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}.*refused") as caught:
        await MongoStore(reactor, uri, "provd", timeout=0.5).open()
    assert "s3cret" not in str(caught.value)


@pytest_twisted.ensureDeferred
async def test_the_database_of_somebody_else_is_refused(mongo_server, mongo_database):
    with mongo_server.client() as client:
        client[mongo_database].devices.insert_one({"theirs": True})
    with pytest.raises(StoreCorrupt, match="not one of provd"):
        await MongoStore(reactor, mongo_server.uri(), mongo_database).open()


@pytest_twisted.ensureDeferred
async def test_the_database_of_a_newer_provd_is_refused(mongo_server, mongo_database, store):
    with mongo_server.client() as client:
        client[mongo_database].meta.update_one({"_id": "provd"}, {"$set": {"schema": 99}})
    with pytest.raises(StoreUnavailable, match="newer"):
        await MongoStore(reactor, mongo_server.uri(), mongo_database).open()


@pytest_twisted.ensureDeferred
async def test_look_ups_have_indexes(mongo_server, mongo_database, store):
    with mongo_server.client() as client:
        indexes = client[mongo_database].devices.index_information()
        first_keys = {index["key"][0][0] for index in indexes.values()}
        assert {"mac", "ip", "sn", "uuid", "config", "plugin", "tenant_uuid"} <= first_keys
        assert {"revision", "order"} <= first_keys
        assert indexes["deleted"]["expireAfterSeconds"] == 86400


@pytest_twisted.ensureDeferred
async def test_a_closed_store_says_so_and_may_be_opened_again(store):
    await store.write([Insert("devices", device(1))])
    await store.close()
    await store.close()
    for call in (store.get("devices", "d1"), store.changes(), store.write([])):
        with pytest.raises(StoreUnavailable):
            await call
    await store.open()
    assert (await store.get("devices", "d1")).document == device(1)


@pytest_twisted.ensureDeferred
async def test_closing_lets_a_write_end(store):
    write = start(store.write([Insert("devices", device(1))]))
    await store.close()
    assert len(await write) == 1


@pytest_twisted.ensureDeferred
async def test_closing_leaves_no_timer_behind(mongo_server, mongo_database):
    before = {id(call) for call in reactor.getDelayedCalls()}
    async with Opened(mongo_server.uri(), mongo_database) as store:
        await both(*(store.get("devices", str(n)) for n in range(50)))
    with pytest.raises(StoreUnavailable):
        await MongoStore(
            reactor, f"mongodb://127.0.0.1:{free_port()}/", "provd", timeout=0.3
        ).open()
    assert [call for call in reactor.getDelayedCalls() if id(call) not in before] == []


# What is lost on the way


class Proxy(protocol.ServerFactory):
    """A way to the server that can be cut, stalled, slowed, or made to swallow the answers."""

    noisy = False

    def __init__(self, port):
        self.target = port
        self.delay = 0.0
        self.stalled = False
        self.swallows = False
        self.altered = None
        self.pipes = []
        self.accepted = 0
        self._listening = None
        self.port = None

    def open(self):
        self._listening = reactor.listenTCP(self.port or 0, self, interface="127.0.0.1")
        self.port = self._listening.getHost().port
        return self

    async def cut(self):
        """Break all connections and refuse new ones."""
        if self._listening is not None:
            await self._listening.stopListening()
            self._listening = None
        for pipe in list(self.pipes):
            pipe.transport.abortConnection()
        await sleep(0.02)

    def uri(self, options="directConnection=true"):
        return f"mongodb://127.0.0.1:{self.port}/?{options}"

    def buildProtocol(self, _address):
        self.accepted += 1
        return NearEnd(self)


class End(protocol.Protocol):
    def __init__(self, proxy):
        self.proxy = proxy
        self.peer = None
        self.waiting = []
        self.delayed = []

    def connectionMade(self):
        self.proxy.pipes.append(self)

    def send(self, data):
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)
        else:
            self.waiting.append(data)

    def connectionLost(self, _reason):
        self.proxy.pipes.remove(self)
        for call in self.delayed:
            if call.active():
                call.cancel()
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.abortConnection()


class NearEnd(End):
    def connectionMade(self):
        super().connectionMade()
        self.peer = FarEnd(self.proxy)
        self.peer.peer = self
        factory = protocol.ClientFactory()
        factory.noisy = False
        factory.buildProtocol = lambda _address: self.peer
        factory.clientConnectionFailed = lambda *_: self.transport.abortConnection()
        reactor.connectTCP("127.0.0.1", self.proxy.target, factory)

    def dataReceived(self, data):
        if not self.proxy.stalled:
            self.send(data)


class FarEnd(End):
    def connectionMade(self):
        super().connectionMade()
        for data in self.peer.waiting:
            self.transport.write(data)
        self.peer.waiting = []

    def dataReceived(self, data):
        if self.proxy.altered is not None:
            data = data.replace(*self.proxy.altered)
        if self.proxy.swallows:
            # The server did what it was asked, and nobody learns of it.
            self.proxy.swallows = False
            self.transport.abortConnection()
        elif self.proxy.delay:
            self.delayed.append(reactor.callLater(self.proxy.delay, self.send, data))
        elif not self.proxy.stalled:
            self.send(data)


@pytest_twisted.async_yield_fixture
async def proxy(mongo_server):
    made = Proxy(mongo_server.port).open()
    yield made
    await made.cut()


@pytest.mark.parametrize(
    ("altered", "reason"),
    [
        ((b"v=", b"w="), "does not know the password"),
        ((b"r=", b"q="), "challenge is not acceptable"),
        ((b"i=15000", b"i=00001"), "challenge is not acceptable"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_know_the_password_is_refused(guarded, altered, reason):
    proxy = Proxy(guarded.port).open()
    proxy.altered = altered
    uri = f"mongodb://provd:s3cr%3Dt%2C%C3%A9@127.0.0.1:{proxy.port}/?directConnection=true"
    try:
        with pytest.raises(StoreUnavailable, match=reason):
            await MongoStore(reactor, uri, "provd").open()
    finally:
        await proxy.cut()


@pytest_twisted.ensureDeferred
async def test_a_connection_that_was_cut_comes_back_by_itself(proxy, mongo_database):
    async with Opened(proxy.uri(), mongo_database) as store:
        await store.write([Insert("devices", device(1))])
        await proxy.cut()
        waiting = start(store.write([Insert("devices", device(2))]))
        reading = start(store.count("devices", {}))
        await sleep(0.3)
        assert not waiting.called
        proxy.open()
        await waiting
        assert await reading in {1, 2}
        assert await store.find_ids("devices", {}) == ["d1", "d2"]


@pytest_twisted.ensureDeferred
async def test_who_asks_while_the_server_is_away_is_told_in_time_and_later_at_once(
    proxy, mongo_database, caplog
):
    async with Opened(proxy.uri(), mongo_database, timeout=0.6) as store:
        await proxy.cut()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{proxy.port}"):
            await store.write([Insert("devices", device(1))])
        assert time.monotonic() - began < 1.5
        await sleep(0.5)
        began = time.monotonic()
        for call in (
            store.write([Insert("devices", device(1))]),
            store.get("devices", "d1"),
            store.changes(),
            store.claim("x", 1),
            store.set_parameter("a", 1),
        ):
            with pytest.raises(StoreUnavailable):
                await call
        assert time.monotonic() - began < 0.3
        proxy.open()
        until = time.monotonic() + 5
        while True:
            try:
                await store.write([Insert("devices", device(1))])
                break
            except StoreUnavailable:
                assert time.monotonic() < until
                await sleep(0.05)
        assert await store.count("devices", {}) == 1
    messages = [record.getMessage() for record in caplog.records]
    assert sum("is away" in message for message in messages) == 1
    assert sum("is back" in message for message in messages) == 1


@pytest_twisted.ensureDeferred
async def test_a_server_that_says_nothing_any_more_is_given_up_in_time(proxy, mongo_database):
    async with Opened(proxy.uri(), mongo_database, timeout=0.6) as store:
        await store.write([Insert("devices", device(1))])
        proxy.stalled = True
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{proxy.port}"):
                await store.get("devices", "d1")
            assert time.monotonic() - began < 1.5
        proxy.stalled = False
        await sleep(1.2)
        assert (await store.get("devices", "d1")).document == device(1)


@pytest_twisted.ensureDeferred
async def test_an_idle_connection_that_died_silently_is_noticed(proxy, mongo_database):
    async with Opened(proxy.uri(), mongo_database, timeout=0.4) as store:
        before = proxy.accepted
        proxy.stalled = True
        await sleep(1.3)
        proxy.stalled = False
        await sleep(1)
        assert proxy.accepted > before
        assert await store.count("devices", {}) == 0


@pytest_twisted.ensureDeferred
async def test_answers_that_take_two_seconds_are_waited_for(proxy, mongo_database):
    async with Opened(proxy.uri(), mongo_database) as store:
        proxy.delay = 2
        began = time.monotonic()
        reads = [store.get("devices", "d1"), store.count("devices", {}), store.parameters()]
        assert await both(*reads) == [None, 0, {}]
        assert 1.9 < time.monotonic() - began < 4.5
        proxy.delay = 0


@pytest.mark.parametrize("standalone", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_write_whose_answer_was_lost_is_done_once_and_reported_as_done(
    mongo_server, standalone
):
    server = MongoServer(standalone=True).start() if standalone else mongo_server
    proxy = Proxy(server.port).open()
    name = f"test_{uuid.uuid4().hex}"
    try:
        async with Opened(proxy.uri(), name, store=Swallowed) as store:
            store.proxy = proxy
            (inserted,) = await store.write([Insert("devices", {"id": "d1"})])
            assert (await store.get("devices", "d1")).revision == inserted
            (replaced,) = await store.write([Replace("devices", {"id": "d1", "x": 1}, inserted)])
            assert (await store.get("devices", "d1")).revision == replaced
            await store.write([Delete("devices", "d1", replaced)])
            assert await store.get("devices", "d1") is None
            # A deletion may free an identity, so it is a transaction where there are any.
            assert store.swallowed == (3 if standalone else 2)
            store.proxy = None
            with pytest.raises(RevisionConflict):
                await store.write([Replace("devices", {"id": "d1"}, replaced)])
    finally:
        await proxy.cut()
        if standalone:
            server.stop()


class Swallowed(MongoStore):
    """Loses the first answer to each write of one operation."""

    proxy = None
    swallowed = 0

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.really, self._writer.update_one = self._writer.update_one, self.update_one

    async def update_one(self, operation, statement):
        if self.proxy is not None:
            self.proxy.swallows = True
            self.swallowed += 1
        return await self.really(operation, statement)


@pytest_twisted.ensureDeferred
async def test_a_transaction_whose_commit_was_lost_is_done_once(proxy, mongo_database):
    async with Opened(proxy.uri(), mongo_database) as store:
        run = store._database.run

        async def lossy(body, **options):
            if "commitTransaction" in body:
                proxy.swallows = True
            return await run(body, **options)

        store._database.run = lossy
        first, _ = await store.write([Insert("devices", device(n)) for n in (1, 2)])
        assert not proxy.swallows
        assert (await store.get("devices", "d1")).revision == first
        with pytest.raises(DuplicateId):
            await store.write([Insert("devices", device(n)) for n in (3, 1)])
        assert await store.find_ids("devices", {}) == ["d1", "d2"]


@pytest_twisted.ensureDeferred
async def test_a_primary_that_steps_down_is_waited_for(mongo_database):
    with MongoServer() as server, server.client() as client:
        async with Opened(server.uri(), mongo_database) as store:
            (revision,) = await store.write([Insert("devices", device(1))])
            client.admin.command("replSetStepDown", 2, force=True)
            began = time.monotonic()
            await store.write([Replace("devices", device(1, sn="1"), revision)])
            assert time.monotonic() - began > 1
            assert (await store.get("devices", "d1")).document["sn"] == "1"


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_no_primary_is_not_used():
    with MongoServer() as server, server.client() as client:
        client.admin.command("replSetStepDown", 30, force=True)
        with pytest.raises(StoreUnavailable, match="not the primary"):
            await MongoStore(reactor, server.uri(), "provd", timeout=0.5).open()


@pytest_twisted.ensureDeferred
async def test_the_primary_is_found_among_several_and_looked_for_again(mongo_database):
    with MongoServer() as one, MongoServer() as two, one.client() as client:
        hosts = ",".join(f"127.0.0.1:{port}" for port in (free_port(), one.port, two.port))
        with two.client() as other:
            other.admin.command("replSetStepDown", 3, force=True)
        async with Opened(f"mongodb://{hosts}/", mongo_database) as store:
            await store.write([Insert("devices", device(1))])
            assert await store.count("devices", {}) == 1
            client.admin.command("replSetStepDown", 60, force=True)
            # The two are no real set: the second has nothing of what the first has.
            await store.set_parameter("written", "later")
            assert await store.parameters() == {"written": "later"}
            assert await store.count("devices", {}) == 0


@pytest_twisted.ensureDeferred
async def test_a_server_that_crashed_and_came_back_has_all_that_was_acknowledged(mongo_database):
    with MongoServer(durable=True) as server:
        async with Opened(server.uri(), mongo_database, timeout=1.5) as store:
            acknowledged = set()

            async def keep_writing():
                number = 0
                while True:
                    number += 1
                    try:
                        await store.write(
                            [Insert("devices", device(number % 256) | {"id": str(number)})]
                        )
                    except StoreUnavailable as error:
                        return str(error)
                    acknowledged.add(str(number))

            writing = start(keep_writing())
            await sleep(0.4)
            server.halt(signal.SIGKILL)
            assert f"127.0.0.1:{server.port}" in await writing
            assert acknowledged
            server.start()
            until = time.monotonic() + 5
            while True:
                try:
                    found = set(await store.find_ids("devices", {}))
                    break
                except StoreUnavailable:
                    assert time.monotonic() < until
                    await sleep(0.05)
            assert acknowledged <= found
            await store.write([Insert("devices", device(0))])


@pytest_twisted.ensureDeferred
async def test_a_long_listing_survives_the_loss_of_its_connection(proxy, mongo_database):
    async with Opened(proxy.uri(), mongo_database) as store:
        await store.write(
            [Insert("devices", {"id": str(n), "description": "x" * 40}) for n in range(1000)]
        )
        accepted = proxy.accepted
        listing = start(store.find("devices", Query(selector={"x": {"$exists": False}})))
        await sleep(0.03)
        await proxy.cut()
        proxy.open()
        assert len(await listing) == 1000
        assert proxy.accepted > accepted


# What others see


@pytest_twisted.ensureDeferred
async def test_a_node_sees_what_all_nodes_wrote(store, other):
    assert await store.changes() == []
    assert await store.changes() == []
    (one,) = await other.write([Insert("devices", device(1))])
    (two,) = await store.write([Insert("configs", {"id": "c", "parent_ids": []})])
    await other.set_parameter("p", 1)
    found = await store.changes()
    assert found[:2] == [Changed("devices", "d1", one), Changed("configs", "c", two)]
    assert (found[2].collection, found[2].id) == ("parameters", "p")
    assert await store.changes() == []
    (three,) = await other.write([Delete("devices", "d1", one)])
    assert await store.changes() == [Changed("devices", "d1", three)]
    (four,) = await other.write([Insert("devices", device(1))])
    assert await store.changes() == [Changed("devices", "d1", four)]


class Held(MongoStore):
    """Has its numbers, and waits before it writes."""

    gate = None

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.really, self._writer.update_one = self._writer.update_one, self.update_one

    async def update_one(self, operation, statement):
        if self.gate is not None:
            await self.gate
        return await self.really(operation, statement)


@pytest_twisted.ensureDeferred
async def test_a_write_that_is_late_is_not_missed(mongo_server, mongo_database, store, other):
    async with Opened(mongo_server.uri(), mongo_database, store=Held) as slow:
        await store.changes()
        slow.gate = defer.Deferred()
        late = start(slow.write([Insert("devices", {"id": "d1"})]))
        await sleep(0.05)
        (second,) = await other.write([Insert("devices", device(2))])
        assert await store.changes() == [Changed("devices", "d2", second)]
        assert await store.changes() == []
        slow.gate.callback(None)
        (first,) = await late
        assert first < second
        assert await store.changes() == [Changed("devices", "d1", first)]
        assert await store.changes() == []


@pytest_twisted.ensureDeferred
async def test_a_write_that_was_under_way_when_a_node_began_to_follow_is_not_missed(
    mongo_server, mongo_database, store, other
):
    async with Opened(mongo_server.uri(), mongo_database, store=Held) as slow:
        slow.gate = defer.Deferred()
        late = start(slow.write([Insert("devices", {"id": "d1"})]))
        await sleep(0.05)
        await other.write([Insert("devices", device(2))])
        assert await store.changes() == []
        slow.gate.callback(None)
        (first,) = await late
        assert await store.changes() == [Changed("devices", "d1", first)]


@pytest_twisted.ensureDeferred
async def test_numbers_of_writes_that_failed_or_were_written_over_are_not_waited_for(store, other):
    await store.changes()
    (one,) = await other.write([Insert("devices", device(1))])
    (two,) = await other.write([Replace("devices", device(1, sn="1"), one)])
    with pytest.raises(DuplicateId):
        await other.write([Insert("devices", device(1))])
    (three,) = await other.write([Replace("devices", device(1, sn="2"), two)])
    assert await store.changes() == [Changed("devices", "d1", three)]
    await sleep(0.05)
    await store.changes()
    assert store._follower._gaps == {}


@pytest_twisted.ensureDeferred
async def test_a_number_that_never_comes_is_given_up(store, other):
    await store.changes()
    number = await other._numbers.reserve(1)
    await store.changes()
    assert list(store._follower._gaps) == [number]
    store._follower._gaps[number] -= 61
    assert await store.changes() == []
    assert store._follower._gaps == {}


@pytest_twisted.ensureDeferred
async def test_too_many_changes_or_a_long_absence_put_everything_in_doubt(
    store, other, monkeypatch
):
    monkeypatch.setattr(changes, "_MOST_CHANGES", 5)
    await store.changes()
    await other.write([Insert("devices", device(n)) for n in range(7)])
    assert await store.changes() is None
    assert await store.changes() == []
    follower = store._follower
    follower._followed = tuple(each - 24 * 3600 for each in follower._followed)
    assert await store.changes() is None
    (revision,) = await other.write([Insert("devices", device(9))])
    assert await store.changes() == [Changed("devices", "d9", revision)]


@pytest_twisted.ensureDeferred
async def test_a_counter_that_went_back_puts_everything_in_doubt(
    mongo_server, mongo_database, store
):
    await store.write([Insert("devices", device(n)) for n in range(3)])
    await store.changes()
    with mongo_server.client() as client:
        client[mongo_database].counters.update_one({"_id": "changes"}, {"$set": {"last": 1}})
    assert await store.changes() is None


@pytest_twisted.ensureDeferred
async def test_who_asks_while_a_query_runs_shares_the_next(store, other):
    await store.changes()
    rounds = 0
    follow = store._follower._follow

    async def counted():
        nonlocal rounds
        rounds += 1
        return await follow()

    store._follower._follow = counted
    first = start(store.changes())
    (revision,) = await other.write([Insert("devices", device(1))])
    await first
    early = start(store.changes())
    later = [start(store.changes()) for _ in range(50)]
    answers = [await each for each in [first, early, *later]]
    assert rounds <= 3
    seen = [change for answer in answers[:2] if answer for change in answer]
    assert seen == [Changed("devices", "d1", revision)]


@pytest_twisted.ensureDeferred
async def test_a_caller_that_is_cancelled_takes_nobody_with_it(store, other):
    await store.changes()
    await other.write([Insert("devices", device(1))])
    calls = [start(store.changes()) for _ in range(3)]
    calls[0].cancel()
    with pytest.raises(defer.CancelledError):
        await calls[0]
    # Both share the answer of one query, or have that of another.
    answers = [await call for call in calls[1:]]
    assert answers[0] is answers[1]


class History:
    """What was acknowledged, and what followers were told."""

    def __init__(self):
        self.acknowledged = {}

    def note(self, place, revision):
        self.acknowledged[place] = max(revision, self.acknowledged.get(place, 0))


async def write_at_random(store, history, rng, count):
    for _ in range(count):
        document_id = f"d{rng.randrange(6)}"
        record = await store.get("devices", document_id)
        fresh = {"id": document_id, "x": rng.random()}
        try:
            match rng.randrange(5):
                case 0 if record is not None:
                    write = [Delete("devices", document_id, record.revision)]
                case 1:
                    name = f"c{rng.randrange(10**6)}"
                    write = [Insert("configs", {"id": name, "parent_ids": []})]
                    write += [Insert("devices", fresh)]
                case 2:
                    name = f"p{rng.randrange(3)}"
                    before = await store._numbers.reserve(1)
                    await store.set_parameter(name, rng.random())
                    history.note(("parameters", name), before)
                    continue
                case _ if record is None:
                    write = [Insert("devices", fresh)]
                case _:
                    write = [Replace("devices", fresh, record.revision)]
            revisions = await store.write(write)
        except (DuplicateId, RevisionConflict):
            continue
        for operation, revision in zip(write, revisions, strict=True):
            changed = (
                operation.document_id if isinstance(operation, Delete) else operation.document["id"]
            )
            history.note((operation.collection, changed), revision)


async def follow_at_random(store, history, rng, writing):
    told = {}
    while True:
        last = all(each.called for each in writing)
        due = dict(history.acknowledged)
        for change in await store.changes():
            place = (change.collection, change.id)
            told[place] = max(change.revision, told.get(place, 0))
        missed = {place for place, revision in due.items() if told.get(place, 0) < revision}
        assert not missed, f"acknowledged before the call, and not told: {missed}"
        if last:
            return
        await sleep(rng.random() / 50)


@pytest.mark.parametrize("seed", range(3))
@pytest_twisted.ensureDeferred
async def test_no_acknowledged_write_is_missed_whatever_the_order(
    mongo_server, mongo_database, store, other, seed
):
    rng = random.Random(seed)
    history = History()
    await both(store.changes(), other.changes())
    stores = [store, other, store, other]
    writing = [
        start(write_at_random(each, history, random.Random(rng.random()), 25)) for each in stores
    ]
    following = [
        start(follow_at_random(each, history, random.Random(rng.random()), writing))
        for each in (store, other)
    ]
    await defer.gatherResults([*writing, *following], consumeErrors=True)
    assert history.acknowledged
    for number in range(6):
        here, there = await both(
            store.get("devices", f"d{number}"), other.get("devices", f"d{number}")
        )
        assert here == there


@pytest_twisted.ensureDeferred
async def test_of_writers_of_several_documents_one_wins_whole(store, other):
    revisions = await store.write([Insert("devices", device(n)) for n in range(4)])
    results = await defer.DeferredList(
        [
            start(
                each.write(
                    [
                        Replace("devices", device(n, description=str(writer)), revisions[n])
                        for n in random.Random(writer).sample(range(4), 4)
                    ]
                )
            )
            for writer, each in enumerate([store, other] * 3)
        ],
        consumeErrors=True,
    )
    assert sum(ok for ok, _ in results) == 1
    assert all(ok or result.check(RevisionConflict) for ok, result in results)
    found = await store.find("devices", Query())
    assert len({record.document["description"] for record in found}) == 1


@pytest_twisted.ensureDeferred
async def test_of_nodes_that_insert_one_id_one_wins(store, other):
    results = await defer.DeferredList(
        [
            start(each.write([Insert("devices", device(1, sn=str(n)))]))
            for n, each in enumerate([store, other] * 5)
        ],
        consumeErrors=True,
    )
    assert sum(ok for ok, _ in results) == 1
    assert all(ok or result.check(DuplicateId) for ok, result in results)


class Overtaken(MongoStore):
    """Somebody else is quicker, after the documents were looked at."""

    rival = None

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.really, self._writer.write_one = self._writer.write_one, self.write_one

    async def write_one(self, operation):
        if operation.id == "d3" and self.rival is not None:
            rival, self.rival = self.rival, None
            await rival
        await self.really(operation)


@pytest_twisted.ensureDeferred
async def test_without_transactions_a_write_that_fails_half_way_is_undone():
    with MongoServer(standalone=True) as server:
        async with (
            Opened(server.uri(), store=Overtaken) as store,
            Opened(server.uri()) as other,
        ):
            one, two, three = await store.write(
                [Insert("devices", device(n, description="old")) for n in (1, 2, 3)]
            )
            await other.changes()
            store.rival = start(
                other.write([Replace("devices", device(3, description="rival"), three)])
            )
            with pytest.raises(RevisionConflict):
                await store.write(
                    [
                        Insert("devices", device(4)),
                        Replace("devices", device(1, description="new"), one),
                        Delete("devices", "d2", two),
                        Replace("devices", device(3, description="new"), three),
                    ]
                )
            found = await other.find("devices", Query())
            assert [(each.id, each.document["description"]) for each in found] == [
                ("d1", "old"),
                ("d2", "old"),
                ("d3", "rival"),
            ]
            assert {change.id for change in await other.changes()} == {"d1", "d2", "d3", "d4"}
            assert await other.get("devices", "d4") is None
            assert await other.find_ids("devices", {"description": "old"}) == ["d1", "d2"]


# Claims and files


@pytest_twisted.ensureDeferred
async def test_a_claim_belongs_to_one_node_until_it_expires_or_is_released(store, other):
    assert await store.claim("job", 0.5)
    assert not await other.claim("job", 60)
    assert await store.claim("job", 0.5)
    await other.release("job")
    assert not await other.claim("job", 60)
    await sleep(0.6)
    assert await other.claim("job", 60)
    assert not await store.claim("job", 60)
    await other.release("job")
    assert await store.claim("job", 60)
    assert await other.claim("another job", 60)


@pytest_twisted.ensureDeferred
async def test_of_many_who_claim_at_one_time_one_gets_it(mongo_server, mongo_database):
    stores = [MongoStore(reactor, mongo_server.uri(), mongo_database) for _ in range(4)]
    for each in stores:
        await each.open()
    for name in ("a", "b", "c"):
        assert sum(await both(*(each.claim(name, 30) for each in stores))) == 1
    for each in stores:
        await each.close()


@pytest_twisted.ensureDeferred
async def test_files_are_kept_for_all_nodes(store, other):
    content = random.Random(1).randbytes(3_000_000)
    await store.put_archive("plugin-1.0.tar.gz", content)
    await store.put_archive("empty", b"")
    assert await other.get_archive("plugin-1.0.tar.gz") == content
    assert await other.get_archive("empty") == b""
    assert await other.get_archive("unknown") is None
    before = await store.archives()
    await other.put_archive("plugin-1.0.tar.gz", b"new")
    assert await store.get_archive("plugin-1.0.tar.gz") == b"new"
    after = await store.archives()
    assert before.keys() == after.keys() == {"plugin-1.0.tar.gz", "empty"}
    assert before["plugin-1.0.tar.gz"] != after["plugin-1.0.tar.gz"]
    await store.delete_archive("plugin-1.0.tar.gz")
    await store.delete_archive("plugin-1.0.tar.gz")
    assert list(await other.archives()) == ["empty"]
    assert await other.get_archive("plugin-1.0.tar.gz") is None


@pytest_twisted.ensureDeferred
async def test_a_damaged_file_is_none(mongo_server, mongo_database, store, caplog):
    await store.put_archive("a", b"x" * 2_000_000)
    with mongo_server.client() as client:
        client[mongo_database].chunks.delete_one({"number": 1})
    assert await store.get_archive("a") is None
    assert "damaged" in caplog.text


@pytest_twisted.ensureDeferred
async def test_parts_of_files_that_nobody_names_are_removed_in_time(
    mongo_server, mongo_database, store
):
    await store.put_archive("a", b"old")
    with mongo_server.client() as client:
        chunks = client[mongo_database].chunks
        (old,) = chunks.find()
        await store.put_archive("a", b"new")
        assert chunks.count_documents({}) == 2
        long_ago = old["stored"].replace(year=2020)
        chunks.update_many({}, {"$set": {"stored": long_ago}})
        await store.put_archive("b", b"other")
        assert sorted(chunk["data"] for chunk in chunks.find()) == [b"new", b"other"]
