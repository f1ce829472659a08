"""What belongs to tenants that are gone is deleted, and never anything else."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet import defer

from provd.errors import AuthUnavailable
from provd.manager.tenants import RETRY_SECONDS, TenantRemoval, TenantSync
from tests.unit.manager.core import LINE, MAIN, Core, later, mac, result

A, B = "tenant-a", "tenant-b"


class Tenants:
    """A comparison over a core, with tenants that a test sets."""

    def __init__(self, core, start=60, interval=3600, takes_turn=None):
        self.core = core
        self.listed = [MAIN, A, B]
        self.answer = None
        self.lists = 0
        self.removal = TenantRemoval(core.store, core.manager, core.parameters, core.jobs)
        self.sync = TenantSync(
            clock=core.clock,
            store=core.store,
            manager=core.manager,
            parameters=core.parameters,
            removal=self.removal,
            list_tenants=self.list_tenants,
            start_seconds=start,
            interval_seconds=interval,
            takes_turn=takes_turn,
        )

    async def list_tenants(self):
        self.lists += 1
        if self.answer is not None:
            return await self.answer
        if isinstance(self.listed, Exception):
            raise self.listed
        return self.listed


@pytest.fixture
def make(make_core):
    """Make a comparison over devices: d-main, d-a1, d-a2, d-b, and d-none without a tenant."""
    made = []

    def build(**options):
        core = make_core()
        for number, (name, tenant) in enumerate(
            (("main", MAIN), ("a1", A), ("a2", A), ("b", B)), 1
        ):
            core.device(f"d-{name}", number, tenant)
        core.insert_raw("devices", {"id": "d-none", "tenant_uuid": None})
        core.insert_raw("devices", {"id": "d-void"})
        for tenant in (MAIN, A, B):
            result(core.parameters.set("provisioning_key", f"key-of-{tenant}", tenant))
        made.append(Tenants(core, **options))
        return made[-1]

    yield build
    for tenants in made:
        result(tenants.sync.stop())
        assert tenants.core.clock.getDelayedCalls() == []


@pytest.fixture
def tenants(make):
    return make()


ALL = {"d-main", "d-a1", "d-a2", "d-b", "d-none", "d-void"}


def devices(tenants):
    return {document["id"] for document in tenants.core.all_stored()}


def entries(tenants):
    return set(tenants.core.parameters.tenants())


def test_devices_files_and_key_of_a_tenant_that_is_gone_are_deleted(tenants):
    tenants.core.config("shared", raw_config={"sip_lines": {"1": LINE}})
    for device_id in ("d-a1", "d-b"):
        tenants.core.put(device_id, config="shared")
    assert tenants.core.rendered(2) is not None
    tenants.listed = [MAIN, B]
    result(tenants.sync.compare())
    assert tenants.core.rendered(2) is None
    assert tenants.core.rendered(4) is not None
    assert devices(tenants) == ALL - {"d-a1", "d-a2"}
    assert entries(tenants) == {MAIN, B}
    assert result(tenants.core.store.parameters())["tenants"].keys() == {MAIN, B}


def test_nothing_is_deleted_while_all_tenants_exist(tenants):
    result(tenants.sync.compare())
    assert devices(tenants) == ALL
    assert entries(tenants) == {MAIN, A, B}


def test_a_key_without_devices_goes_too(tenants):
    result(tenants.core.parameters.set("provisioning_key", "a-lonely-key", "tenant-c"))
    result(tenants.sync.compare())
    assert entries(tenants) == {MAIN, A, B}
    assert devices(tenants) == ALL


@pytest.mark.parametrize(
    "listed", [None, [], [A], [A, B], AuthUnavailable("down"), [MAIN, 5], [None, MAIN]]
)
def test_a_list_that_is_not_plausible_deletes_nothing(tenants, listed):
    tenants.listed = listed
    with pytest.raises(AuthUnavailable):
        result(tenants.sync.compare())
    assert devices(tenants) == ALL
    assert entries(tenants) == {MAIN, A, B}


def test_nothing_is_deleted_before_the_main_tenant_is_known(tenants):
    tenants.core.manager.main_tenant = None
    with pytest.raises(AuthUnavailable):
        result(tenants.sync.compare())
    assert devices(tenants) == ALL


def test_the_case_of_a_uuid_does_not_matter(tenants):
    tenants.listed = [MAIN.upper(), A.upper(), B.title()]
    result(tenants.sync.compare())
    assert devices(tenants) == ALL
    assert entries(tenants) == {MAIN, A, B}


def test_a_device_of_a_tenant_that_is_newer_than_the_list_stays(tenants):
    tenants.answer = answer = defer.Deferred()
    comparing = later(tenants.sync.compare())
    tenants.core.device("d-new", 9, "newest-tenant")
    tenants.answer = None
    tenants.listed = [MAIN, A, "newest-tenant"]
    answer.callback([MAIN, A])
    result(comparing)
    assert devices(tenants) == (ALL | {"d-new"}) - {"d-b"}


def test_the_second_list_must_be_plausible_too(tenants):
    tenants.answer = answer = defer.Deferred()
    comparing = later(tenants.sync.compare())
    tenants.answer = None
    tenants.listed = []
    answer.callback([MAIN, A])
    with pytest.raises(AuthUnavailable):
        result(comparing)
    assert devices(tenants) == ALL


def test_a_device_that_moves_to_a_tenant_that_exists_stays(tenants):
    tenants.listed = [MAIN, A]
    tenants.core.store.slow = True
    comparing = later(tenants.sync.compare())

    def moved(document):
        from provd.manager.manager import Change

        return Change({**document, "tenant_uuid": A})

    changing = later(tenants.core.manager.change_device("d-b", moved))
    tenants.core.store.run()
    result(changing)
    result(comparing)
    assert tenants.core.stored("d-b")["tenant_uuid"] == A


def test_one_device_that_cannot_be_deleted_does_not_keep_the_others(tenants, caplog):
    tenants.listed = [MAIN]
    delete = tenants.core.manager.delete_device

    async def failing(device_id, visible):
        if device_id == "d-a1":
            raise OSError("the disk")
        await delete(device_id, visible)

    tenants.core.manager.delete_device = failing
    result(tenants.sync.compare())
    assert devices(tenants) == ALL - {"d-a2", "d-b"}
    assert "d-a1 could not be dealt with" in caplog.text


def test_forgetting_a_tenant_deletes_its_devices_and_key_only(tenants):
    result(tenants.removal.forget(A))
    assert devices(tenants) == ALL - {"d-a1", "d-a2"}
    assert entries(tenants) == {MAIN, B}
    result(tenants.removal.forget("nobody"))
    assert devices(tenants) == ALL - {"d-a1", "d-a2"}


def test_many_devices_are_deleted_several_at_once(make):
    tenants = make()
    for number in range(100, 200):
        tenants.core.device(f"d-{number}", number, A)
    tenants.core.store.slow = True
    forgetting = later(tenants.removal.forget(A))
    most = 0
    while tenants.core.store.pending:
        writes = [op for op in tenants.core.store.pending if op[0] == "write"]
        most = max(most, len(writes))
        tenants.core.store.step(tenants.core.store.choices()[0])
    result(forgetting)
    assert devices(tenants) == ALL - {"d-a1", "d-a2"}
    assert 8 <= most <= 32


@given(
    owners=st.lists(st.sampled_from([MAIN, A, B, "c", "C", "", None]), max_size=8),
    listed=st.lists(st.sampled_from([MAIN, A, B, "c", "d"]), unique=True),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_exactly_the_devices_of_unknown_tenants_go(tmp_path_factory, owners, listed):
    core = Core(tmp_path_factory.mktemp("core"), plugins=())
    tenants = Tenants(core)
    for number, owner in enumerate(owners):
        core.insert_raw("devices", {"id": f"d{number}", "mac": mac(number), "tenant_uuid": owner})
    tenants.listed = listed
    later(tenants.sync.compare()).addErrback(lambda failure: failure.trap(AuthUnavailable))
    kept = {
        f"d{number}"
        for number, owner in enumerate(owners)
        if MAIN not in listed or not owner or owner.lower() in listed
    }
    assert devices(tenants) == kept


# The timer


def test_the_first_comparison_comes_after_the_start_time_and_then_each_period(tenants):
    tenants.sync.start()
    tenants.core.clock.advance(59)
    assert tenants.lists == 0
    tenants.core.clock.advance(1)
    assert tenants.lists == 1
    for number in range(2, 5):
        tenants.core.clock.advance(3599)
        assert tenants.lists == number - 1
        tenants.core.clock.advance(1)
        assert tenants.lists == number


def test_a_period_of_zero_is_without_a_pause_but_lets_the_loop_run(make):
    tenants = make(start=0, interval=0)

    async def list_tenants():
        tenants.lists += 1
        if tenants.lists > 1000:
            raise AuthUnavailable("down")
        return [MAIN, A, B]

    tenants.sync._list_tenants = list_tenants
    tenants.sync.start()
    assert tenants.lists == 1
    tenants.core.clock.advance(0)
    assert tenants.lists == 1001
    tenants.core.clock.pump([0.001] * 1000)
    assert 1015 <= tenants.lists <= 1022  # what fails is tried again after 50 ms


def test_a_period_of_a_tenth_of_a_second_means_ten_comparisons_a_second(make):
    tenants = make(start=0, interval=0.1)
    tenants.sync.start()
    tenants.core.clock.pump([0.01] * 1000)
    assert 100 <= tenants.lists <= 102


def gone_for_a_moment(tenants, lists):
    """Leave tenant A out of so many lists, from the next one on."""
    answers = [[MAIN, B]] * lists

    async def list_tenants():
        tenants.lists += 1
        return answers.pop(0) if answers else [MAIN, A, B]

    tenants.sync._list_tenants = list_tenants


def test_a_tenant_that_two_lists_in_a_row_lack_is_gone_though_the_third_has_it(tenants):
    result(tenants.sync.compare())
    gone_for_a_moment(tenants, 2)
    result(tenants.sync.compare())
    assert devices(tenants) == ALL - {"d-a1", "d-a2"}
    assert entries(tenants) == {MAIN, B}


def test_a_tenant_that_only_one_list_lacks_is_not_gone(tenants):
    result(tenants.sync.compare())
    gone_for_a_moment(tenants, 1)
    result(tenants.sync.compare())
    assert devices(tenants) == ALL
    assert entries(tenants) == {MAIN, A, B}


def test_the_second_list_is_asked_for_before_anything_else_is_looked_at(tenants):
    result(tenants.sync.compare())
    gone_for_a_moment(tenants, 2)
    before = tenants.lists
    tenants.core.store.slow = True
    comparing = later(tenants.sync.compare())
    assert tenants.lists == before + 2
    tenants.core.store.slow = False
    tenants.core.store.run()
    result(comparing)


def test_a_key_does_not_go_by_the_word_of_one_list(tenants):
    gone_for_a_moment(tenants, 1)
    result(tenants.sync.compare())
    assert entries(tenants) == {MAIN, A, B}


def test_a_slow_comparison_is_part_of_the_period_and_never_overlaps_the_next(make):
    tenants = make(start=0, interval=10)
    tenants.answer = answer = defer.Deferred()
    tenants.sync.start()
    tenants.core.clock.advance(0)
    tenants.core.clock.pump([1] * 25)
    assert tenants.lists == 1
    tenants.answer = None
    answer.callback([MAIN, A, B])
    tenants.core.clock.advance(0)
    assert tenants.lists == 2
    tenants.core.clock.advance(9.9)
    assert tenants.lists == 2


@pytest.mark.parametrize(
    "error", [AuthUnavailable("down"), KeyError("a bug"), defer.CancelledError(), RecursionError()]
)
def test_an_error_does_not_stop_the_timer_and_is_tried_again_soon(tenants, caplog, error):
    tenants.listed = error
    tenants.sync.start()
    tenants.core.clock.advance(60)
    for _ in range(3):
        tenants.core.clock.advance(RETRY_SECONDS)
    assert tenants.lists == 4
    assert len(caplog.records) == 1
    assert devices(tenants) == ALL
    tenants.listed = [MAIN, A]
    tenants.core.clock.advance(RETRY_SECONDS)
    assert devices(tenants) == ALL - {"d-b"}
    tenants.core.clock.advance(3599)
    assert tenants.lists == 6  # a second list follows the first at once


def test_a_comparison_can_be_asked_for_early(tenants):
    tenants.sync.compare_soon()
    tenants.sync.start()
    tenants.core.clock.advance(60)
    assert tenants.lists == 1
    tenants.sync.compare_soon()
    assert tenants.lists == 2
    tenants.core.clock.advance(3599)
    assert tenants.lists == 2
    tenants.core.clock.advance(1)
    assert tenants.lists == 3


def test_one_that_is_asked_for_during_another_follows_it(tenants):
    tenants.answer = answer = defer.Deferred()
    tenants.sync.start()
    tenants.core.clock.advance(60)
    tenants.sync.compare_soon()
    tenants.answer = None
    answer.callback([MAIN, A, B])
    assert tenants.lists == 1
    tenants.core.clock.advance(0)
    assert tenants.lists == 2
    tenants.core.clock.advance(3599)
    assert tenants.lists == 2


@pytest.mark.parametrize("seconds", [0, 59, 60, 100])
def test_it_stops_at_any_time(tenants, seconds):
    tenants.sync.start()
    tenants.core.clock.advance(seconds)
    result(tenants.sync.stop())
    assert tenants.core.clock.getDelayedCalls() == []
    asked = tenants.lists
    tenants.core.clock.advance(10_000)
    assert tenants.lists == asked


def test_it_stops_in_the_middle_of_a_comparison(tenants):
    tenants.answer = defer.Deferred()
    tenants.sync.start()
    tenants.core.clock.advance(60)
    result(tenants.sync.stop())
    tenants.core.clock.advance(10_000)
    assert tenants.lists == 1
    assert devices(tenants) == ALL


def test_a_node_compares_only_when_it_is_its_turn(make):
    turns, asked = [True, False, True], []

    def takes_turn(seconds):
        asked.append(seconds)
        return defer.succeed(turns.pop(0) if turns else False)

    made = make(start=0, interval=10, takes_turn=takes_turn)
    made.sync.start()
    lists = []
    for _ in range(5):
        made.core.clock.advance(0 if not lists else 10)
        lists.append(made.lists)
    assert asked[0] == 9
    assert lists == [1, 1, 2, 2, 2]
