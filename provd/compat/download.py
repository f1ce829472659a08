"""Downloads in a worker thread, with hooks (contract: plugin API §1.2).

A remote file is any object with `download(hooks)`, which blocks and tells each hook of `start()`,
`update(count)` with the bytes that came since the last call, and `complete()` or `fail(error)`.
`size` (bytes) and `filename` are used where it has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import defer, threads

from provd.compat.operation import (
    OIP_PROGRESS,
    OIP_SUCCESS,
    OperationInProgress,
    operation_in_progres_from_deferred,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Started = tuple[defer.Deferred[Any], OperationInProgress]


class OperationInProgressHook:
    """Shows the course of a download in an operation."""

    def __init__(self, oip: OperationInProgress) -> None:
        self._oip = oip

    def start(self) -> None:
        """Begin to count."""
        self._oip.current = 0
        self._oip.state = OIP_PROGRESS

    def update(self, count: int) -> None:
        """Count bytes that came."""
        self._oip.current = (self._oip.current or 0) + count

    def complete(self) -> None:
        """End well."""
        self._oip.state = OIP_SUCCESS

    def fail(self, error: object) -> None:
        """End badly."""
        self._oip.fail(str(error))


def async_download(
    remote_file: Any, supp_hooks: Sequence[Any] | None = None
) -> defer.Deferred[Any]:
    """Download a file; fires with what its `download` returned."""
    return threads.deferToThread(remote_file.download, list(supp_hooks or ()))


def _operation(remote_file: Any) -> OperationInProgress:
    return OperationInProgress(end=getattr(remote_file, "size", None))


def _follow(
    remote_file: Any, oip: OperationInProgress, supp_hooks: Sequence[Any] | None
) -> defer.Deferred[Any]:
    hooks = [OperationInProgressHook(oip), *(supp_hooks or ())]

    def done(result: Any) -> Any:
        # A remote file that calls no hook at its end is done all the same.
        oip.state = OIP_SUCCESS
        return result

    def failed(failure: Any) -> Any:
        oip.fail(str(failure.value))
        return failure

    return async_download(remote_file, hooks).addCallbacks(done, failed)


def async_download_with_oip(remote_file: Any, supp_hooks: Sequence[Any] | None = None) -> Started:
    """Download a file; return the Deferred and the operation that follows it."""
    oip = _operation(remote_file)
    return _follow(remote_file, oip, supp_hooks), oip


def async_download_multiseq_with_oip(remote_files: Iterable[Any]) -> Started:
    """Download files one after the other; the operation has a part for each."""
    parts = [(remote_file, _operation(remote_file)) for remote_file in remote_files]

    async def download_all() -> list[Any]:
        return [await _follow(remote_file, part, None) for remote_file, part in parts]

    running = defer.Deferred.fromCoroutine(download_all())
    oip = operation_in_progres_from_deferred(running)
    oip.sub_oips = [part for _, part in parts]
    return running, oip
