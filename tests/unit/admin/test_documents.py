import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import defer

from provd.admin.documents import every, merge, merge_parameters
from provd.admin.report import Report, Tally
from provd.errors import RevisionConflict, StoreUnavailable
from provd.model.selectors import Query
from provd.store.interface import Insert
from provd.store.memory import MemoryStore


def result(coroutine):
    outcome = []
    defer.Deferred.fromCoroutine(coroutine).addCallback(outcome.append)
    return outcome[0]


def contents(store, collection="devices"):
    return {r.id: r.document for r in result(store.find(collection, Query()))}


DOCUMENTS = st.dictionaries(
    st.sampled_from("abcdef"), st.integers(0, 2).map(lambda n: {"x": n}), max_size=6
).map(lambda by_id: [{"id": name, **rest} for name, rest in by_id.items()])


@given(before=DOCUMENTS, documents=DOCUMENTS, replace=st.booleans())
def test_merging_twice_is_merging_once_and_a_trial_changes_nothing(before, documents, replace):
    store = MemoryStore()
    result(store.write([Insert("devices", document) for document in before]))
    ours = contents(store)
    theirs = {document["id"]: document for document in documents}
    trial, first, second = Tally(), Tally(), Tally()
    result(merge(store, "devices", documents, trial, apply=False, replace=replace))
    assert contents(store) == ours
    result(merge(store, "devices", documents, first, apply=True, replace=replace))
    assert contents(store) == ({**ours, **theirs} if replace else {**theirs, **ours})
    assert trial == first
    result(merge(store, "devices", documents, second, apply=True, replace=replace))
    assert second.new == second.replaced == 0
    assert second.different == first.different
    assert second.same == len(documents) - len(second.different)


def test_large_collections_go_in_pieces():
    store, tally = MemoryStore(), Tally()
    documents = [{"id": str(number)} for number in range(1234)]
    result(merge(store, "devices", documents, tally, apply=True, replace=False))
    assert (tally.found, tally.new) == (1234, 1234)

    async def all_ids():
        return [document["id"] async for document in every(store, "devices")]

    assert result(all_ids()) == [str(number) for number in range(1234)]


class Contended(MemoryStore):
    """Somebody else writes first, so many times."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    async def write(self, operations):
        if self.times:
            self.times -= 1
            raise RevisionConflict("devices", "a")
        return await super().write(operations)


def test_a_write_of_somebody_else_in_between_is_looked_at_again():
    store, tally = Contended(2), Tally()
    result(merge(store, "devices", [{"id": "a"}], tally, apply=True, replace=False))
    assert tally == Tally(found=1, new=1)
    assert contents(store) == {"a": {"id": "a"}}


@pytest_twisted.ensureDeferred
async def test_a_store_that_others_write_all_the_time_is_given_up():
    with pytest.raises(StoreUnavailable):
        await merge(Contended(99), "devices", [{"id": "a"}], Tally(), apply=True, replace=False)


def test_parameters_are_kept_unless_they_shall_be_replaced():
    store = MemoryStore()
    result(store.set_parameter("NAT", "1"))
    tally = Tally()
    wanted = {"NAT": "0", "locale": None}
    result(merge_parameters(store, wanted, tally, apply=True, replace=False))
    assert tally == Tally(found=2, new=1, different=["NAT"])
    assert result(store.parameters()) == {"NAT": "1", "locale": None}
    tally = Tally()
    result(merge_parameters(store, wanted, tally, apply=True, replace=True))
    assert tally == Tally(found=2, same=1, replaced=1)
    assert result(store.parameters()) == wanted


def test_a_long_list_is_cut_for_people_only():
    report = Report("Title", problems=[f"problem {number}" for number in range(50)])
    text = list(report.lines())
    assert len(text) < 30
    assert "30 more" in text[-1]
    assert len(report.as_json()["problems"]) == 50
