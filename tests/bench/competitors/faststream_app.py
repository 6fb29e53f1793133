"""FastStream as its manual has it: a subscriber, its concurrency by `max_workers`, a publisher.

With more than one worker its default, to acknowledge first, is what allows concurrency within a partition: a
crash loses what is in flight.
"""

import logging

import httpx
import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker

from tests.bench.competitors import setting
from tests.bench.competitors.by_httpx import enrol, new_client
from tests.bench.competitors.setting import Json

# By default it logs two lines for each event.
broker = KafkaBroker(setting.KAFKA, log_level=logging.DEBUG)
app = FastStream(broker)
outcomes = broker.publisher(setting.OUTCOMES)
clients: list[httpx.AsyncClient] = []


@app.on_startup
async def _open() -> None:
    clients.append(new_client())


@app.after_shutdown
async def _close() -> None:
    await clients.pop().aclose()


@broker.subscriber(
    setting.ACTIVITY,
    group_id=setting.GROUP,
    auto_offset_reset="earliest",
    max_workers=setting.AT_ONCE,
)
async def on_activity(event: Json) -> None:
    """Enrol the customer of an event."""
    for outcome in await enrol(clients[0], event):
        await outcomes.publish(outcome, key=str(outcome["customerId"]).encode())


if __name__ == "__main__":
    uvloop.run(app.run())
