import pytest

from provd.errors import InvalidDocument
from provd.model.device import RECONFIGURATION_KEYS, needs_reconfiguration, validate_device

DEVICE = {
    "id": "d1",
    "mac": "00:11:22:33:44:55",
    "ip": "10.0.0.5",
    "sn": "A1",
    "uuid": "12345678-1234-1234-1234-123456789012",
    "vendor": "Acme",
    "model": "X1",
    "version": "1.0",
    "plugin": "acme-x",
    "config": "c1",
    "configured": True,
    "added": "auto",
    "options": {"switchboard": True},
    "description": "lobby",
    "tenant_uuid": "t1",
    "is_new": False,
    "remote_state_sip_username": "abc",
    "X_any": [{"a": None}],
    "unknown": {"b": 1},
}
TEXT_KEYS = [key for key, value in DEVICE.items() if isinstance(value, str)]


def test_a_whole_device_passes():
    validate_device(DEVICE)


@pytest.mark.parametrize("key", [key for key in DEVICE if key != "id"])
def test_null_counts_as_absent(key):
    validate_device({**DEVICE, key: None})


@pytest.mark.parametrize("key", TEXT_KEYS)
@pytest.mark.parametrize("value", [12, 1.5, True, ["a"], {"a": "b"}])
def test_text_keys_take_text_only(key, value):
    with pytest.raises(InvalidDocument, match=key):
        validate_device({**DEVICE, key: value})


@pytest.mark.parametrize("key", TEXT_KEYS)
@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_text_that_stores_cannot_hold_is_refused(key, value):
    with pytest.raises(InvalidDocument, match=f"{key}.*forbidden character"):
        validate_device({**DEVICE, key: value})


@pytest.mark.parametrize("mac", ["", "00-11-22-33-44-55", "00:11:22:33:44:AA", "001122334455"])
def test_mac_address_must_be_normalised_by_the_caller(mac):
    with pytest.raises(InvalidDocument, match=f"Non-normalized MAC address '{mac}'"):
        validate_device({**DEVICE, "mac": mac})


@pytest.mark.parametrize(
    "ip", ["", "10.1", "+10.0.0.1", "10.0.0.1 ", "10.0.0.01", "10.0.0.256", "::1"]
)
def test_ip_address_must_be_a_strict_dotted_quad(ip):
    with pytest.raises(InvalidDocument, match="Non-normalized IP address"):
        validate_device({**DEVICE, "ip": ip})


@pytest.mark.parametrize("key", ["configured", "is_new"])
def test_flags_are_bool_like(key):
    for value in (True, 0, "true"):
        validate_device({**DEVICE, key: value})
    for value in ("maybe", 3, [], {}):
        with pytest.raises(InvalidDocument, match=f"{key}.*not a boolean"):
            validate_device({**DEVICE, key: value})


@pytest.mark.parametrize("options", ["a", ["a"], 1, True])
def test_options_are_an_object(options):
    with pytest.raises(InvalidDocument, match=r"options.*not an object"):
        validate_device({**DEVICE, "options": options})


def test_tenant_must_be_there_unless_the_caller_fills_it_later():
    document = {"id": "d1"}
    with pytest.raises(InvalidDocument, match="tenant_uuid"):
        validate_device(document)
    validate_device(document, require_tenant=False)


def test_absurd_nesting_is_refused():
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidDocument, match="nested"):
        validate_device({**DEVICE, "X_deep": deep})


def test_reconfiguration_keys_are_those_of_the_contract():
    keys = {"plugin", "config", "mac", "uuid", "vendor", "model", "version", "options"}
    assert keys == RECONFIGURATION_KEYS


@pytest.mark.parametrize("key", sorted(RECONFIGURATION_KEYS))
def test_change_of_a_reconfiguration_key_makes_files_stale(key):
    without = {name: value for name, value in DEVICE.items() if name != key}
    assert needs_reconfiguration(DEVICE, {**DEVICE, key: "other"})
    assert needs_reconfiguration(DEVICE, without)
    assert needs_reconfiguration(without, DEVICE)
    assert not needs_reconfiguration(without, {**without, key: None})


@pytest.mark.parametrize(
    "key",
    ["ip", "sn", "description", "tenant_uuid", "added", "remote_state_sip_username", "X_any"],
)
def test_change_of_another_key_keeps_files_unless_it_is_asked_for(key):
    changed = {**DEVICE, key: "other"}
    assert not needs_reconfiguration(DEVICE, changed)
    assert needs_reconfiguration(DEVICE, changed, [key])
    assert not needs_reconfiguration(DEVICE, dict(DEVICE), [key])
