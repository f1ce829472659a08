"""The process that renders a preview: a job as JSON on standard input, files on standard output.

It works on a copy of the plugin and ends; nothing of the installation is written.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
from typing import Any

from provd import compat
from provd.compat.quirks import quirk
from provd.errors import ProvdError
from provd.model.rawconfig import add_defaults, validate_merged
from provd.plugin import sandbox


def render(job: dict[str, Any]) -> dict[str, Any]:
    """Return `{"error": text or None, "files": [[name, content in base64], …]}` of a job."""
    app = sandbox.App(job["nat"], job["proxies"])
    with (
        sandbox.copied(job["directory"], served=False) as copy,
        sandbox.loadable(
            copy,
            job["plugin_config"],
            quirk,
            app=app,
            general_config=job["general_config"],
            base_raw_config=job["base_raw_config"],
        ) as host,
    ):
        try:
            loaded = host.load(os.path.basename(copy))
            raw_config = job["raw_config"]
            add_defaults(raw_config)
            validate_merged(raw_config)
            files = sandbox.configure(host, loaded, job["device"], raw_config)
        except ProvdError as error:
            return {"error": str(error).replace(copy, job["directory"]), "files": []}
        return {
            "error": None,
            "files": [
                [sandbox.served_name(loaded, path), base64.b64encode(content).decode("ascii")]
                for path, content in files.items()
            ],
        }


def main() -> int:
    """Run one job."""
    compat.install()
    logging.disable(logging.CRITICAL)
    output = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a plugin prints is no part of the answer
    job = json.load(sys.stdin.buffer)
    output.write(json.dumps(render(job)).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
