"""A reactor for tests that run their coroutines themselves, such as those of Hypothesis."""

import queue

from twisted.internet import defer
from twisted.python.failure import Failure


class QueueReactor:
    """Runs in the test's own thread what worker threads hand over; moves a clock if it has one."""

    def __init__(self, clock=None):
        self.calls = queue.SimpleQueue()
        self.clock = clock

    def callFromThread(self, function, *arguments):
        self.calls.put((function, arguments))

    def run(self, work):
        outcome = []
        defer.Deferred.fromCoroutine(work).addBoth(outcome.append)
        while not outcome:
            self._take_call()
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        return outcome[0]

    def _take_call(self):
        if self.clock is None:
            function, arguments = self.calls.get(timeout=10)
        else:
            self.clock.advance(0.01)
            try:
                function, arguments = self.calls.get(timeout=0.001)
            except queue.Empty:
                return
        function(*arguments)
