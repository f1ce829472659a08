"""The states of what was rendered survive kills and damage, and are never older than the files."""

import errno
import os
import shutil
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from twisted.internet import defer

from provd.manager import rendering
from provd.manager.rendering import RenderState, RenderStates
from tests.unit.manager.core import later, result


def state(device_id="d1", key="key", files=(), sizes=None):
    sizes = (-1,) * len(files) if sizes is None else sizes
    return RenderState({"id": device_id, "model": "Ä1"}, key, True, "acme-1", files, sizes)


def render(states, *args, **kwargs):
    """Do what the manager does around the plugin."""
    new = state(*args, **kwargs)
    states.begin(new.device["id"], states.load(new.device["id"]))
    states.save(new)


def longer(number):
    """Return a key that does not fit where one of a lower number was."""
    return f"{number}{'.' * 40 * number}"


def keys(states):
    return {device_id: states.load(device_id).key for device_id in states.device_ids()}


@pytest.fixture
def states(tmp_path):
    states = RenderStates(str(tmp_path / "rendered"))
    yield states
    states.close()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "rendered" / "states.log"


def again(log):
    return RenderStates(str(log.parent))


def on_disk(log):
    """Return what the next process would load, without starting one on the log itself."""
    copied = log.parent.parent / "copy"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(log.parent, copied)
    return keys(RenderStates(str(copied)))


def test_a_state_outlives_the_process_and_names_the_owner_of_files(states, log, tmp_path):
    (tmp_path / "a").write_text("content")
    saved = state(files=(str(tmp_path / "a"), "/p/b"), sizes=(7, -1))
    states.save(saved)
    restarted = again(log)
    assert restarted.owner("/p/b") == restarted.owner(str(tmp_path / "a")) == "d1"
    assert restarted.load("d1") == saved
    assert restarted.load("d2") is None


def test_a_file_that_a_loss_of_power_left_empty_is_noticed(states, tmp_path):
    path = tmp_path / "a"
    path.write_text("content")
    states.save(state(files=(str(path),)))
    assert states.load("d1").is_intact()
    path.write_text("")
    assert not states.load("d1").is_intact()
    path.unlink()
    assert not states.load("d1").is_intact()


def test_a_state_that_begins_anew_owns_nothing_also_for_the_next_process(states, log):
    saved = state(files=("/p/a",))
    states.save(saved)
    states.begin("d1", saved)
    for each in (states, again(log)):
        assert each.load("d1") is None
        assert each.owner("/p/a") is None
        assert each.device_ids() == []


def test_a_state_without_a_previous_one_begins_too(states, log):
    render(states)
    states.begin("d1", None)
    assert states.load("d1") is None
    assert again(log).device_ids() == []


def test_a_file_that_another_device_took_over_stays_its_own(states):
    first = state("d1", files=("/p/a",))
    states.save(first)
    states.save(state("d2", files=("/p/a",)))
    states.begin("d1", first)
    assert states.owner("/p/a") == "d2"


def test_of_two_states_without_a_beginning_the_newer_counts(states, log):
    states.save(state(key="old"))
    states.save(state(key="new"))
    assert keys(states) == keys(again(log)) == {"d1": "new"}
    states.begin("d1", None)
    assert keys(again(log)) == {}


@settings(deadline=None, max_examples=50)
@given(st.text(min_size=1))
def test_any_id_has_a_state(tmp_path_factory, device_id):
    directory = str(tmp_path_factory.mktemp("states"))
    RenderStates(directory).save(state(device_id))
    assert keys(RenderStates(directory)) == {device_id: "key"}


# Kills and damage


def test_wherever_the_log_ends_what_is_loaded_is_the_newest_that_was_begun(states, log):
    for number in (1, 3, 2):
        for device_id in ("a", "b", "c"):
            render(states, device_id, longer(number) if device_id != "b" else str(number))
    final = keys(states)
    ends = {device_id: sum(place) for device_id, place in states._log.places.items()}
    whole = log.read_bytes()
    assert whole.count(b"\n") == 5  # two of a, two of c: only b had room where it was
    for length in range(len(whole) + 1):
        log.write_bytes(whole[:length])
        cut = again(log)
        expected = {name: final[name] for name, end in ends.items() if end <= length}
        assert keys(cut) == expected
        render(cut, "d", "9")
        assert keys(again(log)) == {**expected, "d": "9"}


def test_a_kill_between_beginning_and_end_leaves_no_state(states, log):
    render(states, "a")
    render(states, "b")
    before = log.read_bytes()
    states.begin("a", states.load("a"))
    assert keys(again(log)) == {"b": "key"}
    # Nor while the checksum is only half overwritten.
    log.write_bytes(before)
    with log.open("r+b") as stream:
        stream.write(b"--")
    assert keys(again(log)) == {"b": "key"}


def test_a_torn_tail_is_cut_and_written_over(states, log, caplog):
    render(states, "a")
    with log.open("ab") as stream:
        stream.write(b'12345678 {"device": {"id"')
    with caplog.at_level("INFO"):
        torn = again(log)
        assert keys(torn) == {"a": "key"}
    assert "cut off" in caplog.text
    render(torn, "b")
    assert keys(again(log)) == {"a": "key", "b": "key"}


@pytest.mark.parametrize("damage", [b"\0", b"\n", b"x", b"\xff"])
def test_damage_costs_the_records_that_it_touches_only(states, log, damage):
    for device_id in "abcde":
        render(states, device_id)
    whole = log.read_bytes()
    length = whole.index(b"\n") + 1
    everyone = dict.fromkeys("abcde", "key")
    for offset in range(length * 2, length * 3):
        log.write_bytes(whole[:offset] + damage + whole[offset + 1 :])
        found = keys(again(log))
        lost = everyone.keys() - found.keys()
        assert found.items() <= everyone.items()
        is_behind = whole[offset : length * 3].strip() == b""
        if whole[offset : offset + 1] == damage or (is_behind and damage == b"\n"):
            assert lost == set()
        elif offset == length * 3 - 1:
            assert lost == {"c", "d"}  # the end of one line and the beginning of the next
        else:
            assert lost == {"c"}


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"null", b'{"device": {"id": "d1"}}', b"\xff\xfe", b'{"device": 3}', b""],
)
def test_a_line_that_is_no_record_is_warned_of_and_left_out(states, log, content, caplog):
    render(states, "a")
    checksum = b"%08x" % rendering.zlib.crc32(content)
    with log.open("ab") as stream:
        stream.write(checksum + b" " + content + b"\n")
    assert keys(again(log)) == {"a": "key"}
    assert "1 records are damaged" in caplog.text
    assert log.read_bytes().count(b"\n") == 1


def test_a_record_damaged_under_a_running_process_is_none(states, log, caplog):
    render(states, "a")
    with log.open("r+b") as stream:
        stream.seek(30)
        stream.write(b"#")
    assert states.load("a") is None
    assert "damaged" in caplog.text
    render(states, "a", "new")
    assert keys(again(log)) == {"a": "new"}


def test_a_log_that_cannot_be_opened_costs_renders_and_nothing_else(states, log, caplog):
    log.mkdir(parents=True)
    assert states.load("a") is None
    assert states.owner("/p/a") is None
    states.begin("a", None)
    with pytest.raises(OSError, match="cannot be opened"):
        states.save(state("a"))
    assert "devices are rendered again" in caplog.text
    log.rmdir()
    render(states, "a")
    assert keys(states) == {"a": "key"}


def test_a_log_that_cannot_be_read_is_put_aside(states, log, monkeypatch, caplog):
    render(states, "a")

    def fail(_log):
        raise OSError(errno.EIO, "Input/output error")
        yield

    damaged = again(log)
    with monkeypatch.context() as patch:
        patch.setattr(rendering._Log, "states", fail)
        damaged.read()
    assert "cannot be read" in caplog.text
    assert keys(damaged) == {}
    render(damaged, "b")
    assert keys(again(log)) == {"b": "key"}


# A full disk


@pytest.fixture
def disk(monkeypatch):
    """A disk on which there is room for `left` bytes more; what has its place can be changed."""

    class Disk:
        left = None

    real = os.pwrite

    def pwrite(descriptor, data, offset):
        more = offset + len(data) - os.fstat(descriptor).st_size
        if Disk.left is None or more <= 0:
            return real(descriptor, data, offset)
        if Disk.left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, data[: len(data) - max(more - Disk.left, 0)], offset)
        Disk.left = max(Disk.left - more, 0)
        return written

    monkeypatch.setattr(rendering.os, "pwrite", pwrite)
    return Disk


@pytest.mark.parametrize("left", [0, 1, 30, 99])
def test_on_a_full_disk_a_device_has_no_state_rather_than_an_old_one(states, log, disk, left):
    render(states, "a", "old")
    render(states, "b", "old")
    length = log.stat().st_size
    disk.left = left
    with pytest.raises(OSError, match="No space left"):
        render(states, "a", longer(4))
    assert keys(states) == on_disk(log) == {"b": "old"}
    assert log.stat().st_size == length
    disk.left = None
    render(states, "a", longer(4))
    assert keys(states) == on_disk(log) == {"a": longer(4), "b": "old"}
    # Of which the disk gets all back with the device's next state.
    states.begin("a", states.load("a"))
    assert log.stat().st_size == length


def test_a_state_as_long_as_the_one_before_needs_no_room(states, log, disk):
    for device_id in "abc":
        render(states, device_id, "1")
    length = log.stat().st_size
    disk.left = 0
    for number in range(20):
        for device_id in "ab":
            render(states, device_id, str(number))
    assert keys(states) == on_disk(log) == {"a": "19", "b": "19", "c": "1"}
    assert log.stat().st_size == length


def test_a_full_disk_while_the_log_is_written_anew_costs_nothing(states, log, disk):
    for number in range(10):
        render(states, "a", longer(number))
        render(states, "b")
    render(states, "a")
    disk.left = 0
    assert keys(again(log)) == {"a": "key", "b": "key"}
    result(states.compact(lambda: defer.succeed(None), at_once))
    assert keys(states) == {"a": "key", "b": "key"}
    assert os.listdir(log.parent) == ["states.log"]


# Writing it anew


def at_once(function, *args):
    return defer.maybeDeferred(function, *args)


def test_a_log_that_is_mostly_worthless_is_written_anew_at_the_start(states, log):
    for number in range(29, 0, -1):
        render(states, f"d{number % 3}", longer(30 - number))
    for number in range(3):
        render(states, f"d{number}", str(27 + number))
    before = log.stat().st_size
    restarted = again(log)
    assert keys(restarted) == {"d0": "27", "d1": "28", "d2": "29"}
    assert log.stat().st_size < before / 5
    render(restarted, "d0", "30")
    assert keys(again(log)) == {"d0": "30", "d1": "28", "d2": "29"}
    assert os.listdir(log.parent) == ["states.log"]


class Pauses:
    """Lets the loop run when the test says so."""

    def __init__(self):
        self.waiting = []

    def __call__(self):
        self.waiting.append(defer.Deferred())
        return self.waiting[-1]

    def end(self):
        self.waiting.pop().callback(None)


def test_what_changes_while_the_log_is_written_anew_is_in_the_new_one(states, log, monkeypatch):
    monkeypatch.setattr(rendering, "_SLICE_SECONDS", -1)  # a pause after each record
    for device_id in "abcd":
        for key in "12":
            render(states, device_id, key, files=(f"/p/{device_id}",))
    pauses, syncs = Pauses(), []

    def in_thread(function, *args):
        syncs.append((defer.Deferred(), function, args))
        return syncs[-1][0]

    compaction = later(states.compact(pauses, in_thread))
    pauses.end()  # a is copied
    pauses.end()  # b is copied
    states.begin("a", states.load("a"))  # already copied
    render(states, "b", "3")  # already copied
    states.begin("c", states.load("c"))  # not yet
    render(states, "d", "3")  # not yet
    render(states, "e", "3")
    while pauses.waiting:
        pauses.end()
    expected = {"b": "3", "d": "3", "e": "3"}
    assert keys(states) == on_disk(log) == expected
    [(synced, _, _)] = syncs
    render(states, "f", "3")
    states.begin("d", states.load("d"))
    synced.callback(None)
    expected = {"b": "3", "e": "3", "f": "3"}
    assert keys(states) == on_disk(log) == expected
    render(states, "g", "3")
    deferred, close, arguments = syncs[1]
    deferred.callback(close(*arguments))
    result(compaction)
    render(states, "g", "4")
    expected["g"] = "4"
    assert keys(states) == on_disk(log) == expected
    assert states.owner("/p/b") is None
    assert log.read_bytes().count(b'"id":"d"') == 1  # copied, then begun


def test_a_compaction_that_is_cancelled_changes_nothing(states, log, monkeypatch):
    monkeypatch.setattr(rendering, "_SLICE_SECONDS", -1)
    for key in "12":
        render(states, "a", key)
    compaction = later(states.compact(Pauses(), at_once))
    compaction.cancel()
    compaction.addErrback(lambda failure: failure.trap(defer.CancelledError))
    render(states, "a", "3")
    assert keys(states) == on_disk(log) == {"a": "3"}
    assert os.listdir(log.parent) == ["states.log"]


def test_the_log_asks_to_be_written_anew_when_it_is_mostly_waste(states, log, monkeypatch):
    monkeypatch.setattr(rendering, "_MAY_BE_WASTED", 1000)
    states = again(log)
    asked = []
    states.wasteful = lambda: asked.append(
        later(states.compact(lambda: defer.succeed(None), at_once))
    )
    largest = 0
    for number in range(200):
        render(states, f"{number}", longer(number % 3))
        render(states, f"{number + 1}")
        states.begin(f"{number}", None)
        largest = max(largest, log.stat().st_size)
    assert 5 < len(asked) < 50
    assert largest < 3000
    assert keys(states) == on_disk(log) == {"200": "key"}


def test_a_compaction_that_fails_is_not_tried_at_each_write(states, log, monkeypatch, disk):
    monkeypatch.setattr(rendering, "_MAY_BE_WASTED", 1000)
    states = again(log)
    asked = []

    def compact():
        asked.append(1)
        disk.left = 0
        result(states.compact(lambda: defer.succeed(None), at_once))
        disk.left = None

    states.wasteful = compact
    for number in range(40):
        render(states, f"{number}")
        render(states, f"{number + 1}")
        states.begin(f"{number}", None)
    assert 1 <= len(asked) <= 6
    assert keys(again(log)) == {"40": "key"}


# Beside the log


def test_states_of_earlier_versions_are_removed(states, log):
    for name in ("00", "a7"):
        (log.parent / name).mkdir(parents=True)
        (log.parent / name / "0123").write_text("{}")
    render(states)
    states.remove_old()
    assert os.listdir(log.parent) == ["states.log"]


def test_ten_thousand_states_are_read_in_a_moment(states, log):
    device = {"mac": "00:15:65:00:1d:e9", "vendor": "Yealink", "model": "T46S", "ip": "10.0.0.1"}
    for number in range(10_000):
        files = (f"/var/lib/provd/plugins/provd-yealink/var/tftpboot/{number:012}.cfg",)
        states.save(RenderState({**device, "id": f"d{number}"}, "k" * 40, True, "p", files))
    restarted = again(log)
    started = time.thread_time()
    restarted.read()
    spent = time.thread_time() - started
    assert len(restarted.device_ids()) == 10_000
    assert spent < 0.4  # 0.1 s on an idle machine


def test_it_may_be_read_in_another_thread(states, log):
    render(states, files=("/p/a",))
    restarted = again(log)
    reading = threading.Thread(target=restarted.read)
    reading.start()
    reading.join()
    assert restarted.owner("/p/a") == "d1"


class Model(RuleBasedStateMachine):
    """A dictionary says what must be loaded, over restarts, kills and compactions."""

    ids = Bundle("ids")

    def __init__(self):
        super().__init__()
        self.directory = os.path.join(Model.root, str(next(Model.numbers)))
        self.states = RenderStates(self.directory)
        self.model = {}
        self.compaction = None
        self.pauses = Pauses()
        self.count = 0
        self.killed = []

    @rule(target=ids, device_id=st.text(min_size=1, max_size=3))
    def name(self, device_id):
        return device_id

    @rule(device_id=ids)
    def begin(self, device_id):
        self.states.begin(device_id, self.states.load(device_id))
        self.model.pop(device_id, None)

    @rule(device_id=ids, owns=st.booleans())
    def render(self, device_id, owns):
        self.count += 1
        key = longer(self.count % 5)
        saved = state(device_id, key, (f"/none/{device_id}",) if owns else ())
        self.states.begin(device_id, self.states.load(device_id))
        self.states.save(saved)
        self.model[device_id] = saved

    @rule(torn=st.binary(max_size=5))
    def restart(self, torn):
        self.killed.append(self.compaction)  # nothing of it may run any more
        self.compaction = None
        with open(os.path.join(self.directory, "states.log"), "ab") as stream:
            stream.write(torn.replace(b"\n", b""))
        self.states = RenderStates(self.directory)

    @rule()
    def compact(self):
        if self.compaction is None or self.compaction.called:
            self.pauses = Pauses()
            self.compaction = later(self.states.compact(self.pauses, at_once))

    @rule()
    def go_on(self):
        if self.compaction is not None and self.pauses.waiting:
            self.pauses.end()

    @invariant()
    def loads_what_was_saved(self):
        assert sorted(self.states.device_ids()) == sorted(self.model)
        for device_id, saved in self.model.items():
            assert self.states.load(device_id) == saved
            owner = device_id if saved.files else None
            assert self.states.owner(f"/none/{device_id}") == owner


def test_any_course_of_events_agrees_with_a_dictionary(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "_SLICE_SECONDS", -1)
    Model.root = str(tmp_path)
    Model.numbers = iter(range(10**6))
    run = Model.TestCase()
    run.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
    run.runTest()
