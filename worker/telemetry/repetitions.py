"""Lines that a library writes again and again: aiokafka writes a hundred a second while Kafka is away."""

import logging
import time
from collections.abc import Callable
from typing import Final

_CHATTERS: Final = "aiokafka"
_SECONDS: Final = 10.0
_MOST_KINDS: Final = 1_000


class Repetitions(logging.Filter):
    """Lets one line of a kind pass in ten seconds, and then says how many there were meanwhile.

    Lines are of a kind where logger, level and text without its values are the same.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """`timer` counts seconds and only grows."""
        super().__init__(_CHATTERS)
        self._timer = timer
        self._passed: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written."""
        if not super().filter(record):
            return True
        kind, now = (record.name, record.levelno, str(record.msg)), self._timer()
        passed_at, unsaid = self._passed.get(kind, (float("-inf"), 0))
        if now - passed_at < _SECONDS:
            self._passed[kind] = passed_at, unsaid + 1
            return False
        if len(self._passed) > _MOST_KINDS:
            # Some texts come with their values filled in.
            self._passed.clear()
        self._passed[kind] = now, 0
        if unsaid:
            record.msg = f"{record.msg} ({unsaid} like it meanwhile)"
        return True
