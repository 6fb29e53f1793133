"""The three books of a run, reconciled: activity in, outcomes out, enrolments at the API. Pure."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import starmap
from typing import Any, Final

from tests.crash.events import Fed, number_of
from tests.crash.owed import Promise, Served, Window, enrolled_again, handled, owed, served_since
from tests.crash.repeats import OPEN, Asked, Repeats, count_repeats

_EXAMPLES: Final = 3
_THAWING_SECONDS: Final = 3.0
_UNANSWERED_SECONDS: Final = 1.5
"""Below the workers' time-out, which began before the request arrived."""
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What there is to reconcile.

    `outcomes`: values of the outcome records, in the order of their partitions. `enrolments`, `requests`,
    `overlaps`: as the simulator's control port gives them; it counted `overlap_count`. `windows`: when each
    promotion was open to whom. `promise`: how late it may be found, None if every event is looked up.
    `thawed`: when a frozen worker went on; what it still reads then is no fault. `once`: whether a customer
    may be enrolled into a promotion but once. `asked`: who asked for outcomes once more; `most_repeated`: the
    share of outcomes that may be repeated all the same, None for any.
    """

    fed: Sequence[Fed]
    outcomes: Sequence[Json]
    enrolments: Sequence[Json]
    requests: Sequence[Json]
    overlaps: Sequence[Json]
    overlap_count: int
    windows: Sequence[Window]
    promise: Promise | None = None
    thawed: Sequence[str] = ()
    once: bool = True
    asked: Asked = field(default_factory=Asked)
    most_repeated: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The figures; the books agree where there are no findings."""

    findings: tuple[str, ...]
    lost: int
    applied: int
    applied_twice: int
    not_told: int
    out_of_order: int
    posts: int
    told: Mapping[str, int]
    """Outcomes by name, each once."""
    reconciled: int
    repeats: Repeats
    known: int
    """Events that were told of without a lookup."""


def reconcile(books: Books) -> Verdict:
    """Compare the books; a line for each kind of fault found."""
    once = {one["outcomeId"]: one for one in books.outcomes}
    enrolled = [one for one in once.values() if one["outcome"] == "ENROLLED"]
    settled = {one["activity"]["eventId"] for one in once.values() if one["outcome"] != "DEFERRED"}
    lost = [fed.event_id for fed in books.fed if fed.event_id not in settled]
    ours = [one for one in books.enrolments if one["idempotencyKey"] is not None]
    keys = Counter(one["idempotencyKey"] for one in ours)
    pairs = Counter(map(_pair_of, books.enrolments))
    events = handled(books.fed, books.requests, books.outcomes)
    twice = [key for key, times in keys.items() if times > 1]
    if books.once:
        twice += [_pair(*pair) for pair, times in pairs.items() if times > 1]
    said = Counter(map(_enrolment, enrolled))
    done = Counter(map(_enrolment, ours))
    not_told = list((done - said).elements())
    known = {one.number for of_one in events.values() for one in of_one if one.was_known}
    disorder = [*_requests_out_of_order(books, known), *_outcomes_out_of_order(books)]
    overlaps = list(_overlaps(books))
    again = starmap(_pair, enrolled_again(books.enrolments))
    repeats = count_repeats(books.outcomes, books.asked)
    findings = (
        _finding("events are lost: no outcome", lost),
        _finding("idempotency keys or customers' promotions were applied more than once", twice),
        _finding("enrolments were applied and not told as ENROLLED", map(str, not_told)),
        _finding("enrolments were told and not applied", map(str, (said - done).elements())),
        _finding("customers were served out of order", disorder),
        _finding("enrolments were made again after a revocation", again if books.once else ()),
        _finding(
            "enrolments were owed and never made",
            starmap(_pair, owed(events, books.windows, books.promise, _served(books))),
        ),
        _too_often(repeats, books.most_repeated),
        _finding("outcomes were repeated with another value", _changed(books.outcomes)),
        _finding("promotions are rejected, deferred or dead letters still", _left(books.outcomes)),
        _finding("promotions of events were told in two ways, each for good", _taken_back(books.outcomes)),
        _finding("outcomes are of events that nobody fed", settled - {fed.event_id for fed in books.fed}),
        _finding("requests overlapped another of the same customer", overlaps),
    )
    return Verdict(
        findings=tuple(filter(None, findings)),
        lost=len(lost),
        applied=len(ours),
        applied_twice=len(twice),
        not_told=len(not_told),
        out_of_order=len(disorder) + len(overlaps),
        posts=sum(one["endpoint"] == "issue" for one in books.requests),
        told=Counter(one["outcome"] for one in once.values()),
        reconciled=sum(one.get("reconciled", False) for one in enrolled),
        repeats=repeats,
        known=len(known),
    )


def _too_often(repeats: Repeats, most: float | None) -> str:
    if most is None or repeats.share <= most:
        return ""
    return f"{repeats} were repeated unasked, and at most {most:.0%} may be"


def _enrolment(of: Json) -> tuple[int, int, str]:
    return of["customerId"], of["promotionId"], of["idempotencyKey"]


def _pair_of(of: Json) -> tuple[int, int]:
    return of["customerId"], of["promotionId"]


def _served(books: Books) -> Served:
    return Served(
        since=served_since(books.enrolments, books.outcomes),
        for_good=frozenset(map(_pair_of, books.enrolments)),
    )


def _pair(customer_id: int, promotion_id: int) -> str:
    return f"customer {customer_id} promotion {promotion_id}"


def _requests_out_of_order(books: Books, known: Container[int]) -> list[str]:
    """Name the customers of whom an event was begun before an earlier one.

    A replay begins nothing, though it asks for what was known when the event was handled.
    """
    steps = (
        (one["customerId"], number_of(one["traceparent"]))
        for one in sorted(books.requests, key=lambda one: one["number"])
        if one["customerId"] is not None
    )
    return _begun_out_of_order(step for step in steps if step[1] not in known)


def _outcomes_out_of_order(books: Books) -> list[str]:
    """Likewise for outcomes: the first of each event, per customer."""
    numbers = {fed.event_id: fed.number for fed in books.fed}
    return _begun_out_of_order(
        (one["customerId"], numbers[one["activity"]["eventId"]])
        for one in books.outcomes
        if one.get("customerId") is not None and one["activity"]["eventId"] in numbers
    )


def _begun_out_of_order(steps: Iterable[tuple[int, int]]) -> list[str]:
    begun: defaultdict[int, dict[int, None]] = defaultdict(dict)
    for customer_id, number in steps:
        begun[customer_id].setdefault(number)
    return [f"customer {who}" for who, numbers in begun.items() if list(numbers) != sorted(numbers)]


def _overlaps(books: Books) -> Iterable[str]:
    """Name the requests that met another of their customer.

    Not those that met one without an answer, which the client gave up after its time-out or froze over; nor
    readings that a worker sends on as it thaws.
    """
    for one in books.overlaps:
        earlier, later = one["earlier"], one["later"]
        waited = _seconds(earlier["at"], later["at"]) >= _UNANSWERED_SECONDS and earlier["status"] is None
        readings = earlier["endpoint"] == later["endpoint"] == "lookup"
        thawing = readings and any(
            0 <= _seconds(thaw, later["at"]) < _THAWING_SECONDS for thaw in books.thawed
        )
        if not (waited or thawing):
            ended = "no answer" if earlier["status"] is None else f"status {earlier['status']}"
            yield (
                f"customer {one['customerId']}: {later['endpoint']} at {later['at']}, "
                f"and {earlier['endpoint']} since {earlier['at']} ({ended})"
            )
    yield from ["not shown"] * (books.overlap_count - len(books.overlaps))


def _seconds(since: str, until: str) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


def _changed(outcomes: Iterable[Json]) -> Iterable[str]:
    """Name the outcomes out of the ledger that were told twice and differently."""
    first: dict[str, Json] = {}
    for one in outcomes:
        if one["outcome"] == "ENROLLED" and first.setdefault(one["outcomeId"], one) != one:
            yield one["outcomeId"]


def _left(outcomes: Iterable[Json]) -> Iterable[str]:
    """Name what is deferred, rejected or a dead letter still: at the end all of it was asked for again."""
    last = {_promotion_of(one): one["outcome"] for one in outcomes}
    whole = {event_id for event_id, promotion_id in last if promotion_id is not None}
    for (event_id, promotion_id), outcome in last.items():
        is_past = promotion_id is None and event_id in whole
        if outcome in OPEN and not is_past:
            yield f"{event_id} promotion {promotion_id}: {outcome}"


def _taken_back(outcomes: Iterable[Json]) -> Iterable[str]:
    """Name what was told for good, and later as something else; a rejection may be asked for again."""
    settled: dict[tuple[str, int | None], str] = {}
    for one in outcomes:
        promotion, outcome = _promotion_of(one), one["outcome"]
        before = settled.get(promotion, outcome)
        if before != outcome:
            yield f"{promotion[0]} promotion {promotion[1]}: {before}, {outcome}"
        if outcome not in OPEN:
            settled[promotion] = outcome


def _promotion_of(outcome: Json) -> tuple[str, int | None]:
    return outcome["activity"]["eventId"], outcome.get("promotionId")


def _finding(says: str, examples: Iterable[str]) -> str:
    found = sorted(examples)
    if not found:
        return ""
    shown = ", ".join(found[:_EXAMPLES]) + (", ..." if len(found) > _EXAMPLES else "")
    return f"{len(found)} {says}: {shown}"
