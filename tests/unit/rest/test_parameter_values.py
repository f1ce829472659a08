"""Parameters when several callers change them at once, and when the store fails."""

import pytest
from twisted.internet import defer

from provd.errors import InvalidParameter, StoreUnavailable
from provd.manager.parameters import Parameters
from provd.plugin.localization import LocalizationService
from provd.store.memory import MemoryStore

KEY = "provisioning_key"


class SlowStore(MemoryStore):
    """A store whose writes of parameters wait until the test lets them through."""

    def __init__(self):
        super().__init__()
        self.waiting = []
        self.failure = None

    async def set_parameter(self, name, value):
        gate = defer.Deferred()
        self.waiting.append(gate)
        await gate
        if self.failure is not None:
            raise self.failure
        await super().set_parameter(name, value)

    def let_through(self):
        while self.waiting:
            self.waiting.pop(0).callback(None)


def make(store, **kwargs):
    defaults = {"plugin_server": None, "proxies": {}, "tenants": {}}
    return Parameters(store, LocalizationService(), **{**defaults, **kwargs})


def begin(parameters, name, value, tenant="t"):
    return defer.Deferred.fromCoroutine(parameters.set(name, value, tenant))


def outcome(deferred):
    results = []
    deferred.addBoth(results.append)
    assert results, "it is not done"
    return getattr(results[0], "value", results[0])


def persisted(store):
    return outcome(defer.Deferred.fromCoroutine(store.parameters()))


def test_keys_that_two_tenants_set_at_once_are_both_kept():
    store = SlowStore()
    parameters = make(store)
    first, second = (
        begin(parameters, KEY, "first-key", "a"),
        begin(parameters, KEY, "second-key", "b"),
    )
    store.let_through()
    assert outcome(first) is None
    assert outcome(second) is None
    assert parameters.get(KEY, "a") == "first-key"
    assert parameters.get(KEY, "b") == "second-key"
    assert persisted(store)["tenants"] == {"a": {KEY: "first-key"}, "b": {KEY: "second-key"}}


def test_one_of_two_tenants_that_set_the_same_key_at_once_is_refused():
    store = SlowStore()
    parameters = make(store)
    first, second = begin(parameters, KEY, "same-key", "a"), begin(parameters, KEY, "same-key", "b")
    store.let_through()
    assert outcome(first) is None
    assert isinstance(outcome(second), InvalidParameter)
    assert parameters.tenant_of_key("same-key") == "a"
    assert parameters.get(KEY, "b") is None


def test_a_tenant_that_goes_while_another_sets_its_key_loses_neither():
    store = SlowStore()
    parameters = make(store, tenants={"gone": {KEY: "gone-key"}})
    change = begin(parameters, KEY, "kept-key", "a")
    removal = defer.Deferred.fromCoroutine(parameters.remove_tenant("gone"))
    store.let_through()
    assert outcome(change) is None
    assert outcome(removal) is None
    assert parameters.tenants() == ["a"]
    assert parameters.get(KEY, "a") == "kept-key"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("NAT", 1, 0),
        ("http_proxy", "http://old:1", "http://new:1"),
        ("https_proxy", None, "new:1"),
        ("plugin_server", "http://old/", None),
        ("locale", "fr", "de"),
        (KEY, "old-old-old", "new-new-new"),
    ],
)
def test_a_value_that_cannot_be_stored_is_not_in_force(name, old, new):
    store = SlowStore()
    parameters = make(store)
    setting = begin(parameters, name, old)
    store.let_through()
    assert outcome(setting) is None
    store.failure = StoreUnavailable("away")
    setting = begin(parameters, name, new)
    store.let_through()
    assert isinstance(outcome(setting), StoreUnavailable)
    assert parameters.get(name, "t") == old


@pytest.mark.parametrize("value", ["FR", "fr_fr", "fr_FR\n", "f"])
def test_a_locale_that_is_none_is_refused(value):
    parameters = make(MemoryStore())
    assert isinstance(outcome(begin(parameters, "locale", value)), InvalidParameter)
    assert parameters.get("locale", "t") is None


def test_what_is_persisted_and_unusable_is_left_out_with_a_warning(caplog):
    store = MemoryStore()
    for name, value in {
        "NAT": "2",
        "locale": "nonsense",
        "http_proxy": "http://fine:1",
        "unknown": 1,
        "tenants": {"t": {KEY: "persisted"}, "broken": 5},
    }.items():
        outcome(defer.Deferred.fromCoroutine(store.set_parameter(name, value)))
    parameters = make(store, tenants={"s": {KEY: "from-settings"}})
    assert outcome(defer.Deferred.fromCoroutine(parameters.load())) is None
    assert parameters.get("NAT", "t") == 0
    assert parameters.get("locale", "t") is None
    assert parameters.get("http_proxy", "t") == "http://fine:1"
    assert parameters.get(KEY, "t") == "persisted"
    assert parameters.get(KEY, "s") is None  # the persisted map wins as a whole
    assert "NAT" in caplog.text
    assert "locale" in caplog.text


def test_a_key_leads_to_its_tenant_only():
    parameters = make(MemoryStore(), tenants={"a": {KEY: "key-of-a"}, "b": {}, "c": None})
    assert parameters.tenant_of_key("key-of-a") == "a"
    for key in ("", "key-of-", "key-of-aa", "KEY-OF-A", "\udcff"):
        assert parameters.tenant_of_key(key) is None
