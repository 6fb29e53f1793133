"""Events at an even pace, and how long each waited for its outcome, by the times of the records."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Final

from aiokafka import AIOKafkaProducer

from tests.support.e2e.events import event
from tests.support.e2e.feeds import OutcomeRecord
from topics.record import Record

CUSTOMERS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Waited:
    """An event: its activity partition, when it was written (ms), the seconds until its outcome was."""

    partition: int
    written_ms: int
    seconds: float | None
    """None while it has no outcome."""


@asynccontextmanager
async def traffic(bootstrap_servers: str, topic: str, rate: int) -> AsyncIterator[None]:
    """Produce so many events a second, of one customer after another, for the time of the block."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True
    ) as producer:
        producing = asyncio.create_task(_produce(producer, topic, rate))
        try:
            yield
        finally:
            producing.cancel()
            (ended,) = await asyncio.gather(producing, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), f"the events came to an end: {ended!r}"


async def _produce(producer: AIOKafkaProducer, topic: str, rate: int) -> None:
    began = time.monotonic()
    for number in count():
        await asyncio.sleep(began + number / rate - time.monotonic())
        who = number % CUSTOMERS + 1
        value = event(f"event-{number}", {"customerId": who})
        # Its own time: what the broker's absence costs upstream is felt as well.
        await producer.send(topic, value, b"%d" % who, timestamp_ms=round(time.time() * 1000))


def waits(activity: Iterable[Record], outcomes: Iterable[OutcomeRecord]) -> list[Waited]:
    """Return what each event has waited for its first outcome."""
    told: dict[str, int] = {}
    for outcome in outcomes:
        at = outcome.record.timestamp_ms
        told[outcome.event_id] = min(at, told.get(outcome.event_id, at))
    return [_waited(record, told) for record in activity]


def _waited(record: Record, told: dict[str, int]) -> Waited:
    at = told.get(json.loads(record.value or b"")["eventId"])
    seconds = None if at is None else (at - record.timestamp_ms) / 1000
    return Waited(record.position.partition, record.timestamp_ms, seconds)
