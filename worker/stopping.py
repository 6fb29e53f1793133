"""SIGTERM and SIGINT: heard from the first moment to the last, and the end comes in time.

A thread of its own waits for them. It is there before anything heavy is imported, because process 1 of a
container never hears a signal that nobody waits for; and it hears them when the event loop is not there yet,
or does not turn. It also has the last word: whatever a stop hangs on, the process ends with 0 when its time
is over. That is safe, because every moment is one at which the process may be killed.

Imports as little as it can.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})

BEYOND_DRAIN_SECONDS: Final = 5.0
"""How long after the time for the drain the process is gone at the latest."""
_RESERVE_SECONDS: Final = 1.0
"""Of that, what a busy machine may take to end it."""
_AFTER_DRAIN_SECONDS: Final = 3.0
"""How long a stop may take when the drain is over, however early that is."""
_LOOK_SECONDS: Final = 0.05
_TELL_SECONDS: Final = 0.5


class Work:
    """What a stop has to end; no dataclass, whose module takes longer to import than all of this."""

    def __init__(
        self, *, drain_seconds: float, begin: Callable[[], object], drained: Callable[[], bool]
    ) -> None:
        """Take note of what to do; all are called from another thread.

        `begin` begins the stop. `drained` tells whether nothing is in work any more, and what was finished is
        committed as far as Kafka lets us.
        """
        self.drain_seconds = drain_seconds
        self.begin = begin
        self.drained = drained


class Stop:
    """The stop of this process. `listen` comes first, and must be called in the main thread."""

    def __init__(
        self,
        *,
        end: Callable[[int], Any] = os._exit,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`end` ends the process at once."""
        self._end = end
        self._timer = timer
        self._sleep = sleep
        self._work: Work | None = None
        self._say: Callable[[str], object] = str
        self._is_listening = False
        self.asked = False
        """Whether the process was told to stop."""

    def listen(self) -> None:
        """Hear the signals from now on; a second call does nothing.

        Threads and children that are started from here on leave them to us. Those that an injected
        instrumentation has started before may be handed one: it is passed on.
        """
        if self._is_listening:
            return
        self._is_listening = True
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        listener = threading.Thread(target=self._listen, name="signals", daemon=True)
        listener.start()

        def pass_on(number: int, _: object) -> None:
            if listener.ident is not None and listener.is_alive():
                signal.pthread_kill(listener.ident, number)

        for number in SIGNALS:
            signal.signal(number, pass_on)

    def say_by(self, say: Callable[[str], object]) -> None:
        """Tell what happens by `say`, now that there is a log."""
        self._say = say

    def works(self, work: Work) -> None:
        """Note that work begins: from now on a signal drains; before, it ended the process at once."""
        self._work = work

    def finish(self) -> None:
        """Begin the stop because the work is done; it may take its time."""
        if self._work is not None:
            self._work.begin()

    def end(self, status: int) -> None:
        """End the process at once, with `status` unless it was told to stop."""
        self._end(self.status(status))

    def status(self, status: int) -> int:
        """Return the process's exit status: 0 when it was told to stop, whatever went wrong on the way."""
        return 0 if self.asked else status

    def _listen(self) -> None:
        number = signal.sigwait(SIGNALS)
        self.told(signal.Signals(number).name)

    def told(self, by: str) -> None:
        """Stop, and end the process in time. What comes after the first signal changes nothing."""
        self.asked = True
        began, work = self._timer(), self._work
        if work is None:
            tell(self._say, f"{by}: stopped before any work began")
            self._end(0)
            return
        work.begin()
        tell(self._say, f"{by}: draining for at most {work.drain_seconds:g} s")
        until = began + work.drain_seconds + BEYOND_DRAIN_SECONDS - _RESERVE_SECONDS
        is_drained = False
        while self._timer() < until:
            if not is_drained and work.drained():
                is_drained = True
                until = min(until, self._timer() + _AFTER_DRAIN_SECONDS)
            self._sleep(_LOOK_SECONDS)
        rest = "only the good-bye to Kafka is missing" if is_drained else "what is open will come again"
        tell(self._say, f"{by}: the time to stop is over, ending at once; {rest}")
        self._end(0)


def tell(say: Callable[[str], object], line: str) -> None:
    """Write a line of the log, and do not wait for long: whoever reads it may stand still."""
    writer = threading.Thread(target=say, args=(line,), daemon=True)
    writer.start()
    writer.join(_TELL_SECONDS)


STOP: Final = Stop()
"""Of this process."""
