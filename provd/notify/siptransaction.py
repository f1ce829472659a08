"""The client's side of a SIP transaction over UDP that is not INVITE, without I/O.

RFC 3261 section 17.1.2, with T1 = 0.5 s and T2 = 4 s:

- Trying: the request is sent again after T1 (timer E), then after twice as long each time, but T2
  at most.
- A provisional response leads to Proceeding: the request is sent again every T2.
- A final response in either state ends the transaction. So does timer F, of 64 * T1.

Responses that are repeated after that find no transaction and are dropped, as the state Completed
(timer K) would do.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from provd.notify.sipmessage import Response

T1 = 0.5
T2 = 4.0
TIMER_F = 64 * T1


class Timer(enum.Enum):
    """The two timers: E sends again, F gives up."""

    E = enum.auto()
    F = enum.auto()


@attrs.frozen
class Send:
    """Send the request, for the first time or again."""


@attrs.frozen
class Start:
    """Let `timer` fire after so many seconds."""

    timer: Timer
    seconds: float


@attrs.frozen
class Finish:
    """It is over: `response` is final, or None if none came in time. Both timers are void."""

    response: Response | None


Action: TypeAlias = Send | Start | Finish


class _State(enum.Enum):
    TRYING = enum.auto()
    PROCEEDING = enum.auto()
    TERMINATED = enum.auto()


class Transaction:
    """One request."""

    def __init__(self, give_up_after: float = TIMER_F) -> None:
        self._give_up_after = give_up_after
        self._state = _State.TRYING
        self._interval = T1

    def start(self) -> list[Action]:
        """Send the request for the first time."""
        return [Send(), Start(Timer.F, self._give_up_after), Start(Timer.E, T1)]

    def response_received(self, response: Response) -> list[Action]:
        """Take a response that belongs to this request."""
        if self._state is _State.TERMINATED:
            return []
        if response.status < 200:
            self._state = _State.PROCEEDING
            return []
        self._state = _State.TERMINATED
        return [Finish(response)]

    def timer_fired(self, timer: Timer) -> list[Action]:
        """Take the end of a timer."""
        if self._state is _State.TERMINATED:
            return []
        if timer is Timer.F:
            self._state = _State.TERMINATED
            return [Finish(None)]
        proceeding = self._state is _State.PROCEEDING
        self._interval = T2 if proceeding else min(2 * self._interval, T2)
        return [Send(), Start(Timer.E, self._interval)]
