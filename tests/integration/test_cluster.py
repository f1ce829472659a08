"""Several daemons on one MongoDB: what one node acknowledged, every node knows."""

import http.client
import json
import random
import re
import shutil
import threading
import time

import pytest
from harness import Daemon, http_request

from tests.mongo_server import MongoServer

PLUGIN = "provd-yealink"
AWAY = (OSError, http.client.HTTPException)


def mac_of(number):
    return f"00:15:65:cc:{number >> 8:02x}:{number & 255:02x}"


def path_of(number):
    return f"/{mac_of(number).replace(':', '')}.cfg"


def agent_of(number):
    return f"Yealink SIP-T46S 66.86.0.15 {mac_of(number)}"


@pytest.fixture(scope="module")
def server():
    running = MongoServer(durable=True)
    running.start()
    yield running
    running.stop()


class Cluster:
    """Nodes over one database."""

    def __init__(self, server, directory, name):
        self.server = server
        self.directory = directory
        self.name = name
        self.nodes = []

    def add(self, plugins="all"):
        node = Daemon(
            self.directory / f"node{len(self.nodes)}",
            settings={
                "database": {"type": "mongodb", "uri": self.server.uri(), "name": self.name},
                "limits": {"creation_rate_per_source": 10**6},
            },
            plugins=plugins,
        )
        if self.nodes:
            for name in ("tokens.json", "admin-token"):
                shutil.copy(self.nodes[0].state / name, node.state / name)
        self.nodes.append(node)
        return node.start()

    def stop(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.stop()


@pytest.fixture
def make_cluster(server, tmp_path):
    made = []

    def make(count):
        cluster = Cluster(server, tmp_path, f"c{random.getrandbits(48):x}")
        made.append(cluster)
        for _ in range(count):
            cluster.add()
        return cluster

    yield make
    for cluster in made:
        cluster.stop()


def put_config(node, config_id, number):
    line = {"username": f"v{number}x", "password": "p", "display_name": "d", "proxy_ip": "10.1.1.1"}
    document = {"id": config_id, "parent_ids": ["base"], "raw_config": {"sip_lines": {"1": line}}}
    return node.put(f"/cfg_mgr/configs/{config_id}", {"config": document})


def shown(body):
    """Return the number of the change that a rendered file shows."""
    numbers = set(re.findall(rb"\bv(\d+)x\b", body))
    assert len(numbers) == 1, numbers
    return int(numbers.pop())


def test_each_node_sees_at_once_what_another_acknowledged(make_cluster):
    one, two = make_cluster(2).nodes
    assert (
        one.post(
            "/cfg_mgr/configs", {"config": {"id": "c", "parent_ids": ["base"], "raw_config": {}}}
        ).status
        == 201
    )
    device = {
        "id": "d",
        "mac": mac_of(1),
        "vendor": "Yealink",
        "model": "T46S",
        "version": "66.86.0.15",
    }
    for turn in range(8):
        writer, reader = (one, two) if turn % 2 else (two, one)
        assert put_config(writer, "c", turn).status == 204
        assert (
            reader.get("/cfg_mgr/configs/c").json["config"]["raw_config"]["sip_lines"]["1"][
                "username"
            ]
            == f"v{turn}x"
        )
        document = {**device, "plugin": PLUGIN, "config": "c", "description": f"turn {turn}"}
        if turn == 0:
            assert writer.post("/dev_mgr/devices", {"device": document}).status == 201
        else:
            assert writer.put("/dev_mgr/devices/d", {"device": document}).status == 204
        assert reader.get("/dev_mgr/devices/d").json["device"]["description"] == f"turn {turn}"
        for node in (reader, writer):
            answer = node.phone(path_of(1), agent_of(1))
            assert answer.status == 200, answer
            assert shown(answer.body) == turn
    assert one.delete("/dev_mgr/devices/d").status == 204
    assert two.get("/dev_mgr/devices/d").status == 404
    two.wait_for(
        lambda: not (two.state / "plugins" / PLUGIN / "var/tftpboot" / path_of(1)[1:]).exists(),
        "the removal of the files by the other node",
    )


def test_a_new_phone_that_asks_all_nodes_at_once_becomes_one_device(make_cluster):
    cluster = make_cluster(3)
    failures = []

    def boot(node, number):
        answer = node.phone(path_of(number), agent_of(number))
        if answer.status != 200:
            failures.append(answer)

    for number in range(15):
        threads = [threading.Thread(target=boot, args=(node, number)) for node in cluster.nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    for node in cluster.nodes:
        found = [device["mac"] for device in node.devices()]
        assert sorted(found) == [mac_of(number) for number in range(15)]
    configs = cluster.nodes[0].get("/cfg_mgr/configs").json["configs"]
    assert sum(config.get("transient", False) for config in configs) == 15


def test_parameters_and_plugins_are_those_of_the_cluster(make_cluster):
    cluster = make_cluster(2)
    one, two = cluster.nodes
    assert one.put("/configure/NAT", {"param": {"value": "1"}}).status == 204
    assert two.get("/configure/NAT").json["param"]["value"] == 1
    assert one.put("/configure/provisioning_key", {"param": {"value": "0123456789"}}).status == 204
    assert two.get("/configure/provisioning_key").json["param"]["value"] == "0123456789"

    def plugins(node):
        return set(node.get("/pg_mgr/plugins").json["plugins"])

    before = plugins(one)
    assert plugins(two) == before
    assert two.post("/pg_mgr/install/uninstall", {"id": PLUGIN}).status == 204
    one.wait_for(lambda: plugins(one) == before - {PLUGIN}, "the removal on the other node")
    assert one.post("/pg_mgr/install/install", {"id": PLUGIN}).status == 201
    two.wait_for(lambda: plugins(two) == before, "the installation on the other node")
    # A node that joins without any plugin gets all, from the database.
    three = cluster.add(plugins="none")
    assert plugins(three) == before


def test_a_node_with_another_main_tenant_is_refused(make_cluster):
    cluster = make_cluster(1)
    stranger = Daemon(
        cluster.directory / "stranger",
        settings={
            "database": {"type": "mongodb", "uri": cluster.server.uri(), "name": cluster.name}
        },
        plugins="none",
    ).spawn()
    assert stranger.process.wait(30) != 0
    assert "copy the file from another node" in stranger.log


def test_a_database_that_is_away_stops_writes_and_no_known_phone(tmp_path):
    with MongoServer(durable=True) as own:
        cluster = Cluster(own, tmp_path, "away")
        node = cluster.add()
        try:
            assert node.phone(path_of(1), agent_of(1)).status == 200
            body = node.phone(path_of(1), agent_of(1)).body
            own.halt()
            began = time.monotonic()
            for _ in range(5):
                answer = node.phone(path_of(1), agent_of(1))
                assert (answer.status, answer.body) == (200, body)
            refused = put_config(node, "base", 1)
            assert refused.status == 503
            assert time.monotonic() - began < 45
            assert node.get("/status").status == 200
            own.start()
            node.wait_for(
                lambda: put_config(node, "c2", 1).status in {204, 404}, "the recovery", 30
            )
            assert (
                node.post(
                    "/cfg_mgr/configs", {"config": {"id": "c2", "parent_ids": [], "raw_config": {}}}
                ).status
                == 201
            )
            assert node.phone(path_of(2), agent_of(2)).status == 200
        finally:
            cluster.stop()


class History:
    """What was acknowledged when, and what phones saw; each number of a config is written once."""

    def __init__(self, count):
        self.lock = threading.Lock()
        self.acknowledged = [0] * count
        self.tried = [0] * count
        self.problems = []
        self.reads = self.writes = self.refused = 0


def write(history, cluster, own, stop, chance):
    while not stop.is_set():
        index = chance.choice(own)
        with history.lock:
            history.tried[index] += 1
            number = history.tried[index]
        try:
            status = put_config(chance.choice(cluster.nodes), f"u{index}", number).status
        except AWAY:
            status = 0
        with history.lock:
            if status == 204:
                history.acknowledged[index] = number
                history.writes += 1
            elif status in {0, 503}:
                history.refused += 1
            else:
                history.problems.append(("write", index, status))


def read(history, cluster, stop, chance):
    while not stop.is_set():
        index = chance.randrange(len(history.acknowledged))
        with history.lock:
            least = history.acknowledged[index]
        node = chance.choice(cluster.nodes)
        try:
            answer = http_request(
                node.http_port,
                "GET",
                path_of(100 + index),
                headers={"User-Agent": agent_of(100 + index)},
            )
        except AWAY:
            continue
        with history.lock:
            most = history.tried[index]
            if answer.status == 503:
                history.refused += 1
                continue
            history.reads += 1
            if answer.status != 200:
                history.problems.append(("read", index, answer.status))
                continue
            seen = shown(answer.body)
            if not least <= seen <= most:
                history.problems.append(
                    ("stale" if seen < least else "never written", index, least, seen, most)
                )


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [2, 3])
def test_no_phone_gets_a_file_older_than_the_last_acknowledged_change(make_cluster, nodes):
    """Random changes through any node, phones that ask any node, a node killed and restarted."""
    cluster = make_cluster(nodes)
    count, first = 6, cluster.nodes[0]
    for index in range(count):
        assert (
            first.post(
                "/cfg_mgr/configs",
                {"config": {"id": f"u{index}", "parent_ids": ["base"], "raw_config": {}}},
            ).status
            == 201
        )
        assert put_config(first, f"u{index}", 0).status == 204
        device = {
            "id": f"p{index}",
            "mac": mac_of(100 + index),
            "vendor": "Yealink",
            "model": "T46S",
            "version": "66.86.0.15",
            "plugin": PLUGIN,
            "config": f"u{index}",
        }
        assert first.post("/dev_mgr/devices", {"device": device}).status == 201
    history, stop, seed = History(count), threading.Event(), 20261123
    # One writer for each config: the order of its numbers is the order of its acknowledgements.
    threads = [
        threading.Thread(
            target=write, args=(history, cluster, [index], stop, random.Random(seed + index))
        )
        for index in range(count)
    ]
    threads += [
        threading.Thread(target=read, args=(history, cluster, stop, random.Random(seed + 100 + n)))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    try:
        for victim in (cluster.nodes[-1], cluster.nodes[0]):
            time.sleep(4)
            victim.kill()
            time.sleep(1)
            victim.start()
        time.sleep(3)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert history.problems == []
    assert history.writes > 50
    assert history.reads > 100
    for node in cluster.nodes:
        documents = {device["mac"] for device in node.devices()}
        assert len(documents) == len(node.devices()) == count
        for index in range(count):
            username = node.get(f"/cfg_mgr/configs/u{index}").json["config"]["raw_config"][
                "sip_lines"
            ]["1"]["username"]
            assert history.acknowledged[index] <= int(username[1:-1]) <= history.tried[index]
    print(
        json.dumps(
            {
                "nodes": nodes,
                "writes": history.writes,
                "reads": history.reads,
                "refused": history.refused,
            }
        )
    )
