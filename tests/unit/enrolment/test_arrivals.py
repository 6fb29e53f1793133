"""What arrives: first comers, retries, redrives, and what belongs to another group."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.use_case.values import AT, NAMES, NOW, record
from topics.dead_letter import (
    PREFIX,
    REDRIVEN,
    DeadLetterReason,
    Failure,
    dead_letter_headers,
    read_failure,
)
from topics.record import Headers, Position, Record
from worker.enrolment.arrivals import Arrival, Claim, Damaged, NotOurs, arrive, wait_of

FOREIGN: Headers = (("traceparent", b"00-1-2-01"), ("x", b"\xff"))
ORIGINAL = record({"eventId": "evt-1"}, headers=FOREIGN)
FAILURE = Failure(
    reason=DeadLetterReason.RETRIES_EXHAUSTED,
    message="lookup: HTTP 500",
    position=AT,
    timestamp_ms=ORIGINAL.timestamp_ms,
    group=NAMES.group_id,
    attempts=5,
    first_failed_at=NOW,
    last_failed_at=NOW,
)
MARK = f"{NAMES.dead_letters}-3-9".encode()
DELAYS = (30.0, 300.0, 1800.0)


def again(topic: str, *more: tuple[str, bytes], failure: Failure = FAILURE) -> Record:
    """Return the original as it lies on another topic, with our headers."""
    headers = dead_letter_headers(FOREIGN, failure) + more
    return Record(
        position=Position(topic, 3, 7),
        timestamp_ms=1_800_000_000_000,
        key=ORIGINAL.key,
        value=ORIGINAL.value,
        headers=headers,
    )


def test_an_activity_record_is_what_it_is() -> None:
    """Whatever headers upstream gives it."""
    assert arrive(ORIGINAL, NAMES) == Arrival(ORIGINAL)
    assert arrive(again(NAMES.activity), NAMES) == Arrival(again(NAMES.activity))


@pytest.mark.parametrize("hop", [1, 2, 3])
def test_a_retry_is_the_original_record_and_how_it_failed(hop: int) -> None:
    """Position, time and headers are those of the activity record: its identity hangs on them."""
    assert arrive(again(NAMES.retries[hop - 1]), NAMES) == Arrival(ORIGINAL, hop, FAILURE)


def test_a_redriven_record_begins_anew() -> None:
    """It is the original, knows no earlier failure, and reopens what was rejected, if its letter says so."""
    redriven = again(NAMES.activity, (REDRIVEN, MARK))

    assert arrive(redriven, NAMES) == Claim(
        record=redriven,
        letter=Position(NAMES.dead_letters, 3, 9),
        original=ORIGINAL,
        true=Arrival(ORIGINAL, redriven=MARK.decode()),
        false=Arrival(redriven),
    )


def test_a_redrive_of_another_group_is_not_ours() -> None:
    """If its letter says so, again."""
    redriven = again(NAMES.activity, (REDRIVEN, MARK), (f"{PREFIX}group", b"another"))
    claim = arrive(redriven, NAMES)

    assert isinstance(claim, Claim)
    assert (claim.true, claim.false) == (NotOurs("redrive_of_another_group"), Arrival(redriven))


@pytest.mark.parametrize(
    ("stranger", "why"),
    [
        (again(NAMES.retries[0], (f"{PREFIX}group", b"another")), "retry_of_another_group"),
        (record({}, at=Position(NAMES.retries[0], 3, 7)), "retry_of_another_group"),
    ],
    ids=["retry", "no-headers"],
)
def test_what_another_group_deferred_is_not_ours(stranger: Record, why: str) -> None:
    """It is passed over, and its topic goes on."""
    assert arrive(stranger, NAMES) == NotOurs(why)


def test_a_redrive_stays_one_from_hop_to_hop() -> None:
    """What it reopened stays open on the retry."""
    retry = again(NAMES.retries[0], (REDRIVEN, MARK))

    assert arrive(retry, NAMES) == Arrival(ORIGINAL, 1, FAILURE, MARK.decode())


def test_a_header_of_upstreams_own_is_none_of_ours() -> None:
    """A record that nobody deferred is an activity record, whatever it calls itself."""
    upstreams = record({}, headers=((REDRIVEN, b"x"),))

    assert arrive(upstreams, NAMES) == Arrival(upstreams)


@pytest.mark.parametrize(
    "damaged",
    [
        again(NAMES.retries[0], (f"{PREFIX}offset", b"?")),
        again(NAMES.retries[0], (f"{PREFIX}offset", b"-1")),
        again(NAMES.retries[0], (f"{PREFIX}attempts", b"many")),
        again(NAMES.retries[0], (f"{PREFIX}partition", b"2")),
        again(NAMES.retries[0], (f"{PREFIX}topic", b"x" * 500_000)),
    ],
    ids=["no number", "negative", "attempts", "partition", "topic"],
)
def test_what_is_ours_and_cannot_be_what_it_says_is_not_passed_over(damaged: Record) -> None:
    """It names the header; another partition's ledger would know nothing of the customer."""
    assert isinstance(arrive(damaged, NAMES), Damaged)


@pytest.mark.parametrize(
    "forged",
    [
        again(NAMES.activity, (REDRIVEN, MARK), (f"{PREFIX}offset", b"?")),
        again(NAMES.activity, (REDRIVEN, MARK), (f"{PREFIX}partition", b"2")),
        again(NAMES.activity, (REDRIVEN, MARK), (f"{PREFIX}topic", b"elsewhere")),
        again(NAMES.activity, (REDRIVEN, b"elsewhere-3-9")),
        again(NAMES.activity, (REDRIVEN, b"\xff")),
        again(NAMES.activity, (REDRIVEN, MARK + b"9" * 70)),
    ],
    ids=["offset", "partition", "topic", "letter", "no text", "2 to the 200"],
)
def test_what_cannot_be_a_redrive_is_a_record_like_any_other(forged: Record) -> None:
    """Nobody is asked; its headers are upstream's."""
    assert arrive(forged, NAMES) == Arrival(forged)


_OURS = [name for name, _ in dead_letter_headers((), FAILURE)] + [REDRIVEN, f"{PREFIX}value_omitted", "x"]
_SAID = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.sampled_from([value for _, value in dead_letter_headers((), FAILURE)]),
    st.sampled_from(
        [b"-1", b"9" * 40, b"0", b"9999-12-31T23:59:59-23:59", b"0001-01-01T00:00:00+23:59", MARK]
    ),
)


@given(
    st.sampled_from([NAMES.activity, *NAMES.retries]),
    st.lists(st.tuples(st.sampled_from(_OURS), _SAID), max_size=14),
    st.sampled_from([None, b"", b"{}", b"k"]),
    st.sampled_from([None, b"", b"{}", b"[]"]),
    st.integers(-(2**63), 2**63 - 1),
)
def test_whatever_a_record_says_of_itself_it_is_something(
    topic: str, said: list[tuple[str, bytes | None]], key: bytes | None, value: bytes | None, at_ms: int
) -> None:
    """And what becomes of it is told by numbers and names that outcomes can hold, at a place it can have."""
    whole = dict(dead_letter_headers((), FAILURE))
    source = Record(
        position=Position(topic, 3, 7),
        timestamp_ms=at_ms,
        key=key,
        value=value,
        headers=(*whole.items(), *said),
    )
    arrival = arrive(source, NAMES)
    told = [arrival.false, arrival.true] if isinstance(arrival, Claim) else [arrival]

    assert 0 <= wait_of(source, NAMES, DELAYS, 0.0, 0.0) <= DELAYS[-1]
    for each in told:
        if isinstance(each, Arrival):
            assert (each.record.key, each.record.value) == (key, value)
            assert each.record.position.topic in (topic, NAMES.activity)
            assert each.record.position.partition == 3
            assert 0 <= each.record.position.offset < 2**63
            assert each.record.timestamp.tzinfo is UTC
            again_ = dead_letter_headers(each.record.headers, each.earlier or FAILURE)
            assert read_failure(
                Record(position=AT, timestamp_ms=0, key=key, value=value, headers=again_)
            ) == (each.earlier or FAILURE)


@pytest.mark.parametrize(
    ("hop", "now", "wait"),
    [(1, 0.0, 30.0), (1, 10.0, 20.0), (1, 30.0, 0.0), (2, 30.0, 270.0), (3, 1e9, 0.0), (1, -1e9, 30.0)],
)
def test_a_retry_is_due_its_topics_delay_after_it_was_written(hop: int, now: float, wait: float) -> None:
    """A clock that is wrong by years makes it wait no longer than the delay."""
    retry = again(NAMES.retries[hop - 1])

    assert wait_of(retry, NAMES, DELAYS, 1_800_000_000 + now, 0.0) == wait


@pytest.mark.parametrize(("seen_for", "wait"), [(0.0, 30.0), (10.0, 20.0), (30.0, 0.0), (1e9, 0.0)])
def test_a_retry_that_is_stamped_ahead_waits_no_longer_than_its_delay_since_it_was_seen(
    seen_for: float, wait: float
) -> None:
    """However often it is fetched: it waited its delay anew each time."""
    retry = again(NAMES.retries[0])

    assert wait_of(retry, NAMES, DELAYS, 1_800_000_000 - 45.0, seen_for) == wait


def test_nothing_else_waits() -> None:
    """Neither activity nor the retries of another group."""
    other = again(NAMES.retries[0], (f"{PREFIX}group", b"another"))

    assert [wait_of(each, NAMES, DELAYS, 0.0, 0.0) for each in (ORIGINAL, other)] == [0.0, 0.0]
