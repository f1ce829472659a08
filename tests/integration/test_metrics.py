"""Numbers for Prometheus, and the dashboard that shows them."""

import json
import re

from harness import ROOT, free_port, http_request
from prometheus_client.parser import text_string_to_metric_families

AGENT = "Yealink SIP-T46S 66.86.0.15 00:15:65:0a:0b:0c"


def samples(port):
    answer = http_request(port, "GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_numbers_follow_what_happens_and_the_dashboard_knows_only_real_ones(
    make_daemon, tmp_path, needs
):
    needs("tftp")
    port = free_port()
    daemon = make_daemon(settings={"metrics": {"port": port}}).start()
    assert (
        samples(port)["provd_request_seconds_count", ("protocol", "http"), ("result", "served")]
        == 0
    )
    assert daemon.phone("/0015650a0b0c.cfg", AGENT).status == 200
    body = daemon.phone("/0015650a0b0c.cfg", AGENT).body
    assert daemon.phone("/0015650a0b0c.none", AGENT).status == 404
    daemon.tftp_get("0015650a0b0c.cfg", tmp_path / "x")
    daemon.wait_for(lambda: samples(port)["provd_tftp_finished_total",] == 1, "the transfer")
    found = samples(port)
    http = ("protocol", "http")
    assert found["provd_request_seconds_count", http, ("result", "served")] == 2
    assert found["provd_request_seconds_count", http, ("result", "refused")] == 1
    assert found["provd_request_seconds_sum", http, ("result", "served")] > 0
    assert found["provd_sent_bytes_total", ("protocol", "tftp")] == len(body)
    assert found["provd_devices_created_total",] == 1
    assert found["provd_renders_total",] >= 1
    assert found["provd_render_seconds_count",] >= 1
    assert found["provd_identify_seconds_count",] >= 1
    assert found["provd_store_write_seconds_count",] >= 1
    assert found["provd_plugin_calls_total", ("plugin", "provd-yealink")] > 0
    assert {labels[0][1] for name, *labels in found if name == "provd_devices"} == {
        "configured",
        "not_configured",
        "new",
    }

    dashboard = json.loads((ROOT / "docs/grafana-dashboard.json").read_text())
    used = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\bprovd_\w+", target["expr"])
    }
    assert len(used) > 15
    assert used <= {name for name, *_ in found}


def test_nothing_listens_for_metrics_by_default(daemon):
    assert "metrics are served" not in daemon.log


def test_other_paths_are_not_there(make_daemon):
    port = free_port()
    make_daemon(settings={"metrics": {"port": port}}).start()
    assert http_request(port, "GET", "/").status == 404
    assert http_request(port, "POST", "/metrics").status == 405
