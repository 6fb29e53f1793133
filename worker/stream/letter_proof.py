"""Proof of a redrive: the dead letter that a record names is read, and those behind it for the next."""

import asyncio
import hashlib
from contextlib import aclosing
from typing import Final

import structlog
from aiokafka.errors import TopicAuthorizationFailedError

from topics.dead_letter import redriven_headers
from topics.record import Headers, Position, Record
from worker.kafka.admin import TopicAdmin
from worker.kafka.errors import KafkaFailed
from worker.kafka.log_reader import log_reader
from worker.kafka.sizes import batch_bytes
from worker.latest import Latest
from worker.settings import KafkaSettings
from worker.timing import Sleep

_AHEAD_RECORDS: Final = 500
_AHEAD_BYTES: Final = 8 * 1024 * 1024
"""So much is read at once: letters are redriven in the order in which they lie."""
_REMEMBERED: Final = 5_000
_AGAIN_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


class LetterProof:
    """Reads the dead-letter topic, outside of any group. Implements `worker.enrolment.ports.Letters`."""

    def __init__(self, settings: KafkaSettings, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._topic = settings.topic_names.dead_letters
        self._sleep = sleep
        self._digests: Latest[Position, bytes] = Latest(_REMEMBERED)
        self._turn = asyncio.Lock()
        self._told = False

    async def bears_out(self, letter: Position, redriven: Record) -> bool | None:
        """Tell whether the record is what a redrive makes of the dead letter there; waits for Kafka."""
        async with self._turn:
            if self._digests.get(letter) is None:
                await self._read_from(letter)
            known = self._digests.get(letter)
        return None if known is None else known == _digest(redriven, redriven.headers)

    async def _read_from(self, letter: Position) -> None:
        while True:
            try:
                return await self._read_once(letter)
            except KafkaFailed as error:
                if isinstance(error.__cause__, TopicAuthorizationFailedError):
                    return self._tell_forbidden()
                log.warning(
                    "what was redriven cannot be told from dead letters; trying again", why=str(error)
                )
            await self._sleep(_AGAIN_SECONDS)

    async def _read_once(self, letter: Position) -> None:
        existing = (await TopicAdmin(self._settings).existing([self._topic])).get(self._topic)
        if existing is None or letter.partition >= existing.partitions:
            return
        async with log_reader(self._settings) as reader:
            start, end = (await reader.extent(self._topic, [letter.partition]))[letter.partition]
            if not start <= letter.offset < end:
                return
            last, octets = min(end, letter.offset + _AHEAD_RECORDS), 0
            async with aclosing(
                reader.records(self._topic, letter.partition, letter.offset, last)
            ) as records:
                async for record in records:
                    self._remember(record)
                    octets += batch_bytes(record.key, record.value, record.headers)
                    if octets >= _AHEAD_BYTES:
                        return

    def _remember(self, record: Record) -> None:
        self._digests.put(record.position, _digest(record, redriven_headers(record)))

    def _tell_forbidden(self) -> None:
        if not self._told:
            log.error(
                "the dead-letter topic may not be read, so redriven events are not known as such: "
                "allow Read on it (ACL)",
                topic=self._topic,
            )
        self._told = True


def _digest(record: Record, headers: Headers) -> bytes:
    digest = hashlib.sha256()
    for name, content in (("", record.key), ("", record.value), *headers):
        text = name.encode(errors="surrogateescape")
        size = -1 if content is None else len(content)
        digest.update(b"%d %d " % (len(text), size) + text + (content or b""))
    return digest.digest()
