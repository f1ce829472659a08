"""What vendor plugins render, against files under plugins/<family>/tests/golden.

A case is a directory `<firmware>/<model>/<case>` that holds device.json, raw_config.json, perhaps
settings.json (what the daemon's settings say of the plugin), and the files under expected/. A case
without device.json shows the common files. `tests/parser.py` of the family reads what it renders.
"""

import copy
import fnmatch
import glob
import os

import pytest

from provd.errors import InvalidDocument
from provd.plugin import builder
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import read_json

ODD_TEXTS = (
    "\"quoted\" & <tagged> 'apostrophe' %NULL% {{ raw }} {% endif %} $PN \\n # ;",
    "line\nfeed = 1\r\nreturn\rtab\tvertical\vform\f",
    "next\x85line\u2028line\u2029paragraph\x00null\x1b[0m",
    "Zoé Дарья 電話 \N{TELEPHONE RECEIVER} \ud800",
    "   ",
    "#!version:1.0.0.1",
)
# What a user or an operator types freely.
FREE_NAMES = ("display_name", "label")
FREE_TEXTS = ("display_name", "label", "password", "admin_password")


def cases():
    for family in vendor_plugins.families():
        pattern = os.path.join(family, "tests", "golden", "*", "*", "*", "raw_config.json")
        for path in sorted(glob.glob(pattern)):
            directory = os.path.dirname(path)
            yield pytest.param(
                os.path.basename(family),
                directory,
                id=os.path.relpath(directory, vendor_plugins.ROOT).replace("/tests/golden", ""),
            )


ALL_CASES = list(cases())
DEVICE_CASES = [
    case for case in ALL_CASES if os.path.exists(os.path.join(case.values[1], "device.json"))
]


class Case:
    def __init__(self, family, directory, load_plugin):
        self.expected = os.path.join(directory, "expected")
        self.parser = vendor_plugins.parser(family)
        self.raw_config = read_json(directory, "raw_config.json")
        self.device = read_json(directory, "device.json", default={})
        [target] = builder.read_targets(os.path.join(vendor_plugins.ROOT, family))
        self.plugin = load_plugin(
            target.plugin_id, read_json(directory, "settings.json", default={})
        )

    def render(self, device=None, raw_config=None):
        device = copy.deepcopy(device or self.device)
        raw_config = copy.deepcopy(raw_config or self.raw_config)
        if device:
            files = self.plugin.render(device, raw_config)
        else:
            files = self.plugin.render_common(raw_config)
        return {file.name: file.content for file in files}

    def parse(self, files):
        opaque = getattr(self.parser, "OPAQUE", ())
        return {
            name: self.parser.parse(content)
            for name, content in files.items()
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in opaque)
        }


@pytest.fixture
def case(request, load_plugin):
    return Case(*request.param, load_plugin)


def each(parameters):
    return pytest.mark.parametrize(
        "case",
        [pytest.param(parameter.values, id=parameter.id) for parameter in parameters],
        indirect=True,
    )


@each(ALL_CASES)
def test_rendered_files_are_those_expected(case, update_golden):
    files = case.render()
    if update_golden:
        write_expected(case.expected, files)
    expected = {}
    for name in names_below(case.expected):
        with open(os.path.join(case.expected, name), "rb") as stream:
            expected[name] = stream.read()
    assert sorted(files) == sorted(expected)
    for name, content in files.items():
        assert content.decode().splitlines() == expected[name].decode().splitlines(), name
        assert content == expected[name], name


def names_below(directory):
    """Return the names of the files in a directory and below it, as phones ask for them."""
    return {
        os.path.relpath(os.path.join(root, name), directory)
        for root, _, names in os.walk(directory)
        for name in names
    }


def write_expected(directory, files):
    for name in names_below(directory) - files.keys():
        os.unlink(os.path.join(directory, name))
    for name, content in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)


@each(ALL_CASES)
def test_the_format_s_own_parser_reads_what_is_rendered(case):
    parsed = case.parse(case.render())
    assert parsed
    assert all(parsed.values())


@each(ALL_CASES)
def test_rendering_twice_gives_the_same_bytes_and_changes_no_argument(case):
    device, raw_config = copy.deepcopy(case.device), copy.deepcopy(case.raw_config)
    if device:
        once = [*case.plugin.render(device, raw_config)]
        again = [*case.plugin.render(device, raw_config)]
    else:
        once = [*case.plugin.render_common(raw_config)]
        again = [*case.plugin.render_common(raw_config)]
    assert once == again
    assert device == case.device
    assert raw_config == case.raw_config


@each(DEVICE_CASES)
def test_two_devices_share_no_file_name_among_them_nor_with_the_common_files(case):
    other = {**case.device, "id": "other", "sn": "another"}
    # Another phone of the same vendor, as some names are for the addresses of the vendor only.
    other["mac"] = case.device["mac"][:9] + "ff:ff:fe"
    assert other["mac"] != case.device["mac"]
    names = set(case.plugin.file_names(case.device))
    other_names = set(case.plugin.file_names(other))
    common = {file.name for file in case.plugin.render_common(dict(vendor_plugins.BASE_RAW_CONFIG))}
    assert names
    assert other_names
    assert names.isdisjoint(other_names)
    assert common.isdisjoint(names | other_names)


@each(DEVICE_CASES)
def test_every_rendered_file_is_among_the_names_to_remove(case):
    assert set(case.render()) <= set(case.plugin.file_names(case.device))


def with_free_texts(value, text, names=FREE_TEXTS):
    """Return a copy of a document where every free text called one of `names` is `text`."""
    if isinstance(value, list):
        return [with_free_texts(item, text, names) for item in value]
    if isinstance(value, dict):
        return {
            key: text if key in names and item else with_free_texts(item, text, names)
            for key, item in value.items()
        }
    return value


@each(DEVICE_CASES)
@pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
def test_odd_texts_neither_add_nor_remove_nor_change_another_key(case, text):
    plain = case.parse(case.render(raw_config=with_free_texts(case.raw_config, "plain")))
    try:
        odd = case.parse(case.render(raw_config=with_free_texts(case.raw_config, text)))
    except InvalidDocument as error:
        # A password that the format cannot hold must not reach the phone as another one.
        assert "password: it holds what the phone cannot be told" in str(error)  # noqa: PT017
        raw_config = with_free_texts(case.raw_config, text, FREE_NAMES)
        plain = case.parse(
            case.render(raw_config=with_free_texts(case.raw_config, "plain", FREE_NAMES))
        )
        odd = case.parse(case.render(raw_config=raw_config))
    assert sorted(odd) == sorted(plain)
    for name, pairs in plain.items():
        assert [key for key, _ in odd[name]] == [key for key, _ in pairs]
        for (key, odd_value), (_, value) in zip(odd[name], pairs, strict=True):
            assert odd_value == value or "plain" in value, key
