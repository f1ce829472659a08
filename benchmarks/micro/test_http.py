"""A plain request of a known phone: read, answered, noted."""

import io
import logging

import pytest

from provd.http.fast import Heads, parse
from provd.http.site import PhoneResource
from provd.manager.files import CachedFile
from provd.manager.history import History
from provd.manager.journal import Journal
from provd.manager.metrics import Metrics
from tests.unit.manager.core import LINE, Core, mac

NAME = mac(1).replace(":", "") + ".cfg"
REQUEST = (
    f"GET /{NAME} HTTP/1.1\r\nHost: provd.example\r\nUser-Agent: Acme A1 1.0 {mac(1)}\r\n"
    "Accept: */*\r\nX-Forwarded-For: 10.1.0.1\r\n\r\n"
).encode()
FILE = CachedFile(f"/{NAME}", 50_000, 1_700_000_000_000_000_000, 1, bytes(50_000), etag=b'"tag"')


@pytest.fixture
def core(tmp_path):
    """A daemon's core that knows the phone, and has its file."""
    core = Core(tmp_path)
    core.config("c1", raw_config={"sip_lines": {"1": LINE}})
    core.device(config="c1", vendor="Acme", model="A1", version="1.0", ip="10.1.0.1")
    core.http(f"Acme A1 1.0 {mac(1)}", path=f"/{NAME}")
    yield core
    core.states.close()


@pytest.fixture
def info_log():
    """The journal's log at INFO, formatted into memory."""
    logger = logging.getLogger("provd.manager.journal")
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield
    logger.removeHandler(handler)
    logger.level, logger.propagate = before


def answered(journal, identified):
    journal.answered(
        "http", "10.1.0.1", "GET", NAME, "200", 50_000, 0.0002, identified, served=True
    )


def test_read_a_plain_request(benchmark):
    assert benchmark(parse, REQUEST).forwarded == [b"10.1.0.1"]


def test_head_of_an_answer(benchmark):
    head = benchmark(Heads().head, FILE, b"application/octet-stream", closes=False)
    assert b"Content-Length: 50000\r\n" in head


def test_request_to_answer(benchmark, core):
    resource = PhoneResource(
        pipeline=core.pipeline,
        files=core.files,
        parameters=core.parameters,
        journal=core.journal,
        trusted_proxies=1,
        url_key=False,
    )
    answer = benchmark(lambda: resource.at_once(parse(REQUEST), "127.0.0.1"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_note_an_answer(benchmark, core):
    journal = Journal(History(20, 100_000), Metrics())
    identified = core.http(f"Acme A1 1.0 {mac(1)}", path=f"/{NAME}")
    logging.getLogger("provd.manager.journal").setLevel(logging.WARNING)
    try:
        benchmark(answered, journal, identified)
    finally:
        logging.getLogger("provd.manager.journal").setLevel(logging.NOTSET)
    assert len(journal.history.of("d1")) == 20


@pytest.mark.usefixtures("info_log")
def test_note_an_answer_with_its_log_line(benchmark, core):
    journal = Journal(History(20, 100_000), Metrics())
    identified = core.http(f"Acme A1 1.0 {mac(1)}", path=f"/{NAME}")
    benchmark(answered, journal, identified)
    assert len(journal.history.of("d1")) == 20
