"""Events of a window of time handled once more, by one process, with the group's ledger as memory.

The group's committed offsets are set to where the window begins, records behind its end are held, and when
all within it is done the offsets go back to where they were, so that the group's work goes on from there. A
replay that is interrupted leaves them within the window: the group's next run then handles the rest of it,
and what comes after it, once more, which the ledger makes harmless.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from mode import Service

from topics.record import Record
from worker.settings import Settings
from worker.stream.health.status import Status
from worker.stream.member_note import MemberNote
from worker.stream.replay_window import Replay, Window, close_window, find_window, open_window

HELD_SECONDS: Final = 86_400.0
"""How long a record behind the window is held; then it is looked at, and held again."""
_LOOK_SECONDS: Final = 0.3

log = structlog.get_logger(__name__)


class Replaying:
    """A replay under way; without a window everything goes on as ever."""

    def __init__(self, settings: Settings, window: Window | None) -> None:
        self._settings = settings
        self._window = window
        self._finish: FinishLine | None = None

    @classmethod
    async def begin(cls, settings: Settings, replay: Replay | None, note: MemberNote) -> "Replaying":
        """Look where the window lies, if there is one; raises KafkaFailed if that cannot be right."""
        return cls(settings, None if replay is None else await find_window(settings, replay, note))

    async def rewind(self) -> None:
        """Let the group begin where the window does."""
        if self._window is not None:
            await open_window(self._settings, self._window)

    def seconds_to_wait(self, record: Record) -> float:
        """Return how long a record is held because it lies behind the window."""
        return HELD_SECONDS if self._window is not None and self._window.is_behind(record.position) else 0.0

    def services(self, status: Status, finish: Callable[[], object]) -> list[Service]:
        """Return what has to run beside the application; `finish` ends that once all is done."""
        window = self._window
        if window is None:
            return []
        self._finish = FinishLine(lambda: status.is_past(window.topic, window.ends), finish)
        return [self._finish]

    def ended(self, status: int) -> int:
        """Put the group's offsets back if the replay got to its end; return the process's exit status."""
        if self._window is not None and self._finish is not None and self._finish.reached and status == 0:
            asyncio.run(close_window(self._settings, self._window))
        return status


class FinishLine(Service):
    """Ends the process once all events of the window are done."""

    def __init__(
        self,
        is_done: Callable[[], bool],
        end: Callable[[], object],
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        self._is_done = is_done
        self._end = end
        self.reached = False
        super().__init__(**kwargs)

    @Service.timer(_LOOK_SECONDS)
    async def _look(self) -> None:
        if not self.reached and self._is_done():
            self.reached = True
            log.info("all events of the window are done")
            self._end()
