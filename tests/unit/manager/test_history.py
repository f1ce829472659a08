"""What is kept of requests, and what of it can be seen."""

import logging

from prometheus_client.parser import text_string_to_metric_families

from provd.manager.history import History, RequestEntry, SyncEntry
from provd.manager.journal import Journal, why_nowhere
from provd.manager.metrics import BOUNDS, Histogram, Metrics
from provd.manager.pipeline import Identified
from provd.manager.preview import MASK, masked
from provd.store.interface import Record


def entry(number):
    return RequestEntry(
        float(number), "http", "10.0.0.9", "/x", "200", 1, 0.1, "mac", {}, None, None
    )


def times(history, device_id):
    return [kept.time for kept in history.of(device_id)]


def test_the_newest_entry_comes_first_and_the_oldest_goes_first():
    history = History(3, 100)
    for number in range(5):
        history.note("a", entry(number))
    assert times(history, "a") == [4.0, 3.0, 2.0]
    assert history.of("b") == []


def test_the_device_that_was_quiet_longest_is_forgotten():
    history = History(3, 6)
    for device_id in ("a", "b", "a", "b", "a", "b"):
        history.note(device_id, entry(1))
    history.note("a", entry(2))  # a full one does not grow
    history.note("c", entry(3))
    assert times(history, "b") == []
    assert times(history, "a") == [2.0, 1.0, 1.0]
    assert times(history, "c") == [3.0]


def test_the_bound_holds_whatever_comes():
    history = History(4, 50)
    for number in range(1000):
        history.note(f"d{number % 37}", entry(number))
        assert sum(len(times(history, f"d{n}")) for n in range(37)) <= 50
    history.forget("d0")
    assert times(history, "d0") == []


def test_nothing_is_kept_where_nothing_may_be():
    history = History(0, 100)
    history.note("a", entry(1))
    assert history.of("a") == []


def test_an_entry_is_shown_with_rfc_3339_time_and_milliseconds():
    shown = entry(0).as_document()
    assert shown["time"] == "1970-01-01T00:00:00.000+00:00"
    assert shown["milliseconds"] == 100.0
    assert shown["event"] == "request"
    shown = SyncEntry(0.0, "AMI", "sent", None).as_document()
    assert shown == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "event": "synchronize",
        "way": "AMI",
        "outcome": "sent",
        "seconds": None,
    }


def test_the_journal_writes_a_line_keeps_the_entry_and_counts(caplog):
    record = Record({"id": "d1", "mac": "00:00:00:00:00:01"}, 1)
    metrics = Metrics()
    journal = Journal(History(5, 10), metrics)
    identified = Identified(7, {"mac": "x"}, record, None, "mac")
    with caplog.at_level(logging.INFO):
        journal.answered(
            "http",
            "10.0.0.9",
            "GET",
            "/a\nb",
            "404",
            3,
            0.002,
            identified,
            served=False,
            refused="no plugin knows this phone",
        )
    line = caplog.messages[-1]
    assert line.startswith("<7> http 10.0.0.9 GET /a\\x0ab: 404, 3 bytes in 2.0 ms, device d1,")
    assert line.endswith(", found by mac (no plugin knows this phone)")
    [kept] = journal.history.of("d1")
    assert (kept.file, kept.status, kept.refused) == ("/a\nb", "404", "no plugin knows this phone")
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }
    key = (("protocol", "http"), ("result", "refused"))
    assert samples["provd_request_seconds_count", key] == 1
    assert samples["provd_request_seconds_sum", key] == 0.002
    assert samples["provd_sent_bytes_total", (("protocol", "http"),)] == 3


def test_a_long_file_name_is_cut_in_the_line_and_in_the_history(caplog):
    journal = Journal(History(5, 10), Metrics())
    record = Record({"id": "d1", "mac": "00:00:00:00:00:01"}, 1)
    with caplog.at_level(logging.INFO):
        journal.answered(
            "tftp", "10.0.0.9", "RRQ", "a" * 900, "not found", 0, 0.001,
            Identified(7, {}, record, None, "ip"), served=False,
        )  # fmt: skip
    cut = f"{'a' * 200}… (900 characters)"
    assert f"RRQ {cut}: not found" in caplog.messages[-1]
    assert "a" * 201 not in caplog.text
    assert journal.history.of("d1")[0].file == cut


def test_a_duration_is_in_every_bucket_that_is_not_below_it():
    histogram = Histogram()
    for seconds in (0.0005, 0.003, 100.0):
        histogram.observe(seconds)
    buckets = dict(histogram.buckets())
    assert buckets["0.0005"] == 1
    assert buckets["0.0025"] == 1
    assert buckets["0.005"] == 2
    assert buckets[str(BOUNDS[-1])] == 2
    assert buckets["+Inf"] == 3


def test_samples_that_are_asked_for_become_families():
    metrics = Metrics()
    metrics.ask(
        lambda: [
            ("provd_devices", "Devices.", {"state": "new"}, 3.0),
            ("provd_devices", "Devices.", {"state": "configured"}, 4.0),
            ("provd_stalls_total", "Stalls.", {}, 2.0),
        ]
    )
    families = {f.name: f for f in text_string_to_metric_families(metrics.text().decode())}
    assert {s.labels["state"]: s.value for s in families["provd_devices"].samples} == {
        "new": 3.0,
        "configured": 4.0,
    }
    assert families["provd_devices"].type == "gauge"
    assert families["provd_stalls"].type == "counter"


def test_why_a_request_has_nowhere_to_go():
    assert (
        why_nowhere(None, has_plugin=False, protocol="HTTP") == "there is no device for this phone"
    )
    assert "knows this phone" in why_nowhere({}, has_plugin=False, protocol="HTTP")
    assert "p1 is not loaded" in why_nowhere({"plugin": "p1"}, has_plugin=False, protocol="HTTP")
    assert why_nowhere({"plugin": "p1"}, has_plugin=True, protocol="TFTP").endswith("over TFTP")


def test_secrets_are_masked_wherever_they_are_and_nothing_else():
    config = {
        "admin_password": "a",
        "user_password": "",
        "sip_lines": {"1": {"username": "u", "password": "p", "auth_username": "x"}},
        "list": [{"X_SECRET": 12, "deep": [{"wifi_passphrase": "w"}]}],
        "password": {"inside": 1},
        "admin_password_md5": "m",
        "passwords": ["x", {"y": "z"}],
        "proxy": "http://user:pw@proxy:3128/",
        "pinned": "no secret",
    }
    assert masked(config) == {
        "admin_password": MASK,
        "user_password": "",
        "sip_lines": {"1": {"username": "u", "password": MASK, "auth_username": "x"}},
        "list": [{"X_SECRET": MASK, "deep": [{"wifi_passphrase": MASK}]}],
        "password": {"inside": MASK},
        "admin_password_md5": MASK,
        "passwords": [MASK, {"y": MASK}],
        "proxy": f"http://user:{MASK}@proxy:3128/",
        "pinned": "no secret",
    }
