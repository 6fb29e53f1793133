"""Faust's Kafka driver, the side that sends."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faust.transport.drivers import aiokafka as driver

from worker.stream.delivery.send_fence import guard

if TYPE_CHECKING:
    from worker.stream.app import WorkerApp


class Producer(driver.Producer):
    """Sends with acks=all and without repeats of its own retries, and ledger records under the fence."""

    app: "WorkerApp"

    async def on_start(self) -> None:
        """Start the producer, with the fence before its connections."""
        await super().on_start()
        guard(self._ensure_producer().client, self.app.fence)

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"enable_idempotence": True, "acks": "all"}

    async def flush(self) -> None:
        """Return at once: who sends a record awaits it, and a commit need not wait for the others."""
