"""Signs of life of the events in work, and whom each of them waits for.

An event that waits for the API, in whatever way, is in order for as long as what it waits for is: a pause
that is counted down, a request that has its time-out, a gate that lets requests through at its pace, a
circuit that is tried again and again, another event of the same customer. One that waits for something that
never comes gives no sign, and is noticed by that.

A sign belongs to what runs in its context; if there is none, all of this does nothing.
"""

import time
from asyncio import Lock
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal

Silence = Callable[[], float]
"""For how many seconds there has been no sign of life: 0 while all is in order."""

_TURN_SECONDS: Final = 10.0

_CURRENT: Final[ContextVar["Sign | None"]] = ContextVar("sign", default=None)


class Sign:
    """The signs of life of one piece of work, from when it begins."""

    __slots__ = ("_seen", "_timer", "_waits_for")

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._seen = timer()
        self._waits_for: Silence | None = None

    def alive(self) -> None:
        """Give a sign."""
        self._seen = self._timer()

    def silent_seconds(self) -> float:
        """Return for how long there has been no sign, neither of it nor of what it waits for."""
        own = self._timer() - self._seen
        return own if self._waits_for is None else min(own, self._waits_for())

    @contextmanager
    def covers(self) -> Iterator[None]:
        """Belong to what runs in this block, and in tasks that it begins."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    @contextmanager
    def waits_for(self, silence: Silence) -> Iterator[None]:
        """Be as alive as something else is, for the time of the block."""
        before, self._waits_for = self._waits_for, silence
        try:
            yield
        finally:
            self._waits_for = before
            self.alive()


def current() -> Sign | None:
    """Return the sign of what runs, None if it has none."""
    return _CURRENT.get()


def alive() -> None:
    """Give a sign of what runs."""
    sign = _CURRENT.get()
    if sign is not None:
        sign.alive()


@contextmanager
def waiting_for(silence: Silence) -> Iterator[None]:
    """Let what runs be as alive as what it waits for in this block."""
    sign = _CURRENT.get()
    if sign is None:
        yield
    else:
        with sign.waits_for(silence):
            yield


async def count_down(seconds: float, sleep: Callable[[float], Awaitable[object]]) -> None:
    """Sleep in turns, each of them a sign of life: a Retry-After may be an hour."""
    while seconds > 0:
        alive()
        turn = min(seconds, _TURN_SECONDS)
        await sleep(turn)
        seconds -= turn


class Turn(Lock):
    """A lock whose waiters are as alive as its holder."""

    def __init__(self) -> None:
        super().__init__()
        self._holder: Sign | None = None

    async def acquire(self) -> Literal[True]:
        """Wait for the lock."""
        if self.locked():
            with waiting_for(self._silent_seconds):
                await super().acquire()
        else:
            await super().acquire()
        self._holder = current()
        return True

    def _silent_seconds(self) -> float:
        return float("inf") if self._holder is None else self._holder.silent_seconds()


class Heartbeat:
    """Counts signs that the process gets on, whatever event they are of, or none."""

    def __init__(self) -> None:
        self.beats = 0

    def beat(self) -> None:
        """Give a sign."""
        self.beats += 1


class Signs:
    """The events in work."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._signs: set[Sign] = set()

    @contextmanager
    def event(self) -> Iterator[None]:
        """Watch what runs in this block."""
        sign = Sign(self._timer)
        self._signs.add(sign)
        try:
            with sign.covers():
                yield
        finally:
            self._signs.discard(sign)

    def longest_silence(self) -> float:
        """Return for how many seconds the event that is worst off has given no sign, 0 without events."""
        return max((sign.silent_seconds() for sign in self._signs), default=0.0)
