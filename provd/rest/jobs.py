"""`/0.2/jobs`: what the daemon does in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import OperationNotFound
from provd.rest.app import ROOT, Action, Call, Reply, Route
from provd.rest.schemas import envelope, list_of, ref

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provd.manager.jobs import Job, Jobs

PATH = f"{ROOT}/jobs"


class JobsResource:
    """Background jobs: how far they are, and an end to them."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def routes(self) -> list[Route]:
        """Return the routes of `/0.2/jobs`."""
        return [
            Route(
                PATH,
                {
                    "GET": Action(
                        "provd.jobs.read",
                        self.find,
                        "List the background jobs that run.",
                        gives=envelope("jobs", list_of(ref("Job"))),
                    )
                },
            ),
            Route(
                f"{PATH}/<job_id>",
                {
                    "GET": Action(
                        "provd.jobs.read",
                        self.get,
                        "Read a job.",
                        gives=envelope("job", ref("Job")),
                    ),
                    "DELETE": Action(
                        "provd.jobs.delete",
                        self.cancel,
                        "Stop a job; devices that it leaves are rendered when they are asked for.",
                        status=204,
                    ),
                },
                self._exists,
            ),
        ]

    def _exists(self, params: Mapping[str, str]) -> bool:
        try:
            self._jobs.get(params["job_id"])
        except OperationNotFound:
            return False
        return True

    async def find(self, _call: Call) -> Reply:
        """List all jobs."""
        return Reply(document={"jobs": [_shown(job) for job in self._jobs.all]})

    async def get(self, call: Call) -> Reply:
        """Read one job."""
        return Reply(document={"job": _shown(self._jobs.get(call.params["job_id"]))})

    async def cancel(self, call: Call) -> Reply:
        """Stop one job."""
        self._jobs.cancel(call.params["job_id"])
        return Reply(204)


def _shown(job: Job) -> dict[str, Any]:
    return {"id": job.id, "name": job.name, "status": job.operation.format()}
