"""Where a group that has never begun starts with `latest`, without a broker."""

from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, GroupAuthorizationFailedError, KafkaError
from structlog.testing import capture_logs

from worker.kafka.errors import KafkaFailed
from worker.stream.first_start import _skip


class Consumer:
    """One whose commit ends in that error."""

    def __init__(self, error: KafkaError) -> None:
        self._error = error

    async def end_offsets(self, at: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the ends."""
        return dict.fromkeys(at, 40)

    def assign(self, _: object) -> None:
        """Take any."""

    async def commit(self, _: object) -> None:
        """Fail."""
        raise self._error


@pytest.mark.asyncio
async def test_a_group_that_has_got_members_meanwhile_has_begun() -> None:
    """Another replica was quicker: it has committed the ends."""
    with capture_logs() as lines:
        await _skip(cast("Any", Consumer(CommitFailedError("rebalanced"))), "activity", 2)
    assert [line["event"] for line in lines] == ["the group has begun already"]


@pytest.mark.asyncio
async def test_a_start_that_could_not_skip_does_not_begin_at_the_other_end() -> None:
    """The events of a year would be handled where `latest` was asked for."""
    with pytest.raises(KafkaFailed, match="GroupAuthorizationFailedError"):
        await _skip(cast("Any", Consumer(GroupAuthorizationFailedError("group"))), "activity", 2)
