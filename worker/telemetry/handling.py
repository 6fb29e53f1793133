"""A handler that is watched: the span of each record, how long it takes, and its signs of life."""

import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from topics.record import Record
from worker.signs import Signs
from worker.telemetry.metrics import Metrics
from worker.telemetry.spans import Spans
from worker.telemetry.tracing import Processing


class HasRecord(Protocol):
    """A delivery, as far as it is looked at here."""

    @property
    def record(self) -> Record:
        """The record that is handled."""
        ...


D = TypeVar("D", bound=HasRecord)


def observed(
    handler: Callable[[D], Awaitable[None]],
    group_id: str,
    activity_topic: str,
    *,
    metrics: Metrics,
    spans: Spans,
    signs: Signs,
) -> Callable[[D], Awaitable[None]]:
    """Return the handler as it is handed deliveries: what it raises is passed on."""

    async def handle(delivery: D) -> None:
        record = delivery.record
        if record.key is None and record.position.topic == activity_topic:
            metrics.keyless(activity_topic)
        with signs.event(), Processing(record, group_id, spans):
            began = time.perf_counter()
            try:
                await handler(delivery)
            finally:
                metrics.handled(time.perf_counter() - began)

    return handle
