"""What the consumer makes of what a fetch tells and brings."""

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from worker.kafka.positions import Extent
from worker.stream.driver.consumer import Consumer
from worker.stream.driver.consumer_thread import ConsumerThread

AT = TP("activity", 0)


class Thread(ConsumerThread):
    """A consumer's thread that never ran, with one partition."""

    def __init__(self, lso: int | None, highwater: int | None) -> None:
        self.told = SimpleNamespace(lso=lso, highwater=highwater, position=0, has_valid_position=True)

    def _state(self, tp: TP) -> SimpleNamespace | None:
        return self.told if tp == AT else None


@pytest.mark.parametrize(
    ("lso", "highwater", "end"),
    [
        (None, None, 0),
        (None, 7, 7),
        (5, 7, 5),
        # An open transaction that begins with the log.
        (0, 300, 0),
        # A broker that tells none.
        (-1, 7, 7),
    ],
)
def test_a_partition_can_be_read_to_its_first_open_transaction(
    lso: int | None, highwater: int | None, end: int
) -> None:
    """What lies behind it is no work that could be got on with."""
    assert Thread(lso, highwater).end_of(AT) == end
    assert Thread(lso, highwater).end_of(TP("another", 0)) == 0


class Positions:
    """Of an assignment that changes when the test says so, and began at 3."""

    def __init__(self) -> None:
        self.era = 1
        self.sought: list[TP] = []

    def began(self, partition: tuple[str, int]) -> int | None:
        return 3 if partition[0] == AT.topic else None

    def may_read(self, _: object) -> bool:
        return True

    async def read_again(self, partitions: list[TP]) -> None:
        self.sought += partitions


@pytest.mark.asyncio
@pytest.mark.parametrize("changes", [True, False])
async def test_what_was_fetched_while_the_assignment_changed_is_read_again(
    monkeypatch: pytest.MonkeyPatch, *, changes: bool
) -> None:
    """The client begins on its own; taken as the first, what it fetched hid all that lies before it."""
    ledger, positions, noted = TP("ledger", 0), Positions(), list[object]()
    record = SimpleNamespace(offset=20)

    async def getmany(*_: object) -> dict[TP, list[Any]]:
        positions.era += changes
        return {AT: [record], ledger: [record]}

    monkeypatch.setattr(driver.Consumer, "_getmany", getmany)
    consumer = Consumer.__new__(Consumer)
    consumer._positions = positions  # type: ignore[assignment]
    consumer._thread = Thread(None, None)
    consumer._flow = SimpleNamespace(  # type: ignore[assignment]  # what a fetch asks of it
        sources={AT.topic},
        is_paused=lambda _: False,
        fetched=lambda *it: noted.append((it[0], *it[1])),
    )
    fetched = await consumer._getmany({AT, ledger}, 1.0)
    assert fetched == {ledger: [record]} | ({} if changes else {AT: [record]})
    assert positions.sought == ([AT] if changes else [])
    assert noted == [((tp.topic, tp.partition), 20) for tp in ((ledger,) if changes else (AT, ledger))]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("position", "brings", "changes", "read_up_to"),
    [
        (9, False, False, [9]),
        # Where reading began there was nothing to pass.
        (3, False, False, []),
        (9, True, False, []),
        # Of the next assignment, which may begin elsewhere.
        (9, False, True, []),
    ],
)
async def test_a_fetch_may_pass_markers_without_a_record(
    monkeypatch: pytest.MonkeyPatch, *, position: int, brings: bool, changes: bool, read_up_to: list[int]
) -> None:
    """What it passed may be committed; not with what it brought, which nobody has taken yet."""
    positions, passed = Positions(), list[int]()
    consumer = Consumer.__new__(Consumer)
    consumer._positions = positions  # type: ignore[assignment]
    consumer._thread = thread = Thread(None, None)

    async def getmany(*_: object) -> dict[TP, list[Any]]:
        positions.era += changes
        thread.told.position = position
        return {AT: [SimpleNamespace(offset=8)]} if brings else {}

    monkeypatch.setattr(driver.Consumer, "_getmany", getmany)
    consumer._flow = SimpleNamespace(  # type: ignore[assignment]  # what a fetch asks of it
        sources={AT.topic},
        is_paused=lambda _: False,
        fetched=lambda *_: None,
        read_up_to=lambda _, offset: passed.append(offset),
    )
    await consumer._getmany({AT, TP("ledger", 0)}, 1.0)
    assert passed == read_up_to


@pytest.mark.asyncio
@pytest.mark.parametrize("flows", [True, False])
async def test_partitions_are_fetched_from_as_soon_as_they_are_resumed(*, flows: bool) -> None:
    """Faust sleeps for a second if it finds none, as it does for a moment while each recovery ends."""
    found = {AT: [SimpleNamespace(offset=20)]}
    consumer: Any = Consumer.__new__(Consumer)
    consumer.app = SimpleNamespace(client_only=False)
    consumer.flow_active, consumer.can_resume_flow = flows, asyncio.Event()
    consumer.not_waiting_next_records = asyncio.Event()
    consumer._active_partitions = set[TP]()

    async def wait(until: Awaitable[object]) -> None:
        await until

    async def getmany(**_: object) -> dict[TP, list[Any]]:
        return found

    consumer.wait, consumer._getmany = wait, getmany
    loop = asyncio.get_running_loop()

    def resume() -> None:
        consumer.flow_active = True
        consumer.can_resume_flow.set()
        loop.call_later(0.02, consumer._active_partitions.add, AT)

    loop.call_later(0.02, resume)
    async with asyncio.timeout(0.5):
        while (fetched := await consumer._wait_next_records(1.0))[0] is None:
            pass
    assert fetched == (found, {AT})


@pytest.mark.parametrize(
    ("is_open", "watermark", "position", "start", "standing"),
    [
        # On hand: what is finished counts, not what was fetched.
        (True, 5, 9, 0, (5, 12)),
        (True, None, 9, 0, (3, 12)),
        # Nothing on hand: markers that were passed over count for done; an open transaction does not.
        (False, 5, 9, 0, (9, 12)),
        (False, None, None, 0, (3, 12)),
        # What retention took is nothing that could be done.
        (True, 5, 9, 7, (7, 12)),
        (False, None, None, 20, (20, 20)),
    ],
)
def test_how_far_a_partition_is_done(
    *, is_open: bool, watermark: int | None, position: int | None, start: int, standing: tuple[int, int]
) -> None:
    """And where it ends: behind the records of open transactions."""
    at, thread = (AT.topic, AT.partition), Thread(None, 12)
    thread.told.position, thread.told.has_valid_position = position, position is not None
    consumer = Consumer.__new__(Consumer)
    consumer._thread = thread
    consumer._positions = SimpleNamespace(  # type: ignore[assignment]  # what it is asked
        extents={at: Extent(start, 10)}, began=lambda _: 3
    )
    consumer._flow = SimpleNamespace(  # type: ignore[assignment]  # as above
        is_open=lambda _: is_open, watermarks={} if watermark is None else {at: watermark}
    )
    found = consumer.standing(AT)
    assert found is not None
    assert (found.done, found.end) == standing
    assert found.lag == standing[1] - standing[0]
    assert consumer.standing(TP("another", 0)) is None
