"""The headers of retry and dead-letter records."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from topics.dead_letter import (
    HEADERS_OMITTED,
    OMITTED,
    REDRIVEN,
    VALUE_OMITTED,
    DeadLetterReason,
    Failure,
    as_on_activity_topic,
    dead_letter_headers,
    foreign_headers,
    group_of,
    our_headers,
    read_failure,
)
from topics.record import Headers, Position, Record

FAILURE = Failure(
    reason=DeadLetterReason.MALFORMED_EVENT,
    message="value: nicht für uns",
    position=Position("customer-activity", 3, 42),
    timestamp_ms=1769853600123,
    group="enrolment-worker",
    attempts=5,
    first_failed_at=datetime(2026, 1, 31, 10, tzinfo=UTC),
    last_failed_at=datetime(2026, 1, 31, 10, 0, 1, 5000, UTC),
)
OURS: Headers = (
    ("enrolment.error.reason", b"malformed_event"),
    ("enrolment.error.message", "value: nicht für uns".encode()),
    ("enrolment.error.topic", b"customer-activity"),
    ("enrolment.error.partition", b"3"),
    ("enrolment.error.offset", b"42"),
    ("enrolment.error.timestamp", b"1769853600123"),
    ("enrolment.error.group", b"enrolment-worker"),
    ("enrolment.error.attempts", b"5"),
    ("enrolment.error.first_failed_at", b"2026-01-31T10:00:00Z"),
    ("enrolment.error.last_failed_at", b"2026-01-31T10:00:01.005000Z"),
)


def test_headers_say_why_and_where_from_under_the_contracted_names() -> None:
    """All ten headers are there, as UTF-8 text, naming the original record."""
    assert dead_letter_headers((), FAILURE) == OURS


def test_foreign_headers_are_kept_byte_for_byte_and_earlier_ones_of_ours_replaced() -> None:
    """Order, repeats, nulls and bytes that are no text survive; a hop's headers replace the earlier hop's.

    Headers of our names that were there before any of ours are as foreign as others.
    """
    foreign: Headers = (
        ("traceparent", b"00-1-2-01"),
        ("x", b"\xff\x00"),
        ("x", b""),
        ("x", None),
        ("enrolment.errors", b"not ours"),
        *OURS[3:],
        (VALUE_OMITTED, b"forged"),
        (REDRIVEN, b"forged"),
        *OURS,
        (VALUE_OMITTED, b"forged"),
    )
    lying = (*dead_letter_headers(foreign, FAILURE), (HEADERS_OMITTED, b"true"), ("y", b""))

    assert foreign_headers(lying) == (*foreign, ("y", b""))
    assert our_headers(lying) == dict((*OURS, (HEADERS_OMITTED, b"true")))
    again = dead_letter_headers(foreign_headers(lying), FAILURE)
    assert again == (*foreign, ("y", b""), *OURS)


def test_reasons_are_the_contracts() -> None:
    """Operators and redrive select by these words."""
    assert {reason.value for reason in DeadLetterReason} == {
        "malformed_event",
        "no_identifier",
        "other_organisation",
        "retries_exhausted",
        "in_doubt",
        "handler_fault",
    }
    assert [each.removeprefix("enrolment.error.") for each in OMITTED] == [
        "value_omitted",
        "headers_omitted",
        "key_omitted",
    ]


def test_what_was_written_is_read_back() -> None:
    """Group, failure and the original record come out of the headers as they went in."""
    foreign: Headers = (("traceparent", b"00-1-2-01"), ("x", None), ("x", b"\xff"))
    lying = Record(
        position=Position("customer-activity-retry-1", 3, 7),
        timestamp_ms=9,
        key=b"k",
        value=b"v",
        headers=dead_letter_headers(foreign, FAILURE),
    )

    assert group_of(lying) == "enrolment-worker"
    assert read_failure(lying) == FAILURE
    assert as_on_activity_topic(lying, FAILURE) == Record(
        position=FAILURE.position, timestamp_ms=FAILURE.timestamp_ms, key=b"k", value=b"v", headers=foreign
    )


def test_a_redriven_record_that_fails_again_leaves_a_dead_letter_that_was_not_redriven() -> None:
    """The mark of the redrive is ours: it is replaced with our other headers."""
    redriven: Headers = (*OURS, (REDRIVEN, b"customer-activity-dlt-3-9"), ("x", b"1"))

    assert dead_letter_headers(foreign_headers(redriven), FAILURE) == (("x", b"1"), *OURS)


@pytest.mark.parametrize(("name", "value"), [("offset", b"-1"), ("attempts", b"-1"), ("attempts", b"9" * 12)])
def test_numbers_that_nothing_of_ours_can_have_are_not_read(name: str, value: bytes) -> None:
    """They would be told in outcomes, and added to."""
    headers = tuple((found, value if found.endswith(f".{name}") else it) for found, it in OURS)

    assert (
        read_failure(Record(position=FAILURE.position, timestamp_ms=0, key=None, value=None, headers=headers))
        is None
    )


def test_a_message_is_bounded() -> None:
    """A dead letter must fit, whatever is told of it."""
    headers = dict(dead_letter_headers((), replace(FAILURE, message="x" * 70_000)))

    assert len(headers["enrolment.error.message"] or b"") == 1000


@pytest.mark.parametrize("name", [name for name, _ in OURS])
@pytest.mark.parametrize("value", [None, b"\xff", b"", b"12a", b"2026-01-31T10:00:00"])
def test_headers_that_are_not_ours_are_not_trusted(name: str, value: bytes | None) -> None:
    """A missing or garbled header makes the failure unreadable, except where any text would do."""
    headers = tuple((found, value if found == name else content) for found, content in OURS)
    read = read_failure(
        Record(position=FAILURE.position, timestamp_ms=0, key=None, value=None, headers=headers)
    )

    is_text = name.removeprefix("enrolment.error.") in {"message", "topic", "group"}
    assert (read is not None) == (is_text and value is not None and value != b"\xff")


def test_a_message_that_is_longer_than_ours_is_read_as_we_would_have_written_it() -> None:
    """It is forged: nothing that lists or redrives dead letters carries more of it along."""
    headers = tuple((name, b"x" * 70_000 if name.endswith("message") else value) for name, value in OURS)
    failure = read_failure(
        Record(position=Position("retry", 0, 0), timestamp_ms=0, key=None, value=None, headers=headers)
    )
    assert failure is not None
    assert dead_letter_headers((), failure)[1] == ("enrolment.error.message", b"x" * 1_000)
    assert failure.message == "x" * 1_000
