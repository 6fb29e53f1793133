"""What is owed to customers: each rule, at its edges."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.crash.events import Fed
from tests.crash.owed import Handled, Promise, Served, Window, enrolled_again, handled, owed, served_since

_OPENS = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
_NOBODY = Served(since={}, for_good=frozenset())
_PROMISE = Promise(alone=timedelta(seconds=20), all=timedelta(seconds=3), slack=timedelta(seconds=2))
_TO_ALL = Window(promotion_id=7, since=_OPENS)
_TO_ONE = Window(promotion_id=7, since=_OPENS, customer_id=1)


def _at(seconds: float) -> datetime:
    return _OPENS + timedelta(seconds=seconds)


def _told(
    first: float, last: float | None = None, looked_up: float | None = None, *, number: int = 0
) -> Handled:
    return Handled(
        number=number,
        looked_up=None if looked_up is None else _at(looked_up),
        told=_at(first),
        last_told=_at(first if last is None else last),
    )


def _served(since: float | None = None, *, for_good: bool = True) -> Served:
    pairs = {} if since is None else {(1, 7): _at(since)}
    return Served(since=pairs, for_good=frozenset(pairs) if for_good else frozenset())


def _owed(
    *events: Handled, window: Window = _TO_ALL, promise: Promise | None = _PROMISE, served: Served = _NOBODY
) -> bool:
    return list(owed({1: events}, [window], promise, served)) == [(1, 7)]


@pytest.mark.parametrize(
    ("window", "told", "is_owed"),
    [(_TO_ALL, 5.1, True), (_TO_ALL, 4.9, False), (_TO_ONE, 22.1, True), (_TO_ONE, 21.9, False)],
)
def test_without_a_lookup_it_may_be_found_as_late_as_is_promised(
    window: Window, told: float, *, is_owed: bool
) -> None:
    """What is open to all, as late as the list is read; to one alone, as long as a lookup is trusted."""
    assert _owed(_told(told), window=window) is is_owed


@pytest.mark.parametrize(("found", "is_owed"), [(30, False), (31.9, False), (32.1, True)])
def test_what_is_found_too_late_was_owed_all_the_same(found: float, *, is_owed: bool) -> None:
    """Each event counts, not the last alone: what it missed may be found by one that is looked up."""
    assert _owed(_told(30), _told(33, looked_up=32.5), served=_served(found)) is is_owed


@pytest.mark.parametrize("window", [_TO_ALL, _TO_ONE])
@pytest.mark.parametrize(("looked_up", "is_owed"), [(0.1, True), (-0.1, False)])
def test_a_lookup_finds_what_is_open(window: Window, looked_up: float, *, is_owed: bool) -> None:
    """At once, whatever is promised; what opens after it may be missed for as long as the event takes."""
    assert _owed(_told(30, looked_up=looked_up), window=window) is is_owed


def test_a_lookup_after_the_outcome_shows_what_was_missed() -> None:
    """An event that was known may be looked up by a replay; that asks for nothing more, nor for less."""
    assert not _owed(_told(4, looked_up=30), _told(4))
    assert _owed(_told(30, looked_up=60), served=_served(61))


@pytest.mark.parametrize(("looked_up", "is_owed"), [(None, True), (0.1, True), (-0.1, False)])
def test_without_a_promise_each_event_is_looked_up(looked_up: float | None, *, is_owed: bool) -> None:
    """One that was not is a fault, however early it was told."""
    assert _owed(_told(-5, looked_up=looked_up), promise=None) is is_owed


@pytest.mark.parametrize("promise", [None, _PROMISE])
def test_the_last_event_that_was_looked_up_counts(promise: Promise | None) -> None:
    """An earlier one may have come too early, and what it missed is found by the last."""
    early, late = _told(-5, looked_up=-6), _told(30, looked_up=29)
    assert _owed(early, late, promise=promise)
    assert not _owed(late, early, promise=promise)
    assert not _owed(promise=promise)


def test_what_a_lookup_found_is_owed_though_the_last_event_was_known() -> None:
    """As long as nobody is enrolled; what was told of it then does not count."""
    told_of = _served(2, for_good=False)
    assert _owed(_told(2, looked_up=1), _told(3), served=told_of)
    assert not _owed(_told(2, looked_up=1), _told(3), served=_served(2))
    assert not _owed(_told(3), served=told_of)


@pytest.mark.parametrize(("told", "is_owed"), [(30.0, False), (39.9, False), (40.1, True), (29.9, True)])
def test_after_a_standstill_an_outcome_may_be_an_old_decision(told: float, *, is_owed: bool) -> None:
    """Not for long."""
    promise = Promise(_PROMISE.alone, _PROMISE.all, _PROMISE.slack, [_at(30)])
    assert _owed(_told(told), promise=promise) is is_owed


@pytest.mark.parametrize(
    ("events", "is_owed"),
    [
        ([_told(30, 59.9, 20)], True),
        ([_told(30, 60.1, 20)], False),
        ([_told(30, looked_up=20), _told(61, looked_up=60.5)], True),
        ([_told(30, looked_up=-1), _told(61, looked_up=60.5)], False),
        ([_told(59.9)], True),
        ([_told(60.1)], False),
    ],
)
def test_of_what_has_ended_only_events_before_count(events: list[Handled], *, is_owed: bool) -> None:
    """One that was still being told of at the end may have come to nothing; nor does a refusal matter."""
    has_ended = Window(promotion_id=7, since=_OPENS, until=_at(60))
    assert _owed(*events, window=has_ended) is is_owed
    assert not _owed(*events, window=has_ended, served=_served(30, for_good=False))


def test_what_opens_to_one_is_owed_to_no_other() -> None:
    """Nor is anything to whom nothing happened."""
    events = {1: [_told(30)], 2: [_told(30)]}
    windows = [_TO_ONE, Window(promotion_id=8, since=_OPENS, customer_id=3)]
    assert list(owed(events, windows, _PROMISE, _NOBODY)) == [(1, 7)]
    assert list(owed(events, [_TO_ALL], _PROMISE, _NOBODY)) == [(1, 7), (2, 7)]


@pytest.mark.parametrize(
    ("key", "at", "is_fault"), [("b", "3", True), ("b", "2", True), ("b", "1", False), (None, "3", False)]
)
def test_who_is_enrolled_again_after_a_revocation(key: str | None, at: str, *, is_fault: bool) -> None:
    """By the workers, not before it and not by another channel; others do not count."""
    pair = {"customerId": 1, "promotionId": 7}
    revoked = pair | {"idempotencyKey": "a", "at": "1", "revokedAt": "2"}
    other = pair | {"customerId": 2, "idempotencyKey": "c", "at": "3", "revokedAt": None}
    second = pair | {"idempotencyKey": key, "at": at, "revokedAt": None}
    assert list(enrolled_again([revoked, other, second])) == [(1, 7)] * is_fault


def _request(fed: Fed, seconds: float, endpoint: str = "lookup", **query: str) -> dict[str, Any]:
    asked = {"customerId": fed.customer_id, "traceparent": fed.traceparent, "endpoint": endpoint}
    return asked | {"at": _at(seconds).isoformat(), "query": query}


def test_what_became_of_events() -> None:
    """The first lookup that plans, the first outcome that is no deferral, the last; by customer, in order."""
    first, other, second = Fed(0, 1), Fed(1, 2), Fed(2, 1)
    plans = {"promotionStatusForCustomer": "AVAILABLE_TO_ENROL"}
    requests = [
        {"customerId": None, "traceparent": None, "endpoint": "list"},
        _request(second, 1),
        _request(second, 2, **plans),
        _request(second, 3, **plans),
        _request(first, 4, "issue", **plans),
    ]
    outcomes = [
        {"activity": {"eventId": fed.event_id}, "outcome": name, "occurredAt": _at(seconds).isoformat()}
        for fed, name, seconds in (
            (second, "ENROLLED", 6),
            (second, "DEFERRED", 4),
            (second, "ENROLLED", 5),
            (second, "DEFERRED", 7),
            (first, "ENROLLED", 8),
        )
    ]
    assert handled([first, other, second], requests, outcomes) == {
        1: [_told(8), _told(5, 7, looked_up=2, number=2)],
        2: [Handled(number=1)],
    }


def test_since_when_customers_are_served() -> None:
    """Since the first outcome about the promotion, or since the enrolment, whoever made it."""
    pair: dict[str, Any] = {"customerId": 1, "promotionId": 7}
    enrolments = [pair | {"at": _at(5).isoformat()}, pair | {"promotionId": 8, "at": _at(6).isoformat()}]
    outcomes = [
        pair | {"occurredAt": _at(4).isoformat()},
        pair | {"occurredAt": _at(9).isoformat()},
        {"customerId": 1, "occurredAt": _at(1).isoformat()},
    ]
    assert served_since(enrolments, outcomes) == {(1, 7): _at(4), (1, 8): _at(6)}
