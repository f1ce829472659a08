"""`/0.2/jobs`: what the daemon does in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import OperationNotFound, trespass
from provd.rest.app import ROOT, Action, Call, Reply, Route
from provd.rest.schemas import envelope, list_of, ref

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provd.manager.jobs import Job, Jobs
    from provd.manager.manager import DeviceManager

PATH = f"{ROOT}/jobs"


class JobsResource:
    """Background jobs: how far they are, and an end to them."""

    def __init__(self, jobs: Jobs, manager: DeviceManager) -> None:
        self._jobs = jobs
        self._manager = manager

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
                        errors=(400,),
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

    def _check_tenant(self, call: Call) -> None:
        """Show jobs to the main tenant only: they are of all tenants."""
        if call.tenant != self._manager.main_tenant:
            raise trespass(
                OperationNotFound("no such job"), f"job {call.params['job_id']} of the main tenant"
            )

    async def find(self, call: Call) -> Reply:
        """List all jobs; for another tenant than the main one, there are none."""
        jobs = self._jobs.all if call.tenant == self._manager.main_tenant else []
        return Reply(document={"jobs": [_shown(job) for job in jobs]})

    async def get(self, call: Call) -> Reply:
        """Read one job."""
        self._check_tenant(call)
        return Reply(document={"job": _shown(self._jobs.get(call.params["job_id"]))})

    async def cancel(self, call: Call) -> Reply:
        """Stop one job."""
        self._check_tenant(call)
        self._jobs.cancel(call.params["job_id"])
        return Reply(204)


def _shown(job: Job) -> dict[str, Any]:
    return {"id": job.id, "name": job.name, "status": job.operation.format()}
