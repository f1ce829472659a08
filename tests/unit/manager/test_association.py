"""Automatic association, with nothing but associators."""

import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import PluginError
from provd.manager.association import associate


class Host:
    """Just enough of a host: plugins with a fixed score, an error, or no associator."""

    def __init__(self, scores, first=()):
        self.scores = scores
        self.first = first

    def rank(self, plugin_id):
        return 0 if plugin_id in self.first else 1

    def __iter__(self):
        for plugin_id, score in self.scores:
            associator = None
            if score is not None:
                associator = types.SimpleNamespace(associate=lambda _info, s=score: s)
            plugin = types.SimpleNamespace(pg_associator=associator)
            yield types.SimpleNamespace(id=plugin_id, plugin=plugin)

    @staticmethod
    def run(loaded, _what, function, *args):
        value = function(*args)
        if value == "error":
            raise PluginError(loaded.id, "no")
        return value


SCORES = st.one_of(st.none(), st.just("error"), st.sampled_from([0, 100, 299, 300, 310, 600]))


@given(st.lists(st.tuples(st.text(), SCORES), unique_by=lambda pair: pair[0]))
def test_the_choice_is_the_greatest_id_of_the_best_score_from_300(scores):
    valid = [(s, i) for i, s in scores if isinstance(s, int) and s >= 300]
    expected = max(valid)[1] if valid else None
    assert associate(Host(scores), {}) == expected


@pytest.mark.parametrize("order", [1, -1])
def test_plain_text_order_decides_not_numbers(order):
    scores = [("acme-9", 500), ("acme-10", 500)][::order]
    assert associate(Host(scores), {}) == "acme-9"


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ([("ours", 410), ("theirs", 600)], "ours"),  # both know the model
        ([("ours", 310), ("theirs", 600)], "theirs"),  # ours does not
        ([("ours", 310), ("theirs", 305)], "ours"),
        ([("ours", 0), ("theirs", 300)], "theirs"),
    ],
)
def test_a_preferred_plugin_wins_where_it_knows_the_model(scores, chosen):
    assert associate(Host(scores, first=("ours",)), {}) == chosen
