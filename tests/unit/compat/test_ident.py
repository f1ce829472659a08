"""The parts of request-processing files do what the default pipeline does."""

import gc

import pytest
from twisted.internet import defer

from provd.compat.devices import ident, pgasso

MAC = "00:11:22:33:44:55"


class HttpRequest:
    def getClientIP(self):
        return "10.0.0.9"


TFTP = {"address": ("10.0.0.8", 4000), "packet": {"filename": b"a"}}
DHCP = {"ip": "10.0.0.7", "mac": MAC, "options": {}}


class Extractor(ident.AbstractDeviceInfoExtractor):
    def __init__(self, answer):
        self.answer = answer

    def extract(self, request, request_type):
        if isinstance(self.answer, Exception):
            raise self.answer
        return (
            self.answer if isinstance(self.answer, defer.Deferred) else defer.succeed(self.answer)
        )


@pytest.mark.parametrize(
    ("request_", "kind", "info"),
    [
        (HttpRequest(), ident.RequestType.HTTP, {"ip": "10.0.0.9"}),
        (TFTP, ident.REQUEST_TYPE_TFTP, {"ip": "10.0.0.8"}),
        (DHCP, ident.RequestType.DHCP, {"ip": "10.0.0.7", "mac": MAC}),
    ],
)
def test_the_standard_extractor_tells_what_every_request_tells(now, request_, kind, info):
    assert now(ident.StandardDeviceInfoExtractor().extract(request_, kind)) == info


def test_voting_takes_the_most_frequent_value_and_the_first_among_equals():
    updater = ident.VotingUpdater()
    for info in ({"model": "A", "version": "1"}, {"model": "B"}, {"model": "B", "version": "2"}):
        updater.update(info)
    assert updater.dev_info == {"model": "B", "version": "1"}


def test_last_seen_takes_the_last_value():
    updater = ident.LastSeenUpdater()
    for info in ({"model": "A", "version": "1"}, {"model": "B"}):
        updater.update(info)
    assert updater.dev_info == {"model": "B", "version": "1"}


def test_extractors_collaborate_and_one_that_fails_is_left_out(now):
    late = defer.Deferred()
    extractor = ident.CollaboratingDeviceInfoExtractor(
        ident.LastSeenUpdater,
        [
            Extractor({"model": "A"}),
            Extractor(ValueError("raised")),
            Extractor(defer.fail(ValueError("fired"))),
            Extractor(None),
            Extractor(late),
        ],
    )
    waiting = extractor.extract(HttpRequest(), ident.RequestType.HTTP)
    assert not waiting.called
    late.callback({"version": "1"})
    assert now(waiting) == {"model": "A", "version": "1"}


def test_all_plugins_are_asked_and_the_set_follows_loading(core, now):
    code = (
        "from provd.devices.ident import AbstractDeviceInfoExtractor\n"
        "from provd.plugins import Plugin\n"
        "from twisted.internet import defer\n"
        "class Extractor:\n"
        "    def extract(self, request, request_type):\n"
        "        return defer.succeed({'model': '%s', 'kind': request_type})\n"
        "class Acme(Plugin):\n"
        "    IS_PLUGIN = True\n"
        "    http_dev_info_extractor = Extractor()\n"
    )
    core.add_plugin("a", code % "A")

    def factory(extractors):
        return ident.CollaboratingDeviceInfoExtractor(ident.LastSeenUpdater, extractors)

    extractor = ident.AllPluginsDeviceInfoExtractor(factory, core.app.pg_mgr)
    gc.collect()
    http = ident.RequestType.HTTP
    assert now(extractor.extract(HttpRequest(), http)) == {"model": "A", "kind": http}
    core.add_plugin("b", code % "B")
    assert now(extractor.extract(HttpRequest(), http))["model"] == "B"
    core.host.unload("b")
    assert now(extractor.extract(HttpRequest(), http))["model"] == "A"
    assert now(extractor.extract(TFTP, "tftp")) == {}


@pytest.mark.parametrize(
    ("factory", "key", "value"),
    [
        (ident.MacDeviceRetriever, "mac", MAC),
        (ident.SerialNumberDeviceRetriever, "sn", "123"),
        (ident.UUIDDeviceRetriever, "uuid", "c5bd5d8d-8cb1-4d4b-a1a1-b2f1e8b0b4a1"),
        (lambda app: ident.SearchDeviceRetriever(app, "X_key"), "X_key", "x"),
    ],
)
def test_a_device_is_found_by_a_key(app, now, factory, key, value):
    now(app.dev_insert({"id": "d1", key: value}))
    retriever = factory(app)
    assert now(retriever.retrieve({key: value}))["id"] == "d1"
    assert now(retriever.retrieve({key: "other"})) is None
    assert now(retriever.retrieve({})) is None


def test_a_device_is_found_by_its_address_unless_contradicted_or_shared(app, now):
    now(app.dev_insert({"id": "d1", "ip": "10.0.0.9", "vendor": "Acme"}))
    retriever = ident.IpDeviceRetriever(app)
    assert now(retriever.retrieve({"ip": "10.0.0.9", "vendor": "Acme"}))["id"] == "d1"
    assert now(retriever.retrieve({"ip": "10.0.0.9", "vendor": "Bell"})) is None
    assert now(retriever.retrieve({"ip": "10.0.0.8"})) is None
    assert now(retriever.retrieve({})) is None
    now(app.dev_insert({"id": "d2", "ip": "10.0.0.9"}))
    assert now(retriever.retrieve({"ip": "10.0.0.9"})) is None


def test_a_device_is_added_with_a_line_for_fail2ban(app, now, caplog):
    caplog.set_level("INFO", logger="provd.security_events")
    added = now(ident.AddDeviceRetriever(app).retrieve({"ip": "10.0.0.9", "mac": MAC}))
    assert (added["mac"], added["added"], added["tenant_uuid"]) == (MAC, "auto", "main")
    expected = f"New device created automatically from 10.0.0.9: {added['id']}"
    assert expected in [record.getMessage() for record in caplog.records]


def test_a_device_that_cannot_be_added_is_none(app, now):
    assert now(ident.AddDeviceRetriever(app).retrieve({"mac": "no MAC"})) is None
    assert list(now(app.dev_find({}))) == []


def test_the_first_retriever_that_finds_a_device_decides(app, now):
    now(app.dev_insert({"id": "d1", "sn": "1"}))
    retriever = ident.FirstCompositeDeviceRetriever(
        [
            ident.MacDeviceRetriever(app),
            ident.SerialNumberDeviceRetriever(app),
            ident.AddDeviceRetriever(app),
        ]
    )
    assert now(retriever.retrieve({"mac": MAC, "sn": "1"}))["id"] == "d1"
    assert now(retriever.retrieve({"mac": MAC}))["added"] == "auto"
    assert now(ident.FirstCompositeDeviceRetriever([]).retrieve({"mac": MAC})) is None


def updated(now, updater, device, info):
    now(updater.update(device, info, HttpRequest(), ident.RequestType.HTTP))
    return device


def test_updaters_copy_what_they_are_for(now):
    info = {"ip": "10.0.0.9", "version": "2", "model": "B"}
    device = {"version": "1", "model": "A"}
    for updater, expected in (
        (ident.NullDeviceUpdater(), device),
        (ident.AddInfoDeviceUpdater(), {**device, "ip": "10.0.0.9"}),
        (ident.DynamicDeviceUpdater(["ip", "version"]), {**device, "ip": "10.0.0.9"}),
        (ident.DynamicDeviceUpdater("version", True), {"version": "2", "model": "A"}),
        (ident.DynamicDeviceUpdater(["sn"], force_update=True), device),
    ):
        assert updated(now, updater, dict(device), info) == expected


def test_a_device_without_config_gets_one_made_for_it(core, app, now):
    updater = ident.AutocreateConfigDeviceUpdater(app)
    assert updated(now, updater, {}, {}) == {}
    lines = {"sip_lines": {"1": {"username": "ap"}}}
    template = {"id": "base", "parent_ids": [], "raw_config": lines, "role": "autocreate"}
    now(defer.Deferred.fromCoroutine(core.manager.insert_config(template)))
    assert updated(now, updater, {}, {})["config"].startswith("base")
    assert updated(now, updater, {"config": "own"}, {}) == {"config": "own"}


def test_an_address_is_taken_from_the_device_that_had_it_unless_addresses_are_shared(app, now):
    now(app.dev_insert({"id": "d1", "ip": "10.0.0.9", "model": "A"}))
    now(app.dev_insert({"id": "d2", "ip": "10.0.0.9"}))
    updater = ident.RemoveOutdatedIpDeviceUpdater(app)
    now(app.configure_service.set("NAT", "1"))
    updated(now, updater, {"id": "d2"}, {"ip": "10.0.0.9"})
    assert now(app.dev_retrieve("d1"))["ip"] == "10.0.0.9"
    now(app.configure_service.set("NAT", "0"))
    updated(now, updater, {"id": "d2"}, {"ip": "10.0.0.9"})
    device = now(app.dev_retrieve("d1"))
    assert "ip" not in device
    assert device["model"] == "A"
    assert now(app.dev_retrieve("d2"))["ip"] == "10.0.0.9"


def test_updaters_run_in_order(now):
    updater = ident.CompositeDeviceUpdater(
        [ident.AddInfoDeviceUpdater(), ident.DynamicDeviceUpdater("ip", True)]
    )
    device = updated(now, updater, {"ip": "10.0.0.1"}, {"ip": "10.0.0.9", "model": "A"})
    assert device == {"ip": "10.0.0.9", "model": "A"}


class Plugin:
    def __init__(self, score):
        self.pg_associator = self if score is not None else None
        self.score = score

    def associate(self, dev_info):
        if isinstance(self.score, Exception):
            raise self.score
        return self.score


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ({"acme-2.0": 600, "acme-2.1": 600, "bell": 500}, "acme-2.1"),
        ({"acme-10": 600, "acme-9": 600}, "acme-9"),
        ({"acme": 310, "bell": 300}, "acme"),
        ({"acme": 299}, None),
        ({"acme": ValueError("raised"), "bell": 300, "cisco": None}, "bell"),
        ({}, None),
    ],
)
def test_the_plugin_that_fits_best_is_chosen(now, scores, chosen):
    updater = pgasso.PluginAssociatorDeviceUpdater(
        {plugin_id: Plugin(score) for plugin_id, score in scores.items()},
        pgasso.ReverseAlphabeticConflictSolver(),
    )
    assert updated(now, updater, {}, {"vendor": "Acme"}).get("plugin") == chosen


def test_a_device_keeps_its_plugin_unless_forced(now):
    updater = pgasso.PluginAssociatorDeviceUpdater(
        {"acme": Plugin(600)}, pgasso.ReverseAlphabeticConflictSolver()
    )
    assert updated(now, updater, {"plugin": "own"}, {}) == {"plugin": "own"}
    updater.force_update = True
    assert updated(now, updater, {"plugin": "own"}, {}) == {"plugin": "acme"}
    updater.min_level = 601
    assert updated(now, updater, {"plugin": "own"}, {}) == {"plugin": "own"}


def test_an_associator_of_the_core_is_an_abstract_associator():
    assert issubclass(pgasso.BasePgAssociator, pgasso.AbstractPluginAssociator)
