"""A small family to try things with."""

import textwrap

FAMILY = r"""
id = "provd-acme"
version = "1.0"
vendor = "Acme"
description = "Acme"
ouis = ["00:11:22"]
words = ["acme"]
line_keys_take_lines = "line"
query_mac = "mac"
aliases = { "P-One" = "P1" }

[[agent]]
pattern = 'Acme (?P<model>[\w-]+) (?P<version>[0-9.]+)(?: (?P<mac>\S+))?'

[[path]]
pattern = '(?P<mac>[0-9a-f]{12})\.cfg'
own_ouis = true

[[path]]
pattern = 'acme/(?P<model>\w+)/(?P<mac>[0-9a-f]{12})\.xml'
protocols = ["http"]

[[class]]
pattern = 'acme(?:-(?P<model>\w+))?'

[models]
P1 = { lines = 2, keys = { line = 4 }, facts = { colour = true } }
P2 = { lines = 6, keys = { line = 6, memory = 2 }, modules = [2, 3], switchboard = true }
D1 = { lines = 4, type = "dect", facts = { multicell = true, vendor = "Bell" } }

[firmware]
"1.0.0" = "P1"
"1.1.0" = "P1 P2"

[keys]
line = "key.{}"
memory = "memory.{}"
module = "module.{}.{}"

[[files]]
name = "{mac}.cfg"
template = "base.tpl"
sensitive = true

[[files]]
name = "{MAC}-{sn}.xml"
template = "base.tpl"

[[common]]
name = "acme-{model}.cfg"
template = "common.tpl"

[codes.transport]
udp = 0
tcp = 1
tls = 2

[codes.key]
speeddial = "dial"
blf = "watch"
park = false
line = "line"

[languages]
fr = "French"
fr_CA = "Canadian"

[countries]
FR = "France"
"""


def write(directory, text=FAMILY, **changes):
    """Write a family.toml, with pieces replaced, and return its path."""
    for old, new in changes.get("replace", {}).items():
        assert old in text, old
        text = text.replace(old, new, 1)
    path = directory / "family.toml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return str(path)
