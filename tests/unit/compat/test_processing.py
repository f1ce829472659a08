"""Request-processing files: what they give, what they may not be, what the pipeline makes of them."""

import logging
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import defer

from provd.compat import processing
from provd.compat.application import Application
from provd.compat.devices import ident, pgasso
from provd.compat.processing import Stages, load_stages
from provd.errors import ProvdError, SettingsError
from provd.manager import jobs
from provd.manager.pipeline import STAGE_TIMEOUT, Pipeline
from provd.model.requests import RequestType
from tests.unit.manager.core import Core, FakeRequest, later, mac, result, tftp_request

PACKAGED_DIR = os.path.join(os.path.dirname(__file__), *[os.pardir] * 3, "etc", "provd")
PACKAGED = [
    ("info_extractor", "default"),
    ("retriever", "default"),
    ("retriever", "secure"),
    ("updater", "default"),
    ("updater", "secure"),
]
DEFAULTS = dict.fromkeys(processing.METHODS, "default")
AGENT = f"Acme A1 1.0 {mac(1)}"


class App:
    """Enough of an application for parts that are made and never used."""

    nat = 0

    def __init__(self):
        self.pg_mgr = self
        self.observers = []

    def attach(self, observer):
        self.observers.append(observer)


def packaged(stage, variant):
    with open(os.path.join(PACKAGED_DIR, f"{stage}.py.conf.{variant}"), encoding="utf-8") as stream:
        return stream.read()


@pytest.fixture
def load(tmp_path):
    """Load one stage from a file of that text: `load(stage, source, variant="mine")`."""

    def load(stage, source=None, variant="mine"):
        if source is not None:
            (tmp_path / f"{stage}.py.conf.{variant}").write_text(source, encoding="utf-8")
        stages = load_stages(str(tmp_path), {**DEFAULTS, stage: variant}, App())
        return getattr(stages, stage)

    return load


# Which variant


def test_without_files_the_packaged_variants_are_built_in(tmp_path):
    assert load_stages(str(tmp_path / "nowhere"), DEFAULTS, App()) == Stages()
    secure = {**DEFAULTS, "retriever": "secure", "updater": "secure"}
    assert load_stages(str(tmp_path), secure, App()) == Stages("default", "secure", "secure")


@pytest.mark.parametrize(("stage", "variant"), PACKAGED)
@pytest.mark.parametrize("name", ["default", "secure", "mine"])
def test_a_packaged_file_under_any_name_is_the_built_in_variant(load, stage, variant, name):
    assert load(stage, packaged(stage, variant), name) == variant


def test_the_packaged_files_are_those_of_the_contract():
    found = [name for name in os.listdir(PACKAGED_DIR) if ".py.conf." in name]
    assert sorted(found) == sorted(f"{stage}.py.conf.{variant}" for stage, variant in PACKAGED)


@pytest.mark.parametrize(
    ("stage", "source"),
    [
        (
            "info_extractor",
            """
from functools import partial
vote = partial(CollaboratingDeviceInfoExtractor, VotingUpdater)
parts = (AllPluginsDeviceInfoExtractor(vote, app.pg_mgr), StandardDeviceInfoExtractor())
info_extractor = CollaboratingDeviceInfoExtractor(LastSeenUpdater, parts)
""",
        ),
        (
            "retriever",
            """
classes = [MacDeviceRetriever, SerialNumberDeviceRetriever, UUIDDeviceRetriever,
           IpDeviceRetriever, AddDeviceRetriever]
retriever = FirstCompositeDeviceRetriever(c(app) for c in classes)
""",
        ),
        (
            "updater",
            """
from provd.compat.devices import ident
def plugin():
    return PluginAssociatorDeviceUpdater(app.pg_mgr, ReverseAlphabeticConflictSolver())
updater = CompositeDeviceUpdater([
    RemoveOutdatedIpDeviceUpdater(app), ident.AddInfoDeviceUpdater(),
    DynamicDeviceUpdater(("ip", "version"), True), plugin(), AutocreateConfigDeviceUpdater(app)])
""",
        ),
    ],
)
def test_the_default_written_otherwise_is_built_in_as_well(load, stage, source):
    assert load(stage, source) == "default"


@pytest.mark.parametrize(
    ("stage", "old", "new"),
    [
        ("info_extractor", "VotingUpdater", "LastSeenUpdater"),
        ("info_extractor", "    LastSeenUpdater,", "    lambda: LastSeenUpdater(),"),
        ("info_extractor", "VotingUpdater, extractors", "VotingUpdater, extractors[::-1]"),
        ("info_extractor", "        StandardDeviceInfoExtractor(),\n", ""),
        ("retriever", "        UUIDDeviceRetriever(app),\n", ""),
        ("retriever", "UUIDDeviceRetriever(app)", 'SearchDeviceRetriever(app, "uuid")'),
        ("updater", '["ip", "version"]', '["ip"]'),
        ("updater", "force_update=True", "force_update=False"),
        ("updater", "updater = ", "PluginAssociatorDeviceUpdater.min_level = 400\nupdater = "),
        (
            "updater",
            "updater = ",
            "class AddInfoDeviceUpdater(AddInfoDeviceUpdater): pass\nupdater = ",
        ),
    ],
)
def test_a_change_of_the_default_makes_it_a_file_of_its_own(
    load, monkeypatch, caplog, stage, old, new
):
    monkeypatch.setattr(pgasso.PluginAssociatorDeviceUpdater, "min_level", 300)
    caplog.set_level(logging.INFO)
    text = packaged(stage, "default")
    assert text.count(old) == 1
    assert hasattr(load(stage, text.replace(old, new)), processing.METHODS[stage])
    assert f"{stage}.py.conf.mine is used instead of the built-in {stage}" in caplog.text


def test_an_attribute_set_on_a_part_is_not_overlooked(load):
    assert (
        load("updater", packaged("updater", "default") + "updater.updaters[3].min_level = 310\n")
        != "default"
    )


def test_a_file_named_default_replaces_the_built_in_one(load):
    source = "class R:\n    def retrieve(self, dev_info): return None\nretriever = R()\n"
    assert type(load("retriever", source, "default")).__name__ == "R"


# Names


def test_a_file_finds_all_public_names_of_both_modules_and_app(load):
    source = "names = dict(globals())\nclass R:\n    seen = names\n    def retrieve(self, i): ...\nretriever = R()\n"
    seen = load("retriever", source).seen
    for module in (ident, pgasso):
        for name in module.__all__:
            assert seen[name] is getattr(module, name)
    assert isinstance(seen["app"], App)
    assert seen["__file__"].endswith("retriever.py.conf.mine")


def test_files_do_not_share_their_names(load, tmp_path):
    (tmp_path / "info_extractor.py.conf.default").write_text(
        packaged("info_extractor", "default") + "leak = 1\n"
    )
    with pytest.raises(SettingsError, match="NameError: name 'leak' is not defined"):
        load("updater", "leak\n")


# Files that cannot be used


@pytest.mark.parametrize(
    ("stage", "source", "reason"),
    [
        ("retriever", None, "no such file; without one, general.retriever is default or secure"),
        ("info_extractor", None, "no such file; without one, general.info_extractor is default"),
        ("updater", "updater = (", "line 1: SyntaxError: '(' was never closed"),
        ("updater", "\n\nupdater = Missing()", "line 3: NameError: name 'Missing' is not defined"),
        ("updater", "def f():\n    raise ValueError('a\\nb')\nf()\n", "line 2: ValueError: a b"),
        ("updater", "import json\njson.loads('')\n", "line 2: JSONDecodeError: Expecting value"),
        ("updater", "retriever = NullDeviceUpdater()", "it defines no variable updater"),
        ("updater", "updater = None", "it defines no variable updater"),
        ("updater", "updater = NullDeviceUpdater", "updater is no object with a method update"),
        (
            "updater",
            "updater = MacDeviceRetriever(app)",
            "updater is no object with a method update",
        ),
        ("updater", "x = '\0'", "null bytes"),
    ],
)
def test_an_unusable_file_is_refused_with_one_line_that_says_why(
    load, tmp_path, stage, source, reason
):
    with pytest.raises(SettingsError) as caught:
        load(stage, source)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/{stage}.py.conf.mine: ")
    assert reason in message
    assert "\n" not in message


def test_a_directory_in_place_of_a_file_is_refused(load, tmp_path):
    (tmp_path / "updater.py.conf.default").mkdir()
    with pytest.raises(SettingsError, match=r"updater\.py\.conf\.default: Is a directory"):
        load("updater", variant="default")


def test_a_secure_info_extractor_is_not_packaged(load):
    with pytest.raises(SettingsError, match="no such file"):
        load("info_extractor", variant="secure")


# In the pipeline


class Site:
    """A core whose pipeline has stages of files."""

    def __init__(self, directory, **core_options):
        self.core = Core(directory, **core_options)
        self.core.autoprov()
        self.app = Application(
            manager=self.core.manager,
            host=self.core.host,
            parameters=self.core.parameters,
            sync_service_getter=lambda: None,
        )
        self.directory = str(directory)

    def use(self, stages, **options):
        core = self.core
        core.pipeline = Pipeline(
            clock=core.clock,
            manager=core.manager,
            host=core.host,
            extraction=core.extraction,
            limits=core.limits,
            parameters=core.parameters,
            max_unclaimed=options.pop("max_unclaimed", 1000),
            info_extractor=stages.info_extractor,
            retriever=stages.retriever,
            updater=stages.updater,
        )

    def files(self, **sources):
        """Use files of these texts, stage -> text; the other stages are built in."""
        for stage, source in sources.items():
            path = os.path.join(self.directory, f"{stage}.py.conf.mine")
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(source)
        variants = {**DEFAULTS, **dict.fromkeys(sources, "mine")}

        async def create(info):
            return await self.core.pipeline.create(info)

        self.use(load_stages(self.directory, variants, self.app, create))
        return self


@pytest.fixture(autouse=True)
def long_slices(monkeypatch):
    monkeypatch.setattr(jobs, "SLICE_SECONDS", 1e9)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_file_for_the_info_replaces_that_stage_only(site):
    site.files(
        info_extractor=f"""
class Fixed(AbstractDeviceInfoExtractor):
    def extract(self, request, request_type):
        assert request_type == RequestType.HTTP
        return {{"mac": "{mac(7)}", "ip": "10.1.0.7", "vendor": "Acme"}}
info_extractor = Fixed()
"""
    )
    identified = site.core.http("anything", "10.1.0.1")
    [device] = site.core.all_stored()
    assert (device["mac"], device["ip"], device["plugin"]) == (mac(7), "10.1.0.7", "acme-1")
    assert device["configured"] is True
    assert identified.record.id == device["id"]
    assert site.core.probe.asked == 0
    assert site.core.http("anything", "10.1.0.1").record.id == device["id"]


def test_a_file_for_the_info_may_tell_nothing(site):
    site.files(
        info_extractor="class No:\n    def extract(self, request, kind): return None\ninfo_extractor = No()\n",
        retriever=packaged("retriever", "secure"),
    )
    assert site.core.http(AGENT).record is None


def test_a_device_of_an_info_without_address_has_none(site, caplog):
    caplog.set_level(logging.INFO)
    site.files(
        info_extractor=f"class No:\n    def extract(self, request, kind): return dict(mac='{mac(1)}')\ninfo_extractor = No()\n"
    )
    site.core.http(AGENT)
    site.core.http(AGENT)
    [device] = site.core.all_stored()
    assert device["mac"] == mac(1)
    assert "ip" not in device
    assert "New device created" not in caplog.text


def test_a_file_for_retrieval_may_create_in_its_own_way(site):
    site.files(
        retriever="""
class OnlyAcme(AbstractDeviceRetriever):
    def retrieve(self, dev_info):
        if dev_info.get("vendor") != "Acme":
            return defer.succeed(None)
        return AddDeviceRetriever(app).retrieve(dev_info)
retriever = FirstCompositeDeviceRetriever([MacDeviceRetriever(app), OnlyAcme()])
"""
    )
    assert site.core.http(f"Other A1 1.0 {mac(2)}").record is None
    first = site.core.http(AGENT)
    assert site.core.http(AGENT).record.id == first.record.id
    [device] = site.core.all_stored()
    assert (device["added"], device["plugin"], device["configured"]) == ("auto", "acme-1", True)
    assert site.core.pipeline.created == 1


@pytest.mark.parametrize("seed", range(10))
def test_simultaneous_first_requests_make_one_device_by_a_file_too(site, seed):
    site.files(
        retriever="retriever = FirstCompositeDeviceRetriever([MacDeviceRetriever(app), AddDeviceRetriever(app)])"
    )
    core = site.core
    core.store.slow = True
    waiting = [
        later(core.pipeline.identify(RequestType.HTTP, FakeRequest("/x", AGENT), "10.1.0.1", "x"))
        for _ in range(4)
    ]
    core.store.run_randomly(seed)
    assert len({result(request).record.id for request in waiting}) == 1
    assert len(core.all_stored()) == 1


def test_creation_by_a_file_keeps_to_the_limits(tmp_path):
    site = Site(tmp_path, rates=(1000.0, 2.0))
    site.files(
        retriever="retriever = FirstCompositeDeviceRetriever([MacDeviceRetriever(app), AddDeviceRetriever(app)])"
    )
    for number in range(1, 6):
        site.core.http(f"Acme A1 1.0 {mac(number)}")
    assert len(site.core.all_stored()) == 2


def test_a_retriever_that_names_a_device_which_is_gone_finds_none(site):
    site.files(
        retriever="class R:\n    def retrieve(self, i): return {'id': 'gone'}\nretriever = R()\n"
    )
    assert site.core.http(AGENT).record is None


def test_a_file_for_updates_changes_devices_in_its_own_way(site):
    site.files(
        updater="""
class Tag(AbstractDeviceUpdater):
    def update(self, device, dev_info, request, request_type):
        device["tag"] = [dev_info["ip"], str(request_type)]
        device["plugin"] = "acme-1"
        device.pop("remove_me", None)
        dev_info["mac"] = "spoiled"
        return defer.succeed(None)
updater = Tag()
"""
    )
    device = site.core.device("d1", 1, remove_me=True, plugin="none")
    identified = site.core.http(AGENT, "10.1.0.5")
    device = site.core.stored("d1")
    assert device["tag"] == ["10.1.0.5", "http"]
    assert "ip" not in device
    assert "remove_me" not in device
    assert identified.loaded.id == "acme-1"
    assert identified.info["mac"] == mac(1)
    site.core.http(f"Acme A1 1.0 {mac(2)}", "10.1.0.6")
    created = next(d for d in site.core.all_stored() if d["id"] != "d1")
    assert "config" not in created


def test_what_others_change_while_an_updater_waits_is_kept(site):
    site.files(
        updater="""
class Slow:
    waiting = None
    def update(self, device, dev_info, request, request_type):
        device["version"] = "2.0"
        self.waiting = defer.Deferred()
        return self.waiting
updater = Slow()
"""
    )
    core = site.core
    core.device("d1", 1, description="old")
    asked = later(
        core.pipeline.identify(RequestType.HTTP, FakeRequest("/x", AGENT), "10.1.0.1", "x")
    )
    core.put("d1", description="new")
    core.pipeline._updater.waiting.callback(None)
    result(asked)
    device = core.stored("d1")
    assert (device["description"], device["version"]) == ("new", "2.0")


def test_the_sip_account_of_a_phone_is_noted_with_files_too(site):
    site.files(updater="class U:\n    def update(self, *args): return None\nupdater = U()\n")
    site.core.device("d1", 1, config="autoprov")
    site.core.http(AGENT, path=f"/{mac(1).replace(':', '')}.cfg")
    assert site.core.stored("d1")["remote_state_sip_username"] == "alice"


def test_a_request_never_takes_the_short_way_past_a_file(site):
    for stage in processing.METHODS:
        site.files()
        site.core.http(AGENT)
        request = FakeRequest("/common.cfg", AGENT)
        known = (RequestType.HTTP, request, "10.1.0.1", "common.cfg")
        assert site.core.pipeline.identify_now(*known) is not None
        part = {
            "info_extractor": CUSTOM_EXTRACTOR,
            "retriever": CUSTOM_RETRIEVER,
            "updater": CUSTOM_UPDATER,
        }
        site.files(**{stage: part[stage]})
        assert site.core.pipeline.identify_now(*known) is None
        assert result(site.core.pipeline.identify(*known)).record.document["mac"] == mac(1)


# Each packaged default, with a part that keeps it from being recognised.
CUSTOM_EXTRACTOR = packaged("info_extractor", "default") + "info_extractor.site = 1\n"
CUSTOM_RETRIEVER = packaged("retriever", "default") + "retriever.site = 1\n"
CUSTOM_UPDATER = packaged("updater", "default") + "updater.site = 1\n"


@pytest.mark.parametrize(
    ("stage", "source"),
    [
        (
            "info_extractor",
            "class X:\n    def extract(self, r, k): raise OSError('no')\ninfo_extractor = X()",
        ),
        (
            "info_extractor",
            "class X:\n    def extract(self, r, k): return defer.fail(OSError('no'))\ninfo_extractor = X()",
        ),
        (
            "info_extractor",
            "class X:\n    def extract(self, r, k): return 'text'\ninfo_extractor = X()",
        ),
        ("retriever", "class X:\n    def retrieve(self, i): raise OSError('no')\nretriever = X()"),
        ("retriever", "class X:\n    def retrieve(self, i): return {}\nretriever = X()"),
        (
            "updater",
            "class X:\n    def update(self, d, i, r, k): return defer.fail(OSError('no'))\nupdater = X()",
        ),
    ],
)
def test_a_failing_file_fails_the_request_and_harms_nothing(site, stage, source):
    site.core.device("d1", 1)
    before = site.core.stored("d1")
    site.files(**{stage: source})
    for _ in range(2):
        with pytest.raises(ProvdError, match=stage):
            site.core.http(AGENT)
    assert site.core.all_stored() == [before]
    site.files()
    assert site.core.http(AGENT).record.id == "d1"


@pytest.mark.parametrize(("stage", "method"), processing.METHODS.items())
def test_an_object_that_never_answers_is_given_up(site, stage, method):
    source = f"class X:\n    def {method}(self, *args): return defer.Deferred()\n{stage} = X()\n"
    site.core.device("d1", 1)
    site.files(**{stage: source})
    known = (RequestType.HTTP, FakeRequest("/x", AGENT), "10.1.0.1", "x")
    asked = later(site.core.pipeline.identify(*known))
    second = later(site.core.pipeline.identify(*known))
    site.core.clock.advance(STAGE_TIMEOUT)
    with pytest.raises(ProvdError, match=f"{stage} took more than 10 s"):
        result(asked)
    site.core.clock.advance(STAGE_TIMEOUT)
    with pytest.raises(ProvdError, match=f"{stage} took more than 10 s"):
        result(second)
    assert site.core.clock.getDelayedCalls() == []


def test_a_request_given_up_by_its_client_is_not_taken_for_a_failure(site):
    site.files(
        retriever="class X:\n    def retrieve(self, i): return defer.Deferred()\nretriever = X()\n"
    )
    asked = later(
        site.core.pipeline.identify(RequestType.HTTP, FakeRequest("/x", AGENT), "10.1.0.1", "x")
    )
    asked.cancel()
    with pytest.raises(defer.CancelledError):
        result(asked)
    site.core.clock.advance(STAGE_TIMEOUT)  # what was begun for it ends by itself
    assert site.core.clock.getDelayedCalls() == []


# The page of the documentation


def page():
    path = os.path.join(PACKAGED_DIR, *[os.pardir] * 2, "docs", "request-processing.md")
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def test_the_documented_file_works(site):
    [source] = re.findall(r"^```python\n(.*?)^```$", page(), re.MULTILINE | re.DOTALL)
    site.files(retriever=source)
    assert site.core.http(AGENT, "10.1.0.1").record is None
    identified = site.core.http(AGENT, "10.20.0.1")
    assert identified.device["mac"] == mac(1)
    assert site.core.http(AGENT, "10.1.0.1").record.id == identified.record.id


def test_the_documentation_names_every_class_that_files_may_use():
    classes = [
        name
        for module in (ident, pgasso)
        for name in module.__all__
        if re.search(r"(Extractor|Retriever|Updater|ConflictSolver)$", name)
    ]
    assert len(classes) > 20
    for name in classes:
        assert name in page() or name == "AbstractConflictSolver", name


# The packaged files, executed, do what the built-in variants do.

events = st.tuples(
    st.sampled_from(["http", "tftp", "dhcp"]),
    st.integers(1, 3),  # phone
    st.sampled_from(["1.0", "2.0", None]),
    st.integers(1, 3),  # address
)


def play(site, event, forced):
    """Send one request; return the MAC of the device it got and its plugin."""
    kind, phone, version, address = event
    ip = f"10.1.0.{address}"
    pipeline = site.core.pipeline
    if kind == "http":
        request = FakeRequest(
            "/common.cfg", None if version is None else f"Acme A1 {version} {mac(phone)}"
        )
        request.getClientIP = lambda: ip
        args = (RequestType.HTTP, request, ip, "common.cfg")
    elif kind == "tftp":
        name = mac(phone).replace(":", "") + ".cfg" if version is not None else "x"
        args = (RequestType.TFTP, tftp_request(name, ip), ip, name)
    else:
        args = (RequestType.DHCP, {"ip": ip, "mac": mac(phone), "options": {}}, ip, None)
    now = None if kind == "dhcp" else pipeline.identify_now(*args)
    assert not (forced and now)
    identified = now or result(pipeline.identify(*args))
    device = identified.device or {}
    return device.get("mac"), device.get("ip"), identified.loaded and identified.loaded.id


def documents(site):
    """Return all devices without their random ids."""
    devices = []
    for device in site.core.all_stored():
        config = site.core.stored(device["config"], "configs") if device.get("config") else None
        shown = {k: v for k, v in device.items() if k not in {"id", "config"}}
        devices.append((shown, config and config["parent_ids"]))
    return devices


@settings(max_examples=100, deadline=None)
@given(
    variants=st.sampled_from([{}, {"retriever": "secure"}, {"updater": "secure"}]),
    nat=st.sampled_from("01"),
    sequence=st.lists(events, max_size=8),
)
def test_packaged_files_executed_do_what_is_built_in(tmp_path_factory, variants, nat, sequence):
    names = {**DEFAULTS, **variants}
    built_in = Site(tmp_path_factory.mktemp("a"), plugins=("acme-1", "acme-2"))
    built_in.use(Stages(**names))
    executed = Site(tmp_path_factory.mktemp("b"), plugins=("acme-1", "acme-2"))
    executed.files(
        **{
            stage: packaged(stage, variant) + f"{stage}.site = 1\n"
            for stage, variant in names.items()
        }
    )
    for site in (built_in, executed):
        site.core.parameters._nat = nat
        for probe in site.core.probes.values():
            probe.associate = lambda info: 500 if info.get("vendor") == "Acme" else 0
        for number in (1, 2):
            document = {"id": f"d{number}", "mac": mac(number), "tenant_uuid": "t9"}
            site.core.insert_raw("devices", {**document, "configured": False, "ip": "10.1.0.1"})
    for event in sequence:
        assert play(built_in, event, False) == play(executed, event, True)
        assert documents(built_in) == documents(executed)
