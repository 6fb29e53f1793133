"""The books of a soak: sound ones agree, and each kind of fault is found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.crash.events import Fed
from tests.crash.owed import Promise, Window
from tests.soak.books import Books, busiest_minute, findings

START = datetime(2026, 1, 31, tzinfo=UTC)
LATER = (START + timedelta(seconds=1)).isoformat()


def outcome(name: str, offset: int, key: str | None = None) -> dict[str, Any]:
    """Return an outcome of the record at that offset."""
    value: dict[str, Any] = {
        "outcomeId": f"{name}-{offset}",
        "outcome": name,
        "activity": {"partition": 0, "offset": offset, "eventId": f"event-{offset - 1}"},
        "occurredAt": (START + timedelta(seconds=9)).isoformat(),
    }
    return value if key is None else value | {"idempotencyKey": key}


def enrolment(key: str | None, customer: int = 1, **more: object) -> dict[str, Any]:
    """Return an applied enrolment."""
    made = {"customerId": customer, "promotionId": 7, "at": START.isoformat(), "revokedAt": None}
    return {"idempotencyKey": key} | made | more


def request(second: int) -> dict[str, Any]:
    """Return a lookup by the first event."""
    asked = {"customerId": 1, "endpoint": "lookup", "traceparent": Fed(0, 1).traceparent}
    query = {"promotionStatusForCustomer": "AVAILABLE_TO_ENROL"}
    return asked | {"at": (START + timedelta(seconds=second)).isoformat(), "query": query}


SOUND = Books(
    good=frozenset({(0, 1)}),
    bad=frozenset({(0, 2)}),
    outcomes=[outcome("DEFERRED", 1), outcome("ENROLLED", 1, "k"), outcome("DEAD_LETTERED", 2)],
    dead_letters=[(0, 2)],
    enrolments=[enrolment("k")],
    requests=[request(second) for second in range(300)],
    fed=[Fed(0, 1)],
    windows=[Window(promotion_id=7, since=START)],
    promise=None,
    budget=60,
    memory={"first": (100.0, 119.0)},
)


def test_sound_books_agree() -> None:
    """Nothing is found where all promises hold."""
    assert findings(SOUND) == []


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"outcomes": SOUND.outcomes[:2]}, "without a final outcome"),
        ({"outcomes": [SOUND.outcomes[0], SOUND.outcomes[2]]}, "without a final outcome"),
        ({"dead_letters": []}, "bad records that are no dead letters"),
        ({"dead_letters": [(0, 1), (0, 2)]}, "dead letters of good events"),
        ({"enrolments": [enrolment("k"), enrolment("k", 2)]}, "applied more than once"),
        ({"enrolments": [enrolment("k"), enrolment("l")]}, "enrolled twice"),
        ({"enrolments": []}, "told and not applied"),
        ({"enrolments": [enrolment("k"), enrolment("l", 2)]}, "not told"),
        ({"enrolments": [enrolment("k"), enrolment(None)]}, "enrolled twice"),
        (
            {
                "enrolments": [
                    enrolment("k", revokedAt=START.isoformat()),
                    enrolment("l", at=(START + timedelta(seconds=1)).isoformat()),
                ]
            },
            "again after a revocation",
        ),
        ({"outcomes": [*SOUND.outcomes, outcome("ENROLLED", 3, "k")]}, "want none"),
        ({"windows": [Window(promotion_id=8, since=START - timedelta(seconds=1))]}, "owed and never made"),
        (
            {"requests": [], "windows": [Window(promotion_id=8, since=START + timedelta(hours=1))]},
            "owed and never made",
        ),
        ({"budget": 58}, "above the budget"),
        ({"memory": {"first": (100.0, 121.0)}}, "memory of first"),
    ],
)
def test_each_fault_is_found(changed: dict[str, Any], found: str) -> None:
    """One line for each promise that does not hold."""
    assert any(found in line for line in findings(replace(SOUND, **changed)))


def test_without_a_lookup_as_much_is_owed_as_is_promised() -> None:
    """What has just opened may be missed; what was told of, even as a refusal, is not owed."""
    late = timedelta(seconds=20)
    unasked = replace(SOUND, requests=[], promise=Promise(late, late, timedelta()))
    assert (findings(unasked), unasked.known) == ([], 1)
    earlier = Window(promotion_id=8, since=START - late)
    missed = replace(unasked, windows=[earlier])
    assert any("owed" in line for line in findings(missed))
    refused = outcome("REJECTED", 1) | {"customerId": 1, "promotionId": 8}
    assert findings(replace(missed, outcomes=[*missed.outcomes, refused])) == []


def test_another_channel_enrols_without_a_word() -> None:
    """Its enrolments have no key, and are told by nobody."""
    elsewhere = [enrolment(None, 2), enrolment(None, 3)]
    assert findings(replace(SOUND, enrolments=[*SOUND.enrolments, *elsewhere])) == []


def test_the_busiest_minute_may_begin_anywhere() -> None:
    """Not only on the full minute."""
    rush = [START + timedelta(seconds=50 + second / 10) for second in range(200)]

    assert busiest_minute([START, *rush]) == 200
