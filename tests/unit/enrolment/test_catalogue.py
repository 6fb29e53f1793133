"""The catalogue in virtual time: when it is read, when it is believed, when it rules out."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.unit.virtual_time import run_in_virtual_time, settle
from worker.domain.answers import (
    CatalogueAnswer,
    CatalogueRead,
    Doubtful,
    Fault,
    FaultKind,
    Misconfigured,
    Throttled,
)
from worker.domain.catalogue import ListedPromotion, Listing, Unread
from worker.domain.plan import Policy
from worker.domain.times import Span
from worker.enrolment.catalogue import Catalogue

NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
REFRESH = 300.0
OURS = ListedPromotion(
    promotion_id=7,
    program_id=3,
    name="Seven",
    status="LIVE",
    offer_type="LOYALTY_EARNING",
    starts_at=None,
    ends_at=NOW + timedelta(days=30),
    capped=None,
)
THEIRS = ListedPromotion(
    promotion_id=8,
    program_id=4,
    name="Eight",
    status="LIVE",
    offer_type="LOYALTY_EARNING",
    starts_at=None,
    ends_at=None,
    capped=None,
)
GENERIC = ListedPromotion(
    promotion_id=9,
    program_id=3,
    name="Nine",
    status="LIVE",
    offer_type="GENERIC",
    starts_at=None,
    ends_at=None,
    capped=None,
)
DOWN = Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")


class _List:
    """Answers as scripted, the last answer again and again, each after `seconds`; notes when it was asked."""

    def __init__(self, answers: Sequence[CatalogueAnswer], seconds: float) -> None:
        self._answers = list(answers)
        self._seconds = seconds
        self.asked_at: list[float] = []

    async def live_promotions(self) -> CatalogueAnswer:
        self.asked_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._seconds)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class _Tracker:
    def __init__(self) -> None:
        self.read: list[tuple[int, int]] = []
        self.failed: list[tuple[Fault, int, float]] = []

    def catalogue_read(self, promotions: int, open_to_us: int) -> None:
        self.read.append((promotions, open_to_us))

    def catalogue_failed(self, fault: Fault, attempt: int, seconds: float) -> None:
        self.failed.append((fault, attempt, seconds))


class _Desk:
    def __init__(self, *answers: CatalogueAnswer, seconds: float = 0.0, jitter: float = 0.0) -> None:
        self.list = _List(answers, seconds)
        self.tracker = _Tracker()
        self.now = NOW
        self.catalogue = Catalogue(
            self.list,
            Policy(program_ids=frozenset({3})),
            self.tracker,
            refresh_seconds=REFRESH,
            timer=lambda: asyncio.get_running_loop().time(),
            sleep=asyncio.sleep,
            jitter=lambda: jitter,
            clock=lambda: self.now,
        )

    def rules_out(self, now: datetime = NOW) -> bool:
        return self.catalogue.rules_out(Span.at(now))


def _with(desk: _Desk, story: Callable[[_Desk], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        keeping = asyncio.create_task(desk.catalogue.keep())
        await story(desk)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

    run_in_virtual_time(run())


@pytest.mark.parametrize(
    ("promotions", "ruled_out"), [((), True), ((THEIRS, GENERIC), True), ((THEIRS, OURS), False)]
)
def test_what_is_ruled_out(promotions: tuple[ListedPromotion, ...], ruled_out: bool) -> None:  # noqa: FBT001 - a table
    """Once the list is read, a lookup is ruled out where we can enrol into none of its promotions."""

    async def story(desk: _Desk) -> None:
        assert not desk.rules_out()
        await settle()
        assert desk.rules_out() is ruled_out
        assert desk.tracker.read == [(len(promotions), int(OURS in promotions))]

    _with(_Desk(CatalogueRead(promotions)), story)


def test_a_promotion_that_ends_between_readings() -> None:
    """The window is judged by the time of the event's handling, not of the reading."""

    async def story(desk: _Desk) -> None:
        desk.rules_out()
        await settle()
        assert not desk.rules_out()
        assert desk.rules_out(NOW + timedelta(days=31))

    _with(_Desk(CatalogueRead((OURS,))), story)


def test_nobody_asks() -> None:
    """Without events the list is not read; the first event after a pause is looked up."""

    async def story(desk: _Desk) -> None:
        await asyncio.sleep(10 * REFRESH)
        assert desk.list.asked_at == []
        desk.rules_out()
        await settle()
        await asyncio.sleep(10 * REFRESH)
        assert len(desk.list.asked_at) == 1
        assert not desk.rules_out()
        await settle()
        assert desk.rules_out()

    _with(_Desk(CatalogueRead(())), story)


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 240.0), (1.0, 210.0)])
def test_it_is_read_before_it_is_stale(jitter: float, pause: float) -> None:
    """With events coming in, the next reading begins early enough for the knowledge to have no gap."""

    async def story(desk: _Desk) -> None:
        desk.rules_out()
        await asyncio.sleep(20)
        for _ in range(int(5 * REFRESH)):
            assert desk.rules_out()
            await asyncio.sleep(1)
        begun = [
            later - sooner for sooner, later in zip(desk.list.asked_at, desk.list.asked_at[1:], strict=False)
        ]
        assert begun == [pause + 10] * len(begun)
        assert len(begun) >= 5

    _with(_Desk(CatalogueRead(()), seconds=10.0, jitter=jitter), story)


def test_stale_knowledge_rules_out_nothing() -> None:
    """What was read is believed for CATALOGUE_REFRESH_SECONDS from the beginning of its reading."""

    async def story(desk: _Desk) -> None:
        desk.rules_out()
        await asyncio.sleep(REFRESH - 0.1)
        assert desk.rules_out()
        await asyncio.sleep(0.2)
        assert not desk.rules_out()

    _with(_Desk(CatalogueRead(()), CatalogueRead(()), seconds=30.0), story)


@pytest.mark.parametrize("fault", [DOWN, Misconfigured("2010 Program ID incorrect"), Throttled(None)])
def test_a_failed_reading_rules_out_nothing(fault: Fault) -> None:
    """A reading that fails takes the knowledge of the one before with it."""

    async def story(desk: _Desk) -> None:
        desk.rules_out()
        await settle()
        assert desk.rules_out()
        await asyncio.sleep(0.85 * REFRESH)
        assert not desk.rules_out()
        assert desk.tracker.failed[0][:2] == (fault, 1)

    _with(_Desk(CatalogueRead(()), fault), story)


def test_failed_readings_are_repeated_ever_later() -> None:
    """A failing list is asked again soon, then as rarely as a good one; a Retry-After is obeyed."""

    async def story(desk: _Desk) -> None:
        for _ in range(4000):
            assert not desk.rules_out()
            await asyncio.sleep(1)
        assert [attempt for _, attempt, _ in desk.tracker.failed] == list(
            range(1, len(desk.tracker.failed) + 1)
        )
        seconds = [seconds for _, _, seconds in desk.tracker.failed]
        assert seconds[:9] == [2.0, 4.0, 900.0, 16.0, 32.0, 64.0, 128.0, 240.0, 240.0]

    _with(_Desk(DOWN, DOWN, Throttled(900.0), DOWN), story)


def test_a_reading_that_holds_is_waited_for() -> None:
    """Also after a pause without events; all that come meanwhile wait for one request."""

    async def story(desk: _Desk) -> None:
        for _ in range(2):
            asked = len(desk.list.asked_at)
            await asyncio.gather(*(desk.catalogue.hold() for _ in range(9)))
            assert isinstance(desk.catalogue.listing(), Listing)
            assert len(desk.list.asked_at) == asked + 1
            # Until the reading is out of date that the last question led to.
            await asyncio.sleep(3 * REFRESH)

    _with(_Desk(CatalogueRead((OURS,)), seconds=3.0), story)


def test_a_list_that_is_slower_than_its_refresh_is_waited_for_once() -> None:
    """No reading ever holds: events ask, and do not wait for ever."""

    async def story(desk: _Desk) -> None:
        for _ in range(3):
            await asyncio.wait_for(desk.catalogue.hold(), 5 * REFRESH)
            assert isinstance(desk.catalogue.listing(), Unread)

    _with(_Desk(CatalogueRead((OURS,)), seconds=2 * REFRESH), story)


def test_a_list_that_asks_for_patience_is_not_read_for_a_change() -> None:
    """A Retry-After is kept, however often the list is said to have changed."""

    async def story(desk: _Desk) -> None:
        await desk.catalogue.hold()
        for _ in range(60):
            desk.catalogue.changed(NOW)
            await asyncio.sleep(9)
        assert len(desk.list.asked_at) == 1

    _with(_Desk(Throttled(600.0)), story)


def test_a_list_that_cannot_be_read_is_not_waited_for() -> None:
    """One failure is waited for, and no other; once it is read again it is waited for again."""

    async def story(desk: _Desk) -> None:
        await desk.catalogue.hold()
        assert isinstance(desk.catalogue.listing(), Unread)
        began = asyncio.get_running_loop().time()
        await desk.catalogue.hold()
        assert asyncio.get_running_loop().time() == began
        await asyncio.sleep(60)
        assert isinstance(desk.catalogue.listing(), Listing)
        await asyncio.sleep(2 * REFRESH)
        await desk.catalogue.hold()
        assert isinstance(desk.catalogue.listing(), Listing)

    _with(_Desk(DOWN, CatalogueRead((OURS,)), seconds=3.0), story)


def test_a_list_that_is_said_to_have_changed_is_read_again_at_once() -> None:
    """However often it is said, ever more seldom; what was read since is not read again."""

    async def story(desk: _Desk) -> None:
        await desk.catalogue.hold()
        await asyncio.sleep(10)
        desk.now = NOW + timedelta(seconds=10)
        desk.catalogue.changed(NOW - timedelta(seconds=1))
        await asyncio.sleep(5)
        assert len(desk.list.asked_at) == 1
        began = asyncio.get_running_loop().time()
        for _ in range(1200):
            desk.catalogue.changed(desk.now)
            await asyncio.sleep(0.5)
        assert desk.list.asked_at[1] == began
        assert len(desk.list.asked_at) < 12
        await asyncio.sleep(REFRESH)
        asked = len(desk.list.asked_at)
        desk.now = NOW + timedelta(seconds=60)
        await desk.catalogue.hold()
        await asyncio.sleep(20)
        desk.catalogue.changed(NOW)
        await asyncio.sleep(5)
        assert len(desk.list.asked_at) == asked

    _with(_Desk(CatalogueRead((OURS,))), story)


def test_a_promotion_that_was_gone_for_a_while_came_back() -> None:
    """Who was looked up while it was not active may not have been shown it; what is first seen is not new."""

    async def story(desk: _Desk) -> None:
        seen = []
        for number in range(2):
            await desk.catalogue.hold()
            # Between this reading and the next one, which the question leads to.
            desk.now = NOW + (number + 1) * timedelta(hours=1)
            listing = desk.catalogue.listing()
            assert isinstance(listing, Listing)
            seen.append((listing.has_back(NOW - timedelta(days=9)), listing.has_back(desk.now)))
            await asyncio.sleep(3 * REFRESH)
        assert seen == [(False, False), (True, False)]

    _with(_Desk(CatalogueRead((OURS,)), CatalogueRead(()), CatalogueRead((OURS,))), story)
