"""What a redrive says when Kafka refuses its records."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import InvalidTimestampError

from worker.kafka.errors import KafkaFailed
from worker.operations.redrive_sender import RedriveSender


class _Refusing:
    """A producer whose transaction Kafka refuses for the time that its records bear."""

    async def begin_transaction(self) -> None:
        raise InvalidTimestampError

    async def abort_transaction(self) -> None:
        pass


@pytest.mark.asyncio
async def test_a_clock_that_kafka_refuses_is_named_with_the_remedy() -> None:
    """In one line: the operator's machine is more than an hour ahead."""
    settings = cast("Any", SimpleNamespace(activity_topic="customer-activity", group_id="g"))
    sender = RedriveSender(settings, cast("Any", _Refusing()), lambda: 0.0)
    with pytest.raises(KafkaFailed, match=r"synchronise this machine's clock \(NTP\)") as told:
        await sender.send([])
    assert "\n" not in str(told.value)
