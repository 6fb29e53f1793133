"""Writes dead letters back to the activity topic, under one transactional id for all redrives of a group."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaError,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
)

from topics.dead_letter import redriven_headers
from topics.record import Record
from worker.kafka.bootstrap import reach_any
from worker.kafka.errors import KafkaFailed, translated
from worker.kafka.raw_headers import is_plain, send_raw
from worker.kafka.security import aiokafka_options
from worker.kafka.sizes import LARGEST_REQUEST_BYTES
from worker.operations.redrive_plan import Letter
from worker.settings import KafkaSettings

_LARGEST_BATCH_BYTES: Final = 256 * 1024
_TRANSACTION_SECONDS: Final = 30.0
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 5.0


class RedriveSender:
    """Writes to the activity topic under the group's one transactional id. Calls raise KafkaFailed."""

    def __init__(self, settings: KafkaSettings, producer: AIOKafkaProducer, now: Callable[[], float]) -> None:
        self._settings = settings
        self._producer = producer
        self._now = now

    async def start(self) -> None:
        """End the transaction of whoever sent before, for good."""
        with self._told():
            async with asyncio.timeout(_START_SECONDS):
                await self._producer.start()

    async def send(self, batch: Sequence[tuple[Record, Letter]]) -> None:
        """Send the records in one transaction; returns once it is committed."""
        with self._told():
            await self._producer.begin_transaction()
            try:
                async with asyncio.timeout(_TRANSACTION_SECONDS):
                    await asyncio.gather(*[await self._sent(*each) for each in batch])
                    await self._producer.commit_transaction()
            except BaseException:
                # Whoever reads the topic waits behind an open transaction; beyond that it does no harm.
                with suppress(Exception):
                    await asyncio.wait_for(self._producer.abort_transaction(), _END_SECONDS)
                raise

    async def _sent(self, record: Record, letter: Letter) -> asyncio.Future[object]:
        topic, partition = self._settings.activity_topic, letter.failure.position.partition
        headers = redriven_headers(record)
        # Never older than the letter, or its mark would not be found from the letter's time on.
        at = max(round(self._now() * 1000), letter.written_ms)
        sent: asyncio.Future[object]
        if is_plain(headers) and not (record.key is None and record.value is None):
            sent = await self._producer.send(
                topic, record.value, record.key, partition, timestamp_ms=at, headers=list(headers)
            )
        else:
            sent = await send_raw(
                self._producer, topic, (record.key, record.value), headers, partition, timestamp_ms=at
            )
        return sent

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with translated(self._settings.activity_topic):
                yield
        except KafkaFailed as error:
            line = self._line(error.__cause__)
            if line is None:
                raise
            raise KafkaFailed(line) from None

    def _line(self, cause: BaseException | None) -> str | None:
        """Return what to tell the operator if the client's own words do not say it."""
        if isinstance(cause, ProducerFenced):
            return (
                f"another redrive of group {self._settings.group_id} has begun, or this one stood still for "
                "too long: once no other runs, repeat it for the rest"
            )
        if isinstance(cause, InvalidTimestampError):
            return (
                f"topic {self._settings.activity_topic}: Kafka refuses records as stamped too far ahead of "
                "its clock (message.timestamp.after.max.ms): synchronise this machine's clock (NTP), and "
                "repeat it for the rest"
            )
        if isinstance(cause, TimeoutError):
            return f"topic {self._settings.activity_topic}: Kafka gave no answer; repeat it for the rest"
        if isinstance(cause, TransactionalIdAuthorizationFailed):
            return f"not authorised to write with the transactional id {transactional_id(self._settings)}"
        return None


def transactional_id(settings: KafkaSettings) -> str:
    """Return what all redrives of a group share, and what must be allowed to them."""
    return f"{settings.group_id}-redrive"


@asynccontextmanager
async def redrive_sender(
    settings: KafkaSettings, largest_batch_bytes: int, now: Callable[[], float]
) -> AsyncIterator[RedriveSender]:
    """Give a started sender. A batch of several records is no larger than that."""
    producer = AIOKafkaProducer(
        transactional_id=transactional_id(settings),
        transaction_timeout_ms=round(_TRANSACTION_SECONDS * 1000),
        linger_ms=5,
        max_batch_size=min(_LARGEST_BATCH_BYTES, largest_batch_bytes),
        max_request_size=LARGEST_REQUEST_BYTES,
        **aiokafka_options(settings),
    )
    reach_any(producer.client)
    sender = RedriveSender(settings, producer, now)
    asyncio.get_running_loop().set_exception_handler(_unheard)
    try:
        await sender.start()
        yield sender
    finally:
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(producer.stop(), _END_SECONDS)


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Pass over what aiokafka's own futures hold and nobody asks for; it reaches us by other ways too."""
    if not isinstance(context.get("exception"), KafkaError):
        loop.default_exception_handler(context)
