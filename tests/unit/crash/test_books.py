"""The crash laboratory's verdict: it must find each kind of fault, and nothing in sound books."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.crash.books import Books, reconcile
from tests.crash.events import Fed
from tests.crash.owed import Promise, Window

START = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
FIRST, SECOND = Fed(0, 1), Fed(1, 1)


def _at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def _outcome(fed: Fed, name: str, **more: object) -> dict[str, Any]:
    activity = {"eventId": fed.event_id}
    key = {"idempotencyKey": "key"} if name == "ENROLLED" else {}
    about = {"customerId": 1, "promotionId": 7, "occurredAt": _at(10 * fed.number + 5)}
    return {"outcomeId": f"{fed.event_id}/{name}", "outcome": name, "activity": activity} | about | key | more


def _request(number: int, fed: Fed, endpoint: str = "lookup", **more: object) -> dict[str, Any]:
    common = {"number": number, "endpoint": endpoint, "customerId": 1, "status": 200, "at": _at(number)}
    query = {"promotionStatusForCustomer": "AVAILABLE_TO_ENROL"}
    return common | {"traceparent": fed.traceparent, "query": query} | more


ENROLMENT = {"customerId": 1, "promotionId": 7, "idempotencyKey": "key", "at": _at(2), "revokedAt": None}
ELSEWHERE = ENROLMENT | {"idempotencyKey": None}
SOUND = Books(
    fed=[FIRST, SECOND],
    outcomes=[_outcome(FIRST, "ENROLLED"), _outcome(SECOND, "ALREADY_ENROLLED")],
    enrolments=[ENROLMENT],
    requests=[_request(1, FIRST), _request(2, FIRST, "issue"), _request(3, SECOND)],
    overlaps=[],
    overlap_count=0,
    windows=[Window(promotion_id=7, since=START)],
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
        (replace(SOUND, enrolments=[ELSEWHERE, ENROLMENT]), "applied more than once"),
        (
            replace(SOUND, enrolments=[ENROLMENT | {"revokedAt": _at(5)}, ENROLMENT | {"at": _at(6)}]),
            "made again after a revocation",
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
        (replace(SOUND, outcomes=[*SOUND.outcomes] * 2, most_repeated=0.99), "2, 100.0% of those told once"),
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


def test_what_another_channel_enrols_is_not_told() -> None:
    """Several such enrolments have no key, and serve the customer."""
    elsewhere = [ELSEWHERE, ELSEWHERE | {"promotionId": 8}]
    windows = [*SOUND.windows, Window(promotion_id=8, since=START)]
    outcomes = [_outcome(fed, "ALREADY_ENROLLED") for fed in (FIRST, SECOND)]
    verdict = reconcile(replace(SOUND, enrolments=elsewhere, outcomes=outcomes, windows=windows))
    assert (verdict.findings, verdict.applied, verdict.not_told) == ((), 0, 0)


def test_a_revoked_enrolment_was_made() -> None:
    """It was told, and nothing is owed any more."""
    books = replace(SOUND, enrolments=[ENROLMENT | {"revokedAt": _at(5)}])
    assert reconcile(books).findings == ()


def test_events_without_a_lookup_are_sound_if_something_is_promised() -> None:
    """They are counted, and owe what was open for longer than is promised."""
    late = timedelta(seconds=4)
    books = replace(SOUND, requests=SOUND.requests[:2], promise=Promise(late, late, timedelta()))
    assert (reconcile(books).findings, reconcile(books).known) == ((), 1)
    replayed = replace(books, requests=[_request(10, SECOND), _request(30, FIRST)])
    assert (reconcile(replayed).findings, reconcile(replayed).known) == ((), 1)
    missed = replace(books, enrolments=[], outcomes=[_outcome(fed, "ALREADY_ENROLLED") for fed in books.fed])
    assert any("owed" in finding for finding in reconcile(missed).findings)
    assert reconcile(replace(missed, promise=None)).findings != ()
