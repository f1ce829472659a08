"""An identity has one owner: the part of `store/interface.py` about that, kept by every store."""

import pytest
import pytest_twisted
from twisted.internet import defer, reactor

from provd.errors import DuplicateId, IdentityTaken, RevisionConflict
from provd.store.interface import Delete, Duplicate, Insert, Replace
from provd.store.mongo import MongoStore
from tests.contract.test_store import mongo_database, mongo_server, standalone_server, store

__all__ = ["mongo_database", "mongo_server", "standalone_server", "store"]

MAC = "00:11:22:33:44:55"
OTHER = "00:11:22:33:44:66"


def device(device_id, mac=MAC, **values):
    document = {"id": device_id, "mac": mac, **values}
    return {key: value for key, value in document.items() if value is not None}


def automatic(device_id, mac=MAC, **values):
    return device(device_id, mac, added="auto", is_new=True, **values)


async def insert(store, *documents, shares=False):
    return await store.write([Insert("devices", document, shares) for document in documents])


async def delete(store, device_id):
    record = await store.get("devices", device_id)
    await store.write([Delete("devices", device_id, record.revision)])


@pytest.mark.parametrize("kind", ["mac", "sn", "uuid"])
@pytest_twisted.ensureDeferred
async def test_a_second_device_cannot_be_stored_with_an_identity(store, kind):
    await insert(store, {"id": "a", kind: MAC})
    with pytest.raises(IdentityTaken) as caught:
        await insert(store, {"id": "b", kind: MAC})
    assert (caught.value.kind, caught.value.value, caught.value.owner_id) == (kind, MAC, "a")
    assert "'a'" not in str(caught.value)
    assert await store.get("devices", "b") is None
    assert await store.owner(kind, MAC) == "a"


@pytest_twisted.ensureDeferred
async def test_a_device_cannot_gain_the_identity_of_another(store):
    _, revision = await insert(store, device("a"), device("b", OTHER))
    with pytest.raises(IdentityTaken):
        await store.write([Replace("devices", device("b"), revision)])
    assert (await store.get("devices", "b")).document == device("b", OTHER)
    assert await store.owner("mac", OTHER) == "b"
    (revision,) = await store.write(
        [Replace("devices", device("b", OTHER, ip="1.2.3.4"), revision)]
    )
    with pytest.raises(IdentityTaken):
        await store.write([Replace("devices", device("b"), revision)])


@pytest_twisted.ensureDeferred
async def test_nothing_of_a_refused_write_is_stored(store):
    await insert(store, device("a"))
    config = {"id": "c", "parent_ids": [], "raw_config": {}}
    with pytest.raises(IdentityTaken):
        await store.write(
            [
                Insert("configs", config),
                Insert("devices", device("b", OTHER)),
                Insert("devices", device("c")),
            ]
        )
    assert await store.get("configs", "c") is None
    assert await store.find_ids("devices", {}) == ["a"]
    assert await store.owner("mac", OTHER) is None
    await insert(store, device("d", OTHER))
    assert await store.owner("mac", OTHER) == "d"


@pytest_twisted.ensureDeferred
async def test_a_write_that_fails_for_another_reason_claims_nothing(store):
    await insert(store, device("a"))
    with pytest.raises(DuplicateId):
        await insert(store, device("b", OTHER), device("a", None))
    with pytest.raises(RevisionConflict):
        await store.write(
            [Insert("devices", device("b", OTHER)), Replace("devices", device("a"), 999)]
        )
    assert await store.owner("mac", OTHER) is None
    await insert(store, device("c", OTHER))


@pytest_twisted.ensureDeferred
async def test_what_is_deleted_or_lost_is_free(store):
    await insert(store, device("a"))
    await delete(store, "a")
    assert await store.owner("mac", MAC) is None
    (revision,) = await insert(store, device("b"))
    assert await store.owner("mac", MAC) == "b"
    await store.write([Replace("devices", device("b", OTHER), revision)])
    assert await store.owner("mac", MAC) is None
    await insert(store, device("c"))
    assert await store.owner("mac", MAC) == "c"


@pytest_twisted.ensureDeferred
async def test_one_write_moves_an_identity(store):
    gone, kept = await insert(store, device("a", sn="1"), device("b", OTHER))
    _, revision = await store.write(
        [Delete("devices", "a", gone), Replace("devices", device("b", sn="1"), kept)]
    )
    assert await store.owner("mac", MAC) == "b"
    assert await store.owner("sn", "1") == "b"
    assert await store.owner("mac", OTHER) is None
    await store.write([Delete("devices", "b", revision), Insert("devices", device("c"))])
    assert await store.owner("mac", MAC) == "c"
    assert await store.find_ids("devices", {}) == ["c"]


@pytest_twisted.ensureDeferred
async def test_two_devices_swap_in_one_write(store):
    one, two = await insert(store, device("a"), device("b", OTHER))
    one, two = await store.write(
        [Replace("devices", device("a", None), one), Replace("devices", device("b"), two)]
    )
    await store.write([Replace("devices", device("a", OTHER), one)])
    assert [await store.owner("mac", mac) for mac in (MAC, OTHER)] == ["b", "a"]


@pytest_twisted.ensureDeferred
async def test_what_is_no_identity_is_no_obstacle(store):
    await insert(store, device("a", None, sn="", uuid=None), device("b", None, sn=""))
    await insert(store, {"id": "c", "sn": 5, "mac": None}, {"id": "d", "sn": 5, "mac": None})
    assert await store.duplicates() == []
    assert await store.owner("sn", "") is None


@pytest_twisted.ensureDeferred
async def test_documents_from_elsewhere_may_share_and_the_oldest_claimed_owns(store):
    transient = {"id": "t", "parent_ids": [], "raw_config": {}, "transient": True}
    await store.write([Insert("configs", transient)])
    await insert(
        store,
        automatic("x", config="t"),
        device("a"),
        automatic("y"),
        device("b", tenant_uuid="other"),
        shares=True,
    )
    assert await store.owner("mac", MAC) == "a"
    assert await store.duplicates() == [Duplicate("mac", MAC, "a", ("x", "y", "b"))]
    with pytest.raises(IdentityTaken):
        await insert(store, device("z"))


@pytest_twisted.ensureDeferred
async def test_an_automatic_device_with_a_config_of_its_own_or_a_tenant_is_claimed(store):
    config = {"id": "k", "parent_ids": [], "raw_config": {}}
    await store.write([Insert("configs", config)])
    await insert(store, automatic("x"), automatic("y", config="k"), shares=True)
    assert await store.owner("mac", MAC) == "y"
    moved = device("z", OTHER, added="auto", is_new=False)
    await insert(store, automatic("v", OTHER), moved, shares=True)
    assert await store.owner("mac", OTHER) == "z"


@pytest_twisted.ensureDeferred
async def test_a_device_keeps_what_it_shares_and_changes_freely(store):
    revisions = await insert(store, device("a"), device("b"), device("c"), shares=True)
    (revision,) = await store.write([Replace("devices", device("b", ip="1.2.3.4"), revisions[1])])
    await store.write([Replace("devices", device("b", sn="7"), revision)])
    assert await store.owner("mac", MAC) == "a"
    assert await store.owner("sn", "7") == "b"


@pytest_twisted.ensureDeferred
async def test_an_owner_that_goes_leaves_to_the_oldest_claimed_of_the_others(store):
    await insert(store, device("a"), automatic("x"), device("b"), device("c"), shares=True)
    await delete(store, "a")
    assert await store.owner("mac", MAC) == "b"
    record = await store.get("devices", "b")
    await store.write([Replace("devices", device("b", OTHER), record.revision)])
    assert await store.owner("mac", MAC) == "c"
    await delete(store, "c")
    assert await store.owner("mac", MAC) == "x"
    assert await store.duplicates() == []
    await delete(store, "x")
    assert await store.owner("mac", MAC) is None


@pytest_twisted.ensureDeferred
async def test_one_of_several_that_goes_leaves_the_owner(store):
    await insert(store, device("a"), device("b"), shares=True)
    await delete(store, "b")
    assert await store.owner("mac", MAC) == "a"
    assert await store.duplicates() == []


@pytest_twisted.ensureDeferred
async def test_of_many_who_gain_an_identity_at_one_time_one_does(store):
    results = await defer.DeferredList(
        [defer.Deferred.fromCoroutine(insert(store, device(f"d{n}", sn="1"))) for n in range(8)],
        consumeErrors=True,
    )
    outcomes = [value if ok else value.type for ok, value in results]
    assert outcomes.count(IdentityTaken) == 7
    (device_id,) = await store.find_ids("devices", {})
    assert await store.owner("mac", MAC) == await store.owner("sn", "1") == device_id


@pytest_twisted.ensureDeferred
async def test_of_two_nodes_that_gain_an_identity_at_one_time_one_does(
    mongo_server, mongo_database
):
    nodes = [MongoStore(reactor, mongo_server.uri(), mongo_database) for _ in range(2)]
    for node in nodes:
        await node.open()
    try:
        for turn in range(10):
            mac = f"00:11:22:33:55:{turn:02x}"
            (revision,) = await insert(nodes[0], device(f"p{turn}", None))
            results = await defer.DeferredList(
                [
                    defer.Deferred.fromCoroutine(insert(nodes[1], device(f"n{turn}", mac))),
                    defer.Deferred.fromCoroutine(
                        nodes[0].write([Replace("devices", device(f"p{turn}", mac), revision)])
                    ),
                ],
                consumeErrors=True,
            )
            assert sorted(ok for ok, _ in results) == [False, True], results
            holders = await nodes[0].find_ids("devices", {"mac": mac})
            assert [await nodes[1].owner("mac", mac)] == holders
    finally:
        for node in nodes:
            await node.close()


@pytest_twisted.ensureDeferred
async def test_a_mongo_database_of_an_earlier_version_learns_who_owns_what(
    mongo_server, mongo_database
):
    store = MongoStore(reactor, mongo_server.uri(), mongo_database)
    await store.open()
    await insert(store, automatic("x", sn="1"), device("a"), device("b"), shares=True)
    await store.close()
    with mongo_server.client() as client:
        client[mongo_database].identities.drop()
        client[mongo_database].meta.update_one({"_id": "provd"}, {"$set": {"schema": 1}})
    await store.open()
    try:
        assert await store.owner("mac", MAC) == "a"
        assert await store.owner("sn", "1") == "x"
        with pytest.raises(IdentityTaken):
            await insert(store, device("c"))
    finally:
        await store.close()


@pytest_twisted.ensureDeferred
async def test_a_claim_whose_document_never_came_is_nobodys_after_a_while(standalone_server):
    store = MongoStore(reactor, standalone_server.uri(), "stale_claims")
    await store.open()
    try:
        with standalone_server.client() as client:
            claims = client["stale_claims"].identities
            claims.update_one(
                {"_id": f"mac:{MAC}"},
                {"$set": {"device": "lost"}, "$currentDate": {"since": True}},
                upsert=True,
            )
            with pytest.raises(IdentityTaken):  # it may be under way
                await insert(store, device("a"))
            since = claims.find_one({"_id": f"mac:{MAC}"})["since"]
            claims.update_one({}, {"$set": {"since": since.replace(year=since.year - 1)}})
        await insert(store, device("a"))
        assert await store.owner("mac", MAC) == "a"
    finally:
        await store.close()
