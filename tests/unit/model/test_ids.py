import re
import uuid

import pytest

from provd.errors import InvalidId
from provd.model.ids import autocreated_id, check_id, first_free_number, new_id


@pytest.mark.parametrize("value", ["a", "base", "autoprov0e4c-1", "a.b", "A_b:c@d+e-f", "x" * 255])
def test_good_ids_come_back(value):
    assert check_id(value) == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "empty"),
        (None, "not text"),
        (12, "not text"),
        (["a"], "not text"),
        ("x" * 256, "longer than 255"),
        ("a/b", "only letters"),
        ("a b", "only letters"),
        ("a\n", "only letters"),
        ("é", "only letters"),
        ("a\0", "only letters"),
        (".", "starts with a dot"),
        ("..", "starts with a dot"),
        (".hidden", "starts with a dot"),
    ],
)
def test_bad_ids_are_refused_with_their_reason(value, reason):
    with pytest.raises(InvalidId, match=reason):
        check_id(value)


def test_the_error_does_not_repeat_a_huge_id():
    with pytest.raises(InvalidId) as caught:
        check_id("x" * 100_000)
    assert len(str(caught.value)) < 200


def test_new_ids_are_hex_and_differ():
    first, second = new_id(), new_id()
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second
    assert check_id(first)


def test_autocreated_ids_are_the_base_id_and_a_hyphenated_uuid():
    identifier = autocreated_id("autoprov")
    assert identifier.startswith("autoprov")
    suffix = identifier.removeprefix("autoprov")
    assert str(uuid.UUID(suffix)) == suffix


@pytest.mark.parametrize(
    ("existing", "free"), [(set(), "0"), ({"0", "1", "3"}, "2"), ({"1", "a"}, "0")]
)
def test_numeric_ids_take_the_first_free_number(existing, free):
    assert first_free_number(existing) == free
