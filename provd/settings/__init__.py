"""The daemon's settings: sources, merge, checks and defaults.

Sources, highest first: the command line, the service key file (two values of `auth`), the files of
conf.d (of two files, the first in alphabetical order wins), the main file, the defaults. Mappings
merge key by key; any other value wins whole, and null is a value. A section that is null is an
empty section, as its keys may all be commented out.

A wrong value is a `SettingsError` that names its file and key. What can be lived with, such as an
unknown key or an unusable conf.d file, is a text in `Settings.warnings`, for the caller to log.

`schema` has every key, `kinds` what values are allowed, `files` reads, `layers` merges and checks,
`loading` puts it together; `rawconfig` makes what every phone starts from.
"""

from provd.settings.command import main
from provd.settings.loading import load, shipped_repository
from provd.settings.rawconfig import base_raw_config, default_route_address
from provd.settings.schema import (
    PROVD,
    WAZO,
    Agi,
    Ami,
    Amid,
    Auth,
    Bus,
    Database,
    Defaults,
    Dhcp,
    General,
    Limits,
    Logging,
    MetricsSettings,
    Proxy,
    RestApi,
    Settings,
    Sip,
    Syncdb,
    keys,
)

__all__ = [
    "PROVD",
    "WAZO",
    "Agi",
    "Ami",
    "Amid",
    "Auth",
    "Bus",
    "Database",
    "Defaults",
    "Dhcp",
    "General",
    "Limits",
    "Logging",
    "MetricsSettings",
    "Proxy",
    "RestApi",
    "Settings",
    "Sip",
    "Syncdb",
    "base_raw_config",
    "default_route_address",
    "keys",
    "load",
    "main",
    "shipped_repository",
]
