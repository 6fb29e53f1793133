"""How old the first record is that is not finished, and for how long it holds up the others."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from structlog.testing import capture_logs

from worker.stream.delivery.partition import Partition
from worker.stream.health.head_watch import ON_HAND, TRANSACTION, Head, HeadWatch

NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
AT, OTHER = ("activity", 0), ("activity", 1)
ON_HAND_HEAD = Head(
    done=5,
    lag=3,
    offset=6,
    written_ms=round(NOW.timestamp() * 1000) - 40_000,
    is_due=True,
    waits_for=ON_HAND,
)
UNREAD_HEAD = replace(ON_HAND_HEAD, offset=5, written_ms=None)


class Scene:
    """Partitions, a log and clocks as the test sets them."""

    def __init__(self) -> None:
        self.heads: dict[Partition, Head] = {}
        self.seconds, self.outage = 0.0, False
        self.written_ms: int | None = round(NOW.timestamp() * 1000) - 70_000
        self.answers = True
        self.reads: list[tuple[Partition, int]] = []
        self.watch = HeadWatch(
            lambda: self.heads,
            self.written_at,
            lambda: self.outage,
            clock=lambda: NOW + timedelta(seconds=self.seconds),
            timer=lambda: self.seconds,
        )

    async def written_at(self, partition: Partition, offset: int) -> int | None:
        self.reads.append((partition, offset))
        if not self.answers:
            raise KafkaTimeoutError
        return self.written_ms

    async def pass_seconds(self, seconds: int) -> list[Mapping[str, Any]]:
        """Look once a second, and return the lines."""
        with capture_logs() as lines:
            for _ in range(seconds):
                self.seconds += 1
                await self.watch.look()
        return list(lines)


@pytest.mark.asyncio
async def test_a_record_on_hand_is_as_old_as_its_timestamp() -> None:
    """Also before anybody has looked; 0 with nothing that waits."""
    scene = Scene()
    scene.heads = {AT: ON_HAND_HEAD, OTHER: replace(ON_HAND_HEAD, lag=0)}
    assert scene.watch.lag_seconds() == {AT: 40.0, OTHER: 0.0}
    await scene.pass_seconds(10)
    assert scene.watch.lag_seconds() == {AT: 50.0, OTHER: 0.0}
    assert scene.reads == []


@pytest.mark.asyncio
async def test_the_time_of_a_record_that_is_not_read_is_looked_up_once() -> None:
    """As in an outage, where nothing is on hand and nothing fetched: its age grows, Kafka has peace."""
    scene = Scene()
    scene.heads = {AT: UNREAD_HEAD}
    await scene.pass_seconds(20)
    assert scene.watch.lag_seconds() == {AT: 90.0}
    assert scene.reads == [(AT, 5)]
    # Retention took it, or it was handled.
    scene.heads = {AT: replace(UNREAD_HEAD, done=7)}
    await scene.pass_seconds(1)
    assert scene.watch.lag_seconds() == {AT: 91.0}, "that of the one before stands in for a moment"
    scene.written_ms = round(NOW.timestamp() * 1000)
    await scene.pass_seconds(2)
    assert scene.watch.lag_seconds() == {AT: 23.0}
    assert scene.reads == [(AT, 5), (AT, 7)]


@pytest.mark.asyncio
async def test_a_partition_that_gets_on_is_not_as_old_as_it_once_was() -> None:
    """A backlog whose events are done in no time: at no look is one on hand. Kafka is asked now and then."""
    scene = Scene()
    scene.heads = {AT: replace(ON_HAND_HEAD, done=0)}
    await scene.pass_seconds(1)
    for done in range(1, 900):
        scene.heads = {AT: replace(UNREAD_HEAD, done=done)}
        scene.written_ms = round(NOW.timestamp() * 1000) + 1000 * done
        await scene.pass_seconds(1)
        assert scene.watch.lag_seconds()[AT] <= 50, done
    assert 100 < len(scene.reads) <= 180


@pytest.mark.asyncio
async def test_an_answer_that_does_not_come_is_asked_for_again() -> None:
    """Meanwhile a record is as old as it was seen to wait."""
    scene = Scene()
    scene.heads, scene.answers = {AT: UNREAD_HEAD}, False
    await scene.pass_seconds(13)
    assert scene.watch.lag_seconds() == {AT: 12.0}
    assert len(scene.reads) == 3
    scene.answers = True
    await scene.pass_seconds(5)
    assert scene.watch.lag_seconds() == {AT: 88.0}


@pytest.mark.asyncio
async def test_markers_alone_are_neither_old_nor_blocked() -> None:
    """While nothing is read they stay; a record that comes behind them is noticed."""
    scene = Scene()
    scene.heads, scene.written_ms = {AT: UNREAD_HEAD}, None
    await scene.pass_seconds(100)
    assert (scene.watch.lag_seconds(), scene.watch.blocked_seconds()) == ({AT: 0.0}, {AT: 0.0})
    scene.written_ms = round(NOW.timestamp() * 1000) + 100_000
    assert await scene.pass_seconds(8) != []
    assert scene.watch.lag_seconds() == {AT: 8.0}


@pytest.mark.asyncio
async def test_a_record_without_a_time_is_as_old_as_it_was_seen_to_wait() -> None:
    """A producer may stamp nothing; 1970 is no age."""
    scene = Scene()
    scene.heads, scene.written_ms = {AT: UNREAD_HEAD}, -1
    await scene.pass_seconds(31)
    assert scene.watch.lag_seconds() == {AT: 30.0}


@pytest.mark.asyncio
async def test_a_clock_behind_the_producers_makes_no_negative_age() -> None:
    """It is 0."""
    scene = Scene()
    scene.heads = {AT: replace(ON_HAND_HEAD, written_ms=round(NOW.timestamp() * 1000) + 60_000)}
    assert scene.watch.lag_seconds() == {AT: 0.0}


@pytest.mark.asyncio
async def test_standing_still_is_counted_and_told_at_growing_intervals() -> None:
    """After a minute, then twice as late each time; its release once."""
    scene = Scene()
    scene.heads = {AT: ON_HAND_HEAD}
    assert await scene.pass_seconds(60) == []
    assert scene.watch.blocked_seconds() == {AT: 59.0}
    (line,) = await scene.pass_seconds(30)
    assert (line["topic"], line["partition"], line["offset"], line["of"]) == (
        "activity",
        0,
        6,
        "activity-0-6",
    )
    assert (line["seconds"], line["records"], line["waits_for"]) == (60, 3, ON_HAND)
    assert line["log_level"] == "warning"
    assert [line["seconds"] for line in await scene.pass_seconds(400)] == [120, 240, 480]
    scene.heads = {AT: replace(ON_HAND_HEAD, done=6)}
    assert scene.watch.blocked_seconds() == {AT: 0.0}
    (line,) = await scene.pass_seconds(30)
    assert "gets on again" in line["event"]
    assert scene.watch.blocked_seconds() == {AT: 29.0}


@pytest.mark.asyncio
@pytest.mark.parametrize("change", ["moves", "ends", "goes", "waits"])
async def test_a_partition_that_moves_ends_or_goes_stands_still_no_more(change: str) -> None:
    """Released, handed over to another replica, or with a retry as the next that is not due yet."""
    scene = Scene()
    scene.heads = {AT: ON_HAND_HEAD}
    await scene.pass_seconds(50)
    changed = {
        "moves": {AT: replace(ON_HAND_HEAD, done=8)},
        "ends": {AT: replace(ON_HAND_HEAD, lag=0)},
        "goes": dict[Partition, Head](),
        "waits": {AT: replace(ON_HAND_HEAD, is_due=False)},
    }[change]
    scene.heads = changed
    assert scene.watch.blocked_seconds() == dict.fromkeys(changed, 0.0)
    await scene.pass_seconds(1)
    scene.heads = {AT: replace(ON_HAND_HEAD, done=8 if change == "moves" else 5)}
    lines = await scene.pass_seconds(30)
    assert scene.watch.blocked_seconds()[AT] <= 30.0
    assert lines == []


@pytest.mark.asyncio
async def test_an_outage_is_told_by_itself() -> None:
    """It counts; the line comes only if nothing moves for a minute after its end."""
    scene = Scene()
    scene.heads, scene.outage = {AT: replace(ON_HAND_HEAD, waits_for=TRANSACTION)}, True
    assert await scene.pass_seconds(300) == []
    assert scene.watch.blocked_seconds() == {AT: 299.0}
    scene.outage = False
    assert await scene.pass_seconds(59) == []
    (line,) = await scene.pass_seconds(2)
    assert line["seconds"] == 359
    assert "find-hanging" in line["remedy"]
