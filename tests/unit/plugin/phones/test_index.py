import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.model.requests import RequestType
from provd.plugin.phones.index import FamilyIndex
from provd.plugin.phones.match import Identification, read_rule
from provd.plugin.vendor import PhoneRequest


def rule(pattern, **more):
    return read_rule({"pattern": pattern, **more}, "here")


class Recogniser:
    """A family that refuses one version."""

    def __init__(self, vendor, word, ouis=(), path=r"(?P<mac>[0-9a-f]{12})\.cfg"):
        self.identification = Identification(
            vendor=vendor,
            ouis=frozenset(ouis),
            words=(word,),
            agents=(rule(rf"{vendor} (?P<model>\w+)(?: (?P<version>\d+))?", ignore_case=True),),
            paths=(rule(path, own_ouis=True),),
            classes=(rule(vendor),),
        )

    def refine(self, info, request):
        return None if info.get("version") == "0" else info


DESK = Recogniser("Snom", "snom", ["00:04:13"])
DECT = Recogniser("Snom M", "snom m", ["00:04:13"])
ACME = Recogniser("Acme", "acme", ["00:11:22"])
INDEX = FamilyIndex([DESK, DECT, ACME])


def http(agent=None, path="/"):
    return PhoneRequest(RequestType.HTTP, path=path, user_agent=agent)


def dhcp(vendor_class="", mac=None):
    return PhoneRequest(RequestType.DHCP, options={60: vendor_class}, mac=mac)


@pytest.mark.parametrize(
    ("agent", "vendor", "model"),
    [
        ("Acme P1", "Acme", "P1"),
        ("ACME P1", "Acme", "P1"),
        ("Snom D7", "Snom", "D7"),
        ("Snom M 700", "Snom M", "700"),
        # The longer word is in it, but only the family of the shorter one knows the phone.
        ("Snom Mobile", "Snom", "Mobile"),
    ],
)
def test_user_agent_is_of_the_family_whose_word_it_holds(agent, vendor, model):
    info, is_sure = INDEX.extract(http(agent))
    assert info == {"vendor": vendor, "model": model}
    assert is_sure


def test_words_that_overlap_are_all_found():
    index = FamilyIndex([Recogniser("Abcd", "abc"), Recogniser("Abcd E", "bcd")])
    assert index.extract(http("Abcd E"))[0]["vendor"] == "Abcd"
    index = FamilyIndex([Recogniser("Zzz", "abc"), Recogniser("Abcd", "bcd")])
    assert index.extract(http("Abcd E"))[0]["vendor"] == "Abcd"


def test_path_counts_where_no_user_agent_says_more_and_leaves_doubt_beside_another_one():
    told = {"vendor": "Acme", "mac": "00:11:22:33:44:55"}
    assert INDEX.extract(http(None, "/001122334455.cfg")) == (told, True)
    assert INDEX.extract(http("curl/8", "/001122334455.cfg")) == (told, False)
    assert INDEX.extract(http("curl/8", "/robots.txt")) == (None, False)
    assert INDEX.extract(http("Acme P1", "/001122334455.cfg")) == ({**told, "model": "P1"}, True)


def test_family_that_refuses_what_its_tables_tell_is_not_believed():
    assert INDEX.extract(http("Acme P1 0"))[0] is None


def test_families_of_one_address_range_tell_what_they_agree_on():
    assert INDEX.extract(http(None, "/000413334455.cfg"))[0] == {"mac": "00:04:13:33:44:55"}
    assert INDEX.extract(dhcp("", "00:04:13:33:44:55"))[0] == {"mac": "00:04:13:33:44:55"}


def test_vendor_class_goes_before_addresses():
    assert INDEX.extract(dhcp("Acme", "00:04:13:33:44:55")) == (
        {"vendor": "Acme", "mac": "00:04:13:33:44:55"},
        True,
    )
    assert INDEX.extract(dhcp("", "00:aa:13:33:44:55")) == (None, True)


def test_no_family_knows_nothing():
    assert FamilyIndex([]).extract(http("Acme P1")) == (None, False)


@given(
    kind=st.sampled_from(RequestType),
    path=st.text(),
    agent=st.none() | st.text() | st.text().map("snom m acme {}".format),
    vendor_class=st.text(),
    mac=st.none() | st.text(),
)
def test_no_request_makes_it_fail(kind, path, agent, vendor_class, mac):
    request = PhoneRequest(kind, path, agent, options={60: vendor_class}, mac=mac)
    info, _ = INDEX.extract(request)
    assert info is None or info


@given(
    vendor=st.sampled_from(["Snom", "Snom M", "Acme", "Other"]),
    rest=st.text("mM 0aD", max_size=6),
)
def test_an_agent_that_a_family_knows_by_itself_is_known_with_all(vendor, rest):
    request = http(f"{vendor} {rest}")
    alone = [one.identification.match_agent(request.user_agent) for one in (DESK, DECT, ACME)]
    known = [info for info in alone if info is not None and info.get("version") != "0"]
    found, _ = INDEX.extract(request)
    assert (found in known) if known else found is None
