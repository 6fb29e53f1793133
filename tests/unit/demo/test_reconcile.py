"""The three books are compared without mercy."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from topics.dead_letter import PREFIX, DeadLetterReason
from topics.outcome import SEVERITY, ActivityReference, Outcome, OutcomeName, outcome_headers
from topics.record import Position, Record
from worker.demo.generator import DeadLettered, Event, Fate, Handled, PassedOver, Unknown
from worker.demo.reconcile import Applied, Books, Produced, reconcile

_NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)


def _produced(offset: int, fate: Fate) -> Produced:
    event = Event(
        key=b"key",
        value=b"value",
        headers=(("upstream", b"yes"),),
        kind="plain",
        fate=fate,
        event_id=f"e{offset}",
    )
    return Produced(event, Position("activity", 0, offset))


def _outcome(offset: int, name: OutcomeName, **more: object) -> Record:
    where = ActivityReference(event_id=f"e{offset}", topic="activity", partition=0, offset=offset)
    outcome = Outcome.model_validate(
        {
            "outcomeId": f"o{offset}-{name}-{more.get('promotionId')}",
            "outcome": name,
            "severity": SEVERITY[name],
            "activity": where,
            "occurredAt": _NOW,
            **more,
        }
    )
    headers = outcome_headers(outcome, "/source")
    return Record(
        position=Position("outcomes", 0, offset),
        timestamp_ms=0,
        key=b"key",
        value=outcome.to_json(),
        headers=headers,
    )


def _letter(offset: int, value: bytes = b"value") -> Record:
    ours = {"topic": b"activity", "partition": b"0", "offset": str(offset).encode()}
    headers = (("upstream", b"yes"), *((PREFIX + name, text) for name, text in ours.items()))
    return Record(
        position=Position("letters", 0, offset), timestamp_ms=0, key=b"key", value=value, headers=headers
    )


_ENROLLED = {"customerId": 1, "programId": 9, "promotionId": 5, "issualId": 7, "idempotencyKey": "k"}
_APPLIED = Applied(customer_id=1, program_id=9, promotion_id=5, issual_id=7, idempotency_key="k")
_GOOD = Books(
    produced=(
        _produced(0, Handled(1)),
        _produced(1, Unknown()),
        _produced(2, DeadLettered(DeadLetterReason.MALFORMED_EVENT)),
        _produced(3, PassedOver()),
    ),
    outcomes=(
        _outcome(0, OutcomeName.ENROLLED, **_ENROLLED),
        _outcome(1, OutcomeName.CUSTOMER_NOT_FOUND),
        _outcome(2, OutcomeName.DEAD_LETTERED, reason="malformed_event"),
    ),
    dead_letters=(_letter(2),),
    enrolments=(_APPLIED,),
    overlaps=0,
)


def _without(offset: int) -> Books:
    kept = tuple(record for record in _GOOD.outcomes if record.position.offset != offset)
    return replace(_GOOD, outcomes=kept)


def _more(*outcomes: Record) -> Books:
    return replace(_GOOD, outcomes=(*_GOOD.outcomes, *outcomes))


def test_books_that_agree_have_no_findings() -> None:
    """Nothing must be found where there is nothing, repeated outcomes included."""
    report = reconcile(_more(_GOOD.outcomes[0]))
    assert report.findings == ()
    assert (report.repeats, report.dead_letters, report.applied, len(report.told)) == (1, 1, 1, 3)


@pytest.mark.parametrize(
    ("books", "says"),
    [
        (lambda: _without(1), "have no outcome: activity-0-1"),
        (lambda: _without(0), "enrolments were applied and not told: customer 1 promotion 5"),
        (lambda: replace(_GOOD, enrolments=()), "enrolments were told and not applied"),
        (lambda: replace(_GOOD, enrolments=(_APPLIED, _APPLIED)), "keys were applied more than once: k"),
        (
            lambda: replace(_GOOD, enrolments=(replace(_APPLIED, issual_id=8),)),
            "outcomes name an issual of someone else",
        ),
        (lambda: replace(_GOOD, overlaps=2), "2 requests overlapped"),
        (lambda: replace(_GOOD, dead_letters=()), "are dead letters only in their outcome: activity-0-2"),
        (lambda: replace(_GOOD, dead_letters=(_letter(2, b"other"),)), "byte for byte: activity-0-2"),
        (
            lambda: replace(_GOOD, dead_letters=(_letter(2), _letter(0))),
            "without an outcome that says so: activity-0-0",
        ),
        (lambda: _more(_outcome(3, OutcomeName.NO_PROMOTION_AVAILABLE)), "another outcome than they must"),
        (lambda: _more(_outcome(9, OutcomeName.REJECTED)), "nobody produced them: activity-0-9"),
        (lambda: _more(_outcome(0, OutcomeName.DEFERRED, promotionId=6)), "deferred, and nothing followed"),
        (lambda: _more(_outcome(0, OutcomeName.REJECTED, customerId=2)), "another outcome than they must"),
        (lambda: _more(replace(_GOOD.outcomes[0], value=b"{}")), "cannot be read: outcomes-0-0"),
        (lambda: _more(replace(_GOOD.outcomes[0], headers=())), "cannot be read: outcomes-0-0"),
    ],
)
def test_whatever_is_wrong_is_found(books: Callable[[], Books], says: str) -> None:
    """Each fault in a book must lead to a line that names it."""
    assert any(says in finding for finding in reconcile(books()).findings), reconcile(books()).findings
