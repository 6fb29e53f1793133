"""Notices a worker that has work and does not get on with it, and ends the process rather than idle for ever.

Faust and the group protocol can leave a member without partitions and without an error. A restart is safe at
any moment, so a stuck worker asks for one: exit status 70.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from mode import Service

EXIT_STUCK: Final = 70

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What can be seen of the worker at one moment."""

    finished: int
    """Events brought to their end so far."""
    progress: int
    """Signs of life within events: requests that ended, calls repeated (waiting out an outage is one)."""
    recovered: int
    """Ledger entries read back so far, while it is rebuilt."""
    has_work: bool
    silent_seconds: float
    """How long ago the group's coordinator last answered."""


class Watch:
    """Judges pulses: stuck is who has work and nothing to show for it, or is not heard of by the group."""

    def __init__(self, patience: float, silence: float, timer: Callable[[], float]) -> None:
        self._patience = patience
        self._silence = silence
        self._timer = timer
        self._last: tuple[int, int, int] | None = None
        self._since = timer()
        self._stalled = 0.0

    @property
    def live(self) -> bool:
        """Whether there is no work without progress for half of the patience or longer."""
        return self._stalled < self._patience / 2

    def stuck(self, pulse: Pulse) -> str | None:
        """Return why the worker is stuck, None while it is not."""
        now = self._timer()
        marks = (pulse.finished, pulse.progress, pulse.recovered)
        if marks != self._last or not pulse.has_work:
            self._last, self._since = marks, now
        self._stalled = now - self._since
        if self._stalled >= self._patience:
            return f"work on hand and no progress for {self._stalled:.0f} s"
        if pulse.silent_seconds >= self._silence:
            return f"no answer of the group's coordinator for {pulse.silent_seconds:.0f} s"
        return None


class Watchdog(Service):
    """Takes the pulse every second; ends the process with 70 when it is stuck."""

    def __init__(
        self,
        watch: Watch,
        pulse: Callable[[], Pulse],
        end: Callable[[int], Any] = os._exit,
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        self._watch = watch
        self._pulse = pulse
        self._end = end
        super().__init__(**kwargs)

    @Service.timer(1.0)
    async def _look(self) -> None:
        reason = self._watch.stuck(self._pulse())
        if reason is not None:
            log.critical("stuck, asking for a restart", reason=reason)
            self._end(EXIT_STUCK)
