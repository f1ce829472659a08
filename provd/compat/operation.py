"""Operations in progress, under the old names; one status text for both (REST API §1.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from provd.manager.operations import FAIL as OIP_FAIL
from provd.manager.operations import PROGRESS as OIP_PROGRESS
from provd.manager.operations import SUCCESS as OIP_SUCCESS
from provd.manager.operations import WAITING as OIP_WAITING
from provd.manager.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet import defer
    from twisted.python.failure import Failure

__all__ = [
    "OIP_FAIL",
    "OIP_PROGRESS",
    "OIP_SUCCESS",
    "OIP_WAITING",
    "OperationInProgress",
    "format_oip",
    "operation_in_progres_from_deferred",
]

T = TypeVar("T")


class OperationInProgress(Operation):
    """An operation; `current` and `end` count whatever it counts, `sub_oips` are its parts."""

    def __init__(
        self,
        label: str | None = None,
        state: str = OIP_WAITING,
        current: int | None = None,
        end: int | None = None,
        sub_oips: Iterable[Operation] | None = None,
    ) -> None:
        super().__init__(label, state, current, end, sub_oips or ())

    @property
    def sub_oips(self) -> list[Operation]:
        """The parts."""
        return self.children

    @sub_oips.setter
    def sub_oips(self, value: list[Operation]) -> None:
        self.children = value


def format_oip(oip: Operation) -> str:
    """Return the status text, such as `download|progress;10/100`."""
    return oip.format()


def operation_in_progres_from_deferred(
    deferred: defer.Deferred[T], label: str | None = None
) -> OperationInProgress:
    """Return an operation that ends as `deferred` does; results and failures pass on."""
    oip = OperationInProgress(label, OIP_PROGRESS)

    def succeeded(result: T) -> T:
        oip.state = OIP_SUCCESS
        return result

    def failed(failure: Failure) -> Failure:
        oip.fail(str(failure.value))
        return failure

    deferred.addCallbacks(succeeded, failed)
    return oip
