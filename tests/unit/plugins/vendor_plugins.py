"""Where our vendor plugins and their data lie."""

import functools
import glob
import importlib.util
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


@functools.cache
def parser(family):
    """Return the module `tests/parser.py` of a family.

    Its `parse(content)` returns (key, value) pairs in the order of a file. It may have `OPAQUE`,
    patterns of names of files that hold no settings, and `REPEATABLE`, keys that may come twice.
    """
    return load_parser(os.path.join(ROOT, family, "tests", "parser.py"))


def load_parser(path):
    name = path.replace(os.sep, "_").replace(".", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def install(plugin, *ids):
    """Make packages look as if they were installed."""
    directory = os.path.join(plugin.installed.plugin_dir, "var", "installed")
    os.makedirs(directory, exist_ok=True)
    for package_id in ids:
        with open(os.path.join(directory, package_id), "w") as stream:
            stream.write("{}")
