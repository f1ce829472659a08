"""One node follows what others write: over a memory store that two managers share."""

import pytest
from twisted.internet import defer

from provd.errors import StoreUnavailable, TooBusy
from provd.manager.cluster import Cluster
from provd.store.interface import Changed, Delete, Insert, Replace
from tests.unit.manager.core import later, mac, result


class Shared:
    """The shared part of a store, over the store of a core; `fails` makes the next call fail."""

    def __init__(self, store):
        self.store = store
        self.news = []
        self.fails = {}
        self.holders = set()
        self.owner = "me"
        self.gate = None

    async def changes(self):
        news, self.news = self.news, []
        return news

    async def find(self, collection, query):
        if self.fails.pop(collection, False):
            raise StoreUnavailable("away")
        if self.gate is not None:
            await self.gate
        return await self.store.find(collection, query)

    async def parameters(self):
        return await self.store.parameters()

    async def claim(self, name, seconds):
        if name in self.holders:
            return self.owner == "me"
        self.holders.add(name)
        return True

    async def release(self, name):
        self.holders.discard(name)

    def write(self, operation):
        """Write as another node does."""
        [revision] = result(later(self.store.write([operation])))
        document_id = getattr(operation, "document_id", None) or operation.document["id"]
        self.news.append(Changed(operation.collection, document_id, revision))


@pytest.fixture
def cluster(core):
    core.shared = Shared(core.store)
    core.manager.devices.share()
    core.manager.configs.cache.share()
    core.cluster = Cluster(
        clock=core.clock,
        store=core.shared,
        manager=core.manager,
        parameters=core.parameters,
        jobs=core.jobs,
    )
    core.device("d1", 1)
    core.config("c1", X_value="old")
    return core


def catch_up(core):
    return result(later(core.cluster.catch_up()))


def change(core, collection, document_id, **members):
    record = result(later(core.store.get(collection, document_id)))
    core.shared.write(Replace(collection, {**record.document, **members}, record.revision))


def test_what_others_wrote_is_seen(cluster):
    change(cluster, "devices", "d1", description="new")
    assert "description" not in result(later(cluster.manager.device("d1")))
    catch_up(cluster)
    assert result(later(cluster.manager.device("d1")))["description"] == "new"


def test_nothing_is_lost_when_reading_what_changed_fails(cluster):
    result(later(cluster.manager.config("c1")))
    change(cluster, "devices", "d1", description="new")
    change(cluster, "configs", "c1", X_value="new")
    cluster.shared.fails["devices"] = True
    with pytest.raises(StoreUnavailable):
        catch_up(cluster)
    catch_up(cluster)
    assert result(later(cluster.manager.config("c1")))["X_value"] == "new"
    assert result(later(cluster.manager.device("d1")))["description"] == "new"


def test_a_look_up_follows_devices_that_come_change_and_go(cluster):
    look = cluster.manager.devices.by_key
    assert result(later(look("mac", mac(5)))) == []
    cluster.shared.write(Insert("devices", {"id": "d5", "mac": mac(5)}))
    catch_up(cluster)
    assert [r.id for r in result(later(look("mac", mac(5))))] == ["d5"]
    change(cluster, "devices", "d5", mac=mac(6))
    catch_up(cluster)
    assert result(later(look("mac", mac(5)))) == []
    [record] = result(later(look("mac", mac(6))))
    cluster.shared.write(Delete("devices", "d5", record.revision))
    catch_up(cluster)
    assert result(later(look("mac", mac(6)))) == []
    assert result(later(cluster.manager.devices.get("d5"))) is None


def test_an_answer_under_way_does_not_bring_a_deleted_device_back(cluster):
    devices = cluster.manager.devices
    devices.clear()
    gate, real = defer.Deferred(), cluster.store.find

    async def slow(collection, query):
        found = await real(collection, query)
        await gate
        return found

    cluster.store.find = slow
    asked = later(devices.by_key("mac", mac(1)))
    cluster.store.find = real
    record = result(later(cluster.store.get("devices", "d1")))
    cluster.shared.write(Delete("devices", "d1", record.revision))
    catch_up(cluster)
    gate.callback(None)
    result(asked)
    assert result(later(devices.get("d1"))) is None
    assert result(later(devices.by_key("mac", mac(1)))) == []


def test_files_of_a_device_that_another_node_deleted_are_removed(cluster):
    cluster.config("c2", raw_config={"sip_lines": {}})
    cluster.device("d2", 2, config="c2")
    record = result(later(cluster.store.get("devices", "d2")))
    before = cluster.probe.count("deconfigure", "d2")
    cluster.shared.write(Delete("devices", "d2", record.revision))
    catch_up(cluster)
    assert cluster.probe.count("deconfigure", "d2") == before + 1


def test_everything_is_in_doubt_after_a_long_absence(cluster):
    change(cluster, "devices", "d1", description="new")

    async def too_much():
        return None

    cluster.shared.changes = too_much
    catch_up(cluster)
    assert result(later(cluster.manager.device("d1")))["description"] == "new"


def test_two_here_do_not_hold_one_name(cluster):
    """The store would let this process have its own claim twice."""
    order, gate = [], defer.Deferred()

    async def work(name):
        async with cluster.cluster.alone("plugins"):
            order.append(f"{name} begins")
            if name == "a":
                await gate
            order.append(f"{name} ends")

    first, second = later(work("a")), later(work("b"))
    assert order == ["a begins"]
    gate.callback(None)
    result(first)
    result(second)
    assert order == ["a begins", "a ends", "b begins", "b ends"]
    assert cluster.shared.holders == set()


def test_a_name_that_another_node_keeps_is_given_up(cluster):
    cluster.shared.holders.add("x")
    cluster.shared.owner = "other"

    async def work():
        async with cluster.cluster.alone("x", 1.0):
            raise AssertionError

    waiting = later(work())
    cluster.clock.pump([0.05] * 25)
    with pytest.raises(TooBusy, match="another node holds x"):
        result(waiting)
