"""Files that phones fetch: from memory, never stale, never outside."""

import os

import pytest

from provd.manager import files
from provd.manager.files import FileCache
from tests.unit.manager.core import LINE, result


@pytest.fixture
def old(monkeypatch):
    """Write a file whose times lie in the past, as those of most files do."""

    def write(path, content, age=10.0):
        with open(path, "wb") as stream:
            stream.write(content)
        then = os.stat(path).st_mtime - age
        os.utime(path, (then, then))
        return str(path)

    return write


def test_a_file_is_read_once_while_it_does_not_change(tmp_path, old, monkeypatch):
    cache = FileCache(1000)
    path = old(tmp_path / "a", b"one")
    first = cache.get(path)
    assert first.content == b"one"
    assert cache.get(path) is first


@pytest.mark.parametrize("content", [b"two", b"longer"])
def test_a_change_is_seen_at_once(tmp_path, old, content):
    cache = FileCache(1000)
    path = old(tmp_path / "a", b"one")
    assert cache.get(path).content == b"one"
    old(tmp_path / "a", content, age=5)
    assert cache.get(path).content == content


def test_writes_in_place_within_one_tick_of_the_clock_are_seen(tmp_path):
    cache = FileCache(1000)
    path = str(tmp_path / "a")
    for number in range(300):
        content = b"%03d" % number
        with open(path, "wb") as stream:
            stream.write(content)
        assert cache.get(path).content == content


def test_a_replaced_file_of_the_same_size_and_time_is_seen(tmp_path, old):
    cache = FileCache(1000)
    path = old(tmp_path / "a", b"one")
    cache.get(path)
    status = os.stat(path)
    other = old(tmp_path / "b", b"two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.rename(other, path)
    assert cache.get(path).content == b"two"


def test_a_removed_file_is_none_and_so_is_what_is_no_file(tmp_path, old):
    cache = FileCache(1000)
    path = old(tmp_path / "a", b"one")
    cache.get(path)
    os.unlink(path)
    assert cache.get(path) is None
    assert cache.get(str(tmp_path)) is None
    assert cache.get(str(tmp_path / "nowhere" / "a")) is None
    assert cache.get(str(tmp_path / ("x" * 300))) is None
    assert cache.get("bad\0name") is None
    os.mkfifo(tmp_path / "pipe")
    assert cache.get(str(tmp_path / "pipe")) is None


def test_memory_is_bounded_in_bytes_and_the_least_used_goes_first(tmp_path, old):
    cache = FileCache(10)
    paths = [old(tmp_path / name, name.encode() * 4) for name in "abc"]
    kept = [cache.get(path) for path in paths[:2]]
    assert cache.get(paths[0]) is kept[0]
    cache.get(paths[2])
    assert cache.get(paths[0]) is kept[0]
    assert cache.get(paths[1]) is not kept[1]
    assert cache._bytes <= 10


def test_a_large_file_is_told_of_without_its_content(tmp_path, old, monkeypatch):
    monkeypatch.setattr(files, "MAX_CACHED_FILE", 3)
    cache = FileCache(1000)
    small, large = old(tmp_path / "s", b"123"), old(tmp_path / "l", b"1234")
    assert cache.get(small).content == b"123"
    assert cache.get(large).content is None
    assert cache.get(large).size == 4
    assert cache._bytes == 3


def test_a_cache_without_room_still_serves(tmp_path, old):
    cache = FileCache(0)
    assert cache.get(old(tmp_path / "a", b"one")).content == b"one"
    assert cache._bytes == 0
    assert not cache._files


# Below a plugin


@pytest.fixture
def ready(core):
    core.config("c1", raw_config={"sip_lines": {"1": LINE}})
    core.device(config="c1")
    return core


def test_a_file_that_is_of_no_device_and_not_there_is_surely_absent(ready):
    loaded = ready.host.get("acme-1")
    folder = os.path.dirname(ready.path())
    assert ready.files.is_surely_absent(os.path.join(folder, "nothing"), loaded)
    for path in (ready.path(), os.path.join(folder, "common.cfg")):
        assert not ready.files.is_surely_absent(path, loaded)
        os.unlink(path)
        assert not ready.files.is_surely_absent(path, loaded)
    assert result(ready.files.find(os.path.join(folder, "nothing"), "d1", loaded)) is None


def test_a_plugin_that_cannot_write_its_common_files_again_hurts_nobody(ready):
    loaded = ready.host.get("acme-1")
    path = os.path.join(os.path.dirname(ready.path()), "common.cfg")
    os.unlink(path)
    ready.probe.raises["configure_common"] = OSError("no")
    assert result(ready.files.find(path, "d1", loaded)) is None


def test_the_file_of_a_deleted_device_is_gone(ready):
    loaded = ready.host.get("acme-1")
    assert result(ready.files.find(ready.path(), "d1", loaded)) is not None
    result(ready.manager.delete_device("d1"))
    assert result(ready.files.find(ready.path(), None, loaded)) is None
