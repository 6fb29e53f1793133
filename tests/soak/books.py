"""What must hold at the end of a soak, whatever the API was like. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tests.crash.events import Fed
from tests.crash.owed import Promise, Served, Window, enrolled_again, handled, owed, served_since

_MINUTE: Final = timedelta(minutes=1)
_TOLERATED: Final = 1.02
_GROWTH: Final = 1.2
Json = Mapping[str, Any]
At = tuple[int, int]
"""Partition and offset of an activity record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What was fed, told, dead-lettered and applied. Memory in MiB: after a minute, at the end, by worker.

    `fed` are the good events, in order. `windows` and `promise` are as in the crash laboratory's books.
    """

    good: frozenset[At]
    bad: frozenset[At]
    outcomes: Sequence[Json]
    dead_letters: Sequence[At]
    enrolments: Sequence[Json]
    requests: Sequence[Json]
    fed: Sequence[Fed]
    windows: Sequence[Window]
    promise: Promise | None
    budget: int
    memory: Mapping[str, tuple[float, float]]

    @property
    def arrivals(self) -> list[datetime]:
        """When the API had each request, in order."""
        return sorted(datetime.fromisoformat(one["at"]) for one in self.requests)

    @property
    def known(self) -> int:
        """How many events were told of without a lookup."""
        events = handled(self.fed, self.requests, self.outcomes)
        return sum(one.was_known for of_one in events.values() for one in of_one)


def busiest_minute(arrivals: Sequence[datetime]) -> int:
    """Return how many requests the busiest minute had."""
    most = first = 0
    for last, at in enumerate(arrivals):
        while arrivals[first] <= at - _MINUTE:
            first += 1
        most = max(most, last - first + 1)
    return most


def findings(books: Books) -> list[str]:
    """Return a line for each promise that does not hold."""
    return [f"{name}: {found}" for name, found in _judged(books) if found]


def _judged(books: Books) -> Iterator[tuple[str, object]]:
    final = {_at(one) for one in books.outcomes if one["outcome"] != "DEFERRED"}
    letters = Counter(books.dead_letters)
    told = Counter(
        one["idempotencyKey"]
        for one in {each["outcomeId"]: each for each in books.outcomes}.values()
        if one["outcome"] == "ENROLLED"
    )
    applied = Counter(one["idempotencyKey"] for one in books.enrolments if one["idempotencyKey"] is not None)
    pairs = Counter((one["customerId"], one["promotionId"]) for one in books.enrolments)
    yield "events without a final outcome", _some((books.good | books.bad) - final)
    yield "outcomes of records that want none", _some(final - books.good - books.bad)
    yield "bad records that are no dead letters", _some(books.bad - letters.keys())
    yield "dead letters of good events", _some(letters.keys() - books.bad)
    yield "keys applied more than once", _some(key for key, times in applied.items() if times > 1)
    yield "customers enrolled twice", _some(pair for pair, times in pairs.items() if times > 1)
    yield "enrolled again after a revocation", _some(enrolled_again(books.enrolments))
    yield "enrolments owed and never made", _some(_owed(books))
    yield "enrolments that were not told", _some(applied.keys() - told.keys())
    yield "enrolments told and not applied", _some(told.keys() - applied.keys())
    most = busiest_minute(books.arrivals)
    yield "requests in a minute above the budget", most if most > books.budget * _TOLERATED else None
    for name, (early, late) in books.memory.items():
        yield f"memory of {name}", f"{early:.0f} to {late:.0f} MiB" if late > early * _GROWTH else None


def _owed(books: Books) -> Iterator[tuple[int, int]]:
    """Name who was owed an enrolment of which nothing was told at all: a refusal is final here."""
    since = served_since(books.enrolments, books.outcomes)
    served = Served(since=since, for_good=frozenset(since))
    return owed(handled(books.fed, books.requests, books.outcomes), books.windows, books.promise, served)


def _at(outcome: Json) -> At:
    return outcome["activity"]["partition"], outcome["activity"]["offset"]


def _some(found: Iterable[object]) -> str:
    listed = sorted(map(str, found))
    return f"{len(listed)}, such as {', '.join(listed[:3])}" if listed else ""
