"""What arrives: first comers, retries, redrives, and what belongs to another group."""

import pytest

from tests.unit.fakes import AT, NAMES, NOW, record
from topics.dead_letter import PREFIX, REDRIVEN, DeadLetterReason, Failure, dead_letter_headers
from topics.record import Headers, Position, Record
from worker.arrivals import Arrival, Claim, Damaged, NotOurs, arrive, wait_of

FOREIGN: Headers = (("traceparent", b"00-1-2-01"), ("x", b"\xff"))
ORIGINAL = record({"eventId": "evt-1"}, headers=FOREIGN)
FAILURE = Failure(
    DeadLetterReason.RETRIES_EXHAUSTED,
    "lookup: HTTP 500",
    AT,
    ORIGINAL.timestamp_ms,
    NAMES.group_id,
    5,
    NOW,
    NOW,
)
MARK = f"{NAMES.dead_letters}-3-9".encode()
DELAYS = (30.0, 300.0, 1800.0)


def again(topic: str, *more: tuple[str, bytes], failure: Failure = FAILURE) -> Record:
    """Return the original as it lies on another topic, with our headers."""
    headers = dead_letter_headers(FOREIGN, failure) + more
    return Record(Position(topic, 3, 7), 1_800_000_000_000, ORIGINAL.key, ORIGINAL.value, headers)


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
        redriven,
        Position(NAMES.dead_letters, 3, 9),
        ORIGINAL,
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
def test_what_another_group_put_aside_is_not_ours(stranger: Record, why: str) -> None:
    """It is passed over, and its topic goes on."""
    assert arrive(stranger, NAMES) == NotOurs(why)


def test_a_redrive_stays_one_from_hop_to_hop() -> None:
    """What it reopened stays open on the retry."""
    retry = again(NAMES.retries[0], (REDRIVEN, MARK))

    assert arrive(retry, NAMES) == Arrival(ORIGINAL, 1, FAILURE, MARK.decode())


def test_a_header_of_upstreams_own_is_none_of_ours() -> None:
    """A record that nobody put aside is an activity record, whatever it calls itself."""
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


@pytest.mark.parametrize(
    ("hop", "now", "wait"),
    [(1, 0.0, 30.0), (1, 10.0, 20.0), (1, 30.0, 0.0), (2, 30.0, 270.0), (3, 1e9, 0.0), (1, -1e9, 30.0)],
)
def test_a_retry_is_due_its_topics_delay_after_it_was_written(hop: int, now: float, wait: float) -> None:
    """A clock that is wrong by years makes it wait no longer than the delay."""
    retry = again(NAMES.retries[hop - 1])

    assert wait_of(retry, NAMES, DELAYS, 1_800_000_000 + now) == wait


def test_nothing_else_waits() -> None:
    """Neither activity nor the retries of another group."""
    other = again(NAMES.retries[0], (f"{PREFIX}group", b"another"))

    assert [wait_of(each, NAMES, DELAYS, 0.0) for each in (ORIGINAL, other)] == [0.0, 0.0]
