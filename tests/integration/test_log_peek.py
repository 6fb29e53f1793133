"""When the next record was written, asked of a real broker beside a consumer that does not read."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from tests.support.kafka.brokers import TopicFactory
from tests.support.kafka.logs import begin_transaction, delete_records
from worker.demo.broker import Broker
from worker.kafka.log_peek import written_at


@pytest.mark.asyncio
async def test_markers_are_passed_and_open_transactions_are_seen(kafka: Broker, topic: TopicFactory) -> None:
    """And the consumer's position stays where it was."""
    servers, name = kafka.bootstrap_servers, topic("peek")
    at = TopicPartition(name, 0)
    consumer = AIOKafkaConsumer(name, bootstrap_servers=servers, isolation_level="read_committed")
    await consumer.start()
    # Its own tasks must have had a turn before it is stopped.
    await asyncio.sleep(0)
    try:
        consumer.seek(at, 0)
        consumer.pause(at)
        assert await written_at(consumer, at, 0) is None
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
            for number in range(3):
                await producer.send_and_wait(name, b"v", partition=0, timestamp_ms=1_000_000 + number)
        assert [await written_at(consumer, at, offset) for offset in range(4)] == [
            1_000_000,
            1_000_001,
            1_000_002,
            None,
        ]
        upstream = await begin_transaction(servers, name, [b"open"])
        written = await written_at(consumer, at, 3)
        assert written is not None
        assert written > 1_000_002
        await upstream.commit_transaction()
        await upstream.stop()
        assert await written_at(consumer, at, 4) is None, "there is only the marker"
        assert await consumer.position(at) == 0
        await delete_records(servers, name, 2)
        with pytest.raises(OffsetOutOfRangeError):
            await written_at(consumer, at, 1)
    finally:
        await consumer.stop()
