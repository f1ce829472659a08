"""Where our vendor plugins and their data lie."""

import glob
import json
import os

from provd.plugin import builder

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..", "plugins"))
BASE_RAW_CONFIG = {
    "ip": "10.0.0.1",
    "http_port": 8667,
    "tftp_port": 69,
    "http_base_url": "http://10.0.0.1:8667",
}


def families():
    return sorted(filter(builder.is_family, glob.glob(os.path.join(ROOT, "*"))))


def read_json(*path, default=None):
    name = os.path.join(*path)
    if default is not None and not os.path.exists(name):
        return default
    with open(name, encoding="utf-8") as stream:
        return json.load(stream)


def parse_yealink(content):
    """Return the (key, value) pairs of a configuration, in order, as the phone takes them.

    Any kind of line end counts, so that none can be smuggled in by a value.
    """
    first, *lines = content.decode("utf-8").splitlines()
    assert first == "#!version:1.0.0.1"
    pairs = []
    for line in lines:
        if line.strip() and not line.startswith("#"):
            key, equals, value = line.partition(" = ")
            assert equals, line
            assert key
            assert not set(key) - set("abcdefghijklmnopqrstuvwxyz0123456789_."), line
            assert value == value.strip() != "", line
            pairs.append((key, value))
    return pairs
