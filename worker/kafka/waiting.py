"""A start that waits for Kafka: what fails in passing is tried again, within one time for the whole start."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from worker.kafka.errors import KafkaAway, KafkaFailed, KafkaTooSmall, KafkaUnsure
from worker.settings import SettingsError

_AGAIN_SECONDS: Final = 1.0
_LINE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1
_LET_GO_SECONDS: Final = 5.0
_TOO_SMALL_SECONDS: Final = 20.0
"""How long brokers that come up for the first time may lack, until a setting counts as bad."""
_ANSWERS: Final = 3
"""So often in a row an answer must come that a cluster that has just started may give too."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class ToldToStop(Exception):  # noqa: N818 - reads as what happened
    """The process is to stop before Kafka has answered."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a start waits for; `str` is one line."""

    step: str
    why: str
    waited_seconds: float
    left_seconds: float

    def __str__(self) -> str:
        return f"waiting for Kafka, to {self.step}: {self.why}"


@dataclass(slots=True, kw_only=True)
class StartWait:
    """The time that one start may spend waiting, over all of its steps. One step at a time, of any thread."""

    seconds: float
    """The longest wait; 0 to try each step once."""
    servers: str
    timer: Callable[[], float] = time.monotonic
    spent: float = 0.0
    """What earlier steps have waited."""
    waiting: Waiting | None = None
    """What is waited for now, None while Kafka answers."""

    async def through(
        self,
        step: str,
        attempt: Callable[[], Awaitable[T]],
        is_told: Callable[[], bool] = _never,
        *,
        silence: str | None = None,
        at_least: float = 0.0,
    ) -> T:
        """Return what `attempt` does in the end; it is made again for as long as it fails in passing.

        `step` says what for, after "to"; `silence` what is wrong when nothing comes of an attempt. The step
        has `at_least` so many seconds. Raises KafkaFailed, or SettingsError, at once if waiting mends
        nothing, else once the time is over, with how long that was; ToldToStop soon after `is_told`.
        """
        silent = KafkaAway(silence or f"Kafka at {self.servers} gives no answer")
        trial = _Trial(self, step, is_told, silent, at_least)
        try:
            while True:
                try:
                    result = await trial.watched(attempt)
                except (KafkaAway, KafkaUnsure) as error:
                    await trial.failed(error)
                else:
                    trial.done()
                    return result
        finally:
            self.waiting = None


class _Trial:
    """One step: its attempts, and what is told of them."""

    def __init__(
        self, start: StartWait, step: str, is_told: Callable[[], bool], silent: KafkaAway, at_least: float
    ) -> None:
        self._silent = silent
        self._at_least = at_least
        self._start = start
        self._step = step
        self._is_told = is_told
        self._began = start.timer()
        self._told_at: float | None = None
        self._error: KafkaFailed | None = None
        self._since = self._began
        """When the first error of this kind came."""
        self._unsure = 0

    async def watched(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make an attempt, and tell meanwhile what is waited for."""
        task = asyncio.ensure_future(attempt())
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_LOOK_SECONDS)
                if not task.done():
                    self._look()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_LET_GO_SECONDS)
            if task.done() and not task.cancelled():
                # Asked for, or asyncio tells of an exception that nobody has asked for.
                task.exception()

    async def failed(self, error: KafkaFailed) -> None:
        """Wait a moment, or raise what ends the start."""
        self._unsure = self._unsure + 1 if isinstance(error, KafkaUnsure) else 0
        if not self._start.seconds or self._unsure >= _ANSWERS:
            raise SettingsError((str(error),)) if isinstance(error, KafkaTooSmall) else error
        is_same = type(self._error) is type(error)
        self._error, self._since = error, self._since if is_same else self._start.timer()
        again_at = self._start.timer() + _AGAIN_SECONDS
        while self._start.timer() < again_at:
            self._look()
            await asyncio.sleep(_LOOK_SECONDS)

    def done(self) -> None:
        """Count what was spent."""
        waited = self._start.timer() - self._began
        if self._error is not None:
            self._start.spent += waited
        if self._told_at is not None:
            log.info("Kafka answers, the start goes on", step=self._step, waited_seconds=round(waited))

    def _look(self) -> None:
        """Tell what is waited for; raises what ends the wait."""
        if self._is_told():
            raise ToldToStop
        waited = self._start.timer() - self._began
        if not self._start.seconds or (self._error is None and waited < _LINE_SECONDS):
            return
        error = self._error or self._silent
        spent = self._start.spent + waited
        left = max(self._start.seconds - spent, self._at_least - waited)
        if isinstance(error, KafkaTooSmall):
            left = min(left, self._since + _TOO_SMALL_SECONDS - self._start.timer())
        if left <= 0:
            raise _over(error, f"waited {spent:.0f} s for Kafka, to {self._step}: {error}")
        self._start.waiting = Waiting(
            step=self._step, why=str(error), waited_seconds=spent, left_seconds=left
        )
        is_due = self._told_at is None or waited - self._told_at >= _LINE_SECONDS
        if is_due and not isinstance(error, KafkaUnsure):
            self._told_at = waited
            log.warning(
                "the start waits for Kafka",
                servers=self._start.servers,
                step=self._step,
                why=str(error),
                waited_seconds=round(spent),
                left_seconds=round(left),
            )


def _over(error: KafkaFailed, line: str) -> KafkaFailed | SettingsError:
    """Return what a start ends with that has waited long enough."""
    return SettingsError((line,)) if isinstance(error, KafkaTooSmall) else KafkaFailed(line)
