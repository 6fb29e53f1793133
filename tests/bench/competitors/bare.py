"""The bare limit: aiokafka and aiohttp, nothing between, nothing kept, nothing promised.

Offsets are committed by the clock whatever is still in work, and outcomes are not waited for: a crash loses
events. What a worker costs beyond this is the price of its promises.
"""

import asyncio
import json

import aiohttp
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.bench.competitors import setting


async def _main() -> None:
    consumer = AIOKafkaConsumer(
        setting.ACTIVITY,
        bootstrap_servers=setting.KAFKA,
        group_id=setting.GROUP,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=setting.KAFKA)
    session = aiohttp.ClientSession(
        setting.API,
        auth=aiohttp.BasicAuth(*setting.USER),
        connector=aiohttp.TCPConnector(limit=setting.AT_ONCE),
        timeout=aiohttp.ClientTimeout(setting.TIMEOUT_SECONDS),
    )
    slots = asyncio.Semaphore(setting.AT_ONCE)

    async def enrol(value: bytes) -> None:
        try:
            event = json.loads(value)
            customer = setting.customer_of(event)
            async with session.get(setting.LOOKUP, params=setting.lookup_of(customer)) as answer:
                found = await answer.json()
            for promotion in found["promotions"]:
                body, headers = setting.issue_of(event, promotion)
                async with session.post(setting.ISSUE, params=customer, json=body, headers=headers) as answer:
                    issued = await answer.json()
                outcome = setting.outcome_of(event, promotion, issued)
                await producer.send(
                    setting.OUTCOMES, json.dumps(outcome).encode(), str(outcome["customerId"]).encode()
                )
        finally:
            slots.release()

    async with consumer, producer, session, asyncio.TaskGroup() as tasks:
        async for record in consumer:
            await slots.acquire()
            tasks.create_task(enrol(record.value))


if __name__ == "__main__":
    uvloop.run(_main())
