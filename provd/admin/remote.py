"""Verbs that ask a running daemon over REST: `resync`, `provision` and `duplicates`.

They run without a reactor, so that requests block and Ctrl-C raises KeyboardInterrupt.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import attrs

from provd.admin.report import Report
from provd.errors import DeviceNotFound, OperationNotFound, ProvdError, SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

INTERRUPTED = 130
_MEDIA_TYPE = "application/vnd.proformatique.provd+json"
_ROOT = "/0.2"
_DEVICES = f"{_ROOT}/dev_mgr"
_TIMEOUT = 60.0
_POLL_SECONDS = 0.5
_MAX_LOST_POLLS = 20
_FINISHED = ("success", "fail")
_TOKEN_LENGTH = 4096
_NO_API = "this is no REST API of provd"


@attrs.frozen
class Answer:
    """An answer of the daemon."""

    status: int
    content: bytes
    location: str | None

    @property
    def refusal(self) -> str:
        """What to say of an answer that is none of success."""
        text = self.content.decode(errors="replace").strip()[:500]
        return f"the daemon answered {self.status}: {text or 'nothing more'}"

    def member(self, name: str) -> Any:
        """Return a member of the document; ProvdError if it is no success, or has none."""
        if self.status != 200:
            raise ProvdError(self.refusal)
        try:
            return json.loads(self.content)[name]
        except (ValueError, TypeError, KeyError) as error:
            raise ProvdError(f"{_NO_API}: an answer has no {name}") from error


class Client:
    """A blocking client of the REST API at `url`, which may have a path before `/0.2`."""

    def __init__(self, url: str, token: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"--rest {url}: {error}") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError(f"--rest {url}: such as http://127.0.0.1:8666 is needed")
        self._url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._is_secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._prefix = parts.path.rstrip("/").removesuffix(_ROOT)
        self._headers = {"X-Auth-Token": token, "Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE}

    def _connect(self) -> http.client.HTTPConnection:
        if self._is_secure:
            return http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT)
        return http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)

    def request(self, method: str, path: str, document: Any = None) -> Answer:
        """Return what the daemon answers; OSError. `path` begins by `/0.2`, as a location does."""
        body = None if document is None else json.dumps(document).encode()
        with contextlib.closing(self._connect()) as connection:
            try:
                connection.request(method, self._prefix + path, body, self._headers)
                response = connection.getresponse()
                content = response.read()
            except http.client.HTTPException as error:
                raise OSError(f"{self._url}: {_NO_API}: {error!r:.200}") from error
            except OSError as error:
                raise OSError(f"{self._url}: {error.strerror or error}") from error
        return Answer(response.status, content, response.headers.get("Location"))

    def get(self, path: str) -> dict[str, Any]:
        """Return an operation; OperationNotFound, ProvdError, OSError."""
        answer = self.request("GET", path)
        if answer.status == 404:
            raise OperationNotFound("the operation is gone: it was stopped, or the daemon was")
        if answer.status >= 500:  # may pass
            raise OSError(answer.refusal)
        answer.member("status")
        document: dict[str, Any] = json.loads(answer.content)
        return document

    def delete(self, path: str) -> None:
        """Forget an operation; one that is gone is no error."""
        answer = self.request("DELETE", path)
        if answer.status not in {204, 404}:
            raise ProvdError(f"it is not stopped: {answer.refusal}")


def _client(options: argparse.Namespace) -> Client:
    try:
        with open(options.token_file, encoding="ascii", errors="replace") as file:
            token = file.read(_TOKEN_LENGTH).strip()
    except OSError as error:
        raise SettingsError(
            f"the token file {options.token_file} cannot be read: {error.strerror}"
        ) from error
    if not token.isascii() or not token.isprintable() or not token:
        raise SettingsError(f"{options.token_file}: this is no token")
    return Client(options.rest, token)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C until the end of what is inside."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def parse_status(text: str) -> tuple[str, int, int]:
    """Return state, count and end of a status text such as `progress;3/10`."""
    own = text.partition("(")[0].rpartition("|")[2]
    state, _, counts = own.partition(";")
    current, _, end = counts.partition("/")
    try:
        return state, int(current or 0), int(end or current or 0)
    except ValueError:
        return state, 0, 0


class _Line:
    """One line of the terminal that is written again and again; nothing where there is none."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._last = ""

    def show(self, text: str) -> None:
        if self._is_shown and text != self._last:
            sys.stderr.write(f"\r{text}\x1b[K")
            sys.stderr.flush()
            self._last = text

    def end(self) -> None:
        if self._last:
            sys.stderr.write("\n")
            sys.stderr.flush()


def _watch(client: Client, path: str, line: _Line, what: str) -> dict[str, Any]:
    """Follow an operation to its end; a daemon that is away for some seconds does not matter."""
    lost = 0
    waiting = threading.Event()  # never set; Ctrl-C ends the wait
    while True:
        try:
            operation = client.get(path)
            state, current, end = parse_status(str(operation["status"]))
            lost = 0
        except OSError:
            lost += 1
            if lost > _MAX_LOST_POLLS:
                raise
        else:
            line.show(f"{current} of {end} {what}" if end else f"{what}…")
            if state in _FINISHED:
                return operation
        waiting.wait(_POLL_SECONDS)


def _resync(client: Client, options: argparse.Namespace, line: _Line) -> tuple[Report, int]:
    body = {
        name: value
        for name, value in (
            ("plugin", options.plugin),
            ("model", options.model),
            ("config", options.config),
            ("tenant_uuid", options.tenant),
            ("selector", options.selector),
            ("per_second", options.per_second),
            ("max_failures", options.max_failures),
        )
        if value is not None
    }
    path: str | None = None
    try:
        with _uninterrupted():  # else what was begun could not be stopped
            answer = client.request("POST", f"{_DEVICES}/resynchronize", body)
            path = answer.location
        if answer.status != 201 or path is None:
            raise ProvdError(answer.refusal)
        operation = _watch(client, path, line, "devices told")
    except KeyboardInterrupt:
        if path is not None:
            client.delete(path)
        return Report("Stopped, no more devices are told"), INTERRUPTED
    return _resync_report(operation), 0


def _resync_report(operation: dict[str, Any]) -> Report:
    """Say how many devices were told, failed and came; a failure is a problem with its reason."""
    state, current, end = parse_status(str(operation["status"]))
    details = operation.get("details") or {}
    failed = details.get("failed", 0)
    report = Report(f"{details.get('told', current - failed)} of {end} devices were told to reload")
    if failed:
        report.facts["failed"] = failed
    if details.get("confirmed"):
        report.facts["confirmed"] = f"{details['confirmed']} have fetched their files"
    for reason in details.get("reasons", ()):
        count, example = reason.get("devices"), reason.get("example")
        report.problems.append(f"{count} failed: {reason.get('reason')} (such as {example})")
    if state == "fail":
        report.problems.append(operation.get("reason") or "it failed; the daemon's log says why")
    return report


def _provision(client: Client, options: argparse.Namespace, line: _Line) -> tuple[Report, int]:
    who = {"id": options.id, "mac": options.mac, "ip": options.ip}
    body = {"code": options.code, **{key: value for key, value in who.items() if value is not None}}
    answer = client.request("POST", f"{_DEVICES}/provision", body)
    if answer.status == 404:
        raise DeviceNotFound(options.id or options.mac or options.ip)
    report = Report(f"Device {answer.member('device')} has config {answer.member('config')}")
    try:
        operation = _watch(client, answer.member("synchronize"), line, "telling the phone")
    except KeyboardInterrupt:
        report.facts["the phone"] = "whether it reloads was not waited for"
        return report, INTERRUPTED
    if parse_status(str(operation["status"]))[0] == "fail":
        reason = operation.get("reason")
        report.problems.append(
            "its phone could not be told, and reloads when it starts: "
            + (reason or "the device's history says why")
        )
    else:
        report.facts["the phone"] = "was told to reload"
    return report, 0


def _duplicates(client: Client, options: argparse.Namespace, _line: _Line) -> tuple[Report, int]:
    found = client.request("GET", f"{_DEVICES}/duplicates").member("duplicates")
    if options.action == "list":
        report = Report(f"{len(found)} identities are those of several devices")
        report.lists["the device that is served, and the others"] = [
            f"{one['kind']} {one['value']}: {one['owner']}; {', '.join(one['others'])}"
            for one in found
        ]
        return report, 0
    report = Report(f"Device {options.keep} keeps what it shared")
    concerned = [one for one in found if options.keep in {one["owner"], *one["others"]}]
    if not concerned:
        raise ProvdError(f"device {options.keep} shares nothing with others")
    for one in concerned:
        for device_id in (one["owner"], *one["others"]):
            if device_id not in {None, options.keep}:
                _take_away(client, device_id, one["kind"], report, delete=options.delete)
        if one["owner"] is None:
            report.problem(f"{one['kind']} {one['value']}", "its owner is another tenant's")
    return report, 0


def _take_away(client: Client, device_id: str, kind: str, report: Report, *, delete: bool) -> None:
    """Delete a device, or leave it without an identity of one kind."""
    path = f"{_DEVICES}/devices/{quote(device_id, safe='')}"
    if delete:
        answer = client.request("DELETE", path)
        done = "deleted"
        if answer.status == 404:  # it shared two things
            return
    else:
        device = client.request("GET", path).member("device")
        device.pop(kind, None)
        answer = client.request("PUT", path, {"device": device})
        done = f"has no {kind} any more"
    if answer.status == 204:
        report.facts[f"device {device_id}"] = done
    else:
        report.problem(f"device {device_id}", answer.refusal)


VERBS = {"resync": _resync, "provision": _provision, "duplicates": _duplicates}


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status."""
    line = _Line()
    try:
        client = _client(options)
        try:
            report, status = VERBS[options.verb](client, options, line)
        finally:
            line.end()
    except (ProvdError, OSError) as error:
        sys.stderr.write(f"provd-admin: {error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    text = (
        json.dumps(report.as_json(), indent=2, ensure_ascii=False)
        if options.json
        else "\n".join(report.lines())
    )
    sys.stdout.write(f"{text}\n")
    return status or (1 if report.problems else 0)
