"""Creates devices with a config each over REST; prints seconds and the p99 as JSON.

    echo TOKEN | python benchmarks/rest_load.py --port 8666 --count 1000 --writers 8 --prefix x

A process of its own, so that it does not take the daemon's core.
"""

import argparse
import http.client
import json
import sys
import threading
import time

MEDIA_TYPE = "application/vnd.proformatique.provd+json"


class Writer(threading.Thread):
    """Creates a config and the device that has it, one pair after the other."""

    def __init__(self, arguments, token, numbers):
        super().__init__()
        self.arguments, self.token, self.numbers = arguments, token, numbers
        self.times = []
        self.error = None

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.arguments.port, timeout=30)
        try:
            for number in self.numbers:
                began = time.monotonic()
                self.create(connection, number)
                self.times.append(time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - shown by main
            self.error = error
        finally:
            connection.close()

    def create(self, connection, number):
        name = f"{self.arguments.prefix}{number}"
        line = {"username": name, "password": "p", "display_name": "d", "proxy_ip": "192.0.2.1"}
        config = {
            "id": name,
            "parent_ids": ["base", "defaultconfigdevice"],
            "raw_config": {"sip_lines": {"1": line}},
        }
        low = f"{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        device = {
            "id": name,
            "mac": f"80:5e:c0:{low}",
            "vendor": "Yealink",
            "model": "T46S",
            "version": "66.86.0.15",
            "plugin": "provd-yealink",
            "config": name,
        }
        self.post(connection, "/cfg_mgr/configs", {"config": config})
        self.post(connection, "/dev_mgr/devices", {"device": device})

    def post(self, connection, path, document):
        headers = {"X-Auth-Token": self.token, "Content-Type": MEDIA_TYPE}
        connection.request("POST", f"/0.2{path}", json.dumps(document), headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != 201:
            raise RuntimeError(f"{path}: {response.status} {body[:300]!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--prefix", default="created", help="what the ids begin with")
    arguments = parser.parse_args()
    token = sys.stdin.readline().strip()
    writers = [
        Writer(arguments, token, range(number, arguments.count, arguments.writers))
        for number in range(arguments.writers)
    ]
    began = time.monotonic()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    seconds = time.monotonic() - began
    for writer in writers:
        if writer.error is not None:
            sys.exit(f"{type(writer.error).__name__}: {writer.error}")
    times = sorted(time for writer in writers for time in writer.times)
    p99_ms = times[int(len(times) * 0.99)] * 1000
    print(json.dumps({"seconds": seconds, "p99_ms": p99_ms, "created": len(times)}))


if __name__ == "__main__":
    main()
