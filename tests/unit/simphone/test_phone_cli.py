"""The command line of provd-phone, up to the point where a server is needed."""

import argparse
import itertools
import random

import pytest

from provd.errors import InvalidParameter
from provd.simphone import cli
from provd.simphone.models import VENDORS, models_of


def parse(*argv):
    return cli._parser().parse_args(["boot", *argv])


def choices(*argv):
    args = parse(*argv)
    return cli._choices(args, cli._targets(args), random.Random(1))


def phones(count, *argv):
    args = parse(*argv, "--count", str(count))
    rng = random.Random(1)
    return list(cli._phones(args, cli._choices(args, cli._targets(args), rng), count, rng))


T46S = ("--vendor", "yealink", "--model", "T46S")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["boot"],
        ["boot", "--vendor", "yealink"],
        ["boot", "--vendor", "yealink", "--model", "T99"],
        ["boot", "--vendor", "nobody", "--model", "T46S"],
        ["boot", *T46S, "--mix", "all"],
        ["boot", "--mix", "yealink:T46S=0"],
        ["boot", "--mix", "yealink:T46S=x"],
        ["boot", "--mix", "yealink", "--version", "1.2"],
        ["boot", *T46S, "--mac", "00:15:65"],
        ["boot", *T46S, "--mac", "ff:ff:ff:ff:ff:ff", "--count", "2"],
        ["boot", *T46S, "--source-ip", "localhost"],
        ["boot", *T46S, "--timeout", "0"],
        ["boot", *T46S, "--timeout", "nan"],
        ["boot", *T46S, "--rate", "0"],
        ["boot", *T46S, "--count", "0"],
        ["boot", *T46S, "--http", "tftp://127.0.0.1"],
        ["boot", *T46S, "--tftp", "127.0.0.1", "--key", "abcdefgh"],
        ["boot", *T46S, "--tftp", "127.0.0.1", "--forwarded-for", "10.0.0.5"],
        ["boot", *T46S, "--forwarded-for", "10.0.0.5\r\nX-Evil: 1"],
        ["boot", *T46S, "--version", "66.86\r\nX-Evil: 1"],
        ["boot", *T46S, "--tftp-option", "windowsize=4"],
        ["boot", *T46S, "--tftp-option", "blksize=4"],
        ["boot", "--vendor", "zenitel", "--model", "IP station", "--http", "http://127.0.0.1"],
        ["boot", "--mix", "jitsi", "--tftp", "127.0.0.1"],
        ["list", "nobody"],
    ],
)
def test_a_wrong_command_line_ends_with_status_2_and_a_reason(argv, capsys):
    try:
        status = cli.main(argv)
    except SystemExit as exc:
        status = exc.code
    assert status == 2
    assert "error: " in capsys.readouterr().err


def test_the_list_shows_every_vendor_and_one_vendor_in_full(capsys):
    assert cli.main(["list"]) == 0
    overview = capsys.readouterr().out
    assert [line.partition(":")[0] for line in overview.splitlines()] == [v.key for v in VENDORS]
    assert cli.main(["list", "yealink"]) == 0
    full = capsys.readouterr().out
    assert "* {mac}.cfg" in full
    assert "{mac}.boot (since 81)" in full
    assert "66.86.0.15" in full


def test_a_mix_has_each_model_as_often_as_it_weighs():
    models = [model.name for model, _ in choices("--mix", "yealink:T46S=3, yealink:T31G")]
    assert sorted(models) == ["T31G", "T46S", "T46S", "T46S"]


def test_a_mix_of_a_vendor_or_of_all_has_each_model_once():
    every = [model for vendor in VENDORS for model in models_of(vendor)]
    assert len(choices("--mix", "all")) == len(every)
    snom = [model.name for model, _ in choices("--mix", "snom=2")]
    assert len(snom) == 2 * len(set(snom))
    assert "D785" in snom


def test_a_mix_leaves_out_models_that_cannot_ask_the_server():
    names = {model.vendor.key for model, _ in choices("--mix", "all", "--http", "http://127.0.0.1")}
    assert "yealink" in names
    assert "zenitel" not in names


def test_each_phone_asks_over_its_own_protocol_when_both_are_there():
    both = choices("--mix", "yealink:T46S,cisco:7940,zenitel:IP station")
    assert {m.vendor.key: target.protocol for m, target in both} == {
        "yealink": "http",
        "cisco": "tftp",
        "zenitel": "tftp",
    }
    assert {str(target) for _, target in both} == {"http://127.0.0.1:8667", "tftp://127.0.0.1:69"}
    [(_, only)] = choices(*T46S, "--tftp", "127.0.0.1:6969")
    assert str(only) == "tftp://127.0.0.1:6969"


def test_a_fleet_on_the_loopback_has_a_mac_and_an_address_for_each_phone():
    fleet = phones(600, *T46S)
    assert len({phone.mac for phone, _ in fleet}) == 600
    assert len({phone.source_ip for phone, _ in fleet}) == 600
    assert fleet[0][0].source_ip == "127.1.0.1"
    assert fleet[254][0].source_ip == "127.1.1.1"


def test_one_phone_has_the_address_that_the_system_gives():
    [(phone, _)] = phones(1, *T46S)
    assert phone.source_ip is None
    [(phone, _)] = phones(1, *T46S, "--source-ip", "127.0.0.5")
    assert phone.source_ip == "127.0.0.5"


def test_a_fleet_behind_a_proxy_tells_an_address_for_each_phone():
    fleet = phones(3, *T46S, "--forwarded-for", "auto")
    assert [phone.forwarded_for for phone, _ in fleet] == ["10.1.0.1", "10.1.0.2", "10.1.0.3"]
    assert {phone.source_ip for phone, _ in fleet} == {None}


def test_a_fleet_behind_one_router_has_one_address():
    fleet = phones(3, *T46S, "--source-ip", "127.0.0.9")
    assert {phone.source_ip for phone, _ in fleet} == {"127.0.0.9"}


def test_a_fleet_elsewhere_has_the_address_of_this_machine():
    fleet = phones(3, *T46S, "--http", "http://192.0.2.7:8667")
    assert {phone.source_ip for phone, _ in fleet} == {None}


def test_a_given_mac_is_the_first_of_the_fleet():
    macs = [phone.mac for phone, _ in phones(3, *T46S, "--mac", "00:15:65:00:00:fe")]
    assert macs == ["00:15:65:00:00:fe", "00:15:65:00:00:ff", "00:15:65:00:01:00"]


def test_a_seed_gives_the_same_fleet_again():
    def fleet(seed):
        args = parse("--mix", "all", "--seed", seed)
        rng = random.Random(args.seed)
        found = cli._choices(args, cli._targets(args), rng)
        played = itertools.islice(cli._phones(args, found, 50, rng), 50)
        return [(phone.model.name, phone.mac) for phone, _ in played]

    assert fleet("5") == fleet("5")
    assert fleet("5") != fleet("6")


def test_options_reach_the_target():
    args = parse(*T46S, "--http", "127.0.0.1:8000", "--timeout", "3", "--key", "abc")
    target = cli._targets(args)["http"]
    assert (str(target), target.timeout, target.key) == ("http://127.0.0.1:8000", 3.0, "abc")
    args = parse(*T46S, "--tftp", "127.0.0.1", "--tftp-option", "blksize=1428")
    assert cli._targets(args)["tftp"].tftp_options == {"blksize": 1428}


def test_an_option_value_is_refused_in_the_words_of_the_option():
    with pytest.raises(argparse.ArgumentTypeError, match="1 to 10"):
        cli._argument(cli._whole(1, 10))("11")
    with pytest.raises(InvalidParameter, match=r"127\.0\.0\.1:1 is not for --http"):
        cli._targets(argparse.Namespace(**{**vars(parse(*T46S)), "http": "tftp://127.0.0.1:1"}))
