"""What a request tells, remembered and not; a phone told by its MAC among many."""

import itertools

from benchmarks.daemon import agent_of, config_name, mac_of
from provd.manager.cache import DocumentCache
from provd.model.requests import RequestType
from provd.store.interface import Insert
from provd.store.memory import MemoryStore
from tests.unit.manager.core import LINE, Core, FakeRequest, mac, result

DEVICES = 100_000


def test_known_phone_from_memory(benchmark, tmp_path):
    core = Core(tmp_path)
    core.config("c1", raw_config={"sip_lines": {"1": LINE}})
    core.device(config="c1", vendor="Acme", model="A1", version="1.0", ip="10.1.0.1")
    agent, name = f"Acme A1 1.0 {mac(1)}", mac(1).replace(":", "") + ".cfg"
    core.http(agent, path=f"/{name}")
    request = FakeRequest(f"/{name}", agent)
    identify = core.pipeline.identify_now
    identified = benchmark(identify, RequestType.HTTP, request, "10.1.0.1", name)
    assert identified.record.id == "d1"
    assert identified.loaded.id == "acme-1"
    core.states.close()


def test_extraction_remembered(benchmark, extraction):
    request = FakeRequest(f"/{config_name(1)}", agent_of(1))
    result(extraction.extract(RequestType.HTTP, request))
    info = benchmark(extraction.remembered, RequestType.HTTP, request)
    assert info["mac"] == mac_of(1)


def test_extraction_by_over_100_plugins(benchmark, extraction):
    numbers = itertools.count()
    result(extraction.extract(RequestType.HTTP, FakeRequest("/", agent_of(0))))

    def extract():
        number = next(numbers)
        request = FakeRequest(f"/{config_name(number)}", agent_of(number))
        return result(extraction.extract(RequestType.HTTP, request))

    assert benchmark(extract)["model"] == "T46S"


def test_look_up_by_mac_among_100_000_devices(benchmark):
    store = MemoryStore()
    for start in range(0, DEVICES, 1000):
        numbers = range(start, start + 1000)
        documents = [{"id": f"d{number}", "mac": mac_of(number)} for number in numbers]
        result(store.write([Insert("devices", document) for document in documents]))
    cache = DocumentCache(store, "devices", DEVICES)
    result(cache.load_index())
    some = range(0, DEVICES, DEVICES // 200)
    for number in some:  # what is measured is the look-up, not the first reading
        result(cache.by_key("mac", mac_of(number)))
    numbers = itertools.cycle(some)

    def look_up():
        return result(cache.by_key("mac", mac_of(next(numbers))))

    [found] = benchmark(look_up)
    assert found.id.startswith("d")
