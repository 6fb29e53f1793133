"""The crash laboratory's verdict: it must find each kind of fault, and nothing in sound books."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.crash.books import Books, Fed, reconcile

START = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
FIRST, SECOND = Fed(0, 1), Fed(1, 1)


def _at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def _outcome(fed: Fed, name: str, **more: object) -> dict[str, Any]:
    activity = {"eventId": fed.event_id}
    key = {"idempotencyKey": "key"} if name == "ENROLLED" else {}
    common = {"outcomeId": f"{fed.event_id}/{name}", "outcome": name, "customerId": 1, "promotionId": 7}
    return common | {"activity": activity} | key | more


def _request(number: int, fed: Fed, endpoint: str = "lookup", **more: object) -> dict[str, Any]:
    common = {"number": number, "endpoint": endpoint, "customerId": 1, "status": 200, "at": _at(number)}
    return common | {"traceparent": fed.traceparent} | more


ENROLMENT = {"customerId": 1, "promotionId": 7, "idempotencyKey": "key"}
SOUND = Books(
    fed=[FIRST, SECOND],
    outcomes=[_outcome(FIRST, "ENROLLED"), _outcome(SECOND, "ALREADY_ENROLLED")],
    enrolments=[ENROLMENT],
    requests=[_request(1, FIRST), _request(2, FIRST, "issue"), _request(3, SECOND)],
    overlaps=[],
    overlap_count=0,
    offered={7: START},
)


def test_sound_books_agree() -> None:
    """A replay that repeats an outcome and the requests of its event is no fault."""
    again = [_outcome(FIRST, "ENROLLED"), *SOUND.outcomes]
    replayed = replace(SOUND, outcomes=again, requests=[*SOUND.requests, _request(4, FIRST)])
    for books in (SOUND, replayed):
        verdict = reconcile(books)
        assert verdict.findings == ()
        assert (verdict.applied, verdict.posts, verdict.lost) == (1, 1, 0)


def _overlap(earlier: dict[str, Any], later: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"customerId": 1, "earlier": earlier, "later": later}]


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        (replace(SOUND, outcomes=SOUND.outcomes[:1]), "1 events are lost"),
        (replace(SOUND, outcomes=[_outcome(FIRST, "DEFERRED"), SOUND.outcomes[1]]), "1 events are lost"),
        (replace(SOUND, enrolments=[ENROLMENT] * 2), "applied more than once"),
        (
            replace(SOUND, enrolments=[ENROLMENT, ENROLMENT | {"idempotencyKey": "other"}]),
            "applied more than once",
        ),
        (replace(SOUND, outcomes=SOUND.outcomes[1:]), "applied and not told"),
        (replace(SOUND, enrolments=[]), "told and not applied"),
        (replace(SOUND, requests=[_request(1, SECOND), _request(2, FIRST)]), "out of order"),
        (replace(SOUND, outcomes=SOUND.outcomes[::-1]), "out of order"),
        (replace(SOUND, enrolments=[], outcomes=[_outcome(SECOND, "ALREADY_ENROLLED")]), "owed"),
        (
            replace(SOUND, outcomes=[*SOUND.outcomes, _outcome(FIRST, "ENROLLED", reconciled=True)]),
            "another value",
        ),
        (replace(SOUND, outcomes=[*SOUND.outcomes, _outcome(Fed(9, 1), "REJECTED")]), "nobody fed"),
        (replace(SOUND, outcomes=[*SOUND.outcomes, _outcome(SECOND, "REJECTED")]), "are rejected"),
        (replace(SOUND, outcomes=[*SOUND.outcomes, _outcome(SECOND, "ENROLLED")]), "told in two ways"),
        (replace(SOUND, outcomes=[*SOUND.outcomes, _outcome(FIRST, "REJECTED")]), "told in two ways"),
        (
            replace(SOUND, overlaps=_overlap(_request(1, FIRST), _request(2, SECOND)), overlap_count=1),
            "overlapped",
        ),
        (replace(SOUND, overlap_count=1), "overlapped"),
    ],
)
def test_each_fault_is_found(damaged: Books, says: str) -> None:
    """One damage, and the line that names it."""
    assert any(says in finding for finding in reconcile(damaged).findings), reconcile(damaged).findings


@pytest.mark.parametrize(
    ("earlier", "later", "thawed", "counts"),
    [
        ({"status": None, "at": _at(1)}, {"endpoint": "lookup", "at": _at(3)}, (), False),
        ({"status": None, "at": _at(1)}, {"endpoint": "lookup", "at": _at(2)}, (), True),
        ({"at": _at(1)}, {"at": _at(2)}, (_at(1),), False),
        ({"at": _at(1)}, {"at": _at(9)}, (_at(1),), True),
        ({"at": _at(1)}, {"endpoint": "issue", "at": _at(2)}, (_at(1),), True),
    ],
    ids=["given up", "not given up yet", "thawing", "long thawed", "thawing, and no reading"],
)
def test_which_overlaps_count(
    earlier: dict[str, Any], later: dict[str, Any], thawed: tuple[str, ...], *, counts: bool
) -> None:
    """Neither a request that its client gave up, nor what a frozen worker still reads, is disorder."""
    overlaps = _overlap(_request(1, FIRST) | earlier, _request(2, SECOND) | later)
    verdict = reconcile(replace(SOUND, overlaps=overlaps, overlap_count=1, thawed=thawed))
    assert bool(verdict.findings) is counts


def test_what_was_rejected_may_be_enrolled_later() -> None:
    """A redrive asks again: what comes of that is the last word."""
    outcomes = [_outcome(FIRST, "REJECTED"), _outcome(FIRST, "DEAD_LETTERED", promotionId=None)]
    assert reconcile(replace(SOUND, outcomes=[*outcomes, *SOUND.outcomes])).findings == ()


def test_a_customer_may_be_enrolled_again_if_the_run_says_so() -> None:
    """Each event under a key of its own: that is what `every-event` is for."""
    again = ENROLMENT | {"idempotencyKey": "other"}
    outcomes = [_outcome(FIRST, "ENROLLED"), _outcome(SECOND, "ENROLLED", idempotencyKey="other")]
    books = replace(SOUND, enrolments=[ENROLMENT, again], outcomes=outcomes)
    assert reconcile(replace(books, once=False)).findings == ()
    assert reconcile(books).findings != ()
