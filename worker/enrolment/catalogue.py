"""Keeps what the promotion list says, and rules out lookups that cannot find anything.

Every replica reads the list for itself: it is one request for up to 100 live promotions, and sharing it
would take a topic and a leader. A replica that has no events asks nothing, so idle ones cost nothing.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from worker.domain.answers import CatalogueRead, Fault, Throttled
from worker.domain.catalogue import ListedPromotion, may_be_open, may_enrol_into
from worker.domain.plan import Policy
from worker.domain.times import Span
from worker.enrolment.ports import CatalogueTracker, PromotionList
from worker.timing import Sleep

_SHARE: Final = 0.8
"""Of the time that a reading is believed, after which the next one begins; with jitter, so that replicas
that started together do not ask together."""
_JITTER_SHARE: Final = 0.1
_LONGEST_DOUBLING: Final = 16


def nothing_ruled_out(_now: Span) -> bool:
    """Return False: there is no catalogue, every event is looked up."""
    return False


@dataclass(frozen=True, slots=True)
class _Reading:
    candidates: tuple[ListedPromotion, ...]
    began_at: float


class Catalogue:
    """What the list said last, believed for `refresh_seconds` from the beginning of its reading.

    `timer` counts seconds, also those for which the machine sleeps.
    """

    def __init__(
        self,
        api: PromotionList,
        policy: Policy,
        tracker: CatalogueTracker,
        *,
        refresh_seconds: float,
        timer: Callable[[], float],
        sleep: Sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._policy = policy
        self._tracker = tracker
        self._refresh_seconds = refresh_seconds
        self._timer = timer
        self._sleep = sleep
        self._jitter = jitter
        self._reading: _Reading | None = None
        self._asked = asyncio.Event()
        self._failures = 0

    def rules_out(self, now: Span) -> bool:
        """Tell whether a lookup certainly finds nothing to enrol into; False on any doubt. Never waits."""
        self._asked.set()
        reading = self._reading
        if reading is None or self._timer() - reading.began_at >= self._refresh_seconds:
            return False
        return not any(may_be_open(promotion, now) for promotion in reading.candidates)

    async def keep(self) -> None:
        """Read the list again and again, as long as somebody asks; runs until it is cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._sleep(await self._read())

    async def _read(self) -> float:
        """Read the list once; return after how many seconds to do it again."""
        began_at = self._timer()
        answer = await self._api.live_promotions()
        if isinstance(answer, CatalogueRead):
            candidates = tuple(p for p in answer.promotions if may_enrol_into(p, self._policy))
            self._reading = _Reading(candidates, began_at)
            self._failures = 0
            self._tracker.catalogue_read(len(answer.promotions), len(candidates))
            return self._pause()
        self._reading = None
        self._failures += 1
        seconds = self._pause_after(answer)
        self._tracker.catalogue_failed(answer, self._failures, seconds)
        return seconds

    def _pause(self) -> float:
        return self._refresh_seconds * (_SHARE - _JITTER_SHARE * self._jitter())

    def _pause_after(self, fault: Fault) -> float:
        """Try again soon at first, in the end as often as after a success."""
        backoff = min(self._pause(), 2.0 ** min(self._failures, _LONGEST_DOUBLING))
        asked_for = fault.retry_after or 0.0 if isinstance(fault, Throttled) else 0.0
        return max(backoff, asked_for)
