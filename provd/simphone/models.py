"""Which phones can be played: the firmware, User-Agent and boot files of each vendor's models.

Names of files and User-Agents are templates; `provd.simphone.phone.Phone` fills in

- `{mac}` 001565123456, `{MAC}` the same in capitals, `{mac_colons}` 00:15:65:12:34:56,
  `{MAC_colons}` the same in capitals,
  `{MAC_dashes}` 00-15-65-12-34-56, `{mac_underscores}` 00_15_65_12_34_56;
- `{model}`, `{version}`, `{platform}` (the first number of the version), `{serial}` and `{uuid}`
  (both made from the MAC);
- `{reported}`, the model in the words of the User-Agent, and `{common}`, the file that all phones
  of the model share: see `Series`.

A phone asks for its files in the order of its steps. A required file is one without which the real
phone has no line; a server may lack any other.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Literal

import attrs

from provd.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Protocol = Literal["http", "tftp"]


@attrs.frozen
class Step:
    """One file that a phone asks for during its boot."""

    file: str
    required: bool = False
    since: int = 0
    """The first firmware generation that asks for it."""
    before: int | None = None
    """The first firmware generation that no longer asks for it."""
    prefix: bytes = b""
    """How the content must begin, or the phone ignores it."""
    form: str = ""
    """Fields of a web form: the file is asked for by POST."""


def _optional(*files: str, since: int = 0, before: int | None = None) -> tuple[Step, ...]:
    return tuple(Step(file, since=since, before=before) for file in files)


def _required(*files: str, since: int = 0, before: int | None = None) -> tuple[Step, ...]:
    return tuple(Step(file, required=True, since=since, before=before) for file in files)


def _parse_models(table: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(versions.split())
        for names, versions in table.items()
        for name in names.split(", ")
    }


def _nothing(_model: str) -> str:
    return ""


@attrs.frozen(eq=False)
class Series:
    """Models that boot in the same way."""

    models: dict[str, tuple[str, ...]] = attrs.field(converter=_parse_models)
    """Model → its known firmware versions, newest last; written as `names: versions`."""
    user_agent: str | None
    """None: the phone sends none."""
    steps: tuple[Step, ...]
    ouis: tuple[str, ...]
    protocols: tuple[Protocol, ...] = ("http", "tftp")
    """What the phone speaks, its usual protocol first."""
    reported: Callable[[str], str] = str
    common: Callable[[str], str] = _nothing
    """Gives an empty name if none is known; then the phone skips that step."""
    generation: int = 0
    """Which number of a version, counted from 0, is the firmware generation of `Step.since`."""


@attrs.frozen
class Vendor:
    """A vendor under the name that users type."""

    key: str
    name: str
    series: tuple[Series, ...]
    aliases: tuple[str, ...] = ()


@attrs.frozen
class Model:
    """One model of a vendor."""

    vendor: Vendor
    name: str
    series: Series

    @property
    def versions(self) -> tuple[str, ...]:
        """Known firmware versions, newest last."""
        return self.series.models[self.name]


_YEALINK_OUIS = (
    "00:15:65",
    "24:9a:d8",
    "34:97:d7",
    "44:db:d2",
    "64:4f:56",
    "80:5e:0c",
    "80:5e:c0",
    "b0:61:a9",
    "c4:fc:22",
    "e4:34:d7",
    "ec:1d:a9",
    "f0:16:53",
)


def _yealink(
    user_agent: str, models: Mapping[str, str], common: str = "y{platform:0>12}.cfg"
) -> Series:
    return Series(
        models,
        f"{user_agent} {{version}} {{mac_colons}}",
        (
            *_optional("{mac}.boot", "y000000000000.boot", since=81),
            *_optional(common),
            Step("{mac}.cfg", required=True, prefix=b"#!version:"),
        ),
        _YEALINK_OUIS,
        generation=1,
    )


# The oldest phones ask for a common file whose number is not that of their firmware.
_YEALINK = Vendor(
    "yealink",
    "Yealink",
    (
        _yealink(
            "Yealink SIP-{model}",
            {
                "CP920": "78.81.0.15 78.84.0.125 78.85.0.5 78.86.0.15",
                "CP925": "148.86.0.5",
                "CP965": "143.86.0.10",
                "T18": "18.0.0.80",
                "T19P_E2": "53.80.0.95 53.81.0.110 53.82.0.20 53.83.0.35 53.84.0.125",
                "T21P": "34.72.0.1",
                "T21P_E2": "52.80.0.95 52.81.0.110 52.82.0.20 52.83.0.35 52.84.0.125",
                "T23G, T23P": "44.80.0.95 44.81.0.110 44.82.0.20 44.83.0.35 44.84.0.140",
                "T27G": "69.81.0.110 69.82.0.30 69.83.0.35 69.84.0.125 69.85.0.85 69.86.0.15",
                "T27P": "45.80.0.95 45.81.0.110 45.82.0.30 45.83.0.35",
                "T29G": "46.80.0.95 46.81.0.110 46.82.0.30 46.83.0.120",
                "T30, T30P, T31, T31G, T31P, T33G, T33P": "124.85.0.40 124.86.0.75",
                "T31W, T34W": "124.86.0.75",
                "T38G": "38.70.0.125",
                "T40G": "76.81.0.110 76.82.0.20 76.83.0.35 76.84.0.125",
                "T40P": "54.80.0.95 54.81.0.110 54.82.0.20 54.83.0.35 54.84.0.125",
                "T41P": "36.80.0.95 36.81.0.110 36.82.0.20 36.83.0.35",
                "T41S": "68.81.0.110 66.82.0.30 66.83.0.35 66.84.0.125 66.85.0.5 66.86.0.15",
                "T42G": "29.80.0.95 29.81.0.110 29.82.0.20 29.83.0.120",
                "T42S": "67.81.0.110 66.82.0.30 29.83.0.35 66.84.0.125 66.85.0.5 66.86.0.15",
                "T46G": "28.80.0.95 28.81.0.110 28.82.0.30 28.83.0.120",
                "T46S": "66.81.0.110 66.82.0.30 28.83.0.35 66.84.0.125 66.85.0.5 66.86.0.15",
                "T48G": "35.80.0.95 35.81.0.110 35.82.0.30 35.83.0.120",
                "T48S": "65.81.0.100 66.82.0.30 66.83.0.35 66.84.0.125 66.85.0.5 66.86.0.15",
                "T41U, T42U, T43U, T44U, T44W, T46U, T48U": "108.86.0.90",
                "T52S, T54S": "70.83.0.35 70.84.0.70",
                "T53, T53W": "95.84.0.125 96.85.0.5 96.86.0.45 96.87.0.15",
                "T53C": "96.86.0.45",
                "T54W": "96.84.0.125 96.85.0.5 96.86.0.45 96.87.0.15",
                "T56A": "58.83.0.15 58.86.0.20",
                "T57W": "97.84.0.125 96.85.0.5 96.86.0.45 96.87.0.15",
                "T58": "58.83.0.15 58.84.0.25 58.85.0.5 150.87.0.15",
                "T58A": "58.83.0.15",
                "T58V": "58.86.0.20",
                "T58W": "58.86.0.5 150.87.0.15",
                "T73U, T73W, T74U, T74W, T77U, T85W, T87W": "185.87.0.10 185.87.0.34",
                "T88W, T88V": "192.87.0.10",
            },
        ),
        _yealink(
            "Yealink {model}",
            {
                "AX83H": "180.86.0.5 180.87.0.15",
                "AX86R": "180.87.0.15",
                "CP860": "37.72.0.5 37.80.0.30 37.81.0.10",
                "CP960": "73.80.0.35 73.83.0.30 73.84.0.25 73.85.0.5",
                "W52P": "25.73.0.40 25.80.0.15 25.81.0.60",
                "W60B": "77.83.0.85 77.85.0.25",
                "W70B": "77.85.0.40 146.85.0.5 146.87.0.21",
                "W75B, W75DM": "175.85.0.5 175.87.0.18",
                "W80B, W80DM": "103.83.0.122 103.85.0.25 103.87.0.18",
                "W90B, W90DM": "130.85.0.44 130.87.0.18",
            },
        ),
        _yealink("Yealink SIP VP-{model}", {"T49G": "51.80.0.100"}),
        _yealink("{model}", {"VP530": "23.70.0.41", "VP530P": "23.70.0.40"}),
        _yealink("Yealink SIP-{model}", {"T20P": "9.72.0.30 9.73.0.50"}, "y000000000007.cfg"),
        _yealink("Yealink SIP-{model}", {"T22P": "7.72.0.30 7.73.0.50"}, "y000000000005.cfg"),
        _yealink("Yealink SIP-{model}", {"T26P": "6.72.0.30 6.73.0.50"}, "y000000000004.cfg"),
        _yealink("Yealink SIP-{model}", {"T28P": "2.70.0.140 2.73.0.50"}, "y000000000000.cfg"),
    ),
)


def _aastra_words(model: str) -> str:
    # 6751i to 6757i still tell the names they had before they were renumbered.
    return f"Aastra{model.removeprefix('67') if model.startswith('675') else model}"


_AASTRA_STEPS = (
    *_optional("Aastra/aastra.cfg", before=5),
    *_optional("Aastra/startup.cfg", since=5),
    *_optional("Aastra/{model}.cfg"),
    *_required("Aastra/{MAC}.cfg"),
    # Firmware: the phone loads what differs from what it runs.
    *_optional("Aastra/{model}.st"),
)

_AASTRA = Vendor(
    "aastra",
    "Aastra",
    (
        Series(
            {
                "6730i, 6731i, 6739i, 6753i, 6755i, 6757i, 9143i, 9480i": "3.3.1.4365",
                "6735i, 6737i": "3.3.1.8215",
                # No firmware of its own is known: one that is seen on a 6755i.
                "6751i": "3.2.2.56",
                "6863i, 6865i, 6867i, 6869i": "4.2.0.2023 4.3.0.2036 5.0.0.1018 6.4.0.140",
                "6873i": "4.3.0.2036 5.0.0.1018 6.4.0.140",
            },
            "{reported} MAC:{MAC_dashes} V:{version}-SIP",
            _AASTRA_STEPS,
            ("00:08:5d",),
            reported=_aastra_words,
        ),
        Series(
            {
                "6905, 6910, 6915, 6915d, 6920, 6920w, 6930w, 6940, 6940w, 6970": "6.4.0.140",
                "6930": "5.1.0.6044 6.4.0.140",
            },
            "Mitel{model} MAC:{MAC_dashes} V:{version}-SIP",
            _AASTRA_STEPS,
            ("14:00:e9", "08:00:0f"),
        ),
    ),
    ("mitel",),
)

_ALCATEL = Vendor(
    "alcatel",
    "Alcatel",
    (
        Series(
            {
                "8028s-GE": "1.51.52.2204",
                "M3, M5, M7": "2.11.01.1604",
                # No firmware of theirs is known: that of the same kind.
                "8008, 8018, 8058s, 8068s, 8078s, 8088": "1.51.52.2204",
                "H2, H3, H6, M8": "2.11.01.1604",
            },
            "ALE {reported} {version} {mac}",
            (*_optional("config.{model}.xml"), *_required("config.{mac}.xml")),
            ("48:7a:55", "3c:28:a6"),
            reported=lambda model: f"{model}-CE" if model in {"M3", "M5", "M7"} else model,
        ),
        Series(
            {"4008, 4018": "2.00.81 2.01.10", "4028, 4038, 4068": "2.01.20"},
            "Alcatel IP Touch {model}/{version}",
            (*_optional("lanpbx.cfg", "sipconfig.txt"), *_required("sipconfig-{mac}.txt")),
            ("00:80:9f",),
        ),
    ),
    ("ale", "alcatel-lucent"),
)

_AVAYA = Vendor(
    "avaya",
    "Avaya",
    (
        Series(
            {"1220IP, 1230IP": "04.00.04.00 04.01.13.00"},
            # The phone itself puts an unprintable byte here.
            "AVAYA/SIP12x0\xff/{version}",
            (*_optional("{common}.cfg", "{common}SIP.cfg"), *_required("SIP{MAC}.cfg")),
            ("00:24:00", "00:17:65"),
            common=lambda model: model.removesuffix("IP"),
        ),
        Series(
            # No firmware of the last three is known: that of the others.
            {"J129, J139, J159, J169, J179, J189, J155, 9608, 9611G": "4.1.3.0.6"},
            "Mozilla/4.0 (compatible; MSIE 6.0) AVAYA/{model}-{version} (MAC:{mac})",
            (*_optional("J100Supgrade.txt", "46xxsettings.txt"), *_required("{mac}.cfg")),
            ("c8:1f:ea",),
        ),
    ),
)

_CISCO_ENTERPRISE_STEPS = (
    *_optional("CTLSEP{MAC}.tlv", "ITLSEP{MAC}.tlv", "ITLFile.tlv"),
    *_required("SEP{MAC}.cnf.xml"),
)


def _cisco_profile(model: str) -> str:
    return "init" if model == "PAP2T" else f"spa{model.removeprefix('SPA')}"


_CISCO = Vendor(
    "cisco",
    "Cisco",
    (
        Series(
            {
                "7902G": "8.0.2/SCCP",
                "7905G": "8.0.3/SCCP",
                "7906G, 7911G, 7931G, 7941G, 7942G, 7961G, 7962G, 7970G, 7971G": (
                    "8.5.2/SCCP 9.4.2SR1/SCCP"
                ),
                "7912G": "8.0.4/SCCP",
                "7920": "3.0.2/SCCP",
                "7921G": "1.4.5/SCCP",
                "7937, 7937G": "1.4.5.7/SCCP",
                "7940, 7940G, 7960G": "8.1.2/SCCP",
                "7945G, 7965G": "8.5.2/SCCP 9.4.2SR3/SCCP",
                "7975G": "8.5.2/SCCP",
                "8941, 8945": "9.3.1-18/SIP",
                "8961, 9951, 9971": "9.4.2/SIP",
            },
            None,
            _CISCO_ENTERPRISE_STEPS,
            ("00:08:a3",),
            ("tftp", "http"),
        ),
        Series(
            {"CIPC": "2.1.2"},
            None,
            (
                *_optional("Communicator/LdapDirectories.xml", "CTLSEP{MAC}.tlv"),
                *_required("SEP{MAC}.cnf.xml"),
            ),
            ("00:08:a3",),
            ("tftp", "http"),
        ),
        Series(
            {
                "6821, 6841, 6851, 6861, 6871": "11.3.1",
                "6825": "11.3.1",
                "7811, 7821, 7832, 7841, 7861": "11.3.1 12.0.7",
                "8811, 8841, 8851, 8861": "11.3.1 12.0.1 12.0.7",
                "8845, 8865": "12.0.7",
                "8875": "2.3.1",
                "9841, 9851, 9861, 9871": "3.1.1",
            },
            "Cisco-CP-{model}-3PCC/{version} ({mac})",
            (*_optional("{model}-3PCC.xml", "cp-phone.xml"), *_required("{mac}.xml")),
            ("d0:ec:35", "00:56:2b"),
        ),
        Series(
            {"ATA191, ATA192": "11-1-0-MSR4"},
            "Cisco/{model}-MPP-{version} ({serial})",
            (*_optional("{common}.cfg", "spa-ata.xml?mac={mac}"), *_required("{mac}.xml")),
            ("d0:ec:35", "00:56:2b"),
            common=str.lower,
        ),
        Series(
            {
                "SPA112, SPA122": "1.3.5p",
                "SPA301, SPA303, SPA501G, SPA502G, SPA504G, SPA508G, SPA509G, SPA512G, SPA514G, "
                "SPA525G, SPA525G2": "7.4.4 7.5.5",
                "SPA8000": "6.1.11",
                "SPA8800": "6.1.7",
            },
            "Cisco/{model}-{version} ({MAC})({serial})",
            (*_optional("{common}.cfg"), *_required("{mac}.xml")),
            ("00:26:99", "50:3d:e5", "00:e1:6d", "00:da:55", "10:bd:18"),
            common=_cisco_profile,
        ),
        Series(
            {
                "PAP2T": "5.1.6",
                "SPA2102": "5.2.12",
                "SPA3102": "5.1.10",
                "SPA901": "5.1.5",
                "SPA921, SPA941": "5.1.8",
                "SPA922, SPA942, SPA962": "6.1.5(a)",
            },
            "Linksys/{reported}-{version} ({serial})",
            (*_optional("{common}.cfg"), *_required("{mac}.xml")),
            ("00:0e:08", "00:18:f8", "00:1c:10", "00:1d:7e", "00:1e:e5"),
            reported=lambda model: model.replace("SPA", "SPA-"),
            common=_cisco_profile,
        ),
        Series(
            {"ATA190": "1.2.2"},
            None,
            (*_optional("dialplan.xml"), *_required("ATA{MAC}.cnf.xml")),
            ("00:08:a3",),
            ("tftp", "http"),
        ),
    ),
    ("linksys",),
)

_DIGIUM = Vendor(
    "digium",
    "Digium",
    (
        Series(
            {
                "D40, D50, D70": "1.4.0.0 2.2.1.8 2.8.1",
                "D45, D60, D62, D65": "2.2.1.8 2.8.1",
                "D80": "2.8.1",
            },
            None,
            (
                *_optional("Digium/000000000000.cfg"),
                *_required("Digium/{mac}.cfg"),
                *_optional("Digium/{mac}-contacts.xml"),
            ),
            ("00:0f:d3",),
        ),
    ),
)

_FANVIL_COMMON = {
    "C58": "f0C00580000.cfg",
    "C62": "f0C00620000.cfg",
    "H2U-V2": "F0V2UV200000.cfg",
    "V61G": "F0VV61G00000.cfg",
    "V61W": "F0VV61W00000.cfg",
    "V62": "F0VV6200000.cfg",
    "V62G": "F0VV62G00000.cfg",
    "V62Pro": "F0V0V6210000.cfg",
    "V62W": "F0VV62W00000.cfg",
    "V63": "F0V0V6300000.cfg",
    "V64": "F0V0V6400000.cfg",
    "V65": "F0V0V6500000.cfg",
    "V66": "F0V0V6600000.cfg",
    "V66Pro": "F0V0V6610000.cfg",
    "V67": "F0V0V6700000.cfg",
    "W610W": "F0V610W00000.cfg",
    "W611W": "F0V611W00000.cfg",
    "W620W": "F0V620W00000.cfg",
    "X2": "f0X2hw1.100.cfg",
    "X210": "F0V00X200000.cfg",
    "X210-Pro": "fanvil_x210_pro_hwv2_0.txt",
    "X210-V2": "fanvil_x210_v2_hwv2_0.txt",
    "X3": "F0V00X300000.cfg",
    "X3S": "f0X3shw1.100.cfg",
    "X3SG": "f0X3sghw1.100.cfg",
    "X4": "f0X4hw1.100.cfg",
    "X4U-Pro": "fanvil_x4u_pro_hwv2_0.txt",
    "X4U-V2": "fanvil_x4u_v2_hwv2_0.txt",
    "X5": "f0X5hw1.100.cfg",
    "X5S": "F0V00X5S0000.cfg",
    "X5U-V2": "F0V5UV200000.cfg",
    "X6": "F0V00X600000.cfg",
    "X6V2": "F0000X600000.cfg",
    "i10S": "F0V10S00000.cfg",
    "i10SD": "F0V10SD00000.cfg",
    "i10SV": "F0V10SV00000.cfg",
    "i16S": "F0V16S00000.cfg",
    "i16SV": "F0V16SV00000.cfg",
    "i51W": "F0Vi51W00000.cfg",
    "i52W": "F0Vi52W00000.cfg",
    "i53W": "F0Vi53W00000.cfg",
    "i61": "F0V0i6100000.cfg",
    "i62": "F0V0i6200000.cfg",
    "i63": "F0V0i6300000.cfg",
    "i64": "F0V0i6400000.cfg",
}

_FANVIL = Vendor(
    "fanvil",
    "Fanvil",
    (
        Series(
            {
                "C58, C62": "2.3",
                "H2U-V2": "2.12.0 2.12.20.2",
                "V61G, V61W, V62G, V62Pro, V62W, V63, V64": "2.12.20.3",
                "V62": "2.12.20",
                "V65": "2.12.2.4 2.12.21.1",
                "V66, V66Pro": "2.12.18.16",
                "V67": "2.6.6.187 2.6.10.1992",
                "W610W": "2.14.1.4.6",
                "W611W": "2.14.2.28.1",
                "W620W": "2.16.10",
                "X2": "2.3 2.14.0.7386",
                "X210, X210i": "2.4.5.2",
                "X210-Pro, X210-V2, X4U-Pro, X4U-V2": "2.12.20",
                "X210i-Pro": "2.12.1.3",
                "X3": "1.4.0.2090 2.3",
                "X3S": "2.3 2.10.2.6887",
                "X3SG": "2.4.12",
                "X4": "2.3 2.10.2.6887 2.14.0.7386",
                "X4U, X6U, X6U-Pro, X7, X7-Pro, X7C, X7C-Pro": "2.12.16.17",
                "X5": "1.4.0.2016 2.3",
                "X5S, X6": "1.12.2 2.3",
                "X5U, X5U-Pro, X5U-V2": "2.12.22.2",
                "X6V2": "1.12.2",
                "i10S, i10SD, i10SV, i16S, i16SV": "2.12.44.6",
                "i51W, i52W": "2.12.44.10",
                "i53W": "2.12.44.25",
                "i61, i62, i63, i64": "2.12.44.8.4",
                # Which firmware these run is not known.
                "H2, H2U, H5, V50G, V61, X1S, X301, X303, X3SG-PRO, X3U, X4SG": "2.12.0",
            },
            "Fanvil {reported} {version} {mac}",
            (*_optional("Fanvil/{common}"), *_required("Fanvil/{mac}.cfg")),
            ("00:a8:59", "0c:38:3e"),
            reported=lambda model: model.replace("-Pro", " Pro"),
            common=lambda model: _FANVIL_COMMON.get(model, ""),
        ),
    ),
)

_GIGASET = Vendor(
    "gigaset",
    "Gigaset",
    (
        Series(
            {
                "N610 IP PRO, N770 IP PRO": "83.V2.65.0",
                "N670 IP PRO, N870E IP PRO": "83.V2.49.1 83.V2.62.1 83.V2.65.0",
                "N870 IP PRO": "83.V2.39.0 83.V2.48.0 83.V2.49.1 83.V2.62.1 83.V2.65.0",
            },
            "Gigaset {model}/{version}+build.8504c90;{MAC}",
            _required("{mac}.xml"),
            ("7c:2f:80", "58:9e:c6"),
        ),
        Series(
            {"N510 IP PRO": "42.245 42.258 42.262"},
            "{model}/{version}.00.000.000;{MAC}",
            (*_optional("42/2/master.bin"), *_required("{MAC}.xml")),
            ("7c:2f:80", "00:21:04"),
        ),
        Series(
            {"N720 DM PRO, N720 IP PRO, N720 IP/DM PRO": "70.089 70.108 70.117"},
            "Gigaset {reported}/{version}.00.000.000;{MAC}",
            (*_optional("70/1/master.bin"), *_required("{MAC}.xml")),
            ("7c:2f:80",),
            reported=lambda model: model.replace("IP/DM", "DM"),
        ),
        Series(
            {"Maxwell2, Maxwell3, Maxwell4, MaxwellBasic": "2.22.4"},
            "Gigaset {model}/{version};{MAC}",
            _required("{mac}.xml"),
            ("7c:2f:80", "58:9e:c6"),
        ),
        # Their words are not known: these are like those of their sisters.
        Series(
            {"P710, P810, P820, P825, P850, P855": "10.1.4.1"},
            "Mozilla/4.0 (compatible; Gigaset-{model}-SIP {version})",
            (
                *_optional("Gigaset{model}.htm", "Gigaset{model}-{mac}.htm"),
                *_optional("Gigaset{model}-firmware.htm"),
                *_required("{mac}.xml"),
            ),
            ("7c:2f:80",),
        ),
    ),
    ("siemens",),
)

_GRANDSTREAM_WORDS = {
    "GXP2200": "GXP2200 V2.2A",
    "GXV3350": "GXV3350  V1.3A",
    "HT801": "HT801 V1.1A",
    "HT802V2": "HT802V2 V1.0A",
}

_GRANDSTREAM = Vendor(
    "grandstream",
    "Grandstream",
    (
        Series(
            {
                "GRP2612, GRP2613, GRP2614, GRP2615, GRP2616": "1.0.5.48",
                "GXP1100, GXP1105, GXP2100, GXP2110, GXP2120, GXP2124": "1.0.8.6",
                "GXP1160, GXP1165, GXP1400, GXP1405, GXP1450": "1.0.8.9",
                "GXP1610, GXP1615, GXP1620, GXP1625, GXP1628, GXP1630": "1.0.7.13 1.0.7.81",
                "GXP2130, GXP2135, GXP2140, GXP2160, GXP2170": "1.0.11.79 1.0.11.85",
                "GXP2200": "1.0.3.27",
                "GXV3240": "1.0.1.27",
                # From here on, versions are those of the vendor's configuration templates.
                "GRP2601, GRP2602, GRP2603, GRP2604, GRP2624, GRP2634": "1.0.9.103",
                "GRP2636, GRP2650, GRP2670": "1.0.9.103",
                "GXP1760, GXP1780, GXP1782": "1.0.1.8",
                "GXV3140": "1.0.7.76",
                "GXV3175": "1.0.3.74",
                "GXV3275": "1.0.3.24",
                "GXV3480": "1.0.1.9",
                "HT503": "1.0.9.1",
                "HT701, HT702, HT704": "1.0.5.2",
                "HT812, HT814": "1.0.63.3",
                "HT813": "1.0.19.6",
                "HT818": "1.0.10.6",
                "GXW4004, GXW4008": "1.0.10.9",
                "GXW4216, GXW4224": "1.0.4.7",
                "DP715": "1.0.0.33",
                "DP750, DP752": "1.0.2.16",
                "WP810": "1.0.9.17",
                "WP820": "1.0.1.16",
                "GAC2500": "1.0.3.30",
                "GDS3710": "1.0.1.20",
                "GXV3350": "1.0.3.25",
                "GXV3370, GXV3380": "1.0.3.27",
                "HT801, HT802": "1.0.27.2 1.0.63.3",
                "HT801V2, HT802V2": "1.0.5.10",
            },
            "Grandstream Model HW {reported} SW {version} DevId {mac}",
            (
                *_optional("Grandstream/cfg{mac}"),
                *_required("Grandstream/cfg{mac}.xml"),
                *_optional("Grandstream/cfg{model}.xml", "Grandstream/cfg.xml"),
            ),
            ("00:0b:82", "c0:74:ad", "ec:74:d7"),
            reported=lambda model: _GRANDSTREAM_WORDS.get(model, model),
        ),
        Series(
            {"GXP2000": "1.2.5.3"},
            "Grandstream {model} (gxp2000e.bin:{version}/boot55e.bin:1.1.6.9) DevId {mac}",
            _required("Grandstream/cfg{mac}"),
            ("00:0b:82",),
        ),
    ),
)

_HTEK_COMMON = {
    "UC802T": "cfg0007.xml",
    "UC803T": "cfg0006.xml",
    "UC804T": "cfg0051.xml",
    "UC806T": "cfg0041.xml",
    "UC840P": "cfg0003.xml",
    "UC842": "cfg0001.xml",
    "UC860P": "cfg0002.xml",
    "UC862": "cfg0000.xml",
    "UC902": "cfg0017.xml",
    "UC903": "cfg0016.xml",
    "UC912": "cfg0019.xml",
    "UC912E": "cfg0019.xml",
    "UC912G": "cfg0019.xml",
    "UC923": "cfg0013.xml",
    "UC924": "cfg0012.xml",
    "UC924E": "cfg0112.xml",
    "UC926": "cfg0010.xml",
    "UC926E": "cfg0110.xml",
    "UC802": "cfg0007.xml",
    "UC803": "cfg0006.xml",
    "UC804": "cfg0005.xml",
    "UC804G": "cfg0052.xml",
    "UC806": "cfg0004.xml",
    "UC806G": "cfg0042.xml",
    "UC840": "cfg0003.xml",
    "UC860": "cfg0002.xml",
}

_HTEK = Vendor(
    "htek",
    "Htek",
    (
        Series(
            {
                "UC802T, UC803T, UC804T, UC806T, UC840P, UC842, UC860P, UC862": "2.0.4.4.58",
                "UC912E, UC924E, UC926E": "2.0.4.4.58",
                # Their own versions are not known.
                "UC802, UC803, UC804, UC804G, UC806, UC806G, UC840, UC860": "2.0.4.4.58",
                "UC921, UC924U, UC926U": "2.0.4.4.58",
                "UC902, UC903, UC912, UC912G, UC923, UC924, UC926": "2.0.4.4.58 2.0.4.6.41",
            },
            "Htek {model} {version} {mac_colons}",
            (*_optional("{common}"), *_required("cfg{mac}.xml")),
            ("00:1f:c1",),
            common=lambda model: _HTEK_COMMON.get(model, ""),
        ),
    ),
)

# The twin of Htek; what its User-Agent says after the first word, and its versions, are Htek's.
_SANGOMA = Vendor(
    "sangoma",
    "Sangoma",
    (
        Series(
            {
                "S205, S206, S300, S305, S400, S405, S406": "2.0.4.57",
                "S500, S505, S700, S705": "2.0.4.57",
            },
            "Sangoma {model} {version} {mac_colons}",
            _required("cfg{mac}.xml"),
            ("00:50:58",),
        ),
    ),
)

# A soft phone: known by its UUID, which is why the range of its MAC is one that nobody owns.
_JITSI = Vendor(
    "jitsi",
    "Jitsi",
    (
        Series(
            {"Jitsi": "1.0"},
            "Jitsi/{version}",
            (Step("jitsi", required=True, form="uuid={uuid}"),),
            ("02:00:00",),
            ("http",),
        ),
    ),
)

_PANASONIC = Vendor(
    "panasonic",
    "Panasonic",
    (
        Series(
            {
                "KX-UT113, KX-UT123, KX-UT133, KX-UT136": "01.133",
                "KX-UT670": "01.022",
                # The firmware of these is not known.
                "KX-UT248, KX-TGP500, KX-TGP550, KX-TGP600": "01.000",
                "KX-HDV100, KX-HDV130, KX-HDV230, KX-HDV330, KX-HDV340, KX-HDV430": "01.000",
            },
            "Panasonic_{model}/{version} ({mac})",
            (*_optional("{model}.cfg"), *_required("Panasonic/Config{MAC}.cfg")),
            ("00:80:f0", "08:00:23", "bc:c3:42"),
        ),
    ),
)

_PATTON = Vendor(
    "patton",
    "Patton",
    (
        Series(
            {"SN4112, SN4112S, SN4114, SN4116, SN4118, SN4316, SN4324, SN4332": "6.9 6.11"},
            "SmartNode (Model:{model}/JS/EUI; Serial:{MAC}; Software Version:R{version} "
            "2016-07-05 H323 SIP FXS FXO; Hardware Version:4.4)",
            _required("{mac}.cfg"),
            ("00:a0:ba",),
        ),
    ),
)


_POLYCOM_PRODUCTS = {
    "SPIP": "PolycomSoundPointIP",
    "SSIP": "PolycomSoundStationIP",
    "VVX": "PolycomVVX",
    "CCX": "PolycomCCX",
    "Edge": "PolyEdge",
    "Trio": "PolycomRealPresenceTrio",
}


def _polycom_words(model: str) -> str:
    letters = next(letters for letters in _POLYCOM_PRODUCTS if model.startswith(letters))
    return f"{_POLYCOM_PRODUCTS[letters]}-{letters}_{model.removeprefix(letters)}"


_POLYCOM_OUIS = ("00:04:f2", "64:16:7f", "48:25:67")

# Up to 3.x the file of the MAC is the configuration itself; later it only names other files.
_POLYCOM_STEPS = (
    *_required("{mac}.cfg", before=4),
    *_optional("{mac}.cfg", since=4),
    *_optional("000000000000.cfg", "common.cfg"),
    *_required("{mac}-user.cfg", since=4),
    *_optional("{mac}-phone.cfg", "{mac}-web.cfg", "{mac}-license.cfg", "{mac}-directory.xml"),
)

_POLYCOM = Vendor(
    "polycom",
    "Polycom",
    (
        Series(
            {
                "SPIP301, SPIP501, SPIP600, SPIP601, SSIP4000": "3.1.6.0017",
                "SPIP320, SPIP330, SPIP430": "3.2.4.0267",
                "SPIP321, SPIP331, SPIP335, SPIP450, SPIP550, SPIP560, SPIP650, SPIP670": (
                    "3.2.4.0267 4.0.11"
                ),
                "SSIP5000, SSIP6000, SSIP7000": "3.2.4.0267 4.0.11",
            },
            "FileTransport {reported}-UA/{version}",
            _POLYCOM_STEPS,
            _POLYCOM_OUIS,
            reported=_polycom_words,
        ),
        Series(
            {
                "VVX101, VVX201": "5.4.3 5.5.1 5.8.2 5.9.2 6.4.6",
                "VVX150, VVX250, VVX301, VVX311, VVX350, VVX401, VVX411": "5.8.2 5.9.2 6.4.6",
                "VVX450, VVX501, VVX601": "5.8.2 5.9.2 6.4.6",
                "VVX1500": "3.2.4.0244 5.4.3 5.5.1 5.8.2 5.9.2",
                "VVX300, VVX310, VVX400, VVX410, VVX500, VVX600": "5.4.3 5.5.1 5.8.2 5.9.2",
                # Not seen: the User-Agent follows from the product's name.
                "VVX200": "5.9.2",
                "Trio8300, Trio8500, Trio8800, TrioC60": "7.0.0",
                "CCX350, CCX400, CCX500, CCX600, CCX700": "7.0.0",
                "EdgeE100, EdgeE220, EdgeE300, EdgeE320, EdgeE350": "8.0.0",
                "EdgeE400, EdgeE450, EdgeE500, EdgeE550": "8.0.0",
            },
            "FileTransport {reported}-UA/{version} Type/Application",
            _POLYCOM_STEPS,
            _POLYCOM_OUIS,
            reported=_polycom_words,
        ),
    ),
    ("poly",),
)

_SNOM_OUIS = ("00:04:13",)

# The first two name the others. What a phone boots with is in the last one.
_SNOM_STEPS = (
    *_optional("snom{model}.htm"),
    *_required("snom{model}-{MAC}.htm"),
    *_optional("snom-general.xml", "snom{model}.xml", "snom{model}-firmware.xml"),
    *_required("{MAC}.xml"),
)

_SNOM_10_LATE = "10.1.184.15 10.1.198.19 10.1.215.13"
_SNOM_10_MIDDLE = "10.1.101.11 10.1.141.13 10.1.152.12 10.1.159.12 10.1.175.16"
_SNOM_10_EARLY = "10.1.46.16 10.1.49.11 10.1.51.12 10.1.54.13"
_SNOM_10_FIRST = f"10.1.39.11 {_SNOM_10_EARLY}"

_SNOM = Vendor(
    "snom",
    "Snom",
    (
        Series(
            {
                "300, 320, 360, 370, 820, 821, 870, MP, PA1": "8.7.5.35",
                "710, 720, 760": "8.7.5.35 8.9.3.80",
            },
            "Mozilla/4.0 (compatible; snom{model}-SIP {version} 1.1.5-IFX-05.01.12 {MAC})",
            _SNOM_STEPS,
            _SNOM_OUIS,
        ),
        Series(
            {
                "715": f"8.7.5.35 8.9.3.80 {_SNOM_10_FIRST} {_SNOM_10_MIDDLE} {_SNOM_10_LATE}",
                "725": f"8.7.5.35 8.9.3.80 {_SNOM_10_FIRST} {_SNOM_10_MIDDLE}",
                "D120": _SNOM_10_EARLY,
                "D140, D150, D812, D815": _SNOM_10_LATE,
                "D305": f"8.9.3.60 8.9.3.80 {_SNOM_10_EARLY}",
                "D315": (
                    f"8.9.3.60 8.9.3.80 {_SNOM_10_EARLY} {_SNOM_10_MIDDLE} 10.1.184.15 10.1.198.19"
                ),
                "D335, D385": f"{_SNOM_10_EARLY} {_SNOM_10_MIDDLE} {_SNOM_10_LATE}",
                "D345": f"8.9.3.60 8.9.3.80 {_SNOM_10_EARLY} {_SNOM_10_MIDDLE}",
                "D375": f"8.9.3.60 8.9.3.80 {_SNOM_10_FIRST}",
                "D712": f"8.9.3.80 {_SNOM_10_EARLY} {_SNOM_10_MIDDLE} 10.1.184.15",
                "D713, D862, D865": (
                    f"10.1.141.13 10.1.152.12 10.1.159.12 10.1.175.16 {_SNOM_10_LATE}"
                ),
                "D717": f"{_SNOM_10_FIRST} {_SNOM_10_MIDDLE} {_SNOM_10_LATE}",
                "D735": f"10.1.26.1 {_SNOM_10_FIRST} {_SNOM_10_MIDDLE} {_SNOM_10_LATE}",
                "D745": f"8.9.3.40 8.9.3.80 {_SNOM_10_FIRST}",
                "D765": f"8.7.5.35 8.9.3.80 {_SNOM_10_FIRST}",
                "D785": (
                    f"10.1.20.0 10.1.33.33 {_SNOM_10_FIRST} {_SNOM_10_MIDDLE} {_SNOM_10_LATE}"
                ),
                "D810, D892": "10.1.215.13",
                # Only the names of these are known; the firmware is that of their series.
                "D710, D715, D725": "8.9.3.80",
                "SP800": "10.1.215.13",
            },
            "Mozilla/4.0 (compatible; snom{model}-SIP {version} 2010.12-00004-g9ba52f5 {MAC} "
            "SXM:0 UXM:0)",
            _SNOM_STEPS,
            _SNOM_OUIS,
        ),
        Series(
            {"M300, M700": "05.20.0001", "M400": "07.40.0104", "M900": "05.20.0001 07.40.0104"},
            "Mozilla/4.0 (compatible; Snom {model} {version} {mac})",
            (
                *_optional("snom{model}.htm"),
                *_required("snom{model}-{MAC}.htm"),
                *_optional("snom-general.xml", "snom{model}.xml"),
                *_optional("snom{model}-firmware.xml", before=7),
                *_optional("snom{model}-firmware.htm", since=7),
                *_required("{MAC}.xml"),
            ),
            _SNOM_OUIS,
        ),
    ),
)

_TECHNICOLOR_WORDS = {
    "ST2022": "THOMSON ST2022 hw2",
    "ST2030": "THOMSON ST2030 hw5",
    "TB30": "Thomson TB30 hw1",
}

_TECHNICOLOR = Vendor(
    "technicolor",
    "Technicolor",
    (
        Series(
            {
                "ST2022": "3.54 4.68 4.78.1",
                "ST2030": "2.72 2.74",
                "TB30": "1.72.0 1.74.0",
            },
            "{reported} fw{version} {MAC_dashes}",
            (
                *_optional("{model}S.inf", "telconf-{version}-1.txt", "comconf-{version}-1.txt"),
                *_required("{model}S_{MAC}.txt"),
            ),
            ("00:14:7f", "00:18:f6", "00:1f:9f"),
            reported=lambda model: _TECHNICOLOR_WORDS[model],
        ),
    ),
    ("thomson",),
)

_ZENITEL = Vendor(
    "zenitel",
    "Zenitel",
    (
        Series(
            {"IP station": "01.11.3.2"},
            None,
            (
                *_optional("tftp_test.txt", "ipst_config.cfg"),
                *_required("ipst_config_{mac_underscores}.cfg"),
            ),
            ("00:13:cb",),
            ("tftp",),
        ),
    ),
)

_AKUVOX = Vendor(
    "akuvox",
    "Akuvox",
    (
        Series(
            # Which firmware they run is not known.
            {"SPR50P": "50.0.6.30", "SPR63G, WP410, WP480": "63.0.1.1"},
            "Akuvox {reported} {version} {mac}",
            _required("{mac}.cfg"),
            ("0c:11:05", "9c:75:14"),
            reported=lambda model: model.replace("SPR", "SP-R"),
        ),
    ),
)

_ALGO = Vendor(
    "algo",
    "Algo",
    (
        Series(
            {"8103, 8180, 8186, 8188, 8189, 8196, 8301": "5.5"},
            None,
            _required("algom{MAC}.conf"),
            ("00:22:ee",),
        ),
    ),
)

_FLYINGVOICE = Vendor(
    "flyingvoice",
    "FlyingVoice",
    (
        Series(
            {"FIP13G": "0.6.24"},
            "Flyingvoice {model} V{version} {MAC_colons}",
            (*_optional("y000000000000.cfg"), *_required("{mac}.cfg")),
            ("00:21:f2",),
        ),
    ),
)

_VTECH = Vendor(
    "vtech",
    "VTech",
    (
        Series(
            {"VCS754": "1.1.1.1"},
            "Vtech Vesa {model} {version}-0",
            (*_optional("{model}.cfg"), *_required("{model}_{MAC}.cfg")),
            ("00:11:a0",),
        ),
    ),
)

VENDORS: tuple[Vendor, ...] = (
    _AASTRA,
    _AKUVOX,
    _ALCATEL,
    _ALGO,
    _AVAYA,
    _CISCO,
    _DIGIUM,
    _FANVIL,
    _FLYINGVOICE,
    _GIGASET,
    _GRANDSTREAM,
    _HTEK,
    _JITSI,
    _PANASONIC,
    _PATTON,
    _POLYCOM,
    _SANGOMA,
    _SNOM,
    _TECHNICOLOR,
    _VTECH,
    _YEALINK,
    _ZENITEL,
)


def _simplified(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.casefold(), {k.casefold(): k for k in known}, 3, 0.5)
    names = [k for k in known if k.casefold() in close] or known
    return f"known: {', '.join(names)}"


def find_vendor(name: str) -> Vendor:
    """Return the vendor with that key or alias, whatever the case; raises InvalidParameter."""
    wanted = _simplified(name)
    for vendor in VENDORS:
        if wanted in {_simplified(known) for known in (vendor.key, *vendor.aliases)}:
            return vendor
    raise InvalidParameter(f"unknown vendor {name!r}; {_hint(name, [v.key for v in VENDORS])}")


def models_of(vendor: Vendor) -> Iterator[Model]:
    """Yield every model of the vendor."""
    for series in vendor.series:
        for name in series.models:
            yield Model(vendor, name, series)


def find_model(vendor_name: str, model_name: str) -> Model:
    """Return a vendor's model, whatever the case, blanks and dashes; raises InvalidParameter."""
    vendor = find_vendor(vendor_name)
    wanted = _simplified(model_name)
    for model in models_of(vendor):
        if _simplified(model.name) == wanted:
            return model
    known = [model.name for model in models_of(vendor)]
    raise InvalidParameter(
        f"unknown {vendor.name} model {model_name!r}; {_hint(model_name, known)}"
    )
