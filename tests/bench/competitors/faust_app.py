"""Faust as its manual has it: an agent, its concurrency by `concurrency`.

With more than one it is unsafe: the events of a customer are worked on at once, and offsets are committed
past events still in work (faust issue 606), so that a crash loses them.
"""

import os
from typing import Any

import faust
import httpx
from faust.types import StreamT

from tests.bench.competitors import setting
from tests.bench.competitors.by_httpx import enrol, new_client

app = faust.App(
    setting.GROUP,
    broker=f"kafka://{setting.KAFKA}",
    consumer_auto_offset_reset="earliest",
    datadir=os.environ["BENCH_FOLDER"],
    # These only keep it from leaving topics and a port behind.
    topic_disable_leader=True,
    web_enabled=False,
)
activity = app.topic(setting.ACTIVITY, key_type=bytes, value_serializer="json")
outcomes = app.topic(setting.OUTCOMES, key_type=bytes, value_serializer="json")
clients: list[httpx.AsyncClient] = []


@app.task  # type: ignore[untyped-decorator]  # Faust's own
async def _open() -> None:
    clients.append(new_client())


@app.agent(activity, concurrency=setting.AT_ONCE)
async def on_activity(stream: StreamT[Any]) -> None:
    """Enrol the customers of events."""
    async for event in stream:
        for outcome in await enrol(clients[0], event):
            await outcomes.send(key=str(outcome["customerId"]).encode(), value=outcome)
