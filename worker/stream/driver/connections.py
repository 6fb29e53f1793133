"""The consumer and the producer of this process, which Faust makes when they are first asked for."""

from typing import cast

from aiokafka import AIOKafkaProducer
from faust import App
from faust.types import TP

from worker.stream.delivery.partition import Partition
from worker.stream.driver.consumer import Consumer
from worker.stream.driver.consumer_thread import ConsumerThread
from worker.stream.driver.producer import Producer


class Connections:
    """What Faust's application connects by, as the kinds of ours that they are.

    Implements `worker.stream.delivery.flow.Log`.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def consumer(self) -> Consumer:
        """The group's consumer."""
        return cast("Consumer", self._app.consumer)

    @property
    def thread(self) -> ConsumerThread:
        """The thread that aiokafka's consumer runs in."""
        return self.consumer.thread

    @property
    def producer(self) -> Producer:
        """What outcomes, retries and dead letters are written with."""
        return cast("Producer", self._app.producer)

    @property
    def raw_producer(self) -> AIOKafkaProducer:
        """Aiokafka's own producer, for what Faust's does not offer; connected once the application runs."""
        return self.producer._ensure_producer()  # noqa: SLF001 - Faust has no other word for it

    def owns(self, topic: str, partition: int) -> bool:
        """Whether the partition is assigned to us now."""
        return self.thread.owns(TP(topic, partition))

    async def seek(self, partition: Partition, offset: int) -> None:
        """Let the next record that is fetched be the one at the offset, or the first behind it."""
        await self.consumer.seek(TP(*partition), offset)

    async def beginning(self, partition: Partition) -> int:
        """Return the first offset that the partition still has."""
        tp = TP(*partition)
        return (await self.consumer.earliest_offsets(tp))[tp]
