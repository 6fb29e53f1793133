"""What is owed to customers: enrolments into what was open to them, found as late as is promised. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tests.crash.events import Fed, number_of

_AFTER_A_STANDSTILL: Final = timedelta(seconds=10)
_FILTER: Final = "promotionStatusForCustomer"
"""What a lookup that plans asks for, and one that looks into an attempt does not."""
Json = Mapping[str, Any]
Pair = tuple[int, int]
"""Customer and promotion."""


@dataclass(frozen=True, slots=True)
class Promise:
    """How late the workers may find, without a lookup, what opens: to one customer alone, and to all.

    `slack` is what passes between a decision and the time of its outcome. Workers could not go on until
    `standstills`; what they tell soon after that may have been decided before.
    """

    alone: timedelta
    all: timedelta
    slack: timedelta
    standstills: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A promotion is open to a customer, without one to all, from a time on and perhaps up to another."""

    promotion_id: int
    since: datetime
    until: datetime | None = None
    customer_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of an event: when it was looked up first, and told of first and last."""

    number: int
    looked_up: datetime | None = None
    first_told: datetime | None = None
    last_told: datetime | None = None

    @property
    def was_known(self) -> bool:
        """Whether it was told of without a lookup; a replay may look it up later."""
        told = self.first_told
        return told is not None and (self.looked_up is None or self.looked_up > told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Who has got what was owed: of promotions that are open still, and of those that have ended."""

    while_open: frozenset[Pair]
    in_the_end: frozenset[Pair]


def handled(
    fed: Iterable[Fed], requests: Iterable[Json], outcomes: Iterable[Json]
) -> dict[int, list[Handled]]:
    """Return what became of each customer's events, in their order."""
    lookups: dict[int, datetime] = {}
    for one in requests:
        if one["customerId"] is not None and one["endpoint"] == "lookup" and _FILTER in one["query"]:
            lookups.setdefault(number_of(one["traceparent"]), datetime.fromisoformat(one["at"]))
    told: defaultdict[str, list[datetime]] = defaultdict(list)
    for one in outcomes:
        told[one["activity"]["eventId"]].append(datetime.fromisoformat(one["occurredAt"]))
    events: defaultdict[int, list[Handled]] = defaultdict(list)
    for each in fed:
        times = told[each.event_id]
        events[each.customer_id].append(
            Handled(
                number=each.number,
                looked_up=lookups.get(each.number),
                first_told=min(times, default=None),
                last_told=max(times, default=None),
            )
        )
    return events


def enrolled_again(enrolments: Iterable[Json]) -> Iterator[Pair]:
    """Name whom the workers enrolled after a revocation."""
    revoked: dict[Pair, str] = {}
    for one in enrolments:
        pair = one["customerId"], one["promotionId"]
        if pair in revoked and one["idempotencyKey"] is not None and one["at"] >= revoked[pair]:
            yield pair
        if one["revokedAt"]:
            revoked[pair] = one["revokedAt"]


def owed(
    events: Mapping[int, Sequence[Handled]],
    windows: Iterable[Window],
    promise: Promise | None,
    served: Served,
) -> Iterator[Pair]:
    """Name who was owed an enrolment, and did not get it.

    What counts is a customer's last event; for a promotion that has ended, the last that was told of before.
    Without a promise every event has to be looked up.
    """
    for window in windows:
        have = served.while_open if window.until is None else served.in_the_end
        for customer_id in events if window.customer_id is None else (window.customer_id,):
            last = _last_within(events.get(customer_id, ()), window)
            pair = customer_id, window.promotion_id
            if last is not None and pair not in have and _is_found(last, window, promise):
                yield pair


def _last_within(events: Sequence[Handled], window: Window) -> Handled | None:
    if window.until is None:
        return events[-1] if events else None
    before = (one for one in reversed(events) if one.last_told is not None and one.last_told < window.until)
    return next(before, None)


def _is_found(event: Handled, window: Window, promise: Promise | None) -> bool:
    """Whether the event has to find the promotion: by its lookup, or as late as is promised without one."""
    told = event.first_told
    if promise is None or told is None or not event.was_known:
        return event.looked_up is None or event.looked_up > window.since
    if any(timedelta() <= told - end < _AFTER_A_STANDSTILL for end in promise.standstills):
        return False
    late = promise.all if window.customer_id is None else promise.alone
    return told > window.since + late + promise.slack
