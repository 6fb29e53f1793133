"""Lines that a library writes again and again: aiokafka writes a hundred a second while Kafka is away."""

import logging
import time
from collections.abc import Callable, Hashable
from typing import Final

_CHATTERS: Final = "aiokafka"
_SECONDS: Final = 10.0
_MOST_KINDS: Final = 1_000


class Quiet:
    """Knows what was said of late, and counts how often it was kept quiet since."""

    def __init__(self, seconds: float, timer: Callable[[], float]) -> None:
        """Say each thing once in so many seconds; `timer` counts seconds and only grows."""
        self._seconds = seconds
        self._timer = timer
        self._said: dict[Hashable, tuple[float, int]] = {}

    def __len__(self) -> int:
        """How many things are remembered."""
        return len(self._said)

    def unsaid(self, what: Hashable) -> int | None:
        """Return how often this was kept quiet since it was said last, None if it still is to be."""
        said_at, since = self._said.get(what, (float("-inf"), 0))
        now = self._timer()
        if now - said_at < self._seconds:
            self._said[what] = said_at, since + 1
            return None
        self._said[what] = now, 0
        return since

    def forget(self, what: Hashable) -> None:
        """Let it be said at once the next time."""
        self._said.pop(what, None)

    def forget_all(self) -> None:
        """Let everything be said at once the next time."""
        self._said.clear()


class Repetitions(logging.Filter):
    """Lets one line of a kind pass in ten seconds, and then says how many there were meanwhile.

    Lines are of one kind if logger, level and text without its values are the same.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """`timer` counts seconds and only grows."""
        super().__init__(_CHATTERS)
        self._quiet = Quiet(_SECONDS, timer)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written."""
        if not super().filter(record):
            return True
        if len(self._quiet) > _MOST_KINDS:
            # Some texts come with their values filled in.
            self._quiet.forget_all()
        unsaid = self._quiet.unsaid((record.name, record.levelno, str(record.msg)))
        if unsaid is None:
            return False
        if unsaid:
            record.msg = f"{record.msg} ({unsaid} like it meanwhile)"
        return True
