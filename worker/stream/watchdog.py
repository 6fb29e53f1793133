"""Notices a worker that has work and does not get on with it, and ends the process rather than idle for ever.

Faust and the group protocol can leave a member without partitions and without an error. A restart is safe at
any moment, so a stuck worker asks for one: exit status 70.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from mode import Service

from worker.stream.lanes import Partition

EXIT_STUCK: Final = 70
_WATERMARK_PATIENCE: Final = 10

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
    watermarks: Mapping[Partition, int | None] = field(default_factory=dict)
    """Of the partitions with unfinished deliveries: up to where a commit is safe."""
    waits: bool = False
    """Whether what is in work waits for the API's sake: an outage, its pace."""


class Watch:
    """Judges pulses: stuck is who has work and nothing to show for it, or is not heard of by the group.

    Progress of others does not help a partition whose watermark one hung event holds back: it has
    `_WATERMARK_PATIENCE` times as long. The probe fails at half of each time, before the process ends.
    """

    def __init__(self, patience: float, silence: float, timer: Callable[[], float]) -> None:
        self._patience = patience
        self._silence = silence
        self._timer = timer
        self._last: tuple[int, int, int] | None = None
        self._since = timer()
        self._standing: dict[Partition, tuple[int | None, float]] = {}
        self._spent = 0.0

    @property
    def live(self) -> bool:
        """Whether no time allowed was spent by half or more when the last pulse was taken."""
        return self._spent < 0.5  # noqa: PLR2004 - a half

    def stuck(self, pulse: Pulse) -> str | None:
        """Return why the worker is stuck, None while it is not."""
        now = self._timer()
        marks = (pulse.finished, pulse.progress, pulse.recovered)
        if marks != self._last or not pulse.has_work:
            self._last, self._since = marks, now
        stalled, held_back = now - self._since, self._held_back(pulse, now)
        shares = {
            f"work on hand and no progress for {stalled:.0f} s": stalled / self._patience,
            f"no answer of the group's coordinator for {pulse.silent_seconds:.0f} s": pulse.silent_seconds
            / self._silence,
            f"a partition's watermark has not moved for {held_back:.0f} s": held_back
            / (_WATERMARK_PATIENCE * self._patience),
        }
        self._spent = max(shares.values())
        return next((reason for reason, share in shares.items() if share >= 1), None)

    def _held_back(self, pulse: Pulse, now: float) -> float:
        """Return for how long the partition that is worst off has had the same watermark."""
        kept = {} if pulse.waits else self._standing
        self._standing = {
            partition: kept[partition] if partition in kept and kept[partition][0] == mark else (mark, now)
            for partition, mark in pulse.watermarks.items()
        }
        return max((now - since for _, since in self._standing.values()), default=0.0)


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
