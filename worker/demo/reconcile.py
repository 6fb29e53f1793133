"""Reconciles three books: the events produced, what the worker wrote to Kafka, the API's enrolments. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from topics.dead_letter import PREFIX
from topics.outcome import Outcome, OutcomeName, outcome_headers
from topics.record import Position, Record
from worker.demo.generator import DeadLettered, Event, Fate, Handled, PassedOver, Unknown

_EXAMPLES = 3
_Enrolment = tuple[int | None, int | None, int | None, str | None]
"""Customer, program, promotion, idempotency key."""


@dataclass(frozen=True, slots=True)
class Produced:
    """An event and where Kafka put it."""

    event: Event
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """An enrolment in the API's books."""

    customer_id: int
    program_id: int
    promotion_id: int
    issual_id: int
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """An outcome as its record tells it."""

    outcome: Outcome
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What there is to reconcile. `overlaps` counts requests in work at once for one customer."""

    produced: Sequence[Produced]
    outcomes: Sequence[Record]
    dead_letters: Sequence[Record]
    enrolments: Sequence[Applied]
    overlaps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the books say; they agree if there are no `findings`, each of which is one line."""

    findings: tuple[str, ...]
    told: tuple[Told, ...]
    """Each outcome once, in the order of reading."""
    repeats: int
    """Outcome records that repeat an outcome, as at-least-once delivery may."""
    without_outcome: int
    dead_letters: int
    """Dead letters that are their record byte for byte."""
    applied: int
    applied_twice: int
    overlaps: int
    counts: Mapping[type[Fate], int] = field(default_factory=dict)


def reconcile(books: Books) -> Report:
    """Compare the books and say, in one line each, what is missing and what is too much."""
    told, unreadable = _read(books.outcomes)
    unique = list({one.outcome.outcome_id: one for one in told}.values())
    by_place: defaultdict[Position, list[Outcome]] = defaultdict(list)
    for one in unique:
        by_place[place_of(one.outcome)].append(one.outcome)
    letters = {origin_of(record): record for record in books.dead_letters}
    places = {str(one.position) for one in books.produced}
    missing = [str(p.position) for p in books.produced if _wants_outcome(p) and not by_place[p.position]]
    kept = {place for p in books.produced if _is_kept(p, letters.get(place := str(p.position)))}
    lettered = {str(place_of(o.outcome)) for o in unique if o.outcome.outcome is OutcomeName.DEAD_LETTERED}
    twice = [key for key, times in Counter(e.idempotency_key for e in books.enrolments).items() if times > 1]
    findings = (
        _finding("have no outcome", missing),
        _finding(
            "have another outcome than they must",
            [str(p.position) for p in books.produced if by_place[p.position] and not _is_right(p, by_place)],
        ),
        _finding("were deferred, and nothing followed", _hanging(by_place)),
        _finding("are in an outcome, and nobody produced them", set(map(str, by_place)) - places),
        _finding("have an outcome that cannot be read", unreadable, what="outcome records"),
        _finding("are dead letters only in their outcome", lettered - set(letters)),
        _finding("are dead letters without an outcome that says so", set(letters) - lettered),
        _finding("are not in their dead letter byte for byte", (lettered & set(letters) & places) - kept),
        *_enrolment_findings(unique, books.enrolments),
        _finding("were applied more than once", map(str, twice), what="idempotency keys"),
        f"{books.overlaps} requests overlapped another of the same customer" if books.overlaps else None,
    )
    return Report(
        findings=tuple(finding for finding in findings if finding),
        told=tuple(unique),
        repeats=len(told) - len(unique),
        without_outcome=len(missing),
        dead_letters=len(kept & lettered),
        applied=len(books.enrolments),
        applied_twice=len(twice),
        overlaps=books.overlaps,
        counts=Counter(type(p.event.fate) for p in books.produced),
    )


def _read(records: Iterable[Record]) -> tuple[list[Told], list[str]]:
    told: list[Told] = []
    unreadable: list[str] = []
    for record in records:
        try:
            outcome = Outcome.model_validate_json(record.value or b"")
        except ValidationError:
            unreadable.append(str(record.position))
            continue
        expected = outcome_headers(outcome, record.header("ce_source") or "")
        if set(expected) <= set(record.headers):
            told.append(Told(outcome, record))
        else:
            unreadable.append(str(record.position))
    return told, unreadable


def _wants_outcome(produced: Produced) -> bool:
    return not isinstance(produced.event.fate, PassedOver)


def _is_right(produced: Produced, outcomes: Mapping[Position, Sequence[Outcome]]) -> bool:
    """Whether an event's outcomes are of the kind that it was generated for, and about its customer."""
    identity = produced.event.event_id or str(produced.position)
    of_event = outcomes[produced.position]
    names = {outcome.outcome for outcome in of_event}
    if any(outcome.activity.event_id != identity for outcome in of_event):
        return False
    match produced.event.fate:
        case Handled(customer_id):
            about = {o.customer_id for o in of_event if o.customer_id is not None}
            return about <= {customer_id} and OutcomeName.CUSTOMER_NOT_FOUND not in names
        case Unknown():
            return names == {OutcomeName.CUSTOMER_NOT_FOUND}
        case DeadLettered(reason):
            return [(o.outcome, o.reason) for o in of_event] == [(OutcomeName.DEAD_LETTERED, reason.value)]
        case PassedOver():
            return False


def _hanging(outcomes: Mapping[Position, Sequence[Outcome]]) -> Iterator[str]:
    for place, of_event in outcomes.items():
        settled = {o.promotion_id for o in of_event if o.outcome is not OutcomeName.DEFERRED}
        if any(o.promotion_id not in settled for o in of_event if o.outcome is OutcomeName.DEFERRED):
            yield str(place)


def _is_kept(produced: Produced, letter: Record | None) -> bool:
    """Whether a dead letter has the record's key, value and headers, followed by nothing but ours."""
    if letter is None:
        return False
    foreign = tuple(header for header in letter.headers if not header[0].startswith(PREFIX))
    event = produced.event
    return (letter.key, letter.value, foreign) == (event.key, event.value, event.headers)


def _enrolment_findings(told: Iterable[Told], applied: Iterable[Applied]) -> Iterator[str | None]:
    """Match each ENROLLED outcome with one applied enrolment; `reconciled` ones name no issual id."""
    said: Counter[_Enrolment] = Counter(
        (o.customer_id, o.program_id, o.promotion_id, o.idempotency_key)
        for one in told
        if (o := one.outcome).outcome is OutcomeName.ENROLLED
    )
    done: Counter[_Enrolment] = Counter(
        (a.customer_id, a.program_id, a.promotion_id, a.idempotency_key) for a in applied
    )
    issuals = {a.issual_id: (a.customer_id, a.promotion_id) for a in applied}
    yield _finding("were told and not applied", map(_enrolment, (said - done).elements()), what="enrolments")
    yield _finding("were applied and not told", map(_enrolment, (done - said).elements()), what="enrolments")
    yield _finding(
        "name an issual of someone else, or of nobody",
        [
            o.outcome_id
            for one in told
            if (o := one.outcome).issual_id is not None
            and issuals.get(o.issual_id) != (o.customer_id, o.promotion_id)
        ],
        what="outcomes",
    )


def _enrolment(key: _Enrolment) -> str:
    return f"customer {key[0]} promotion {key[2]}"


def place_of(outcome: Outcome) -> Position:
    """Return where the event's record lies."""
    return Position(outcome.activity.topic, outcome.activity.partition, outcome.activity.offset)


def origin_of(letter: Record) -> str:
    """Return the original record's position, by the dead letter's headers."""
    return "-".join(letter.header(PREFIX + part) or "?" for part in ("topic", "partition", "offset"))


def _finding(says: str, examples: Iterable[str], what: str = "events") -> str | None:
    found = sorted(examples)
    if not found:
        return None
    shown = ", ".join(found[:_EXAMPLES]) + (", ..." if len(found) > _EXAMPLES else "")
    return f"{len(found)} {what} {says}: {shown}"
