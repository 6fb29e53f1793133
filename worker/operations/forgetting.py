"""Lets the worker forget a customer: a record of our own on the activity topic, in the order of the log.

Only the owner of a partition writes to its ledger. So it is told there, and enters it itself, whether it runs
now or starts later.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from topics.activity_shapes import Customer, PlainEvent
from topics.feedback import FORGET_EVENT
from topics.names import ledger_of
from worker.composition.from_settings import capillary_client
from worker.domain.memory import Memory
from worker.domain.promotions import Identifier, IdentifierName
from worker.kafka.admin import TopicAdmin
from worker.kafka.bootstrap import reach_any
from worker.kafka.errors import translated
from worker.kafka.partitioners import Partitioner
from worker.kafka.security import aiokafka_options
from worker.operations.customer_question import Question, Unexplained, read_customer, unreadable
from worker.operations.customer_standings import entries_of_customer
from worker.operations.known_customer import memories
from worker.settings import KafkaSettings, Settings
from worker.timepiece import Timepiece, Unheard
from worker.timing import utc_now

_PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ToldToForget:
    """Where the worker is told to forget the customer; nowhere if nothing is remembered."""

    customer_id: int
    partitions: tuple[int, ...]


async def forget(settings: Settings, question: Question, say: Callable[[str], object]) -> ToldToForget:
    """Tell each partition that remembers something of the customer to forget it.

    `say` hears how a long reading gets on. Raises Unexplained, KafkaFailed.
    """
    timepiece = Timepiece(utc_now, time.monotonic, Unheard())
    customer_id = await _customer_id(settings, question.identifier, timepiece)
    group = settings.dry_run_ledger_group or settings.group_id
    key = None if question.key is None else question.key.encode()
    found = await entries_of_customer(
        settings, group, customer_id, say, key=key, partitioner=Partitioner(question.partitioner)
    )
    try:
        remembered = memories({} if found is None else found.of_partition, customer_id)
    except ValueError:
        raise unreadable(group) from None
    valid = {partition: memory for partition, memory in remembered.items() if memory.valid is not None}
    if valid:
        await _refuse_other_partitions(settings, ledger_of(group))
        value = forget_event(customer_id, valid.values(), timepiece.now())
        await _send(settings, value, key or b"%d" % customer_id, tuple(valid))
    return ToldToForget(customer_id, tuple(valid))


def forget_event(customer_id: int, remembered: Iterable[Memory], now: datetime) -> bytes:
    """Return the event by which what is remembered is forgotten.

    Never older than what it is about, however wrong this machine's clock is: an older one forgets nothing.
    """
    read = (memory.seen.read_at for memory in remembered if memory.seen is not None)
    event = PlainEvent(
        event_id=str(uuid4()),
        event_name=FORGET_EVENT,
        org_id=None,
        occurred_at=max([now, *read]),
        customer=Customer.model_validate({"customerId": customer_id}),
    )
    return event.model_dump_json(by_alias=True, exclude_none=True).encode()


async def _customer_id(settings: Settings, identifier: Identifier, timepiece: Timepiece) -> int:
    """Return whom it names; asks the API unless it is the id."""
    if identifier.name is IdentifierName.CUSTOMER_ID:
        return int(identifier.value)
    async with capillary_client(settings, date_heard=timepiece.heard) as client:
        return (await read_customer(client, identifier, available_to_enrol=True)).customer_id


async def _refuse_other_partitions(settings: KafkaSettings, ledger: str) -> None:
    """Refuse if a partition of the ledger is not the one of the same number of the activity topic."""
    topics = await TopicAdmin(settings).existing([settings.activity_topic, ledger])
    activity, kept = topics.get(settings.activity_topic), topics.get(ledger)
    if activity is None:
        raise Unexplained(f"topic {settings.activity_topic} does not exist, or may not be seen")
    if kept is not None and kept.partitions != activity.partitions:
        raise Unexplained(
            f"topic {settings.activity_topic} has {activity.partitions} partitions, and {ledger} has "
            f"{kept.partitions}: move the ledger first"
        )


async def _send(settings: KafkaSettings, value: bytes, key: bytes, partitions: Sequence[int]) -> None:
    """Write the record to each of these partitions; returns once Kafka has acknowledged it."""
    topic = settings.activity_topic
    producer = AIOKafkaProducer(acks="all", **aiokafka_options(settings))
    reach_any(producer.client)
    try:
        with translated(topic):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await producer.start()
                for partition in partitions:
                    await producer.send_and_wait(topic, value, key, partition)
    finally:
        await producer.stop()
