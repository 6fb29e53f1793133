"""Which records give way: by the time of the event, wherever its record lies."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.use_case.values import AT, NAMES, NOW, event, record
from topics.dead_letter import DeadLetterReason, Failure, dead_letter_headers, redriven_headers
from topics.record import Position, Record
from worker.enrolment.admission import Admitted, admit
from worker.enrolment.backlog import Backlog
from worker.enrolment.rules import Rules

AGE = timedelta(minutes=5)
OLD, YOUNG = "2026-01-31T09:54:59Z", "2026-01-31T09:55:00Z"
OLD_MS = int(datetime(2026, 1, 31, 9, tzinfo=UTC).timestamp() * 1000)
NOW_MS = int(NOW.timestamp() * 1000)


def backlog(**rules: Any) -> Backlog:  # noqa: ANN401 - any of the rules
    """Return what tells a backlog at NOW."""
    return Backlog(NAMES, Rules(**rules), AGE, lambda: NOW)


def failed(source: Record, group: str = NAMES.group_id) -> Record:
    """Return a record with the headers of one that failed."""
    failure = Failure(
        reason=DeadLetterReason.RETRIES_EXHAUSTED,
        message="",
        position=source.position,
        timestamp_ms=source.timestamp_ms,
        group=group,
        attempts=1,
        first_failed_at=NOW,
        last_failed_at=NOW,
    )
    return record(source.value, headers=dead_letter_headers(source.headers, failure), timestamp_ms=NOW_MS)


def on(topic: str, source: Record) -> Record:
    """Return the record on another topic, as it is read there."""
    at = Position(topic, AT.partition, 7)
    return record(source.value, headers=source.headers, at=at, timestamp_ms=NOW_MS)


@pytest.mark.parametrize(("occurred_at", "expected"), [(OLD, True), (YOUNG, False)])
def test_an_event_is_as_old_as_it_says(occurred_at: str, *, expected: bool) -> None:
    """On the activity topic, on a retry topic and redriven: as its lookup will be, whatever Kafka stamped."""
    source = record(event(occurredAt=occurred_at), timestamp_ms=NOW_MS if expected else OLD_MS)
    retry, letter = on(NAMES.retries[1], failed(source)), on(NAMES.dead_letters, failed(source))
    redriven = record(letter.value, headers=redriven_headers(letter), timestamp_ms=NOW_MS)
    assert [backlog().has(each) for each in (source, retry, redriven)] == 3 * [expected]

    admitted = admit(source, Rules(), NOW)
    assert isinstance(admitted, Admitted)
    assert (NOW - admitted.happened > AGE) is expected


def test_an_event_without_a_time_is_as_old_as_its_first_record() -> None:
    """A retry's own is younger."""
    source = record({name: value for name, value in event().items() if name != "occurredAt"})
    old = record(source.value, timestamp_ms=OLD_MS)
    young = record(source.value, timestamp_ms=NOW_MS)
    assert [backlog().has(each) for each in (old, young)] == [True, False]
    assert [backlog().has(on(NAMES.retries[0], failed(each))) for each in (old, young)] == [True, False]


def test_what_leads_to_no_lookup_gives_way_to_nobody() -> None:
    """Nothing of the budget is spent on it, however old it is."""
    other = record(event(occurredAt=OLD, eventName="pointsRedeemed"))
    assert not backlog().has(other)
    assert backlog(triggers=frozenset({"*"})).has(other)
    for value in (None, b"", b"{", b"[]", b"\xff"):
        assert not backlog().has(record(value, timestamp_ms=OLD_MS))
    old = record(event(occurredAt=OLD), timestamp_ms=OLD_MS)
    assert not backlog().has(on(NAMES.retries[0], failed(old, group="another")))
    assert not backlog().has(on(NAMES.retries[0], old))
