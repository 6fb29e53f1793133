"""Keeps what the promotion list says, and rules out lookups that cannot find anything.

Every replica reads the list for itself: it is one request for up to 100 live promotions, and sharing it
would take a topic and a leader. A replica that has no events asks nothing, so idle ones cost nothing.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from worker.domain.answers import CatalogueRead, Fault, Throttled
from worker.domain.catalogue import Listing, NotAsked, Unread
from worker.domain.plan import Policy
from worker.domain.times import Span
from worker.enrolment.ports import CatalogueTracker, PromotionList
from worker.signs import Sign, waiting_for
from worker.timing import Clock, Sleep, utc_now

_SHARE: Final = 0.8
"""Of the time that a reading is believed, after which the next one begins; with jitter, so that replicas
that started together do not ask together."""
_JITTER_SHARE: Final = 0.1
_LONGEST_DOUBLING: Final = 16
_LEAST_PAUSE_SECONDS: Final = 1.0
"""Between two readings, however many promotions are said to have changed."""


class Lists(Protocol):
    """What the promotion list says, as far as anybody reads it."""

    def rules_out(self, now: Span) -> bool:
        """Tell whether a lookup certainly finds nothing to enrol into; False on any doubt. Never waits."""
        ...

    def listing(self) -> Listing | Unread | NotAsked:
        """Return the reading that holds. Never waits."""
        ...

    async def hold(self) -> None:
        """Wait until a reading holds, or until it shows that the list cannot be read now."""
        ...

    def changed(self, at: datetime) -> None:
        """Hear that the list has changed at that time: it is read again soon, unless it was read since."""
        ...


class NoCatalogue:
    """Nobody reads the list: nothing is ruled out. Implements Lists."""

    def rules_out(self, now: Span) -> bool:  # noqa: ARG002 - the port's
        """Return False: every event is looked up."""
        return False

    def listing(self) -> Listing | Unread | NotAsked:
        """Say that nobody asked."""
        return NotAsked()

    async def hold(self) -> None:
        """Wait for nothing."""

    def changed(self, at: datetime) -> None:
        """Read nothing."""


@dataclass(frozen=True, slots=True)
class _Reading:
    listing: Listing
    began_at: float
    began: datetime


class Catalogue:
    """What the list said last, believed for `refresh_seconds` from the beginning of its reading.

    `timer` counts seconds, also those for which the machine sleeps.
    """

    def __init__(  # noqa: PLR0913 - the list, and time in all its forms
        self,
        api: PromotionList,
        policy: Policy,
        tracker: CatalogueTracker,
        *,
        refresh_seconds: float,
        timer: Callable[[], float],
        sleep: Sleep,
        jitter: Callable[[], float] = random.random,
        clock: Clock = utc_now,
    ) -> None:
        self._api = api
        self._policy = policy
        self._tracker = tracker
        self._refresh_seconds = refresh_seconds
        self._timer = timer
        self._sleep = sleep
        self._jitter = jitter
        self._clock = clock
        self._reading: _Reading | None = None
        self._asked = asyncio.Event()
        self._wanted = asyncio.Event()
        """Set if it is to be read before its time."""
        self._early = 0
        """Readings before their time, in a row."""
        self._is_resting = False
        self._last: frozenset[int] | None = None
        """What the last complete reading had."""
        self._came_back: dict[int, datetime] = {}
        self._read_once_more = asyncio.Event()
        """Set, and at once a new one, whenever a reading has ended."""
        self._failures = 0
        self._sign = Sign()
        """Of the reading: whoever waits for it is as alive."""

    def rules_out(self, now: Span) -> bool:
        """Tell whether a lookup certainly finds nothing to enrol into; False on any doubt. Never waits."""
        listing = self.listing()
        return isinstance(listing, Listing) and listing.rules_out(now)

    def listing(self) -> Listing | Unread:
        """Return the reading that holds. Never waits."""
        self._asked.set()
        reading = self._reading
        if reading is None or self._timer() - reading.began_at >= self._refresh_seconds:
            return Unread()
        return reading.listing

    async def hold(self) -> None:
        """Wait until a reading holds, or until it shows that the list cannot be read now.

        After a pause without events the reading is out of date: one request for the list, and all events that
        come meanwhile wait for it.
        """
        if isinstance(self.listing(), Unread) and not (self._failures or self._is_resting):
            # One reading at most: with a list that is slower than its refresh none would ever hold.
            ended = self._read_once_more
            with waiting_for(self._sign.silent_seconds):
                await ended.wait()

    def changed(self, at: datetime) -> None:
        """Hear that the list has changed at that time: it is read again soon, unless it was read since."""
        if self._reading is None or at >= self._reading.began:
            self._asked.set()
            self._wanted.set()

    async def keep(self) -> None:
        """Read the list again and again, as long as somebody asks; runs until it is cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._wanted.clear()
            seconds = await self._read()
            ended, self._read_once_more = self._read_once_more, asyncio.Event()
            ended.set()
            await self._rest(seconds)

    async def _rest(self, seconds: float) -> None:
        """Wait so long, or until the list is said to have changed; after a failure as long as it asks for."""
        self._is_resting = True
        try:
            # A failure has its own pause, and many changes in a row are read ever more seldom.
            doubled = _LEAST_PAUSE_SECONDS * 2.0 ** min(self._early, _LONGEST_DOUBLING)
            least = seconds if self._failures else min(seconds, doubled)
            await self._sleep(least)
            await self._rest_or_be_wanted(seconds - least)
        finally:
            self._is_resting = False
        self._early = self._early + 1 if self._wanted.is_set() else 0

    async def _rest_or_be_wanted(self, seconds: float) -> None:
        rest = asyncio.ensure_future(self._sleep(seconds))
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait((rest, wanted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            rest.cancel()
            wanted.cancel()

    async def _read(self) -> float:
        """Read the list once; return after how many seconds to do it again."""
        began_at, began = self._timer(), self._clock()
        self._sign = Sign()
        with self._sign.covers():
            answer = await self._api.live_promotions()
        if isinstance(answer, CatalogueRead):
            listing = Listing.of(answer.promotions, self._policy)
            listing = replace(listing, came_back=self._note_returns(listing, began))
            self._reading = _Reading(listing, began_at, began)
            self._failures = 0
            self._tracker.catalogue_read(len(answer.promotions), len(listing.candidates))
            return self._pause()
        self._reading = None
        self._failures += 1
        seconds = self._pause_after(answer)
        self._tracker.catalogue_failed(answer, self._failures, seconds)
        return seconds

    def _note_returns(self, listing: Listing, began: datetime) -> Mapping[int, datetime]:
        """Return what was not there in a reading before; what this process saw first need not be new."""
        live = frozenset(each.promotion_id for each in listing.candidates)
        if self._last is not None:
            news = dict.fromkeys(live - self._last, began)
            self._came_back = {key: at for key, at in self._came_back.items() if key in live} | news
        self._last = live
        return self._came_back

    def _pause(self) -> float:
        return self._refresh_seconds * (_SHARE - _JITTER_SHARE * self._jitter())

    def _pause_after(self, fault: Fault) -> float:
        """Try again soon at first, in the end as often as after a success."""
        backoff = min(self._pause(), 2.0 ** min(self._failures, _LONGEST_DOUBLING))
        asked_for = fault.retry_after or 0.0 if isinstance(fault, Throttled) else 0.0
        return max(backoff, asked_for)
