"""Outcomes and dead letters on their way to Kafka, each awaited until it is acknowledged."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError

from topics.dead_letter import PREFIX, REDRIVEN, Failure, dead_letter_headers
from topics.names import TopicNames
from topics.outcome import Outcome, outcome_headers
from topics.record import Headers, Record
from worker.enrolment.ports import Stamps
from worker.kafka.raw_headers import is_plain, send_raw
from worker.kafka.sizes import TRACE_BYTES, batch_bytes, fitted
from worker.stream.acknowledged import acknowledged, refused
from worker.stream.driver.connections import Connections
from worker.telemetry.spans import Spans
from worker.telemetry.tracing import Sending

log = structlog.get_logger(__name__)


class KafkaPublisher:
    """Writes through the application's producer. Implements `worker.enrolment.ports.Publisher`."""

    def __init__(
        self,
        connections: Connections,
        names: TopicNames,
        largest: Mapping[str, int],
        spans: Spans,
        stamps: Stamps,
    ) -> None:
        """Write to the topics of these names; `largest` says how many bytes their records may have."""
        self._stamps = stamps
        self._spans = spans
        self._connections = connections
        self._outcome_topic = names.outcomes
        self._dead_letter_topic = names.dead_letters
        self._retry_topics = names.retries
        self._largest = largest
        self._source = f"/enrolment-worker/{names.group_id}"

    async def publish(self, key: bytes, outcome: Outcome) -> None:
        """Write an outcome; returns once Kafka has acknowledged it, raises PublishFailed otherwise."""
        with Sending(self._outcome_topic, self._spans, outcome=outcome) as trace_headers:
            headers = outcome_headers(outcome, self._source) + trace_headers
            await self._send(self._outcome_topic, key, outcome.to_json(), headers)

    async def dead_letter(self, record: Record, failure: Failure) -> None:
        """Write a dead letter; what the topic cannot take is left out, and headers say so."""
        topic = self._dead_letter_topic
        with Sending(topic, self._spans, carried=record.headers) as trace_headers:
            # Decided beforehand: a batch that the broker refuses breaks the idempotent producer's sequence.
            letter = fitted(record, failure, trace_headers, self._largest[topic])
            if letter.omitted:
                log.warning(
                    "a record was too large for the dead-letter topic: parts of it were left out",
                    topic=topic,
                    of=str(failure.position),
                    omitted=[name.removeprefix(PREFIX) for name in letter.omitted],
                )
            await self._send(topic, letter.key, letter.value, letter.headers)

    async def defer(self, record: Record, failure: Failure, hop: int, redriven: str | None) -> bool:
        """Write to a retry topic, on the record's own partition; False if that cannot take it."""
        topic = self._retry_topics[hop - 1]
        mark = () if redriven is None else ((REDRIVEN, redriven.encode()),)
        headers = dead_letter_headers(record.headers, failure) + mark
        if batch_bytes(record.key, record.value, headers) + TRACE_BYTES > self._largest[topic]:
            return False
        with Sending(topic, self._spans, carried=record.headers) as trace_headers:
            to = record.position.partition
            await self._send(topic, record.key, record.value, headers + trace_headers, to)
        return True

    async def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None = None,
    ) -> None:
        # Kafka allows null header values, Faust's types do not know it.
        foreign: list[Any] = list(headers)
        connections, at = self._connections, self._stamps.stamp_ms()
        try:
            if is_plain(headers) and not (key is None and value is None):
                sent = await connections.producer.send(topic, key, value, partition, at / 1000, foreign)
            else:
                # Faust sends no batches, aiokafka no nulls.
                producer = connections.raw_producer
                sent = await send_raw(producer, topic, (key, value), headers, partition, at)
            # A cancelled handler must not cancel a record that is on its way in a batch with others.
            acknowledged(await asyncio.shield(sent), self._stamps)
        except ProducerSendError as error:
            raise refused(topic, error.__cause__ or error) from error
        except KafkaError as error:
            raise refused(topic, error) from error
