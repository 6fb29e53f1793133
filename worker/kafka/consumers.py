"""Consumers that read by position: members of no group, which commit nothing by themselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer

from worker.kafka.bootstrap import reach_any
from worker.kafka.errors import translated
from worker.kafka.security import aiokafka_options
from worker.settings import ConnectionSettings


@asynccontextmanager
async def reading(
    settings: ConnectionSettings,
    what: str,
    **options: Any,  # noqa: ANN401 - aiokafka's own options
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that is connected; a `group_id` lets it read and commit that group's offsets.

    Raises KafkaFailed, about `what` is to be read, if Kafka cannot be reached.
    """
    consumer = AIOKafkaConsumer(enable_auto_commit=False, **options, **aiokafka_options(settings))
    reach_any(consumer._client)  # noqa: SLF001 - its way to the cluster
    try:
        with translated(what):
            await consumer.start()
        # A client without a group that stops before its own tasks had a turn raises CancelledError.
        await asyncio.sleep(0)
        yield consumer
    finally:
        await consumer.stop()
