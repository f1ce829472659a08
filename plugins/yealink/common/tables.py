"""Facts about Yealink phones: models, firmware, codes of values. No behaviour."""

from __future__ import annotations

from typing import NamedTuple

VENDOR = "Yealink"

OUIS = frozenset(
    {
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
    }
)


class Model(NamedTuple):
    """What a model can hold."""

    accounts: int
    line_keys: int = 0
    memory_keys: int = 0
    module_keys: int = 0
    """Keys of one expansion module, all its pages counted."""
    modules: int = 0
    type: str = "deskphone"
    sip_templates: bool = False
    """SIP servers are described once, and accounts refer to them."""
    first_line: int = 1
    """How a BLF key calls account 1."""


_EXP40 = (40, 6)
_EXP43 = _EXP50 = (60, 3)
_EXP55 = (78, 3)

MODELS: dict[str, Model] = {
    "AX83H": Model(4, type="wifidect"),
    "AX86R": Model(4, type="wifidect"),
    "CP860": Model(1, type="conference"),
    "CP920": Model(1, type="conference"),
    "CP925": Model(1, type="conference"),
    "CP960": Model(1, type="conference"),
    "CP965": Model(1, type="conference"),
    "T19P": Model(1),
    "T19P_E2": Model(1),
    "T20P": Model(2, 2),
    "T21P": Model(2, 2),
    "T21P_E2": Model(2, 2),
    "T22P": Model(3, 3),
    "T23G": Model(3, 3),
    "T23P": Model(3, 3),
    # T26P, T28P and T38G take EXP38 and EXP39 modules, whose numbering is not known for sure.
    "T26P": Model(3, 3, 10),
    "T27G": Model(6, 21, 0, *_EXP40),
    "T27P": Model(6, 21, 0, *_EXP40),
    "T28P": Model(6, 6, 10),
    "T29G": Model(16, 27, 0, *_EXP40),
    "T30": Model(1),
    "T30P": Model(1),
    "T31": Model(2, 2),
    "T31G": Model(2, 2),
    "T31P": Model(2, 2),
    "T31W": Model(2, 2),
    "T32G": Model(3, 3, first_line=0),
    "T33G": Model(4, 12),
    "T33P": Model(4, 12),
    "T34W": Model(4, 12),
    "T38G": Model(6, 6, 10, first_line=0),
    "T40G": Model(3, 3),
    "T40P": Model(3, 3),
    "T41P": Model(6, 15),
    "T41S": Model(6, 15),
    "T41U": Model(6, 15),
    "T42G": Model(12, 15),
    "T42S": Model(12, 15),
    "T42U": Model(12, 15),
    "T43U": Model(12, 15, 0, *_EXP43),
    # Sources differ on T44: 21 keys (eight a page, less one to turn it) or 24.
    "T44U": Model(12, 21, 0, *_EXP43),
    "T44W": Model(12, 21, 0, *_EXP43),
    "T46G": Model(16, 27, 0, *_EXP40),
    "T46S": Model(16, 27, 0, *_EXP40),
    "T46U": Model(16, 27, 0, *_EXP43),
    "T48G": Model(16, 29, 0, *_EXP40),
    "T48S": Model(16, 29, 0, *_EXP40),
    "T48U": Model(16, 29, 0, *_EXP43),
    "T49G": Model(16, 29),
    "T52S": Model(12, 21, 0, *_EXP50),
    "T53": Model(12, 21, 0, *_EXP50),
    "T53C": Model(12, 21, 0, *_EXP50),
    "T53W": Model(12, 21, 0, *_EXP50),
    "T54S": Model(16, 27, 0, *_EXP50),
    "T54W": Model(16, 27, 0, *_EXP50),
    "T56A": Model(16, 27, 0, *_EXP50),
    "T57": Model(16, 29, 0, *_EXP50),
    "T57W": Model(16, 29, 0, *_EXP50),
    "T58": Model(16, 27, 0, *_EXP50),
    "T58A": Model(16, 27, 0, *_EXP50),
    "T58V": Model(16, 27, 0, *_EXP50),
    "T58W": Model(16, 27, 0, *_EXP50),
    "T73U": Model(12, 48, 0, *_EXP55),
    "T73W": Model(12, 48, 0, *_EXP55),
    "T74U": Model(16, 60, 0, *_EXP55),
    "T74W": Model(16, 60, 0, *_EXP55),
    "T77U": Model(16, 95, 0, *_EXP55),
    "T85W": Model(16, 72, 0, *_EXP55),
    "T87W": Model(16, 95, 0, *_EXP55),
    "T88V": Model(16, 95, 0, *_EXP55),
    "T88W": Model(16, 95, 0, *_EXP55),
    "VP530": Model(4),
    "VP530P": Model(4),
    "VP59": Model(16, 27, 0, *_EXP50),
    "W52P": Model(5, type="dect"),
    "W56P": Model(5, type="dect"),
    "W60B": Model(8, type="dect"),
    "W70B": Model(10, type="dect"),
    # The bases of a multi-cell system hold no accounts: their DECT manager (DM) has them all.
    "W75B": Model(0, type="dect", sip_templates=True),
    "W75DM": Model(20, type="dect", sip_templates=True),
    "W80B": Model(0, type="dect", sip_templates=True),
    "W80DM": Model(30, type="dect", sip_templates=True),
    "W90B": Model(0, type="dect", sip_templates=True),
    "W90DM": Model(250, type="dect", sip_templates=True),
}

# Generation (second number of a firmware version) -> firmware version -> models it is made for.
FIRMWARE: dict[int, dict[str, str]] = {
    73: {
        "2.73.0.50": "T28P",
        "6.73.0.50": "T26P",
        "7.73.0.50": "T22P",
        "9.73.0.50": "T20P",
        "25.73.0.40": "W52P W56P",
    },
    80: {
        "25.80.0.15": "W52P W56P",
        "28.80.0.95": "T46G",
        "29.80.0.95": "T42G",
        "35.80.0.95": "T48G",
        "36.80.0.95": "T41P",
        "37.80.0.30": "CP860",
        "44.80.0.95": "T23G T23P",
        "45.80.0.95": "T27P",
        "46.80.0.95": "T29G",
        "51.80.0.100": "T49G",
        "52.80.0.95": "T21P_E2",
        "53.80.0.95": "T19P_E2",
        "54.80.0.95": "T40P",
        "73.80.0.35": "CP960",
    },
    81: {
        "25.81.0.60": "W52P W56P",
        "28.81.0.110": "T46G",
        "29.81.0.110": "T42G",
        "35.81.0.110": "T48G",
        "36.81.0.110": "T41P",
        "37.81.0.10": "CP860",
        "44.81.0.110": "T23G T23P",
        "45.81.0.110": "T27P",
        "46.81.0.110": "T29G",
        "52.81.0.110": "T21P_E2",
        "53.81.0.110": "T19P_E2",
        "54.81.0.110": "T40P",
        "65.81.0.100": "T48S",
        "66.81.0.110": "T46S",
        "67.81.0.110": "T42S",
        "68.81.0.110": "T41S",
        "69.81.0.110": "T27G",
        "76.81.0.110": "T40G",
        "77.81.0.35": "W60B",
        "78.81.0.15": "CP920",
    },
    82: {
        "28.82.0.30": "T46G",
        "29.82.0.20": "T42G",
        "35.82.0.30": "T48G",
        "36.82.0.20": "T41P",
        "44.82.0.20": "T23G T23P",
        "45.82.0.30": "T27P",
        "46.82.0.30": "T29G",
        "52.82.0.20": "T21P_E2",
        "53.82.0.20": "T19P_E2",
        "54.82.0.20": "T40P",
        "66.82.0.30": "T41S T42S T46S T48S",
        "69.82.0.30": "T27G",
        "76.82.0.20": "T40G",
    },
    83: {
        "28.83.0.120": "T46G",
        "29.83.0.120": "T42G",
        "35.83.0.120": "T48G",
        "36.83.0.35": "T41P",
        "44.83.0.35": "T23G T23P",
        "45.83.0.35": "T27P",
        "46.83.0.120": "T29G",
        "52.83.0.35": "T21P_E2",
        "53.83.0.35": "T19P_E2",
        "54.83.0.35": "T40P",
        "58.83.0.15": "T56A T58 T58A T58V",
        "66.83.0.35": "T41S T42S T46S T48S",
        "69.83.0.35": "T27G",
        "70.83.0.35": "T52S T54S",
        "73.83.0.30": "CP960",
        "76.83.0.35": "T40G",
        "77.83.0.85": "W60B",
        "103.83.0.122": "W80B W80DM",
    },
    84: {
        "44.84.0.140": "T23G T23P",
        "52.84.0.125": "T21P_E2",
        "53.84.0.125": "T19P_E2",
        "54.84.0.125": "T40P",
        "58.84.0.25": "T56A T58 T58A T58V",
        "66.84.0.125": "T41S T42S T46S T48S",
        "69.84.0.125": "T27G",
        "70.84.0.70": "T52S T54S",
        "73.84.0.25": "CP960",
        "76.84.0.125": "T40G",
        "78.84.0.125": "CP920",
        "95.84.0.125": "T53 T53W",
        "96.84.0.125": "T54W",
        "97.84.0.125": "T57W",
    },
    85: {
        "58.85.0.5": "T56A T58 T58A T58V",
        "66.85.0.5": "T41S T42S T46S T48S",
        "69.85.0.85": "T27G",
        "73.85.0.5": "CP960",
        "77.85.0.25": "W60B",
        "78.85.0.5": "CP920",
        "96.85.0.5": "T53 T53W T54W T57W",
        "103.85.0.25": "W80B W80DM",
        "124.85.0.40": "T30 T30P T31 T31G T31P T33G T33P",
        "130.85.0.44": "W90B W90DM",
        "146.85.0.5": "W70B",
        "175.85.0.5": "W75B W75DM",
    },
    86: {
        "58.86.0.5": "T58W",
        "58.86.0.20": "T56A T58 T58A T58V",
        "66.86.0.15": "T41S T42S T46S T48S",
        "69.86.0.15": "T27G",
        "78.86.0.15": "CP920",
        "96.86.0.45": "T53 T53C T53W T54W T57 T57W",
        "108.86.0.90": "T41U T42U T43U T44U T44W T46U T48U",
        "124.86.0.75": "T30 T30P T31 T31G T31P T31W T33G T33P T34W",
        "143.86.0.10": "CP965",
        "148.86.0.5": "CP925",
        "180.86.0.5": "AX83H",
    },
    87: {
        "96.87.0.15": "T53 T53W T54W T57 T57W",
        "103.87.0.18": "W80B W80DM",
        "130.87.0.18": "W90B W90DM",
        "146.87.0.21": "W70B",
        "150.87.0.15": "T58 T58W",
        "175.87.0.18": "W75B W75DM",
        "180.87.0.15": "AX83H AX86R",
        "185.87.0.34": "T73U T73W T74U T74W T77U T85W T87W",
        "192.87.0.10": "T88V T88W",
    },
}

# Models that a generation fits best without being made for it: what they were seen to run is
# older (T38G 38.70, VP530 23.70, T21P 34.72), or is not known (VP59).
RELATED: dict[int, str] = {73: "T19P T21P T32G T38G VP530 VP530P", 86: "VP59"}

# Number in the name of a common file (y000000000028.cfg) -> models that ask for it. The number is
# mostly the first one of the firmware version.
COMMON_FILES: dict[int, str] = {
    0: "T28P",
    4: "T26P",
    5: "T22P",
    7: "T20P",
    23: "VP530 VP530P",
    25: "W52P W56P",
    28: "T46G",
    29: "T42G",
    31: "T19P",
    32: "T32G",
    34: "T21P",
    35: "T48G",
    36: "T41P",
    37: "CP860",
    38: "T38G",
    44: "T23G T23P",
    45: "T27P",
    46: "T29G",
    51: "T49G",
    52: "T21P_E2",
    53: "T19P_E2",
    54: "T40P",
    58: "T56A T58 T58A T58V T58W",
    65: "T48S",
    66: "T46S",
    67: "T42S",
    68: "T41S",
    69: "T27G",
    70: "T52S T54S",
    73: "CP960",
    74: "T52S T54S",
    76: "T40G",
    77: "W60B",
    78: "CP920",
    91: "VP59",
    95: "T53 T53C T53W",
    96: "T53 T54W T57W",
    97: "T57 T57W",
    103: "W80B W80DM",
    107: "T43U T46U",
    108: "T41U T42U T43U T44U T44W T46U T48U",
    109: "T46U T48U",
    115: "T41U T42U",
    116: "T41U T42U",
    123: "T31 T31G T31P T31W",
    124: "T33G T33P T34W",
    127: "T30 T30P",
    130: "W90B W90DM",
    143: "CP965",
    146: "W70B",
    148: "CP925",
    150: "T58 T58W",
    175: "W75B W75DM",
    180: "AX83H AX86R",
    185: "T73U T73W T74U T74W T77U T85W T87W",
    192: "T88V T88W",
}

LANGUAGES = {
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "tr": "Turkish",
}
HANDSET_LANGUAGES = {"en": 0, "fr": 1, "de": 2, "it": 3, "es": 6}

TONE_COUNTRIES = {
    "AT": "Austria",
    "AU": "Australia",
    "BE": "Belgium",
    "BR": "Brazil",
    "CA": "United States",
    "CH": "Switzerland",
    "CL": "Chile",
    "CN": "China",
    "CZ": "Czech",
    "DE": "Germany",
    "DK": "Denmark",
    "ES": "Spain",
    "FI": "Finland",
    "FR": "France",
    "GB": "Great Britain",
    "GR": "Greece",
    "HU": "Hungary",
    "IN": "India",
    "IT": "Italy",
    "JP": "Japan",
    "LT": "Lithuania",
    "MX": "Mexico",
    "NL": "Netherlands",
    "NO": "Norway",
    "NZ": "New Zealand",
    "PT": "Portugal",
    "RU": "Russia",
    "SE": "Sweden",
    "US": "United States",
}

DTMF_TYPES: dict[str | None, int] = {"RTP-in-band": 0, "RTP-out-of-band": 1, "SIP-INFO": 2}
DTMF_DEFAULT = 1
TRANSPORTS = {"udp": 0, "tcp": 1, "tls": 2}
SRTP_MODES: dict[str | None, int] = {"disabled": 0, "preferred": 1, "required": 2}
SYSLOG_LEVELS = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 6}

KEY_LINE = 15
KEY_BLF = 16
KEY_TYPES = {"speeddial": 13, "blf": KEY_BLF, "park": 10}
# A speed dial of the recording code must reach the call in progress, so it is sent as DTMF.
RECORDING_CODE = "*3"
KEY_DTMF = 11

MAX_CERTIFICATES = 10
