"""Notices a worker that has work and does not get on with it, and ends the process rather than idle for ever.

Faust and the group protocol can leave a member without partitions and without an error; a handler can wait
for what never comes; and whatever blocks the event loop stops everything but the heartbeats, which keep the
partitions ours. A restart is safe at any moment, so a stuck worker asks for one: exit status 70.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from mode import Service

from worker.stopping import tell
from worker.stream.delivery.partition import Partition
from worker.stream.exit_status import EXIT_STUCK

_PATIENCE_WITH_ONE: Final = 10
_LOOK_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
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
    event_seconds: float = 0.0
    """For how long the event in work that is worst off has given no sign; to wait for the API is one."""
    unattended: Mapping[Partition, int | None] = field(default_factory=dict)
    """Of the partitions whose first unfinished delivery nobody gets to: up to where a commit is safe."""


class Watch:
    """Judges pulses: stuck is who has work and nothing to show for it, or is not heard of by the group.

    Progress of others does not help one event that gives no sign of life, nor one that nobody gets to: each
    has `_PATIENCE_WITH_ONE` times as long. The probe fails at half of each time, before the process ends.
    """

    def __init__(self, patience: float, silence: float, timer: Callable[[], float]) -> None:
        self.patience = patience
        self._silence = silence
        self._timer = timer
        self._last: tuple[int, int, int] | None = None
        self._since = timer()
        self._standing: dict[Partition, tuple[int | None, float]] = {}
        self._worst, self._spent = "", 0.0

    def flaw(self) -> str | None:
        """Return what had taken half or more of the time allowed at the last pulse, None if nothing had."""
        return self._worst if self._spent >= 0.5 else None  # noqa: PLR2004 - a half

    def stuck(self, pulse: Pulse) -> str | None:
        """Return why the worker is stuck, None while it is not."""
        now = self._timer()
        marks = (pulse.finished, pulse.progress, pulse.recovered)
        if marks != self._last or not pulse.has_work:
            self._last, self._since = marks, now
        stalled, unattended = now - self._since, self._unattended(pulse, now)
        with_one = _PATIENCE_WITH_ONE * self.patience
        shares = {
            f"work on hand and no progress for {stalled:.0f} s": stalled / self.patience,
            f"no answer of the group's coordinator for {pulse.silent_seconds:.0f} s": pulse.silent_seconds
            / self._silence,
            f"an event in work has given no sign of life for {pulse.event_seconds:.0f} s": pulse.event_seconds
            / with_one,
            f"nobody has got to an event of a partition for {unattended:.0f} s": unattended / with_one,
        }
        self._worst, self._spent = max(shares.items(), key=lambda each: each[1])
        return next((reason for reason, share in shares.items() if share >= 1), None)

    def _unattended(self, pulse: Pulse, now: float) -> float:
        """Return for how long the partition that is worst off has been left alone at the same watermark."""
        kept = self._standing
        self._standing = {
            partition: kept[partition] if partition in kept and kept[partition][0] == mark else (mark, now)
            for partition, mark in pulse.unattended.items()
        }
        return max((now - since for _, since in self._standing.values()), default=0.0)


class Blockage:
    """Notices an event loop that does not turn: a thread counts its own seconds since the last turn.

    A process that is frozen as a whole counts none meanwhile, and has time to turn when it wakes up.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._counted = 0.0

    def turned(self) -> None:
        """Take note of a turn of the loop."""
        self._counted = 0.0

    def stuck(self) -> str | None:
        """Count another look of the thread's; return why the worker is stuck, None while it is not."""
        self._counted += _LOOK_SECONDS
        return (
            None if self._counted < self._patience else f"the event loop is blocked for {self._counted:.0f} s"
        )


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
        self._blockage = Blockage(watch.patience)
        self._over = False
        super().__init__(**kwargs)

    async def on_start(self) -> None:
        """Begin to look at the loop from outside."""
        threading.Thread(target=self._look_at_loop, name="watchdog", daemon=True).start()

    async def on_stop(self) -> None:
        """Leave the loop alone."""
        self._over = True

    @Service.timer(_LOOK_SECONDS)
    async def _look(self) -> None:
        self._blockage.turned()
        self._judge(self._watch.stuck(self._pulse()))

    def _look_at_loop(self) -> None:
        while not self._over:
            time.sleep(_LOOK_SECONDS)
            self._judge(self._blockage.stuck())

    def _judge(self, reason: str | None) -> None:
        if reason is not None and not self._over:
            # Not by the loop's own hand: what blocks it may be the log.
            tell(lambda line: log.critical(line, reason=reason), "stuck, asking for a restart")
            self._end(EXIT_STUCK)
