r"""A family of phones as data: `family.toml`, read and checked.

id = "provd-acme"                     # of the plugin
version = "1.0.0"
vendor = "Acme"
description = "Acme desk phones"
description_fr = "Téléphones Acme"
sync_event = "check-sync"             # of the SIP NOTIFY that makes a phone fetch its files
ouis = ["00:11:22"]
words = ["acme"]                      # one of them is in every User-Agent

[models]                              # what a model can hold
P1 = { lines = 2, keys = { line = 4 }, modules = [1, 20], facts = { color = true } }
[firmware]                            # version -> models that it is made for, apart by blanks, or
"1.2.3" = "P1"                        # a list where names hold blanks: ["P1", "P1 Pro"]
[keys]                                # vendor's name of a key, in the order of function keys
line = "linekey.{}"
module = "module.{}.key.{}"
[[files]]                             # what a device gets; the first holds its configuration
name = "{mac}.cfg"
template = "base.tpl"
sensitive = true
kind = "desk"                         # only for models whose fact `kind` is this
[[common]]                            # what all share
name = "acme.cfg"
template = "common.tpl"
[[agent]]                             # identification, see `match`
pattern = 'Acme (?P<model>P\d) (?P<version>[0-9.]+) (?P<mac>[0-9a-f]{12})'
[[path]]
pattern = '(?P<mac>[0-9a-f]{12})\.cfg'
own_ouis = true
[[class]]
pattern = 'acme-(?P<model>P\d)'
[codes.transport]                     # standard value -> the vendor's; also dtmf, srtp, syslog,
udp = 0                               # key
[languages]                           # by locale, else language
fr = "French"
[countries]
FR = "France"
[tables.anything]                     # what format.py and templates want
[[dhcp]]                              # for DHCP servers, docs/dhcp.md
"""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from provd.errors import InvalidDocument
from provd.plugin.phones.keys import KeyGroup, slots_of
from provd.plugin.phones.match import Identification, read_rule
from provd.plugin.phones.packages import check_packages, names_of
from provd.plugin.phones.sip import SipCodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provd.plugin.phones.keys import Slot

FAMILY_FILE = "family.toml"
PACKAGES_FILE = "packages.toml"
PROTOCOLS = ("sip", "sccp")
MODEL_TYPES = (
    "ata",
    "conference",
    "dect",
    "deskphone",
    "doorphone",
    "gateway",
    "generic",
    "pager",
    "softphone",
    "wifidect",
)
_TOP = frozenset(
    {
        "id",
        "version",
        "vendor",
        "description",
        "description_fr",
        "sync_event",
        "protocol",
        "ouis",
        "words",
        "models",
        "firmware",
        "keys",
        "keys_first",
        "line_keys_take_lines",
        "files",
        "common",
        "agent",
        "path",
        "class",
        "query_mac",
        "aliases",
        "upper_models",
        "oui_alone",
        "like",
        "codes",
        "languages",
        "countries",
        "tables",
        "dhcp",
        "package",
    }
)
_MOST = 1_000
"""Lines, keys or modules of a model; a slip of the pen must not fill the memory."""
_CODES = ("transport", "dtmf", "srtp", "syslog", "key")
_STANDARD: dict[str, dict[str, Any]] = {
    "transport": {"udp": "udp", "tcp": "tcp", "tls": "tls", "default": "udp"},
    "dtmf": {
        "RTP-in-band": "RTP-in-band",
        "RTP-out-of-band": "RTP-out-of-band",
        "SIP-INFO": "SIP-INFO",
        "default": "RTP-out-of-band",
    },
    "srtp": {"disabled": "disabled", "preferred": "preferred", "required": "required"},
    "syslog": {
        "critical": "critical",
        "error": "error",
        "warning": "warning",
        "info": "info",
        "debug": "debug",
        "default": "warning",
    },
    "key": {"speeddial": "speeddial", "blf": "blf", "park": "park", "line": "line"},
}


@attrs.frozen(eq=False, repr=False)
class Model:
    """What a model can hold."""

    name: str
    lines: int
    type: str
    groups: tuple[KeyGroup, ...]
    modules: int
    module_keys: int
    slots: tuple[Slot, ...]
    firmware: tuple[str, ...]
    """Versions that are made for it, oldest first."""
    protocol: str = "sip"
    switchboard: bool = False
    high_availability: bool = True
    facts: Mapping[str, Any] = attrs.field(factory=dict)
    """What the family's own code and templates want to know of it."""

    def __repr__(self) -> str:
        return f"<Model {self.name}>"

    @property
    def keys(self) -> int:
        """How many function keys it has itself, without modules."""
        return sum(group.count for group in self.groups)

    def count(self, group: str) -> int:
        """Return how many keys of a group it has."""
        return sum(one.count for one in self.groups if one.name == group)

    def fact(self, name: str, default: Any = None) -> Any:
        """Return one of the `facts`."""
        return self.facts.get(name, default)

    def capabilities(self) -> dict[str, Any]:
        """Return what `plugin-info` says of it."""
        return {
            "type": self.type,
            "protocol": self.protocol,
            "lines": self.lines,
            "high_availability": self.high_availability,
            "function_keys": self.keys,
            "expansion_modules": self.modules,
            "switchboard": self.switchboard,
            **({"multicell": bool(self.facts["multicell"])} if "multicell" in self.facts else {}),
        }


@attrs.frozen
class ServedFile:
    """A file of each device or of all.

    `name` may hold {mac}, {MAC}, {ma_c}, {sn}, {uuid}, {model}.
    """

    name: str
    template: str | None = None
    sensitive: bool = False
    optional: bool = False
    """Whether the file is left out while its name cannot be told; else the device is refused."""
    encoding: str = "UTF-8"
    errors: str = "replace"
    newline: str = "\n"
    kind: str | None = None
    """The models that get it: those whose fact `kind` is this; all unless given."""


@attrs.frozen(eq=False, repr=False)
class Family:
    """All that is known of a family."""

    id: str
    version: str
    vendor: str
    description: str
    descriptions: Mapping[str, str]
    sync_event: str
    identification: Identification
    models: Mapping[str, Model]
    files: tuple[ServedFile, ...]
    common: tuple[ServedFile, ...]
    key_slots: Mapping[str, str]
    keys_first: int
    line_group: str | None
    """The group of keys that accounts take by their number, if any."""
    sip_codes: SipCodes
    codes: Mapping[str, Mapping[str, Any]]
    languages: Mapping[str, Any]
    countries: Mapping[str, Any]
    tables: Mapping[str, Any]
    dhcp: tuple[dict[str, Any], ...]
    packages: tuple[dict[str, Any], ...]
    like: str | None = None
    """Directory, beside its own, of the family whose format.py and templates it has."""

    def __repr__(self) -> str:
        return f"<Family {self.id}>"

    def plugin_info(self) -> dict[str, Any]:
        """Return the document `plugin-info` of the plugin."""
        info: dict[str, Any] = {
            "version": self.version,
            "description": self.description,
            **self.descriptions,
            "plugin_iface_version_min": 0.2,
            "capabilities": {
                f"{self.vendor_of(model)}, {model.name}, {version}": model.capabilities()
                for model in self.models.values()
                for version in model.firmware or ("-",)
            },
        }
        if self.dhcp:
            info["dhcp"] = list(self.dhcp)
        return info

    def files_for(self, files: tuple[ServedFile, ...], model: Model | None) -> list[ServedFile]:
        """Return those of `files` that a model gets; all where nobody knows its kind."""
        kind = None if model is None else model.fact("kind")
        return [file for file in files if kind is None or file.kind in {None, kind}]

    def kinds(self) -> list[str]:
        """Return the kinds of models that have files of their own, the first one first."""
        return list(dict.fromkeys(file.kind for file in self.files if file.kind))

    def vendor_of(self, model: Model) -> str:
        """Return the vendor of a model: some families know two brands."""
        return str(model.facts.get("vendor", self.vendor))


def read_family(path: str) -> Family:
    """Return the family that the file at `path` describes; InvalidDocument if it is not sound."""
    return _Reader(path, _load(path)).read_checked()


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            return tomllib.load(stream)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidDocument(f"{path}: {error}") from error
    except OSError as error:
        raise InvalidDocument(f"{path} cannot be read: {error.strerror}") from error


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


@attrs.frozen
class _Reader:
    path: str
    document: dict[str, Any]

    def _refuse(self, reason: str) -> NoReturn:
        raise InvalidDocument(f"{self.path}: {reason}")

    def _text(self, name: str, default: str | None = None) -> str:
        value = self.document.get(name, default)
        if not isinstance(value, str) or not value:
            self._refuse(f"{name!r} must be a text")
        return value

    def _table(self, name: str) -> dict[str, Any]:
        value = self.document.get(name, {})
        if not isinstance(value, dict):
            self._refuse(f"{name!r} must be a table")
        return value

    def _tables(self, name: str) -> list[dict[str, Any]]:
        value = self.document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self._refuse(f"{name!r} must be written as [[{name}]] tables")
        return value

    def _texts(self, name: str) -> list[str]:
        value = self.document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self._refuse(f"{name!r} must be a list of texts")
        return value

    def read_checked(self) -> Family:
        """Return the family; InvalidDocument, whatever is wrong with the document."""
        try:
            return self.read()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidDocument(f"{self.path}: a value of another form: {error}") from error

    def read(self) -> Family:
        """Return the family."""
        if unknown := self.document.keys() - _TOP:
            self._refuse(f"unknown key {min(unknown)!r}")
        codes = self._codes()
        packages = self._packages()
        key_slots = self._table("keys")
        return Family(
            id=self._text("id"),
            version=self._text("version"),
            vendor=self._text("vendor"),
            description=self._text("description"),
            descriptions={
                key: value for key, value in self.document.items() if key.startswith("description_")
            },
            sync_event=self._text("sync_event", "check-sync"),
            identification=self._identification(),
            models=self._models(key_slots),
            files=self._files("files"),
            common=self._files("common"),
            key_slots=key_slots,
            keys_first=self.document.get("keys_first", 1),
            line_group=self.document.get("line_keys_take_lines"),
            sip_codes=SipCodes(codes["transport"], codes["dtmf"], codes["srtp"]),
            codes=codes,
            languages=self._table("languages"),
            countries=self._table("countries"),
            tables=self._table("tables"),
            dhcp=tuple(self._tables("dhcp")),
            packages=packages,
            like=self._text("like") if "like" in self.document else None,
        )

    def _packages(self) -> tuple[dict[str, Any], ...]:
        packages = list(self._tables("package"))
        path = os.path.join(os.path.dirname(self.path), PACKAGES_FILE)
        if os.path.exists(path):
            packages += _load(path).get("package", ())
        try:
            check_packages(packages, self._table("models"))
        except InvalidDocument as error:
            self._refuse(str(error))
        return tuple(packages)

    def _codes(self) -> dict[str, dict[str, Any]]:
        given = self._table("codes")
        if unknown := given.keys() - set(_CODES):
            self._refuse(f"codes: unknown table {min(unknown)!r}")
        for name, codes in given.items():
            if not isinstance(codes, dict):
                self._refuse(f"codes.{name} must be a table")
            known = _STANDARD[name].keys() | {"default"}
            if unknown := codes.keys() - known:
                self._refuse(f"codes.{name}: {min(unknown)!r} is no standard value")
        return {**_STANDARD, **given}

    def _identification(self) -> Identification:
        def rules(name: str) -> Any:
            return tuple(
                read_rule(table, f"{self.path}: {name} {number}")
                for number, table in enumerate(self._tables(name), 1)
            )

        return Identification(
            vendor=self._text("vendor"),
            ouis=frozenset(self._texts("ouis")),
            words=tuple(self._texts("words")),
            agents=rules("agent"),
            paths=rules("path"),
            classes=rules("class"),
            query_mac=self.document.get("query_mac"),
            aliases=self._table("aliases"),
            upper_models=bool(self.document.get("upper_models")),
            oui_alone=bool(self.document.get("oui_alone", True)),
        )

    def _models(self, key_slots: Mapping[str, str]) -> dict[str, Model]:
        firmware: dict[str, list[str]] = {}
        tables = self._table("models")
        for version, names in self._table("firmware").items():
            try:
                listed = names_of(names)
            except InvalidDocument:
                self._refuse(
                    f"firmware {version!r} must be a text, models separated by blanks, or a list"
                )
            for name in listed:
                if name not in tables:
                    self._refuse(f"firmware {version!r} is for an unknown model {name!r}")
                firmware.setdefault(name, []).append(version)
        return {
            name: self._model(name, table, tuple(firmware.get(name, ())), key_slots)
            for name, table in tables.items()
        }

    def _model(
        self,
        name: str,
        table: dict[str, Any],
        firmware: tuple[str, ...],
        key_slots: Mapping[str, str],
    ) -> Model:
        known = {"lines", "type", "keys", "modules", "protocol", "switchboard", "ha", "facts"}
        if not isinstance(table, dict):
            self._refuse(f"model {name} must be a table")
        if unknown := table.keys() - known:
            self._refuse(f"model {name}: unknown key {min(unknown)!r}")
        if not _is_count(table.get("lines")):
            self._refuse(f"model {name}: 'lines' must be a number from 0 to {_MOST}")
        keys = table.get("keys", {})
        if not isinstance(keys, dict) or not all(map(_is_count, keys.values())):
            self._refuse(f"model {name}: 'keys' must be a table of numbers from 0 to {_MOST}")
        if unknown := keys.keys() - key_slots.keys():
            self._refuse(f"model {name}: keys of an unknown group {min(unknown)!r}")
        first = self.document.get("keys_first", 1)
        groups = tuple(
            KeyGroup(group, keys[group], slot, first)
            for group, slot in key_slots.items()
            if keys.get(group)
        )
        added = table.get("modules", [0, 0])
        if not isinstance(added, list) or len(added) != 2 or not all(map(_is_count, added)):
            self._refuse(
                f"model {name}: 'modules' must be two numbers up to {_MOST}: modules, keys of each"
            )
        modules, module_keys = added
        if modules and "module" not in key_slots:
            self._refuse(f"model {name} has modules, but 'keys' has no 'module'")
        if table.get("type", "deskphone") not in MODEL_TYPES:
            self._refuse(f"model {name}: the type must be one of {', '.join(MODEL_TYPES)}")
        return Model(
            name=name,
            lines=table["lines"],
            type=table.get("type", "deskphone"),
            groups=groups,
            modules=modules,
            module_keys=module_keys,
            slots=slots_of(groups, modules, module_keys, key_slots.get("module", ""), first),
            firmware=firmware,
            protocol=table.get("protocol", self.document.get("protocol", "sip")),
            switchboard=table.get("switchboard", False),
            high_availability=table.get("ha", True),
            facts=table.get("facts", {}),
        )

    def _files(self, name: str) -> tuple[ServedFile, ...]:
        try:
            return tuple(ServedFile(**table) for table in self._tables(name))
        except TypeError as error:
            self._refuse(f"{name}: {error}")
