"""What can be seen of a run while it goes on."""

import time
from typing import Final

from aiokafka.errors import KafkaError

from tests.crash.api import Api
from tests.crash.owed import Json
from tests.support.e2e.lab import Stage
from tests.support.e2e.worker_process import WorkerProcess

_WATCH_SECONDS: Final = 1.0


class Outlook:
    """Follows the outcomes, and collects the overlaps of which the simulator shows only the last ones."""

    def __init__(self, stage: Stage, api: Api) -> None:
        self._stage = stage
        self._api = api
        self._settled: set[str] = set()
        self._last: dict[tuple[str, int | None], str] = {}
        self._read = 0
        self._overlaps: dict[tuple[int, int], Json] = {}
        self._watched_at = 0.0

    @property
    def settled(self) -> set[str]:
        """The events that had an outcome, other than DEFERRED, at the last look."""
        return self._settled

    @property
    def told(self) -> int:
        """How many outcomes there were at the last look, repeats and all: events handled again tell again."""
        return self._read

    def count(self, *names: str) -> int:
        """Return how many promotions of events had such an outcome last, at the last look."""
        return sum(name in names for name in self._last.values())

    @property
    def overlaps(self) -> list[Json]:
        """The overlaps of requests at the simulator."""
        self._watch()
        return list(self._overlaps.values())

    def look(self) -> int:
        """Read what is new; return how many events are settled. Sees nothing new while the broker is away."""
        try:
            outcomes = self._stage.outcomes.read()
        except (KafkaError, TimeoutError):
            return len(self._settled)
        for outcome in outcomes[self._read :]:
            if outcome.name != "DEFERRED":
                self._settled.add(outcome.event_id)
            promotion = outcome.value.get("promotionId")
            self._last[outcome.event_id, promotion] = outcome.name
            if promotion is not None:
                # The event as a whole could not be handled at first: now it is.
                self._last.pop((outcome.event_id, None), None)
        self._read = len(outcomes)
        if time.monotonic() - self._watched_at > _WATCH_SECONDS:
            self._watch()
        return len(self._settled)

    def _watch(self) -> None:
        self._watched_at = time.monotonic()
        for one in self._api.get("/watch")["overlaps"]:
            self._overlaps[one["earlier"]["number"], one["later"]["number"]] = one


def in_flight(worker: WorkerProcess) -> int:
    """Return how many events the worker has in flight, 0 where it does not answer."""
    try:
        return int(worker.metric("enrolment_in_flight"))
    except OSError:
        return 0
