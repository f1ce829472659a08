"""What phones of each vendor send to a DHCP server and want from it, for plugins that do not say.

Vendor, as the capabilities of plugins name it in small letters → rules in the form of the key
`dhcp` of a `plugin-info`. Each comes from a DHCP configuration in wide use, or from the vendor's
documents (marked *doc*). A NUL at the end of a vendor class may be there or not.
"""

from __future__ import annotations

from typing import Any

_ANY = [""]
_BASE = {"66": "{base_url}"}
_TFTP = {"66": "{tftp}"}


def _words(text: str, form: str = "{}") -> list[str]:
    return [form.format(word) for word in text.split()]


_AASTRA = [
    {
        "name": "aastra-class",
        "vendor_class": {
            "exact": _words(
                "6730i 6731i 6735i 6737i 6739i 51i 6751i 53i 6753i 55i 6755i 57i 6757i 6863i 6865i "
                "6867i 6869i 6873i 9143i 9480i",
                "AastraIPPhone{}",
            ),
            "prefix": ["MitelIPPhone"],
        },
        # The second one keeps the phone from asking the vendor's redirection service.
        "options": {"43.2": "{base_url}/Aastra", "43.3": "0x00"},
    },
    {
        "name": "aastra-oui",
        "ouis": ["00:08:5d", "08:00:0f", "14:00:e9"],
        "ouis_unless": ["AastraIPPhone", "MitelIPPhone"],
        "options": {"66": "{base_url}/Aastra"},
    },
]

_CISCO = [
    {
        "name": "cisco-7920",
        "vendor_class": {"exact": ["Cisco Systems, Inc. IP Phone 7920\0"]},
        "options": {"66": "{tftp}", "150": "{tftp}"},
    },
    {
        "name": "cisco-enterprise",
        "vendor_class": {
            "exact": [
                "Cisco Systems, Inc. IP Phone\0",
                "Cisco Systems, Inc.",
                "Cisco Systems, Inc. IP Phone 7905",
                "Cisco Systems, Inc. IP Phone 7912",
                "Cisco Systems Inc. Wireless Phone 7921",
                "Cisco Systems, Inc. IP Phone CP-7940\0",
                "Cisco Systems, Inc. IP Phone CP-7940G\0",
                "Cisco Systems, Inc. IP Phone CP-7960G\0",
                "Cisco Systems, Inc. IP Phone CP-8961\0",
                "Cisco Systems, Inc. IP Phone CP-9951\0",
                "CISCO ATA190",
                "CISCO ATA191-MPP",
                "CISCO ATA192-MPP",
            ],
            "suffix": [
                *_words(
                    "7902G 7906G 7911G 7931G 7941G 7941G-GE 7942G 7945G 7961G 7961G-GE 7962G 7965G "
                    "7970G 7971G-GE 7975G",
                    "CP-{}\0",
                ),
                *_words("7937G 8941 8945", "CP-{}"),
            ],
        },
        # Phones prefer 150, the others read 66 only (doc).
        "options": {"66": "{tftp}", "150": "{tftp}"},
    },
    {
        "name": "cisco-mpp",
        "vendor_class": {
            "suffix": _words(
                "7811 7821 7832 7841 7861 6821 6841 6851 6861 6871 8811 8841 8851 8861",
                "CP-{}-3PCC\0",
            )
        },
        # On their first boot these call themselves dslforum.org.
        "ouis": ["d0:ec:35"],
        "options": _BASE,
    },
    {
        "name": "cisco-spa",
        "vendor_class": {
            "exact": [
                *_words(
                    "301 303 501G 502G 504G 508G 509G 512G 514G 525g 525G 525G2", "Cisco SPA{}"
                ),
                *_words(
                    "501G 502G 504G 508G 509G 512G 514G 525G",
                    "Cisco Systems, Inc. IP Phone SPA{}",
                ),
                "CISCO SPA112",
                "CISCO SPA122",
            ]
        },
        "ouis": _words("00:26:99 50:3d:e5 00:e1:6d 00:da:55 10:bd:18"),
        "ouis_unless": _ANY,
        # The phone puts its model in the place of $PSN.
        "options": {"66": "{base_url}/spa$PSN.cfg"},
    },
    {
        "name": "linksys-spa",
        "vendor_class": {
            "exact": _words(
                "SPA-901 SPA-921 SPA-922 SPA-941 SPA-942 SPA-962 SPA-2102 SPA-3102 SPA8000",
                "LINKSYS {}",
            )
        },
        # Routers of the brand share these, and send a vendor class.
        "ouis": _words(
            "00:0c:41 00:0e:08 00:0f:66 00:12:17 00:13:10 00:14:bf 00:16:b6 00:18:39 00:18:f8 "
            "00:1a:70 00:1c:10 00:1d:7e 00:1e:e5 00:21:29 00:22:6b 00:23:69 00:25:9c 20:aa:4b "
            "58:6d:8f 68:7f:74 d0:c7:89 bc:67:1c c4:72:95 54:7c:69 70:1f:53"
        ),
        "ouis_unless": _ANY,
        "options": _TFTP,
    },
]

_SNOM = [
    {
        "name": "snom",
        "vendor_class": {
            "exact": _words(
                "300 320 360 370 710 715 720 725 760 820 821 870 D120 D305 D315 D335 D345 D375 "
                "D385 D712 D713 D717 D735 D745 D765 D785 MP PA1 M3",
                "snom{}",
            ),
            "prefix": _words("M300 M400 M700 M900", "snom{}"),
        },
        # The 715 does not start without a DNS server.
        "options": {"66": "{base_url}", "6": "{dns}"},
    },
    {
        "name": "snom-oui",
        "ouis": ["00:04:13", "00:08:7b"],
        "ouis_unless": _ANY,
        "options": _BASE,
    },
]

VENDORS: dict[str, list[dict[str, Any]]] = {
    "aastra": _AASTRA,
    "mitel": _AASTRA,
    "alcatel": [
        {
            "name": "alcatel-noe",
            "vendor_class": {"exact": ["alcatel.noe.0"]},
            "options": {"next-server": "{tftp}", "boot-file": "sipconfig.txt"},
        },
        {
            "name": "alcatel-sip",
            "vendor_class": {"exact": ["alcatel.sip.0"]},
            "options": {"43.67": "{base_url}"},
        },
        {
            "name": "alcatel-other",
            "vendor_class": {"exact": ["aledevice", "ictouch.0", "alcatel.ictouch.0"]},
            "options": {"43.66": "{base_url}"},
        },
    ],
    "avaya": [
        {
            "name": "avaya-j100",  # doc
            "vendor_class": {"exact": ["ccp.avaya.com"]},
            "ouis": ["c8:1f:ea"],
            "options": {"242": "HTTPSRVR={host},HTTPPORT={port}"},
        },
        {
            "name": "nortel-sip",
            "vendor_class": {"prefix": ["Nortel-SIP"]},
            "options": _BASE,
        },
        {
            "name": "nortel-unistim",
            "vendor_class": {"prefix": ["Nortel"]},
            "ouis": ["00:24:00"],
            "ouis_unless": _ANY,
            "options": _TFTP,
        },
    ],
    "cisco": _CISCO,
    "linksys": [rule for rule in _CISCO if rule["name"] == "linksys-spa"],
    "digium": [
        {
            "name": "digium",
            # The last four are a guess from the first three.
            "vendor_class": {"prefix": _words("D40 D50 D70 D45 D60 D62 D65", "digium_{}")},
            "options": {"66": "{base_url}/Digium"},
        }
    ],
    "fanvil": [
        {
            "name": "fanvil",
            "ouis": ["00:a8:59", "0c:38:3e"],
            "ouis_unless": _ANY,
            # The phone puts its MAC in the place of $mac.
            "options": {"66": "{base_url}/Fanvil/$mac.cfg", "43": "{base_url}/Fanvil/$mac.cfg"},
        }
    ],
    "gigaset": [
        {
            "name": "gigaset",
            "vendor_class": {"prefix": ["Gigaset_N720_DM_PRO"]},
            "ouis": ["7c:2f:80"],
            # 66 is what desk phones and later bases read (doc); bases prefer 114.
            "options": {"114": "{base_url}", "66": "{base_url}"},
        }
    ],
    "grandstream": [
        {
            "name": "grandstream",
            "vendor_class": {"prefix": ["Grandstream "]},  # doc
            "ouis": ["00:0b:82", "c0:74:ad", "ec:74:d7"],
            "options": {"66": "{base_url}/Grandstream"},
        }
    ],
    "htek": [{"name": "htek", "ouis": ["00:1f:c1"], "options": _BASE}],
    "panasonic": [
        {
            "name": "panasonic",
            "vendor_class": {"exact": ["Panasonic"]},
            "options": {"66": "{base_url}/"},
        }
    ],
    "patton": [
        {
            "name": "patton",
            "vendor_class": {"prefix": _words("4112 4114 4116 4118 4316 4324 4332", "SN{}")},
            "options": _BASE,
        },
        {
            "name": "patton-oui",
            "ouis": ["00:a0:ba"],
            "ouis_unless": _ANY,
            # The gateway puts its MAC in the place of $(system.mac).
            "options": {"66": "{base_url}/$(system.mac).cfg"},
        },
    ],
    "polycom": [
        {
            "name": "polycom",
            "ouis": ["00:04:f2", "64:16:7f", "48:25:67"],
            "options": {"66": "{base_url}/000000000000.cfg", "160": "{base_url}"},  # 160: doc
        }
    ],
    "snom": _SNOM,
    "technicolor": [
        {
            "name": f"technicolor-{model.lower()}",
            "vendor_class": {"third_byte": [vendor_class]},
            "user_class": [f"Thomson {file}"],
            "options": {"43": f"{{base_url}}/{file}.inf"},
        }
        for model, file, vendor_class in (
            ("ST2022", "ST2022S", "Thomson&ST2022"),
            ("ST2030", "ST2030S", "Thomson&ST2030"),
            ("TB30", "TB30S", "Thomson24TB3033"),
        )
    ],
    "yealink": [
        {
            "name": "yealink",
            "vendor_class": {"exact": ["yealink"]},  # doc
            "ouis": _words(
                "00:15:65 24:9a:d8 34:97:d7 44:db:d2 64:4f:56 80:5e:0c 80:5e:c0 b0:61:a9 c4:fc:22 "
                "e4:34:d7 ec:1d:a9 f0:16:53"
            ),
            "options": _BASE,
        }
    ],
    "zenitel": [{"name": "zenitel", "ouis": ["00:13:cb"], "options": _TFTP}],
}
VENDORS["alcatel-lucent"] = VENDORS["ale"] = VENDORS["alcatel"]
VENDORS["nortel"] = VENDORS["avaya"]
VENDORS["sangoma"] = VENDORS["digium"]
VENDORS["siemens"] = VENDORS["gigaset"]
VENDORS["thomson"] = VENDORS["technicolor"]
