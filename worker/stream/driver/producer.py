"""Faust's Kafka driver, the side that sends."""

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaError, NodeNotReadyError
from aiokafka.protocol.produce import ProduceRequest
from faust.transport.drivers import aiokafka as driver

from worker.kafka.bootstrap import reach_any
from worker.stream.delivery.send_fence import NotCertain, SendFence
from worker.stream.driver.opening import Opening


class Withheld(KafkaError):  # type: ignore[misc] # noqa: N818 - aiokafka ships no types
    """The fence lets no record pass now; aiokafka sends the same request again, in a moment."""

    retriable = True


class Producer(driver.Producer):
    """Sends with acks=all and without repeats of its own retries, and ledger records under the fence."""

    def __init__(self, *arguments: Any, fence: SendFence, opening: Opening, **options: Any) -> None:  # noqa: ANN401 - Faust's own
        """Let the fence see each request with records."""
        self._fence = fence
        self._opening = opening
        super().__init__(*arguments, **options)

    async def on_start(self) -> None:
        """Start the producer, with the fence before its connections; waits for Kafka."""
        if await self._opening.of("the producer", super().on_start, self._let_go, lambda: self.should_stop):
            guard(self._ensure_producer().client, self._fence)

    async def _let_go(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    def _new_producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        producer = super()._new_producer(transactional_id)
        reach_any(producer.client)
        return producer

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"enable_idempotence": True, "acks": "all"}

    async def flush(self) -> None:
        """Return at once: who sends a record awaits it, and a commit need not wait for the others."""


def guard(client: AIOKafkaClient, fence: SendFence) -> None:
    """Let the fence see each request with records right before it is written to its connection."""
    plain = client.send

    async def send(node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:  # noqa: ANN401 - aiokafka's
        if isinstance(request, ProduceRequest):
            if not await client.ready(node_id, group=group):
                raise NodeNotReadyError(f"node {node_id} cannot be reached")
            # With a connection in hand there is no turn of the loop between here and the socket.
            try:
                fence.check()
            except NotCertain:
                raise Withheld from None
        return await plain(node_id, request, group=group)

    client.send = send
