"""The ledger's rebuild, without a broker."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError
from faust.types import TP
from structlog.testing import capture_logs

from tests.support.unit.tables import table_of
from worker.stream.driver.recovery import RawRecovery, RebuildingTables
from worker.stream.ledger.disk import DiskLedger
from worker.stream.ledger.store import Mark

_TP = TP("ledger", 0)


def recovery(**attributes: object) -> RawRecovery:
    """Return a recovery whose application has no Kafka to connect to."""
    made: Any = RawRecovery.__new__(RawRecovery)
    made._reading = SimpleNamespace(options={"bootstrap_servers": "127.0.0.1:1"})
    for name, value in attributes.items():
        setattr(made, name, value)
    return cast("RawRecovery", made)


async def build(on: RawRecovery) -> None:
    """Let it find out where to start from."""
    await on._build_offsets(cast("Any", None), {_TP}, Counter(), "active")


@pytest.mark.asyncio
async def test_the_tables_keep_nobody_waiting_at_the_start() -> None:
    """Faust waits for a second before it tells which topics to subscribe to: each start is felt."""
    steps: list[str] = []

    def step(name: str) -> Callable[[], Awaitable[None]]:
        async def taken() -> None:
            steps.append(name)

        return taken

    tables: Any = RebuildingTables.__new__(RebuildingTables)
    tables._update_channels = step("topics told")
    tables._recovery = SimpleNamespace(start=step("recovery started"))
    async with asyncio.timeout(0.5):
        await tables.on_start()
    assert steps == ["topics told", "recovery started"]


@pytest.mark.asyncio
async def test_a_kafka_that_is_away_is_waited_for() -> None:
    """Partitions are assigned the moment before it goes: that is an outage like any other."""
    with capture_logs() as lines, pytest.raises(TimeoutError):
        await asyncio.wait_for(build(recovery()), 0.5)
    assert [line["event"] for line in lines] == ["the ledger cannot be read back yet; trying again"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "tries"),
    [(KafkaConnectionError(), 2), (KafkaTimeoutError(), 2), (TopicAuthorizationFailedError(), 1)],
)
async def test_what_will_not_pass_is_not_waited_for(
    error: KafkaError, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing right, say."""
    tried: list[str] = []

    async def read(*_: object) -> None:
        tried.append("once")
        if len(tried) == 1:
            raise error

    monkeypatch.setattr("worker.stream.driver.recovery._AGAIN_SECONDS", 0.0)
    work = build(recovery(_read_back=read))
    if tries == 1:
        with pytest.raises(type(error)):
            await work
    else:
        await work
    assert len(tried) == tries


class Reader:
    """A reader of a changelog whose record at the mark does not come."""

    def __init__(self, position: int) -> None:
        self._position = position

    async def beginning_offsets(self, at: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where it begins."""
        return dict.fromkeys(at, 0)

    def assign(self, _: object) -> None:
        """Take any."""

    def seek(self, *_: object) -> None:
        """Go anywhere."""

    async def getone(self, _: object) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()

    async def position(self, _: object) -> int:
        """Return up to where it was read."""
        return self._position


@pytest.mark.asyncio
async def test_a_copy_is_not_thrown_away_because_kafka_gives_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only a log that was read past the record without finding it is another one."""
    monkeypatch.setattr("worker.stream.driver.recovery._LOOK_SECONDS", 0.05)
    on, mark = recovery(active_highwaters={_TP: 9}), Mark(7, "")
    with pytest.raises(KafkaTimeoutError):
        await on._flaw(cast("Any", Reader(7)), _TP, mark)
    assert "no record at offset 7" in str(await on._flaw(cast("Any", Reader(10)), _TP, mark))


class Ends:
    """A reader that is told other ends of the changelog at each look, the last one for good."""

    def __init__(self, *ends: int) -> None:
        self._ends = list(ends)
        self.looks = 0

    async def end_offsets(self, at: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the next one, for all."""
        self.looks += 1
        return dict.fromkeys(at, self._ends.pop(0) if len(self._ends) > 1 else self._ends[0])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("noted", "ends", "looks", "lost"),
    [
        ({0: 7}, (8,), 1, None),
        ({}, (0,), 1, None),
        ({1: 7}, (0,), 1, None),
        # A leader that was just elected.
        ({0: 7}, (7, 8), 2, None),
        ({0: 7}, (7,), 3, (0, 7, 7)),
        ({0: 7}, (0,), 3, (0, 7, 0)),
    ],
)
async def test_a_changelog_that_ends_before_what_was_committed_is_not_gone_by(
    noted: dict[int, int],
    ends: tuple[int, ...],
    looks: int,
    lost: tuple[int, int, int] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody may go on by what is left of it, with a local copy or without."""
    monkeypatch.setattr("worker.stream.driver.recovery._AGAIN_SECONDS", 0.0)
    told: list[tuple[int, int, int]] = []

    async def noted_ends(partitions: set[int]) -> dict[int, int]:
        assert partitions == {0}
        return noted

    guard = SimpleNamespace(lost_its_end=lambda *it: told.append(it))
    on, reader = recovery(_reading=SimpleNamespace(noted_ends=noted_ends, guard=guard)), Ends(*ends)
    if lost is None:
        await on._ensure_whole(cast("Any", reader), {_TP})
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(on._ensure_whole(cast("Any", reader), {_TP}), 0.2)
    assert (told, reader.looks) == ([] if lost is None else [lost], looks)


def test_how_far_a_partition_is_held_is_told_without_opening_it(tmp_path: Path) -> None:
    """The consumer's thread asks for it, while the event loop may be closing the partition."""
    table = table_of("rocksdb", tmp_path, 2)
    tables: Any = RebuildingTables.__new__(RebuildingTables)
    tables.data = {"ledger": table}
    store = cast("DiskLedger", table.data)
    assert (tables.held(0), store.is_open(0)) == (None, False)
    store.keep(0, [(b"key", b"value")], Mark(7, "print"))
    assert (tables.held(0), tables.held(1)) == (7, None)
    store.revoke_partitions(store.table, {TP(store.table.changelog_topic.get_topic_name(), 0)})
    assert (tables.held(0), store.is_open(0)) == (None, False)
    asyncio.run(store.stop())
