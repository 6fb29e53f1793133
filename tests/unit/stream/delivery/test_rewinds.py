"""Going back in a partition, and noticing what got lost on its way."""

import asyncio

import pytest
from structlog.testing import capture_logs

from worker.stream.delivery.fetch_order import FetchOrder
from worker.stream.delivery.rewinds import Rewinds

AT = ("activity", 0)


class Reading:
    """A partition that is fetched and taken, and the seeks that it is told."""

    def __init__(self) -> None:
        self.order = FetchOrder({"activity"})
        self.taken: int | None = None
        self.seeks: list[int] = []
        self.begins_at = 0
        self.rewinds = Rewinds(self.order, lambda _: self.taken, self.seek, self._beginning)

    async def seek(self, _: object, offset: int) -> None:
        self.seeks.append(offset)

    async def _beginning(self, _: object) -> int:
        return self.begins_at

    def fetch(self, *offsets: int) -> None:
        for offset in offsets:
            self.order.fetched(AT, offset)

    async def arrive(self, *offsets: int) -> list[int]:
        """Let records arrive; return those that are taken."""
        taken = []
        for offset in offsets:
            if await self.rewinds.takes(AT, offset):
                self.taken = offset
                taken.append(offset)
        return taken

    async def look(self, times: int = 3) -> None:
        for _ in range(times):
            await self.rewinds.look([AT])


@pytest.mark.asyncio
async def test_a_later_record_shows_what_is_missing_before_it() -> None:
    """Whatever comes before the missing ones have come again is passed over; gaps of the log are none."""
    reading = Reading()
    reading.fetch(5, 6, 9, 10, 11)

    assert await reading.arrive(5, 10, 11) == [5]
    assert reading.seeks == [6]
    reading.fetch(6, 9, 10, 11)
    assert await reading.arrive(6, 9, 10, 11) == [6, 9, 10, 11]


@pytest.mark.asyncio
async def test_a_copy_of_an_earlier_fetch_does_not_hide_what_is_missing() -> None:
    """It is handed over between the way back and what comes by it, of which a record gets lost again."""
    reading = Reading()
    reading.fetch(5, 6, 7, 8)
    assert await reading.arrive(5, 7) == [5]
    reading.fetch(6, 7, 8)
    assert await reading.arrive(8, 6, 8) == [6]
    assert reading.seeks == [6, 7]
    reading.fetch(7, 8)
    assert await reading.arrive(7, 7, 8, 8) == [7, 8]


@pytest.mark.parametrize(("taken", "back_to"), [(None, 5), (6, 7)])
@pytest.mark.asyncio
async def test_what_is_missing_at_the_end_is_noticed_though_nothing_follows(
    taken: int | None, back_to: int
) -> None:
    """Not at the first look: it may be on its way."""
    reading = Reading()
    reading.fetch(5, 6, 7)
    reading.taken = taken

    await reading.look(2)
    assert reading.seeks == []
    await reading.look(1)
    assert reading.seeks == [back_to]


@pytest.mark.asyncio
async def test_while_records_are_taken_nothing_is_missing() -> None:
    """However long the queue behind them is."""
    reading = Reading()
    reading.fetch(*range(100))
    for offset in range(100):
        await reading.arrive(offset)
        await reading.look(1)

    assert reading.seeks == []
    assert len(reading.order) == 0, "what was taken is remembered for ever"


@pytest.mark.asyncio
async def test_a_way_back_that_was_lost_is_gone_once_more() -> None:
    """The record that was gone back to did not come; it is still there."""
    reading = Reading()
    reading.fetch(5, 6)
    await reading.rewinds.go_back(AT, 5)
    await reading.look()

    assert reading.seeks == [5, 5]
    assert await reading.arrive(6) == []


@pytest.mark.asyncio
async def test_a_record_that_was_deleted_meanwhile_holds_its_partition_up_no_longer() -> None:
    """Retention took it: reading goes on where the log begins now."""
    reading = Reading()
    reading.fetch(5, 6, 7)
    await reading.rewinds.go_back(AT, 5)
    reading.fetch(10)
    reading.begins_at = 10
    assert await reading.arrive(6, 7, 10) == []
    await reading.look()
    assert reading.seeks == [5, 10]
    reading.fetch(10, 11)

    assert await reading.arrive(10, 11) == [10, 11]


@pytest.mark.asyncio
async def test_that_all_was_deleted_is_told_once() -> None:
    """Nothing comes behind a retry that was deleted while it waited; that was a line every three seconds."""
    reading = Reading()
    reading.fetch(5)
    await reading.rewinds.go_back(AT, 5)
    reading.begins_at = 6
    with capture_logs() as lines:
        await reading.look(30)
    assert [(line["event"], line["offset"]) for line in lines] == [
        ("records that we went back to did not come", 5)
    ]
    assert not reading.rewinds.is_on_its_way(AT)
    reading.fetch(6)
    assert await reading.arrive(6) == [6]
    # Another one that gets lost is told as ever.
    reading.fetch(7)
    await reading.rewinds.go_back(AT, 7)
    with capture_logs() as lines:
        await reading.look()
    assert len(lines) == 1


@pytest.mark.asyncio
async def test_an_answer_of_an_earlier_assignment_leads_nowhere() -> None:
    """A leader is away, and the group changes while the log's beginning is asked for."""
    reading, asked, answered = Reading(), asyncio.Event(), asyncio.Event()

    async def beginning(_: object) -> int:
        asked.set()
        await answered.wait()
        return 0

    reading.rewinds = Rewinds(reading.order, lambda _: reading.taken, reading.seek, beginning)
    other = ("activity", 1)
    for at in (AT, other):
        reading.order.fetched(at, 100)
        await reading.rewinds.go_back(at, 100)
    for _ in range(2):
        await reading.rewinds.look([AT, other])
    look = asyncio.create_task(reading.rewinds.look([AT, other]))
    await asked.wait()
    reading.rewinds.forget()
    reading.order.forget()
    reading.seeks.clear()
    answered.set()
    await look
    assert reading.seeks == []
    reading.fetch(90, 91)
    assert await reading.arrive(90, 91) == [90, 91]


@pytest.mark.asyncio
async def test_a_record_that_nobody_noted_is_not_taken() -> None:
    """Where nothing was fetched there is nowhere to go back to."""
    reading = Reading()
    assert await reading.arrive(7) == []
    assert reading.seeks == []


@pytest.mark.asyncio
async def test_an_assignment_begins_anew() -> None:
    """What was gone back to under the last one is of no interest."""
    reading = Reading()
    reading.fetch(5, 6)
    await reading.rewinds.go_back(AT, 5)
    reading.rewinds.forget()
    reading.order.forget()
    reading.fetch(8)

    assert await reading.arrive(8) == [8]
