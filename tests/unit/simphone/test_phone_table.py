"""The table of vendors and models, checked against User-Agents that real phones sent."""

import collections

import pytest

from provd.errors import InvalidParameter
from provd.simphone.models import VENDORS, find_model, find_vendor, models_of
from provd.simphone.phone import Phone

EVERY_MODEL = [model for vendor in VENDORS for model in models_of(vendor)]

SAMPLES = """
yealink | CP860 | 37.72.0.5 | 00:15:65:8a:37:86 | Yealink CP860 37.72.0.5 00:15:65:8a:37:86
yealink | T19P_E2 | 53.80.0.3 | 00:15:65:4c:4c:26 | Yealink SIP-T19P_E2 53.80.0.3 00:15:65:4c:4c:26
yealink | T28P | 2.72.0.30 | 00:15:65:13:ae:0b | Yealink SIP-T28P 2.72.0.30 00:15:65:13:ae:0b
yealink | T49G | 51.80.0.10 | 00:15:65:9b:5a:44 | Yealink SIP VP-T49G 51.80.0.10 00:15:65:9b:5a:44
yealink | VP530P | 23.70.0.40 | 00:15:65:31:4b:c0 | VP530P 23.70.0.40 00:15:65:31:4b:c0
yealink | W60B | 77.81.0.35 | 80:5e:c0:09:ab:dc | Yealink W60B 77.81.0.35 80:5e:c0:09:ab:dc
yealink | CP920 | 78.85.0.5 | 00:15:65:5e:16:7c | Yealink SIP-CP920 78.85.0.5 00:15:65:5e:16:7c
yealink | CP960 | 73.83.0.30 | 00:15:65:8a:37:86 | Yealink CP960 73.83.0.30 00:15:65:8a:37:86
yealink | T31G | 124.85.257.55 | 80:5e:c0:d5:7d:72 | Yealink SIP-T31G 124.85.257.55 80:5e:c0:d5:7d:72
yealink | AX83H | 180.86.0.5 | 44:db:d2:00:00:01 | Yealink AX83H 180.86.0.5 44:db:d2:00:00:01
aastra | 6731i | 3.2.0.70 | 00:08:5d:23:74:29 | Aastra6731i MAC:00-08-5D-23-74-29 V:3.2.0.70-SIP
aastra | 6755i | 3.2.2.56 | 00:08:5d:aa:bb:cc | Aastra55i MAC:00-08-5D-AA-BB-CC V:3.2.2.56-SIP
aastra | 6915 | 6.4.0.140 | 14:00:e9:1b:e2:41 | Mitel6915 MAC:14-00-E9-1B-E2-41 V:6.4.0.140-SIP
alcatel | 8028s-GE | 1.51.52.2204 | 48:7a:55:02:30:75 | ALE 8028s-GE 1.51.52.2204 487a55023075
alcatel | M3 | 2.11.01.1604 | 3c:28:a6:20:08:9e | ALE M3-CE 2.11.01.1604 3c28a620089e
alcatel | 4008 | 2.00.81 | 00:80:9f:aa:bb:cc | Alcatel IP Touch 4008/2.00.81
avaya | 1230IP | 04.01.13.00 | 00:17:65:fd:bf:1d | AVAYA/SIP12x0\xff/04.01.13.00
avaya | J179 | 4.1.3.0.6 | c8:1f:ea:83:e8:5a | Mozilla/4.0 (compatible; MSIE 6.0) AVAYA/J179-4.1.3.0.6 (MAC:c81fea83e85a)
cisco | 7832 | 11.0.1 | 00:56:2b:04:36:15 | Cisco-CP-7832-3PCC/11.0.1 (00562b043615)
fanvil | X4 | 2.10.2.6887 | 0c:38:3e:07:e1:6c | Fanvil X4 2.10.2.6887 0c383e07e16c
fanvil | X6U-Pro | 0.0.10 | 0c:38:3e:2c:d7:82 | Fanvil X6U Pro 0.0.10 0c383e2cd782
fanvil | H2U-V2 | 2.12.0 | 0c:38:3e:32:34:2e | Fanvil H2U-V2 2.12.0 0c383e32342e
flyingvoice | FIP13G | 0.6.24 | 00:21:f2:22:ae:f1 | Flyingvoice FIP13G V0.6.24 00:21:F2:22:AE:F1
gigaset | N510 IP PRO | 42.245 | 7c:2f:80:4d:f9:a9 | N510 IP PRO/42.245.00.000.000;7C2F804DF9A9
gigaset | N720 DM PRO | 70.089 | 7c:2f:80:ca:21:e4 | Gigaset N720 DM PRO/70.089.00.000.000;7C2F80CA21E4
grandstream | GXP1405 | 1.0.4.23 | 00:0b:82:40:d5:5c | Grandstream Model HW GXP1405 SW 1.0.4.23 DevId 000b8240d55c
grandstream | GXV3350 | 1.0.1.8 | c0:74:ad:15:0b:88 | Grandstream Model HW GXV3350  V1.3A SW 1.0.1.8 DevId c074ad150b88
grandstream | GXP2000 | 1.2.5.3 | 00:0b:82:27:26:c8 | Grandstream GXP2000 (gxp2000e.bin:1.2.5.3/boot55e.bin:1.1.6.9) DevId 000b822726c8
htek | UC926 | 2.0.4.2 | 00:1f:c1:00:00:00 | Htek UC926 2.0.4.2 00:1f:c1:00:00:00
panasonic | KX-UT113 | 01.133 | 00:80:f0:c8:c3:81 | Panasonic_KX-UT113/01.133 (0080f0c8c381)
polycom | SPIP450 | 3.2.3.1734 | 00:04:f2:aa:bb:cc | FileTransport PolycomSoundPointIP-SPIP_450-UA/3.2.3.1734
polycom | VVX400 | 4.1.4.7430 | 64:16:7f:01:02:03 | FileTransport PolycomVVX-VVX_400-UA/4.1.4.7430 Type/Application
snom | 710 | 8.7.5.35 | 00:04:13:74:17:67 | Mozilla/4.0 (compatible; snom710-SIP 8.7.5.35 1.1.5-IFX-05.01.12 000413741767)
snom | D785 | 10.1.33.33 | 00:04:13:92:2d:24 | Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33 2010.12-00004-g9ba52f5 000413922D24 SXM:0 UXM:0)
snom | M900 | 05.20.0001 | 00:04:13:b6:06:80 | Mozilla/4.0 (compatible; Snom M900 05.20.0001 000413b60680)
technicolor | ST2022 | 3.54 | 00:18:f6:b5:00:00 | THOMSON ST2022 hw2 fw3.54 00-18-F6-B5-00-00
technicolor | TB30 | 1.72.0 | 00:1f:9f:84:f1:80 | Thomson TB30 hw1 fw1.72.0 00-1F-9F-84-F1-80
"""


@pytest.mark.parametrize("sample", SAMPLES.strip().splitlines())
def test_a_phone_names_itself_as_the_real_one_does(sample):
    vendor, model, version, mac, user_agent = (part.strip() for part in sample.split("|"))
    phone = Phone(find_model(vendor, model), mac=mac, version=version)
    assert phone.user_agent == user_agent


def test_spa_phones_tell_their_mac_in_capitals_and_linksys_ones_only_a_serial():
    spa = Phone(find_model("cisco", "SPA508G"), mac="00:02:fd:ff:21:03", version="7.4.8a")
    linksys = Phone(find_model("linksys", "SPA942"), mac="00:0e:08:ff:21:03", version="6.1.5(a)")
    assert spa.user_agent.startswith("Cisco/SPA508G-7.4.8a (0002FDFF2103)(")
    assert linksys.user_agent.startswith("Linksys/SPA-942-6.1.5(a) (")
    assert "000E08FF2103" not in linksys.user_agent


@pytest.mark.parametrize("model", EVERY_MODEL, ids=lambda m: f"{m.vendor.key}-{m.name}")
def test_every_model_can_boot_with_each_of_its_versions(model):
    for version in model.versions:
        phone = Phone(model, mac=f"{model.series.ouis[0]}:12:34:56", version=version)
        paths = [planned.path for planned in phone.steps()]
        assert any(planned.step.required for planned in phone.steps())
        assert len(set(paths)) == len(paths)
        assert not any(mark in path for path in paths for mark in "{}\\ ")
        assert not any(path.startswith("/") or path.endswith("/") for path in paths)
        # A header must stay one line of latin-1.
        header = (phone.user_agent or "").encode("latin-1")
        assert not any(mark in header for mark in b"{}\r\n")


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda v: v.key)
def test_no_model_is_listed_twice(vendor):
    names = collections.Counter(model.name.casefold() for model in models_of(vendor))
    assert [name for name, times in names.items() if times > 1] == []


def test_versions_of_yealink_are_listed_oldest_generation_first():
    for model in models_of(find_vendor("yealink")):
        generations = [int(version.split(".")[1]) for version in model.versions]
        assert generations == sorted(generations)


def test_yealink_asks_for_boot_files_since_version_81_only():
    model = find_model("yealink", "T46S")

    def paths(version):
        return [p.path for p in Phone(model, mac="001565123456", version=version).steps()]

    assert paths("66.86.0.15") == [
        "001565123456.boot",
        "y000000000000.boot",
        "y000000000066.cfg",
        "001565123456.cfg",
    ]
    assert paths("28.80.0.5") == ["y000000000028.cfg", "001565123456.cfg"]


def test_common_file_of_three_digit_platforms_has_twelve_digits_as_well():
    phone = Phone(find_model("yealink", "T31G"), mac="805ec0123456")
    assert [p.path for p in phone.steps()][2] == "y000000000124.cfg"


def test_polycom_3_has_its_configuration_where_later_ones_have_a_list_of_files():
    model = find_model("polycom", "SPIP450")

    def required(version):
        phone = Phone(model, mac="0004f2aabbcc", version=version)
        return [planned.path for planned in phone.steps() if planned.step.required]

    assert required("3.2.4.0267") == ["0004f2aabbcc.cfg"]
    assert required("4.0.11") == ["0004f2aabbcc-user.cfg"]


def test_a_common_file_that_is_not_known_is_not_asked_for():
    phone = Phone(find_model("fanvil", "X7"), mac="0c383e010203")
    assert [planned.path for planned in phone.steps()] == ["Fanvil/0c383e010203.cfg"]


def test_a_version_without_a_generation_counts_as_the_newest():
    phone = Phone(find_model("yealink", "T46S"), mac="001565123456", version="next")
    assert phone.steps()[0].path == "001565123456.boot"


@pytest.mark.parametrize(
    ("vendor", "model", "expected"),
    [
        ("Yealink", "t46s", "T46S"),
        ("mitel", "6920W", "6920w"),
        ("GIGASET", "n870ippro", "N870 IP PRO"),
        ("alcatel-lucent", "8028s ge", "8028s-GE"),
    ],
)
def test_names_are_found_whatever_their_spelling(vendor, model, expected):
    assert find_model(vendor, model).name == expected


def test_an_unknown_name_is_answered_with_the_nearest_ones():
    with pytest.raises(InvalidParameter, match=r"unknown vendor 'yaelink'; known: yealink"):
        find_vendor("yaelink")
    with pytest.raises(InvalidParameter, match=r"unknown Yealink model 'T46X'; known: .*T46S"):
        find_model("yealink", "T46X")
