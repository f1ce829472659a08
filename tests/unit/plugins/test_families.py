"""Judges of what families render: every model with every kind of raw config, read by a parser.

A family brings `tests/parser.py` (content → key and value of each setting), `tests/requests.json`
(requests and what each must tell), and `tests/judge.toml` (what the phone has no place for).
"""

import copy
import fnmatch
import re

import pytest

from provd.errors import InvalidDocument
from provd.model.rawconfig import add_defaults
from provd.plugin.api import DeviceSupport, PhoneRequest, RequestType
from provd.plugin.phones.index import FamilyIndex
from tests.unit.plugins import family_cases

NAMES = family_cases.family_names()
MODELS = [(name, model) for name in NAMES for model in family_cases.family(name).models]
WITH_ACCOUNTS = [
    (name, model) for name, model in MODELS if family_cases.family(name).models[model].lines
]
SAMPLES = [(name, sample) for name in NAMES for sample in family_cases.requests(name)]
# Only a User-Agent tells vendors apart for sure.
AGENTS = [
    (name, sample) for name, sample in SAMPLES if sample["expected"] and sample.get("user_agent")
]


@pytest.fixture(scope="module")
def plugins(built_plugins):
    from provd.plugin.host import PluginHost
    from tests.unit.plugins import vendor_plugins

    host = PluginHost(
        built_plugins,
        general_config={},
        plugin_config={},
        base_raw_config=vendor_plugins.BASE_RAW_CONFIG,
    )
    loaded = {name: host.load(family_cases.family(name).id).plugin for name in NAMES}
    yield loaded
    host.close()


@pytest.fixture(scope="module")
def index(plugins):
    return FamilyIndex(plugins.values())


def to_request(sample):
    path, _, query = sample.get("path", "").partition("?")
    return PhoneRequest(
        RequestType(sample["protocol"]),
        path=path,
        query=query,
        user_agent=sample.get("user_agent"),
        form=sample.get("form", {}),
        options={int(code): value for code, value in sample.get("options", {}).items()},
        mac=sample.get("mac"),
    )


def render(plugin, device, raw_config):
    raw_config = copy.deepcopy(raw_config)
    add_defaults(raw_config)
    return list(plugin.render(copy.deepcopy(device), raw_config))


# Identification


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_a_request_is_recognised_with_all_families_loaded(index, name, sample):
    info, _ = index.extract(to_request(sample))
    if sample["expected"] is None:  # nothing, or another family's
        assert info is None or info["vendor"] != family_cases.family(name).vendor
    else:
        assert info == sample["expected"]


@pytest.mark.parametrize(("name", "sample"), AGENTS)
def test_no_other_vendor_s_family_claims_a_request(plugins, name, sample):
    for other, plugin in plugins.items():
        if other == name:
            continue
        told = plugin.identification.match_agent(sample["user_agent"])
        told = told and plugin.refine(told, to_request(sample))
        assert told is None, other


@pytest.mark.parametrize("name", NAMES)
def test_every_user_agent_holds_one_of_the_words_of_its_family(name):
    words = family_cases.family(name).identification.words
    for sample in family_cases.requests(name):
        agent = sample.get("user_agent")
        if agent and sample["expected"] and "model" in sample["expected"]:
            assert any(word in agent.lower() for word in words), agent


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_a_known_model_scores_above_what_is_only_of_the_vendor(plugins, name, model):
    known = family_cases.family(name).models[model]
    info = {"vendor": family_cases.family(name).vendor_of(known), "model": model}
    assert plugins[name].associate(info) >= DeviceSupport.INCOMPLETE
    for version in known.firmware:
        assert plugins[name].associate({**info, "version": version}) == DeviceSupport.EXACT
    assert plugins[name].associate({**info, "vendor": "Nobody"}) == DeviceSupport.NONE


# Rendering


def parsed_files(name, files):
    parse = family_cases.parser(name).parse
    return {file.name: parse(file.content) for file in files}


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_every_model_takes_every_kind_of_config(plugins, name, model):
    known = family_cases.family(name).models[model]
    refused = family_cases.judgement(name).get("refused", {})
    repeatable = getattr(family_cases.parser(name), "REPEATABLE", ())
    newest = known.firmware[-1] if known.firmware else "1.0.0"
    for version in (None, newest):
        device = family_cases.device_of(name, model, version)
        names = set(plugins[name].file_names(device))
        for variant, raw_config in family_cases.variants(known).items():
            if version is None and variant not in {"autoprov", "rich", "all keys"}:
                continue  # once for all of them will do
            if variant in refused:
                with pytest.raises(InvalidDocument, match=refused[variant]):
                    render(plugins[name], device, raw_config)
                continue
            files = render(plugins[name], device, raw_config)
            assert files, variant
            assert {file.name for file in files} <= names
            for file, pairs in parsed_files(name, files).items():
                keys = [key for key, _ in pairs if key not in repeatable]
                twice = {key for key in keys if keys.count(key) > 1} if len(keys) < 3000 else set()
                assert not twice, (variant, file)
                assert len(keys) == len(set(keys)), (variant, file)


def missing_of(name, model):
    """Return canary → reason, for those that a model has no place for."""
    reasons = {}
    for canary, reason in family_cases.judgement(name).get("missing", {}).items():
        assert canary in family_cases.CANARIES, canary
        by_model = {"*": reason} if isinstance(reason, str) else reason
        for pattern, text in by_model.items():
            if any(fnmatch.fnmatchcase(model.name, one) for one in pattern.split()):
                reasons[canary] = text
    if model.lines < 2:
        reasons.update({f"sip_lines.2.{key}": "one line" for key in ("username", "password")})
        reasons["sip_lines.2.proxy_ip"] = "one line"
    if len(model.slots) < 5:
        for number, kind in ((3, "speeddial"), (4, "blf"), (5, "park")):
            if len(model.slots) < number:
                reasons[f"funckeys.{kind}"] = "not enough keys"
    if not model.slots:
        reasons["exten_pickup_call"] = "no keys"
    return reasons


@pytest.mark.parametrize(("name", "model"), WITH_ACCOUNTS)
def test_every_parameter_comes_back_from_the_files_or_is_known_to_be_missing(plugins, name, model):
    known = family_cases.family(name).models[model]
    device = family_cases.device_of(name, model, *known.firmware[-1:])
    files = render(plugins[name], device, family_cases.rich())
    values = [value for pairs in parsed_files(name, files).values() for _, value in pairs]
    missing = missing_of(name, known)
    absent = {
        canary
        for canary, value in family_cases.CANARIES.items()
        if canary not in missing and not any(str(value) in one for one in values)
    }
    assert not absent, absent


@pytest.mark.parametrize(("name", "model"), WITH_ACCOUNTS)
def test_nothing_is_said_to_be_missing_that_is_there(plugins, name, model):
    known = family_cases.family(name).models[model]
    device = family_cases.device_of(name, model, *known.firmware[-1:])
    files = render(plugins[name], device, family_cases.rich())
    values = [value for pairs in parsed_files(name, files).values() for _, value in pairs]
    for canary in family_cases.judgement(name).get("missing", {}):
        value = family_cases.CANARIES[canary]
        # Short texts may be part of others by chance.
        if canary in missing_of(name, known) and len(str(value)) > 4:
            assert not any(str(value) in one for one in values), canary


@pytest.mark.parametrize("name", NAMES)
def test_a_password_is_in_no_file_that_is_not_sensitive(plugins, name):
    for model in family_cases.family(name).models:
        device = family_cases.device_of(name, model)
        for file in render(plugins[name], device, family_cases.rich()):
            if b"pw-two" in file.content or b"849201" in file.content:
                base_name = file.name.rsplit("/", 1)[-1]
                assert plugins[name].is_sensitive_filename(base_name), file.name


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_nobody_knows_is_served_all_the_same_and_noted(plugins, name, caplog):
    first = next(iter(family_cases.family(name).models))
    device = {**family_cases.device_of(name, first), "model": f"{first[:2]}ZZ9", "id": "unknown"}
    assert render(plugins[name], device, family_cases.AUTOPROV)
    assert "is not a model that we know" in caplog.text
    assert re.search("device unknown: ", caplog.text)


@pytest.mark.parametrize("name", NAMES)
def test_common_files_are_sound(plugins, name):
    parse = family_cases.parser(name)
    skipped = getattr(parse, "OPAQUE", ())
    from tests.unit.plugins import vendor_plugins

    for file in plugins[name].render_common(dict(vendor_plugins.BASE_RAW_CONFIG)):
        if not any(fnmatch.fnmatchcase(file.name, pattern) for pattern in skipped):
            parse.parse(file.content)
