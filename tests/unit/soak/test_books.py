"""The books of a soak: sound ones agree, and each kind of fault is found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.soak.books import Books, busiest_minute, findings

START = datetime(2026, 1, 31, tzinfo=UTC)


def outcome(name: str, offset: int, key: str | None = None) -> dict[str, Any]:
    """Return an outcome of the record at that offset."""
    value: dict[str, Any] = {
        "outcomeId": f"{name}-{offset}",
        "outcome": name,
        "activity": {"partition": 0, "offset": offset},
    }
    return value if key is None else value | {"idempotencyKey": key}


def enrolment(key: str, customer: int = 1) -> dict[str, Any]:
    """Return an applied enrolment."""
    return {"idempotencyKey": key, "customerId": customer, "promotionId": 7}


SOUND = Books(
    good=frozenset({(0, 1)}),
    bad=frozenset({(0, 2)}),
    outcomes=[outcome("DEFERRED", 1), outcome("ENROLLED", 1, "k"), outcome("DEAD_LETTERED", 2)],
    dead_letters=[(0, 2)],
    enrolments=[enrolment("k")],
    arrivals=[START + timedelta(seconds=second) for second in range(300)],
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
        ({"budget": 58}, "above the budget"),
        ({"memory": {"first": (100.0, 121.0)}}, "memory of first"),
    ],
)
def test_each_fault_is_found(changed: dict[str, Any], found: str) -> None:
    """One line for each promise that does not hold."""
    assert any(found in line for line in findings(replace(SOUND, **changed)))


def test_the_busiest_minute_may_begin_anywhere() -> None:
    """Not only on the full minute."""
    rush = [START + timedelta(seconds=50 + second / 10) for second in range(200)]

    assert busiest_minute([START, *rush]) == 200
