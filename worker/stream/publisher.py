"""Outcomes and dead letters on their way to Kafka, each awaited until it is acknowledged."""

import asyncio
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust import App
from faust.exceptions import ProducerSendError

from topics.dead_letter import VALUE_OMITTED, Failure, dead_letter_headers
from topics.outcome import Outcome, outcome_headers
from topics.record import Headers, Record
from worker.ports import PublishFailed
from worker.telemetry.tracing import sending

LARGEST_REQUEST_BYTES: Final = 64 * 1024 * 1024
"""The producer's own limit, out of the way: what is too large is for the topic's settings to say."""

log = structlog.get_logger(__name__)


class KafkaPublisher:
    """Writes through the application's producer. Implements `worker.ports.Publisher`."""

    def __init__(self, app: App, outcome_topic: str, dead_letter_topic: str, group_id: str) -> None:
        self._app = app
        self._outcome_topic = outcome_topic
        self._dead_letter_topic = dead_letter_topic
        self._source = f"/enrolment-worker/{group_id}"

    async def publish(self, key: bytes, outcome: Outcome) -> None:
        """Write an outcome; returns once Kafka has acknowledged it, raises PublishFailed otherwise."""
        with sending(self._outcome_topic, outcome.outcome_id) as trace_headers:
            headers = outcome_headers(outcome, self._source) + trace_headers
            try:
                await self._send(self._outcome_topic, key, outcome.to_json(), headers)
            except KafkaError as error:
                raise PublishFailed(f"{self._outcome_topic}: {type(error).__name__}") from error

    async def put_aside(self, record: Record, failure: Failure) -> None:
        """Write a dead letter; a value that the topic cannot take is left out, and a header says so."""
        headers = dead_letter_headers(record.headers, failure)
        topic = self._dead_letter_topic
        try:
            try:
                await self._send(topic, record.key, record.value, headers)
            except MessageSizeTooLargeError:
                log.warning("dead letter without its value: too large", topic=topic, of=str(failure.position))
                await self._send(topic, record.key, b"", (*headers, (VALUE_OMITTED, b"true")))
        except KafkaError as error:
            raise PublishFailed(f"{topic}: {type(error).__name__}") from error

    async def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        # Kafka allows null header values, Faust's types do not know it.
        foreign: list[Any] = list(headers)
        try:
            sent = await self._app.producer.send(topic, key, value, None, None, foreign)
        except ProducerSendError as error:
            raise error.__cause__ or error from error
        # A cancelled handler must not cancel a record that is on its way in a batch with others.
        await asyncio.shield(sent)
