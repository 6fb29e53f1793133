"""Which dead letters are chosen, what of them is read, and which of them go back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.unit.letters import AT, FAILURE, WRITTEN, dead_letter, letter, read
from tests.support.use_case.values import event, record
from topics.dead_letter import (
    HEADERS_OMITTED,
    KEY_OMITTED,
    REDRIVEN,
    VALUE_OMITTED,
    DeadLetterReason,
    redriven_from,
    redriven_headers,
)
from topics.record import Headers, Position
from worker.operations.redrive_plan import (
    CLOCKS_APART_MS,
    Chosen,
    ForeignLetter,
    Horizon,
    Letter,
    Obstacle,
    Wanted,
    plan,
)


def test_a_letter_has_the_events_identity_and_nothing_personal() -> None:
    """Ids, name, sizes and the failure; the mobile number is nowhere in it."""
    value = event(customer={"customerId": "5", "mobile": "919845012345"})
    found = read(dead_letter(value, foreign=(("ce_id", b"ce-1"),)))

    assert isinstance(found, Letter)
    assert (found.event_id, found.event_name, found.customer_id) == ("evt-1", "transactionAdded", 5)
    assert (found.failure, found.position.offset, found.key_bytes) == (FAILURE, 7, 8)
    assert "919845012345" not in repr(found)


@pytest.mark.parametrize(
    ("value", "foreign", "identity"),
    [
        (b"\xff", (), "customer-activity-3-42"),
        (b"{}", (), "customer-activity-3-42"),
        (b"", (("ce_id", b"ce-1"),), "ce-1"),
    ],
)
def test_what_is_no_event_has_the_identity_that_its_outcome_bore(
    value: bytes, foreign: Headers, identity: str
) -> None:
    """Where the value names none: the CloudEvents id, else where the original lay."""
    found = read(dead_letter(value, foreign=foreign))

    assert isinstance(found, Letter)
    assert (found.event_id, found.event_name, found.customer_id) == (identity, "", None)


def test_only_our_own_letters_are_read() -> None:
    """Another group's, another topic's, a partition that cannot be, and a record without our headers."""
    elsewhere = Position("another-topic", 3, 42)

    assert read(dead_letter(b"", replace(FAILURE, group="theirs"))) is ForeignLetter.OTHER_GROUP
    assert read(dead_letter(b"", replace(FAILURE, position=elsewhere))) is ForeignLetter.UNREADABLE
    impossible = replace(FAILURE.position, partition=-1)
    assert read(dead_letter(b"", replace(FAILURE, position=impossible))) is ForeignLetter.UNREADABLE
    assert read(record(b"{}")) is ForeignLetter.UNREADABLE


def test_a_value_that_is_not_there_counts_as_omitted() -> None:
    """By its header, or because it is null; an empty one is as upstream wrote it."""
    assert read(dead_letter(b"")) == letter(
        event_id="customer-activity-3-42", event_name="", value_bytes=0, value_omitted=False
    )
    for source in (
        dead_letter(None),
        replace(dead_letter(b""), headers=(*dead_letter(b"").headers, (VALUE_OMITTED, b"true"))),
    ):
        found = read(source)
        assert isinstance(found, Letter)
        assert found.value_omitted


@pytest.mark.parametrize("name", [VALUE_OMITTED, HEADERS_OMITTED, KEY_OMITTED])
def test_what_was_left_out_is_known_by_our_own_headers(name: str) -> None:
    """One of upstream's must not keep a letter from being redriven."""
    source = dead_letter(event())
    omitted = read(replace(source, headers=(*source.headers, (name, b"1"))))
    forged = read(dead_letter(event(), foreign=((name, b"1"),)))
    assert isinstance(omitted, Letter)
    assert isinstance(forged, Letter)

    assert plan([omitted], (), RETAINED, 1000).left == {Obstacle.OMITTED: (omitted,)}
    assert plan([forged], (), RETAINED, 1000).to_send == (forged,)


@pytest.mark.parametrize(
    ("wanted", "admitted"),
    [
        (Wanted(), True),
        (Wanted(reasons=frozenset({DeadLetterReason.IN_DOUBT})), False),
        (Wanted(reasons=frozenset({DeadLetterReason.IN_DOUBT, DeadLetterReason.RETRIES_EXHAUSTED})), True),
        (Wanted(since=AT), True),
        (Wanted(since=AT + timedelta(microseconds=1)), False),
        (Wanted(until=AT), False),
        (Wanted(until=AT + timedelta(microseconds=1)), True),
        (Wanted(customer_id=5), True),
        (Wanted(customer_id=6), False),
    ],
)
def test_every_filter_must_admit_a_letter(wanted: Wanted, admitted: bool) -> None:  # noqa: FBT001 - the expectation
    """By reason, by when it was dead-lettered (from, up to but without), by customer."""
    assert wanted.admits(letter(customer_id=5)) is admitted


@pytest.mark.parametrize("count", [1, 2, 3, 100, None])
def test_the_oldest_are_chosen_in_whatever_order_they_come(count: int | None) -> None:
    """The count takes those dead-lettered first; at the same time, those that lie first."""
    ages = [5, 1, 4, 1, 3, 2, 9, 8, 7, 6]
    all_ = [
        letter(offset, failure=replace(FAILURE, last_failed_at=AT - timedelta(days=age)))
        for offset, age in enumerate(ages)
    ]
    chosen = Chosen(Wanted(count=count))
    for each in all_:
        chosen.add(each)

    assert [each.position.offset for each in chosen.letters()] == [6, 7, 8, 9, 0, 2, 4, 5, 1, 3][:count]


def test_a_redriven_record_bears_the_dead_letters_headers_and_where_it_lies() -> None:
    """Ours stay too: the worker restores the original record from them."""
    source = dead_letter(b"", foreign=(("x", b"\xff"), ("x", None)))
    headers = redriven_headers(source)

    assert headers == (*source.headers, (REDRIVEN, b"customer-activity-dlt-1-7"))
    assert redriven_from(replace(source, headers=headers)) == source.position
    assert redriven_from(source) is None


@pytest.mark.parametrize(
    "mark",
    [
        *("", "-", "a-b", "-1-2", "t-1", "t--2", "t-1-", "t-x-1", "t-1-x"),
        "t-1-" + "9" * 20,
        "t-\N{ARABIC-INDIC DIGIT ONE}-1",
    ],
)
def test_a_mark_that_names_no_dead_letter_marks_nothing(mark: str) -> None:
    """Upstream may write what it likes."""
    headers = (*dead_letter(b"").headers, (REDRIVEN, mark.encode()))
    assert redriven_from(record(b"", headers=headers)) is None


def test_a_mark_that_upstream_wrote_marks_nothing() -> None:
    """Ours begin where the reason does."""
    forged = ((REDRIVEN, b"customer-activity-dlt-1-7"),)

    assert redriven_from(record(b"", headers=forged)) is None
    assert redriven_from(dead_letter(b"", foreign=forged)) is None


RETAINED = {3: Horizon(first_offset=43, first_time_ms=WRITTEN)}
"""The original is gone, and all that came after it is there."""


def test_each_letter_goes_back_unless_something_is_in_its_way() -> None:
    """Redriven before, omitted, too large; a size that just fits goes."""
    sent, before = letter(1, largest_batch_bytes=1000), letter(2)
    omitted, large = letter(3, value_omitted=True), letter(4, largest_batch_bytes=1001)
    decided = plan([sent, before, omitted, large], {before.position}, RETAINED, 1000)

    assert (decided.to_send, decided.redriven_before) == ((sent,), 1)
    assert decided.left == {Obstacle.OMITTED: (omitted,), Obstacle.TOO_LARGE: (large,)}


@pytest.mark.parametrize(
    ("horizon", "forgotten"),
    [
        (Horizon(0, None), False),
        (Horizon(43, None), False),
        (Horizon(44, None), True),
        (Horizon(44, WRITTEN), True),
        (Horizon(44, WRITTEN - CLOCKS_APART_MS), True),
        (Horizon(44, WRITTEN - CLOCKS_APART_MS - 1), False),
    ],
)
def test_what_may_have_been_redriven_beyond_the_topics_memory_is_left(
    horizon: Horizon,
    forgotten: bool,  # noqa: FBT001 - the expectation
) -> None:
    """A mark lies after its original and is no older than its letter: only what was deleted can hide it."""
    decided = plan([letter()], (), {3: horizon}, 1000)

    assert decided.left == ({Obstacle.FORGOTTEN: (letter(),)} if forgotten else {})
    assert plan([letter()], (), {3: horizon}, 1000, also_forgotten=True).to_send == (letter(),)
    assert plan([letter()], {letter().position}, {3: horizon}, 1000).redriven_before == 1
