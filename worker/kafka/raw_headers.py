"""Records whose header names are not UTF-8, which aiokafka cannot write: written here as they were read."""

import re
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record import default_records

from topics.record import Headers

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MAGIC: Final = 2
"""Message format since Kafka 0.11."""


def name_in_bytes(name: str) -> bytes:
    """Return a header name as it is in Kafka."""
    return name.encode(errors="surrogateescape")


def is_plain(headers: Headers) -> bool:
    """Whether aiokafka can write these headers: whether all their names are UTF-8."""
    return all(name.isascii() or not _SURROGATE.search(name) for name, _ in headers)


async def send_raw(
    producer: AIOKafkaProducer,
    topic: str,
    record: tuple[bytes | None, bytes | None],
    headers: Headers,
    partition: int | None = None,
    timestamp_ms: int | None = None,
) -> Any:  # noqa: ANN401 - aiokafka's future
    """Send a key and value with headers of any names, as a batch of one; returns what `send` returns.

    Of a transactional producer it is part of the transaction.
    """
    key, value = record
    await producer.client._wait_on_metadata(topic)  # noqa: SLF001 - what `send` does
    transactions = producer._txn_manager  # noqa: SLF001 - decides as the producer's own builder does
    batch = _RawBatch(is_transactional=bool(transactions and transactions.transactional_id))
    names = [(_RawName(name), it) for name, it in headers]
    batch.append(timestamp=timestamp_ms, key=key, value=value, headers=names)
    batch.close()
    to = producer._partition(topic, partition, key, value, key, value)  # noqa: SLF001 - what `send` does
    return await producer.send_batch(batch, topic, partition=to)


class _RawName(str):
    """A header name that becomes the bytes it was read from."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return str.encode(self, errors="surrogateescape")


class _RawBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka ships no types
    """A batch of one record that asks header names for their bytes."""

    def __init__(self, *, is_transactional: bool) -> None:
        super().__init__(0, 0)
        self._builder = default_records._DefaultRecordBatchBuilderPy(  # noqa: SLF001 - the compiled one wants str itself
            _MAGIC,
            0,
            is_transactional=int(is_transactional),
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=0,
            batch_size=0,
        )

    def _set_producer_state(self, *state: int) -> None:
        self._builder.set_producer_state(*state)
