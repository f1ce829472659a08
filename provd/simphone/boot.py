"""The boot of one phone: every file of its sequence, asked for in order, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import attrs

from provd.simphone.fetch import FetchError, Sink, as_fetch_error
from provd.simphone.httpclient import HttpClient
from provd.simphone.tftpclient import TftpClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from provd.simphone.models import Protocol
    from provd.simphone.phone import Phone, PlannedStep, Target


@attrs.frozen
class StepReport:
    """One request of a boot."""

    file: str
    """The template of the name, the same for all phones of a model."""
    path: str
    """What was asked for, without the provisioning key."""
    protocol: Protocol
    is_required: bool
    outcome: str
    """`HTTP <status>`, `TFTP ok`, `TFTP error <code>`, or why there was no answer."""
    is_answered: bool
    """Whether the server gave an answer of any kind."""
    problem: str | None
    """Why a phone cannot use the file; None: it can."""
    size: int
    seconds: float
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "path": self.path,
            "protocol": self.protocol,
            "required": self.is_required,
            "outcome": self.outcome,
            "problem": self.problem,
            "detail": self.detail,
            "bytes": self.size,
            "ms": round(self.seconds * 1000, 3),
        }


@attrs.frozen
class BootReport:
    """What came of one boot."""

    phone: Phone
    steps: tuple[StepReport, ...]
    seconds: float

    @property
    def failure(self) -> str | None:
        """Why the phone has no line, in words that are the same for all phones of a model."""
        for step in self.steps:
            if step.is_required and step.problem is not None:
                return f"{step.file}: {step.problem}"
        return None

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        phone = self.phone
        return {
            "vendor": phone.model.vendor.key,
            "model": phone.model.name,
            "version": phone.firmware,
            "mac": phone.mac,
            "source_ip": phone.source_ip,
            "forwarded_for": phone.forwarded_for,
            "ok": self.failure is None,
            "failure": self.failure,
            "ms": round(self.seconds * 1000, 3),
            "requests": [step.as_json() for step in self.steps],
        }


async def boot(
    phone: Phone, target: Target, *, on_step: Callable[[StepReport], None] | None = None
) -> BootReport:
    """Play the boot of a phone; whatever the server does, this returns a report.

    The boot stops at the first required file that the phone cannot use. A file that is not
    required may lack: a real phone goes on as well. `on_step` gets each report as it is made.
    """
    started = time.perf_counter()
    reports: list[StepReport] = []
    async with _client(phone, target) as client:
        for planned in phone.steps():
            report = await _play(phone, target, client, planned)
            reports.append(report)
            if on_step is not None:
                on_step(report)
            if report.is_required and report.problem is not None:
                break
    return BootReport(phone, tuple(reports), time.perf_counter() - started)


@contextlib.asynccontextmanager
async def _client(phone: Phone, target: Target) -> AsyncIterator[HttpClient | TftpClient]:
    if target.protocol == "tftp":
        yield TftpClient(phone, target)
        return
    client = HttpClient(phone, target)
    try:
        yield client
    finally:
        client.close()


async def _play(
    phone: Phone, target: Target, client: HttpClient | TftpClient, planned: PlannedStep
) -> StepReport:
    started = time.perf_counter()
    detail = ""
    is_answered = True
    with Sink.of(phone, target, planned.path) as sink:
        try:
            async with asyncio.timeout(target.timeout):
                if isinstance(client, HttpClient):
                    status = await client.fetch(planned.path, planned.form, sink.write)
                    outcome = f"HTTP {status}"
                    problem = None if status == 200 else outcome
                else:
                    await client.fetch(planned.path, sink.write)
                    outcome = "TFTP ok"
                    problem = None
            if problem is None:
                sink.keep()
                problem = _content_problem(planned, sink)
        except (FetchError, OSError) as exc:
            error = exc if isinstance(exc, FetchError) else as_fetch_error(exc)
            outcome = problem = error.reason
            detail = error.detail
            is_answered = outcome.startswith("TFTP error")
    return StepReport(
        file=planned.step.file,
        path=f"/{planned.path}",
        protocol=target.protocol,
        is_required=planned.step.required,
        outcome=outcome,
        is_answered=is_answered,
        problem=problem,
        size=sink.size,
        seconds=time.perf_counter() - started,
        detail=detail,
    )


def _content_problem(planned: PlannedStep, sink: Sink) -> str | None:
    if planned.step.required and sink.size == 0:
        return "empty"
    if not sink.head.startswith(planned.step.prefix):
        return f"does not begin with {planned.step.prefix.decode('ascii')}"
    return None
