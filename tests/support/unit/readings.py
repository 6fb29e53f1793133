"""What must hold of every reading of a record, whatever its bytes."""

import json
from datetime import UTC

from topics.activity import Activity, Malformed, Tombstone, read_activity
from topics.dead_letter import as_on_activity_topic, dead_letter_headers, read_failure, redriven_from
from topics.record import Record
from worker.commands.dead_letter_report import as_object, plain
from worker.operations.redrive_plan import ForeignLetter, Letter, read_letter

Reading = Activity | Tombstone | Malformed


def checked_activity(source: Record) -> Reading:
    """Read a record of the activity topic; raises AssertionError where the reading is out of bounds."""
    reading = read_activity(source)
    match reading:
        case Activity():
            assert 0 < len(reading.event_id) <= 512
            assert len(reading.event_name) <= 512
            assert reading.org_id is None or 0 < reading.org_id < 2**63
            assert reading.occurred_at is None or reading.occurred_at.tzinfo is UTC
            assert all(0 < len(value) <= 512 for _, value, *_ in reading.customer.names)
        case Malformed(message):
            assert message.isascii()
            assert len(message) < 100
        case Tombstone():
            assert source.value is None
    return reading


def checked_letter(source: Record) -> Letter | ForeignLetter:
    """Read a retry or dead-letter record back; raises AssertionError where it would change on its way."""
    failure = read_failure(source)
    if failure is not None:
        original = as_on_activity_topic(source, failure)
        again = Record(
            position=source.position,
            timestamp_ms=0,
            key=None,
            value=None,
            headers=dead_letter_headers(original.headers, failure),
        )
        assert read_failure(again) == failure
        assert not any(name.startswith("enrolment.error.") for name, _ in original.headers)
    redriven_from(source)
    return read_letter(source, "enrolment-worker", "customer-activity", 0)


def check_shown(letter: Letter) -> None:
    """Show it as `dead-letters list` does: one printable line, and an object."""
    (line,) = plain([letter])
    assert all(each.isprintable() for each in line.split("\t"))
    json.loads(json.dumps(as_object(letter)))
