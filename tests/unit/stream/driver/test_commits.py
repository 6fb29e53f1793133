"""What is committed: of one moment, and as much as the broker takes."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetMetadataTooLargeError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP
from structlog.testing import capture_logs

from worker.kafka.commit_note import Note
from worker.kafka.finished import Finished, read
from worker.kafka.positions import Mark
from worker.stream.delivery.leaders import Leaders
from worker.stream.driver.commits import Commit, Commits
from worker.stream.driver.consumer import Consumer
from worker.stream.driver.consumer_thread import ConsumerThread

AT, PARTITION = TP("activity", 0), ("activity", 0)


class Stream:
    """A flow and its positions, as far as a commit asks them."""

    def __init__(self) -> None:
        self.leaders = Leaders()
        self.leaders.began(PARTITION, Mark("1" * 32, 3), 5)
        self.told: Finished | None = Finished(5, (range(7, 9),))
        self.may_commit = lambda partition: self.leaders.former(partition) is None

    def standing(self, partition: object, mark: Mark) -> Finished | None:
        assert partition == PARTITION
        assert mark == self.leaders.mark(PARTITION)
        return self.told


def _consumer() -> tuple[Consumer, Stream, list[Any]]:
    """Return a consumer that was never started, what it reads, and what it has committed."""
    on: Any = Stream()
    written = list[Any]()

    async def commit_noted(commits: dict[TP, Commit]) -> bool:
        written.append({tp: (commit.offset, commit.note.finished) for tp, commit in commits.items()})
        return True

    consumer: Any = Consumer.__new__(Consumer)
    consumer._commits = Commits(on, on, lambda mark, partition: f"{mark} {partition}")
    consumer._thread = SimpleNamespace(commit_noted=commit_noted)
    consumer._acked, consumer._acked_index, consumer._gap = {AT: []}, {AT: set()}, {}
    consumer._committed_offset = {AT: 5}
    return consumer, on, written


@pytest.mark.asyncio
async def test_what_is_finished_behind_an_offset_that_stands_is_committed() -> None:
    """Once for each change, and the offset stays where it is."""
    consumer, stream, written = _consumer()
    for _ in range(2):
        if offsets := consumer._filter_committable_offsets([AT]):
            assert offsets == {AT: 5}
            await consumer._commit(offsets)
    stream.told = Finished(5, (range(7, 10),))
    await consumer._commit(consumer._filter_committable_offsets([AT]))
    assert written == [
        {AT: (5, Finished(5, (range(7, 9),)))},
        {AT: (5, Finished(5, (range(7, 10),)))},
    ]


def test_no_offset_goes_back() -> None:
    """Neither with more nor with less behind it."""
    consumer, stream, _ = _consumer()
    stream.told = Finished(4, (range(7, 10),))
    assert consumer._filter_committable_offsets([AT]) == {}


@pytest.mark.asyncio
async def test_offset_and_what_is_behind_it_are_of_one_moment() -> None:
    """What is finished between the choice and the commit waits for the next one."""
    consumer, stream, written = _consumer()
    offsets = consumer._filter_committable_offsets([AT])
    stream.told = Finished(9)
    await consumer._commit(offsets)
    assert written == [{AT: (5, Finished(5, (range(7, 9),)))}]


@pytest.mark.asyncio
async def test_nothing_is_committed_of_a_log_that_is_looked_up_or_an_assignment_that_is_over() -> None:
    """Another leader may lack what was finished; another assignment has another owner."""
    consumer, stream, written = _consumer()
    offsets = consumer._filter_committable_offsets([AT])
    consumer._commits.forget()
    await consumer._commit(offsets)
    stream.leaders.read(*PARTITION, epoch=4, end=20)
    assert consumer._filter_committable_offsets([AT]) == {}
    stream.leaders.looked_up(PARTITION)
    assert consumer._filter_committable_offsets([AT]) == {AT: 5}
    stream.told = None
    assert consumer._filter_committable_offsets([AT]) == {}
    assert written == [{}]


class Broker(ConsumerThread):
    """A consumer's thread that never ran, on a broker that takes so many characters beside an offset."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.committed: dict[TopicPartition, OffsetAndMetadata] = {}
        self._consumer = SimpleNamespace(commit=self._take)

    def owns(self, tp: TP) -> bool:
        return tp == AT

    async def _take(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        if any(len(kept.metadata) > self.most for kept in offsets.values()):
            raise OffsetMetadataTooLargeError
        self.committed |= offsets

    async def call_thread(self, fun: Callable[..., Awaitable[object]], *arguments: object) -> object:
        return await fun(*arguments)


@pytest.mark.asyncio
@pytest.mark.parametrize(("most", "tells"), [(4096, 400), (1000, 150), (100, 0), (10, 0), (0, 0)])
async def test_a_broker_that_takes_little_beside_an_offset_gets_less(most: int, tells: int) -> None:
    """The offset is committed all the same, and a line says once what to change."""
    broker, at = Broker(most), TopicPartition(*AT)
    # Runs of lengths without a rule.
    runs = [range(n * n + 10, n * n + 11 + n % 7) for n in range(10, 410)]
    note = Note(f"{Mark('1' * 32, 3)}", Finished.of(7, runs))
    with capture_logs() as logs:
        for offset in (7, 8):
            assert await broker.commit_noted({AT: Commit(offset, note), TP("lost", 0): Commit(1, note)})
            assert broker.committed[at].offset == offset
    text = broker.committed[at].metadata
    told = read(text, 7)
    assert len(text) <= most
    assert (len(told.runs) if isinstance(told, Finished) else 0) >= tells
    assert Mark.read(text) == (Mark("1" * 32, 3) if most >= len(note.about) else Mark())
    lines = [line["event"] for line in logs if "offset.metadata.max.bytes" in line["event"]]
    assert len(lines) == (most < 4096)
    assert await broker.correct({AT: (3, "log=/")})
    assert broker.committed[at].offset == 3
