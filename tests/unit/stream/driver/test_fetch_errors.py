"""The fetcher of aiokafka's consumer, while leaders change."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import UNKNOWN_OFFSET, Fetcher, OffsetResetStrategy
from aiokafka.errors import NoOffsetForPartitionError
from aiokafka.structs import OffsetAndMetadata

from worker.stream.driver.fetch_errors import keep_first_error

AT = TopicPartition("ledger", 0)


class _Unplaced:
    """A partition whose committed offset is being asked for, and is none."""

    has_valid_position = awaiting_reset = False

    def __init__(self) -> None:
        self.answer: asyncio.Future[OffsetAndMetadata] = asyncio.get_running_loop().create_future()

    async def fetch_committed(self) -> OffsetAndMetadata:
        return await asyncio.shield(self.answer)


@pytest.mark.asyncio
async def test_a_partition_without_an_offset_may_be_found_so_by_two_leaders() -> None:
    """Each leader's task finds it; neither must end the fetcher, and the error stays."""
    fetcher: Any = Fetcher.__new__(Fetcher)
    fetcher._records, fetcher._prefetch_backoff = {}, 0.1
    fetcher._default_reset_strategy, fetcher._closed = OffsetResetStrategy.NONE, True
    keep_first_error(fetcher)
    state = _Unplaced()
    assignment: Any = SimpleNamespace(state_value=lambda _: state)
    tasks = [
        asyncio.ensure_future(fetcher._update_fetch_positions(assignment, leader, [AT])) for leader in (1, 2)
    ]
    await asyncio.sleep(0)
    state.answer.set_result(OffsetAndMetadata(UNKNOWN_OFFSET, ""))
    assert await asyncio.gather(*tasks) == [True, True]
    with pytest.raises(NoOffsetForPartitionError):
        fetcher._records[AT].check_raise()
