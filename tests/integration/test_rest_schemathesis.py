"""The API under a fuzzer that reads its own description: nothing but what is described comes back.

Positive and negative data, from the edges of each schema and at random, always the same. Deletions,
uninstallations and changes of parameters are part of it. Nothing is left out for what it does:
downloads come from loopback, and no request waits for another.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness import MEDIA_TYPE, REPOSITORY, Daemon

from tests.integration import workshop

SECONDS = 180  # of a machine that is busy; else it takes a tenth of that
EXAMPLES = 8  # at random for each operation, beside hundreds from the edges of its schemas

pytestmark = pytest.mark.slow
PHONE = "Yealink SIP-T46S 66.86.0.15 00:15:65:ab:cd:ef"

# What may be found behind variables, so that not all is 404. More than a fuzzer can delete at once.
DEVICES = [f"d{number}" for number in range(20)]
CONFIGS = [f"c{number}" for number in range(20)]
VALUES = {
    "devices": DEVICES,
    "configs": [*CONFIGS, "base", "autoprov"],
    "plugins": [workshop.PLUGIN],
    # A `plugin_server` made up by chance might be one of the internet; other tests have it.
    "params": ["NAT", "locale", "provisioning_key", "http_proxy", workshop.PARAMETER],
    "operations": ["1", "2", "3"],
    "packages": [workshop.PACKAGE],
    "selectors": [
        '{"id":"d1"}',
        '{"id":{"$in":["d1"]}}',
        '{"id":{"$gt":1}}',
        "{",
        "[]",
        '{"$x":1}',
    ],
    "selectors64": ["eyJpZCI6ImQxIn0=", "e30", "!"],
    "fields": ["id", "raw_config.sip_lines", "mac,ip", ",", "."],
    "numbers": ["0", "1", "-1", "1e9", "99999999999999999999"],
    "ips": ["192.0.2.1", "127.0.0.1", "10.1", "::1"],
    "macs": ["00:15:65:12:34:56", "001565123456", "x"],
    "options": ["06041.62", "060", "060.", "999"],
}
BOUND = {
    "path.device_id": "devices",
    "path.config_id": "configs",
    "path.plugin_id": "plugins",
    "path.param_id": "params",
    "path.operation_id": "operations",
    "query.q": "selectors",
    "query.q64": "selectors64",
    "query.fields": "fields",
    "query.skip": "numbers",
    "query.limit": "numbers",
    "body.dhcp_info.ip": "ips",
    "body.dhcp_info.mac": "macs",
    "body.dhcp_info.options[*]": "options",
}
# Of which kind the id in a body is, by what a path begins with.
IDS = {
    "/dev_mgr/(synchronize|reconfigure)": "devices",
    "/pg_mgr/(install|reload)": "plugins",
    "/pg_mgr/plugins/{plugin_id}/install": "packages",
}
# Whether a document is taken depends on more than its schema, such as what is there already.
# What does not exist is 404 before a token is looked at; another test tries all accesses.
NOT_CHECKED = ("positive_data_acceptance", "ignored_auth")
# They accept what their schemas do not: the id in a path wins over any in the body, and of an
# event other than a commit only the address is looked at.
LENIENT = (
    "PUT /dev_mgr/devices/{device_id}",
    "PUT /cfg_mgr/configs/{config_id}",
    "POST /dev_mgr/dhcpinfo",
)


def settings_of_fuzzer(token):
    lines = [
        "warnings = false",
        "[headers]",
        f"X-Auth-Token = {json.dumps(token)}",
        "[parameters]",
        *(
            f"{json.dumps(key)} = {{ dictionary = {json.dumps(name)}, probability = 0.8 }}"
            for key, name in BOUND.items()
        ),
    ]
    for name, values in VALUES.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    for path, name in IDS.items():
        lines += [
            "[[operations]]",
            f"include-path-regex = {json.dumps('^' + re.sub('[{}]', '.', path))}",
            f'parameters = {{ "body.id" = {{ dictionary = "{name}", probability = 0.8 }} }}',
        ]
    for name in NOT_CHECKED:
        lines += [f"[checks.{name}]", "enabled = false"]
    for name in LENIENT:
        lines += [
            "[[operations]]",
            f"include-name = {json.dumps(name)}",
            "checks = { negative_data_rejection = { enabled = false } }",
        ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    """A daemon with all our plugins and one with packages and parameters, and some documents."""
    with workshop.workshop(tmp_path_factory.mktemp("shop"), REPOSITORY) as shop:
        running = Daemon(tmp_path_factory.mktemp("provd"), settings=workshop.settings(shop))
        running.start()
        try:
            for device_id, config_id in zip(DEVICES, CONFIGS, strict=True):
                config = {"id": config_id, "parent_ids": ["base"], "raw_config": {"X_value": "v"}}
                assert running.post("/cfg_mgr/configs", {"config": config}).status == 201
                device = {"id": device_id, "plugin": workshop.PLUGIN, "config": config_id}
                assert running.post("/dev_mgr/devices", {"device": device}).status == 201
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="module")
def run(stocked, tmp_path_factory):
    """The fuzzer that ran, and `(operation, status, content type)` of each answer."""
    directory = tmp_path_factory.mktemp("fuzzer")
    settings = directory / "fuzzer.toml"
    settings.write_text(settings_of_fuzzer(stocked.token))
    report = directory / "report.ndjson"
    base = f"http://127.0.0.1:{stocked.rest_port}/0.2"
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file", str(settings),
        "run", f"{base}/api/openapi.yml",
        "--url", base,
        "--phases", "examples,coverage,fuzzing",
        "--mode", "all",
        "--max-examples", str(EXAMPLES),
        "--generation-deterministic",
        "--request-timeout", "20",
        "--report-ndjson-path", str(report),
        "--no-color",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    answers = []
    for line in report.read_text().splitlines() if report.exists() else ():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for interaction in recorder.get("interactions", {}).values():
            answer = interaction["response"]
            assert answer is not None, interaction
            kinds = answer["headers"].get("content-type", [None])
            answers.append((recorder["label"], answer["status_code"], kinds[0]))
    report.unlink(missing_ok=True)  # several megabytes
    return done, answers


def test_nothing_comes_back_that_is_not_described(run):
    done, _ = run
    assert done.returncode == 0, done.stdout[-15_000:] + done.stderr[-2000:]


def test_no_failure_and_no_page_of_a_web_server_comes_back(run):
    _, answers = run
    pages = {"text/html; charset=utf-8": "GET /api/index.html"}
    for operation, status, kind in answers:
        assert status < 500, operation
        if kind is None:
            assert status in {200, 201, 204}, operation
        elif status >= 400:
            assert kind in {"text/plain; charset=ascii", "text/plain; charset=utf-8"}, operation
        else:
            assert kind in {MEDIA_TYPE, "text/yaml; charset=utf-8"} or pages[kind] == operation


def test_the_fuzzer_gets_behind_the_checks(run, stocked):
    """Most operations were done at least once; the others need what it cannot know of."""
    _, answers = run
    document = yaml.safe_load(stocked.rest("GET", "/api/openapi.yml").body)
    described = {
        (f"{method.upper()} {path}", int(min(operation["responses"])))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    tried = {operation for operation, _, _ in answers}
    untried = {operation for operation, _ in described} - tried
    assert untried <= {"GET /api/openapi.yml"}  # which it reads before it begins
    done = described & {(operation, status) for operation, status, _ in answers}
    assert len(done) > 0.6 * len(described), described - done
    assert len(answers) > 1000


def test_the_daemon_serves_phones_as_before(run, stocked):
    config = {"id": "after", "parent_ids": [], "raw_config": {"X_after": "yes"}}
    assert stocked.post("/cfg_mgr/configs", {"config": config}).status == 201
    device = {"id": "after", "mac": "00:15:65:ab:cd:ef", "config": "after"}
    device["plugin"] = "provd-yealink"
    assert stocked.post("/dev_mgr/devices", {"device": device}).status == 201
    answer = stocked.phone("/001565abcdef.cfg", PHONE)
    assert answer.status == 200, answer
    assert answer.body.startswith(b"#!version:")
    assert "Traceback" not in stocked.log
    assert "Unhandled" not in stocked.log
