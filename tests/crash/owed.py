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
    """What became of an event: its first lookup, its first outcome that is no deferral, its last outcome."""

    number: int
    looked_up: datetime | None = None
    told: datetime | None = None
    last_told: datetime | None = None

    @property
    def was_known(self) -> bool:
        """Whether it was told of without a lookup; a replay may look it up later."""
        return self.told is not None and (self.looked_up is None or self.looked_up > self.told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Since when somebody has a promotion, or was told anything of it; and who has it for good."""

    since: Mapping[Pair, datetime]
    for_good: frozenset[Pair]


def handled(
    fed: Iterable[Fed], requests: Iterable[Json], outcomes: Iterable[Json]
) -> dict[int, list[Handled]]:
    """Return what became of each customer's events, in their order."""
    lookups: dict[int, datetime] = {}
    for one in requests:
        if one["customerId"] is not None and one["endpoint"] == "lookup" and _FILTER in one["query"]:
            lookups.setdefault(number_of(one["traceparent"]), datetime.fromisoformat(one["at"]))
    told: defaultdict[str, list[datetime]] = defaultdict(list)
    settled: defaultdict[str, list[datetime]] = defaultdict(list)
    for one in outcomes:
        event_id, at = one["activity"]["eventId"], datetime.fromisoformat(one["occurredAt"])
        told[event_id].append(at)
        if one["outcome"] != "DEFERRED":
            settled[event_id].append(at)
    events: defaultdict[int, list[Handled]] = defaultdict(list)
    for each in fed:
        events[each.customer_id].append(
            Handled(
                number=each.number,
                looked_up=lookups.get(each.number),
                told=min(settled[each.event_id], default=None),
                last_told=max(told[each.event_id], default=None),
            )
        )
    return events


def served_since(enrolments: Iterable[Json], outcomes: Iterable[Json]) -> dict[Pair, datetime]:
    """Return since when somebody is enrolled, or was told anything of a promotion."""
    times = [(one, one["at"]) for one in enrolments]
    times += [(one, one["occurredAt"]) for one in outcomes if one.get("promotionId") is not None]
    since: dict[Pair, datetime] = {}
    for one, text in times:
        pair, at = (one["customerId"], one["promotionId"]), datetime.fromisoformat(text)
        since[pair] = min(at, since.get(pair, at))
    return since


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
    """Name who was owed an enrolment, and did not get it, or not before an event that had to know of it.

    Without a promise every event has to be looked up.
    """
    for window in windows:
        for customer_id in events if window.customer_id is None else (window.customer_id,):
            theirs, pair = events.get(customer_id, ()), (customer_id, window.promotion_id)
            if _is_missed(theirs, pair, window, promise, served) or (
                promise is not None and _is_found_late(theirs, pair, window, promise, served)
            ):
                yield pair


def _is_missed(
    events: Sequence[Handled], pair: Pair, window: Window, promise: Promise | None, served: Served
) -> bool:
    """Whether the last event that was looked up had to find it; before its end if it has one."""
    until = window.until
    asked = [
        one
        for one in events
        if (until is None or (one.last_told is not None and one.last_told < until))
        and not (promise is not None and one.was_known)
    ]
    has = pair in served.for_good if until is None else pair in served.since
    return bool(asked) and not has and (asked[-1].looked_up is None or asked[-1].looked_up > window.since)


def _is_found_late(
    events: Sequence[Handled], pair: Pair, window: Window, promise: Promise, served: Served
) -> bool:
    """Whether an event without a lookup missed what had been open for longer than is promised."""
    late = promise.all if window.customer_id is None else promise.alone
    known_from = window.since + late + promise.slack
    found = served.since.get(pair)
    return any(
        known_from < one.told
        and (window.until is None or one.told < window.until)
        and (found is None or one.told + promise.slack < found)
        and not any(timedelta() <= one.told - end < _AFTER_A_STANDSTILL for end in promise.standstills)
        for one in events
        if one.told is not None and one.was_known
    )
