"""One phone, one owner of its files: who may have a MAC address, and whose file the phone gets."""

import logging
import os

import pytest

from provd.errors import IdentityTaken, RevisionConflict, StoreUnavailable
from provd.manager.history import History, SyncEntry
from provd.store.interface import Delete, Insert, Replace
from tests.unit.manager.core import LINE, MAIN, Core, mac, result

OTHER = "tenant-b"


@pytest.fixture
def ready(tmp_path):
    core = Core(tmp_path, plugins=("acme-1", "acme-2"))
    core.probes["acme-2"].associate = lambda _info: 0
    core.autoprov()
    for name in ("alice", "bob"):
        core.config(name, raw_config={"sip_lines": {"1": {**LINE, "username": name}}})
    core.history = History(10, 100)
    core.manager.deleted = core.history.forget
    core.manager.taken_over = core.history.move
    return core


def boot(core, number=1):
    """Let a phone that nobody knows ask; return its automatic device."""
    core.fetch(number)
    [device] = [d for d in core.all_stored() if d.get("mac") == mac(number)]
    assert device["added"] == "auto"
    return device


def user(core, number=1):
    """Return the SIP account that a phone is given now; None if there is no file."""
    raw_config = core.fetch(number)
    return raw_config["sip_lines"]["1"]["username"] if raw_config else None


def insert(core, device_id, number=1, tenant=MAIN, **members):
    document = {"id": device_id, "mac": mac(number), "plugin": "acme-1", **members}
    return result(core.manager.insert_device(document, tenant))


def put(core, device_id, tenant=MAIN, visible=None, **members):
    document = {**core.stored(device_id), **members}
    result(core.manager.replace_device(device_id, document, tenant, visible))


def delete(core, device_id, visible=None):
    result(core.manager.delete_device(device_id, visible))


def legacy(core, *devices):
    """Store devices that share an identity, as a database of an earlier version holds them."""
    for device in devices:
        complete = {"tenant_uuid": MAIN, "is_new": True, "configured": False, **device}
        core.insert_raw("devices", complete)
    core.start()
    result(core.manager.compare_all())


# Another tenant


def test_a_tenant_cannot_have_the_phone_of_another(ready):
    insert(ready, "a", config="alice", tenant="tenant-a")
    assert user(ready) == "alice"
    with pytest.raises(IdentityTaken) as caught:
        insert(ready, "b", config="bob", tenant=OTHER)
    assert str(caught.value) == f"the mac {mac(1)!r} belongs to another device"
    assert ready.stored("b") is None
    assert user(ready) == "alice"
    insert(ready, "b", number=2, config="bob", tenant=OTHER)
    with pytest.raises(IdentityTaken):
        put(ready, "b", OTHER, frozenset((OTHER,)), mac=mac(1))
    assert ready.stored("b")["mac"] == mac(2)
    assert (user(ready), user(ready, 2)) == ("alice", "bob")
    delete(ready, "b")
    assert user(ready) == "alice"


def test_a_device_that_the_platform_makes_may_share_and_harms_nobody(ready, caplog):
    insert(ready, "a", config="alice", tenant="tenant-a")
    assert user(ready) == "alice"
    document = {"id": "b", "mac": mac(1), "plugin": "acme-1", "config": "bob"}
    result(ready.manager.insert_device(document, OTHER, shares=True))
    assert (
        f"the new device b has the mac {mac(1)} of device a, whose phone is served" in caplog.text
    )
    assert not ready.stored("b")["configured"]
    assert user(ready) == "alice"
    assert result(ready.manager.count_duplicates()) == 1
    put(ready, "b", OTHER, frozenset((OTHER,)), description="changed")
    assert user(ready) == "alice"
    delete(ready, "b")
    assert user(ready) == "alice"
    result(ready.manager.insert_device(document, OTHER, shares=True))
    delete(ready, "a")
    assert user(ready) == "bob"


def test_who_sees_the_other_device_is_told_which_it_is(ready):
    insert(ready, "a", tenant="tenant-a")
    with pytest.raises(IdentityTaken) as caught:
        insert(ready, "b")
    for visible, whose in (
        (None, "device 'a'"),
        ({MAIN, "tenant-a"}, "device 'a'"),
        ({MAIN, OTHER}, "another device"),
    ):
        told = result(ready.manager.tell_owner(caught.value, visible))
        assert str(told) == f"the mac {mac(1)!r} belongs to {whose}"
    insert(ready, "b", number=2)
    with pytest.raises(IdentityTaken, match="belongs to device 'a'"):
        put(ready, "b", visible=frozenset((MAIN, "tenant-a")), mac=mac(1))


@pytest.mark.parametrize("kind", ["sn", "uuid"])
def test_a_serial_number_and_a_uuid_have_one_owner_too(ready, kind):
    insert(ready, "a", **{kind: "77"})
    with pytest.raises(IdentityTaken):
        insert(ready, "b", number=2, **{kind: "77"})
    insert(ready, "b", number=2)
    with pytest.raises(IdentityTaken):
        put(ready, "b", **{kind: "77"})


# An automatic device


def test_a_prepared_device_takes_over_the_automatic_one_with_its_address_and_history(ready):
    automatic = boot(ready)
    ready.history.note(automatic["id"], SyncEntry(1.0, "ami", "sent", None))
    insert(ready, "d", number=2, config="alice")
    put(ready, "d", mac=mac(1))
    assert [device["id"] for device in ready.all_stored()] == ["d"]
    assert ready.stored(automatic["config"], "configs") is None
    device = ready.stored("d")
    assert device["ip"] == automatic["ip"]
    assert (device["vendor"], device["model"], device["version"]) == ("Acme", "A1", "1.0")
    assert "added" not in device
    assert device["configured"] is True
    assert len(ready.history.of("d")) == 1
    assert ready.rendered()["sip_lines"]["1"]["username"] == "alice"
    assert user(ready) == "alice"


def test_a_new_device_takes_over_the_automatic_one(ready):
    automatic = boot(ready)
    insert(ready, "d", config="alice", tenant=OTHER, plugin=None, version="2.0")
    assert [device["id"] for device in ready.all_stored()] == ["d"]
    assert ready.stored(automatic["config"], "configs") is None
    device = ready.stored("d")
    assert (device["plugin"], device["version"]) == ("acme-1", "2.0")
    assert user(ready) == "alice"


def test_what_the_new_device_contradicts_is_not_taken_over(ready):
    boot(ready)
    insert(ready, "d", config="alice", model="A2")
    device = ready.stored("d")
    assert "version" not in device
    assert device["ip"] == "10.1.0.1"


def test_the_config_of_an_automatic_device_stays_while_another_uses_it(ready):
    automatic = boot(ready)
    insert(ready, "other", number=2, config=automatic["config"])
    insert(ready, "d", config="alice")
    assert ready.stored(automatic["config"], "configs") is not None
    insert(ready, "e", number=3)
    third = boot(ready, 4)
    put(ready, "e", mac=mac(4), config=third["config"])
    assert ready.stored(third["config"], "configs") is not None


@pytest.mark.parametrize(
    "members",
    [{"config": "bob"}, {"added": None}, {"tenant_uuid": OTHER}],
    ids=["its own config", "made by somebody", "another tenant's"],
)
def test_an_automatic_device_that_was_claimed_is_not_taken_over(ready, members):
    automatic = boot(ready)
    put(ready, automatic["id"], tenant=members.get("tenant_uuid", MAIN), **members)
    with pytest.raises(IdentityTaken):
        insert(ready, "d", config="alice")
    assert ready.stored(automatic["id"]) is not None
    assert user(ready) is not None


def test_a_device_with_another_mac_is_another_phone_whatever_its_serial_number(ready):
    result(
        ready.manager.insert_new(
            {"id": "x", "mac": mac(2), "sn": "7", "added": "auto", "tenant_uuid": MAIN}, None
        )
    )
    with pytest.raises(IdentityTaken):
        insert(ready, "d", number=1, sn="7")


def test_a_file_is_written_after_that_of_the_automatic_device_is_gone(ready):
    automatic = boot(ready)
    ready.probe.calls.clear()
    insert(ready, "d", config="alice")
    calls = [call[:2] for call in ready.probe.calls if call[0] in {"configure", "deconfigure"}]
    assert calls == [("deconfigure", automatic["id"]), ("configure", "d")]


def test_after_a_takeover_no_change_gives_the_phone_anything_else(ready):
    automatic = boot(ready)
    insert(ready, "d", number=2, config="alice")
    put(ready, "d", mac=mac(1))
    with pytest.raises(Exception, match="no document"):
        result(ready.manager.reconfigure_device(automatic["id"]))
    result(
        ready.manager.replace_config("autoprov", {**ready.stored("autoprov", "configs"), "x": 1})
    )
    assert user(ready) == "alice"
    ready.start()
    result(ready.manager.compare_all())
    assert user(ready) == "alice"


def test_a_move_to_another_plugin_leaves_the_file_to_its_owner(ready):
    insert(ready, "d", config="alice")
    assert user(ready) == "alice"
    put(ready, "d", plugin="acme-2")
    assert not os.path.exists(ready.path(1))
    assert ready.fetch()["sip_lines"]["1"]["username"] == "alice"


def test_a_mac_that_moves_on_takes_its_file_along(ready):
    insert(ready, "a", config="alice")
    put(ready, "a", mac=mac(2))
    assert not os.path.exists(ready.path(1))
    insert(ready, "b", config="bob")
    assert (user(ready, 1), user(ready, 2)) == ("bob", "alice")


# Other writers


def elsewhere(core, *writes):
    """Write as another node does, of which this one learns nothing by itself."""
    return result(core.store.write(list(writes)))


def test_of_two_nodes_the_store_chooses_and_the_owner_keeps_its_file(ready):
    insert(ready, "a", number=2, config="alice")
    assert result(ready.manager.devices.by_key("mac", mac(1))) == []
    owner = {"id": "o", "mac": mac(1), "plugin": "acme-1", "config": "bob", "tenant_uuid": MAIN}
    elsewhere(ready, Insert("devices", owner))
    for change in (lambda: insert(ready, "b", config="alice"), lambda: put(ready, "a", mac=mac(1))):
        ready.manager.devices._lookups[("mac", mac(1))] = ()
        with pytest.raises(IdentityTaken):
            change()
        assert ready.rendered()["sip_lines"]["1"]["username"] == "bob"
        assert ready.stored("b") is None
        assert user(ready, 2) == "alice"
    assert ready.stored("a")["mac"] == mac(2)


def test_an_automatic_device_that_changes_meanwhile_is_looked_at_again(ready):
    automatic = boot(ready)
    record = result(ready.store.get("devices", automatic["id"]))
    elsewhere(ready, Replace("devices", {**record.document, "version": "3.0"}, record.revision))
    insert(ready, "d", config="alice")
    assert ready.stored("d")["version"] == "3.0"
    assert user(ready) == "alice"


def test_an_automatic_device_that_is_claimed_meanwhile_stays_and_is_served(ready):
    automatic = boot(ready)
    record = result(ready.store.get("devices", automatic["id"]))
    elsewhere(ready, Replace("devices", {**record.document, "config": "bob"}, record.revision))
    with pytest.raises(IdentityTaken):
        insert(ready, "d", config="alice")
    assert user(ready) == "bob"


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RevisionConflict("devices", "x")])
def test_a_takeover_that_cannot_be_stored_leaves_the_automatic_device_its_file(ready, error):
    automatic = boot(ready)
    before = ready.rendered()
    real, failures = ready.store.write, []

    async def write(operations):
        if any(isinstance(operation, Delete) for operation in operations) and len(failures) < 8:
            failures.append(1)
            raise error
        return await real(operations)

    ready.store.write = write
    with pytest.raises(type(error)):
        insert(ready, "d", config="alice")
    assert ready.rendered() == before
    assert user(ready) == "alice"  # the autoprov account of these tests
    assert ready.stored(automatic["id"])["configured"] is True


# What shares from before


def test_of_devices_that_share_a_mac_the_oldest_claimed_is_served(ready, caplog):
    caplog.set_level(logging.INFO)
    legacy(
        ready,
        {"id": "x", "mac": mac(1), "plugin": "acme-1", "added": "auto", "config": None},
        {"id": "a", "mac": mac(1), "plugin": "acme-1", "config": "alice"},
        {"id": "b", "mac": mac(1), "plugin": "acme-1", "config": "bob"},
    )
    assert ready.http(f"Acme A1 1.0 {mac(1)}").record.id == "a"
    assert user(ready) == "alice"
    assert [ready.stored(i)["configured"] for i in ("x", "a", "b")] == [False, True, False]
    assert f"device b is not configured: its mac {mac(1)} belongs to another device" in caplog.text


def shared_files(ready):
    """Have two devices that share a MAC and were both rendered, by a version that allowed it."""
    for device_id in ("a", "b"):
        device = {
            "id": device_id,
            "mac": mac(1),
            "plugin": "acme-1",
            "config": {"a": "alice", "b": "bob"}[device_id],
            "tenant_uuid": MAIN,
            "configured": True,
        }
        real, ready.manager.ownership.find_foreign = (
            ready.manager.ownership.find_foreign,
            lambda *_: _nobody(),
        )
        ready.insert_raw("devices", device)
        result(ready.manager.refresh(device_id, force=True))
        ready.manager.ownership.find_foreign = real
    assert ready.rendered()["sip_lines"]["1"]["username"] == "bob"
    ready.start()


async def _nobody():
    return None


@pytest.mark.parametrize(
    "step",
    [
        lambda ready: None,
        lambda ready: result(ready.manager.compare_all()),
        lambda ready: result(ready.manager.refresh("b")),
        lambda ready: result(ready.manager.reconfigure_device("b")),
        lambda ready: put(ready, "b", plugin="acme-2"),
        lambda ready: put(ready, "b", mac=mac(2)),
        lambda ready: delete(ready, "b"),
        lambda ready: result(ready.manager.remove_files("b")),
        lambda ready: (
            elsewhere(
                ready, Delete("devices", "b", result(ready.store.get("devices", "b")).revision)
            )
            and result(ready.manager.device_gone("b"))
        ),
        lambda ready: result(
            ready.manager.replace_config("bob", {**ready.stored("bob", "configs"), "x": 1})
        ),
    ],
    ids=[
        "start",
        "comparison",
        "refresh",
        "reconfiguration",
        "plugin",
        "MAC",
        "deletion",
        "removal",
        "deletion elsewhere",
        "config",
    ],
)
def test_a_device_that_owns_nothing_never_harms_the_owners_file(ready, step):
    shared_files(ready)
    step(ready)
    assert user(ready) == "alice"
    step_again = result(ready.manager.compare_all())
    assert step_again is None
    assert user(ready) == "alice"
    if ready.stored("b") is not None and ready.stored("b").get("mac") == mac(2):
        assert user(ready, 2) == "bob"


def test_an_owner_that_goes_leaves_the_phone_to_the_next(ready):
    shared_files(ready)
    result(ready.manager.compare_all())
    delete(ready, "a")
    assert ready.rendered()["sip_lines"]["1"]["username"] == "bob"
    assert ready.stored("b")["configured"] is True
    assert user(ready) == "bob"


def test_an_owner_that_takes_another_mac_leaves_the_phone_to_the_next(ready):
    shared_files(ready)
    result(ready.manager.compare_all())
    put(ready, "a", mac=mac(2))
    assert (user(ready, 1), user(ready, 2)) == ("bob", "alice")


def test_a_device_that_shares_may_be_changed(ready):
    shared_files(ready)
    put(ready, "b", description="x")
    put(ready, "b", config="alice")
    assert user(ready) == "alice"


# What shares is reported


def test_what_several_devices_share_is_told_as_far_as_it_is_seen(ready, caplog):
    legacy(
        ready,
        {"id": "a", "mac": mac(1), "tenant_uuid": "tenant-a"},
        {"id": "b", "mac": mac(1), "tenant_uuid": OTHER},
    )
    assert "provd-admin duplicates lists and resolves them" in caplog.text
    assert f"mac {mac(1)}" in caplog.text
    found = {"kind": "mac", "value": mac(1), "owner": "a", "others": ["b"]}
    duplicates = ready.manager.find_duplicates
    assert result(duplicates()) == [found]
    assert result(duplicates({OTHER})) == [{**found, "owner": None}]
    assert result(duplicates({"tenant-a"})) == [{**found, "others": []}]
    assert result(duplicates({MAIN})) == []
    assert result(ready.manager.count_duplicates()) == 1
    delete(ready, "b")
    assert result(ready.manager.count_duplicates()) == 0
