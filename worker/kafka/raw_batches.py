"""Record batches that aiokafka cannot read: read here, so that none blocks its partition.

Kafka's brokers take header names that are not UTF-8, and look into compressed batches less closely than
their readers must. aiokafka raises on both, on each reading, and the records behind are never reached. Here
such a batch is read once more: names become text that holds their bytes (surrogateescape), and what cannot
be read at all is handed out as one record that holds the batch.

All other batches go aiokafka's own way. Its two classes are replaced for the whole process.
"""

import struct
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any, Final, NoReturn

import structlog
from aiokafka.consumer import fetcher
from aiokafka.errors import UnsupportedCodecError
from aiokafka.record import default_records
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint_py
from aiokafka.structs import ConsumerRecord, TopicPartition

from topics.record import UNREADABLE, UnreadableOffsets, octets_of
from worker.kafka.sizes import MOST_OCTETS

_Records: Final[Any] = fetcher.PartitionRecords
_Batch: Final[Any] = default_records._DefaultRecordBatchPy  # noqa: SLF001 - the one that is written in Python
_LENGTH_AT, _LENGTH_BYTES, _EPOCH_AT, _MAGIC_AT, _LAST_DELTA_AT = 8, 4, 12, 16, 23
_MAGIC: Final = 2
"""Message format since Kafka 0.11; earlier ones have no headers, and Kafka 4 has none of them left."""

log = structlog.get_logger(__name__)


def install(
    topics: Collection[str] = (), read_epoch: Callable[[str, int, int, int], object] | None = None
) -> None:
    """Read like this from now on, in the whole process; what was asked for before still holds.

    What cannot be read at all is handed out as a record for these topics only: elsewhere, in a ledger,
    it is no record, and reading goes on to raise. `read_epoch` hears of each batch that is read of them, also
    of those without records: topic, partition, the leader's epoch, and the offset after the batch.
    """
    now = fetcher.PartitionRecords
    before = now if issubclass(now, _PartitionRecords) else _PartitionRecords
    handed_out, hears = before.hand_out | frozenset(topics), read_epoch is not None

    class PartitionRecords(_PartitionRecords):
        hand_out = handed_out
        epochs_of = frozenset(topics) if hears else before.epochs_of
        note = staticmethod(read_epoch or before.note)

    fetcher.MemoryRecords = _RememberingRecords
    fetcher.PartitionRecords = PartitionRecords


class _RememberingRecords(MemoryRecords):  # type: ignore[misc]  # of a class that aiokafka picks at run time
    """The batches of a fetch; knows the bytes of the last that it gave."""

    def __init__(self, fetched: bytes) -> None:
        super().__init__(fetched)
        self._fetched = fetched
        self._at, self._end = 0, 0
        self.heard: Callable[[int, int], object] = lambda _epoch, _end: None

    def next_batch(self) -> Any:  # noqa: ANN401 - see above
        self._at, self._end = self._end, self._end_of(self._end)
        if self._fetched[self._at + _MAGIC_AT] == _MAGIC:
            (epoch,) = struct.unpack_from(">i", self._fetched, self._at + _EPOCH_AT)
            self.heard(epoch, self._offset_after(self._at))
        return super().next_batch()

    def next_offset(self) -> int:
        """Return the offset after the last complete batch that was not given yet, 0 when there is none."""
        at, last, size = self._end, None, len(self._fetched)
        while at + _LENGTH_AT + _LENGTH_BYTES <= size and self._end_of(at) <= size:
            at, last = self._end_of(at), at
        if last is None or self._fetched[last + _MAGIC_AT] != _MAGIC:
            return 0
        return self._offset_after(last)

    def _offset_after(self, at: int) -> int:
        (first,) = struct.unpack_from(">q", self._fetched, at)
        (delta,) = struct.unpack_from(">i", self._fetched, at + _LAST_DELTA_AT)
        return int(first + delta + 1)

    def _end_of(self, at: int) -> int:
        (length,) = struct.unpack_from(">i", self._fetched, at + _LENGTH_AT)
        return int(at + _LENGTH_AT + _LENGTH_BYTES + length)

    @property
    def last_batch(self) -> bytes:
        """The batch as it lies in Kafka."""
        return bytes(self._fetched[self._at : self._end])


class _PartitionRecords(_Records):  # type: ignore[misc]  # of Any
    """A fetch's records, read again and by hand from where aiokafka gives up."""

    hand_out: frozenset[str] = frozenset()
    epochs_of: frozenset[str] = frozenset()
    note: Callable[[str, int, int, int], object] = staticmethod(lambda *_: None)
    next_fetch_offset: int

    def __init__(self, *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - aiokafka's own
        super().__init__(*arguments, **more)
        if self._tp.topic in self.epochs_of:
            # Not a method of ours: what was fetched would keep itself alive.
            self._records.heard = partial(self.note, self._tp.topic, self._tp.partition)

    @property
    def end(self) -> int:
        """The offset up to where they reach, with those that were not given yet."""
        return max(self.next_fetch_offset, int(self._records.next_offset()))

    def _unpack_records(self) -> Iterator[Any]:
        """Yield them up to some size: a megabyte that was fetched may unpack to gigabytes.

        What is left out is fetched again, from the next offset.
        """
        octets = 0
        for record in self._unpack_all():
            yield record
            octets += octets_of(record.key, record.value, record.headers)
            if octets >= MOST_OCTETS:
                return

    def _unpack_all(self) -> Iterator[Any]:
        while True:
            try:
                yield from super()._unpack_records()
            except Exception as error:  # noqa: BLE001 - codecs raise what they like
                yield from self._read_by_hand(self._records.last_batch, error)
            else:
                return

    def _read_by_hand(self, raw: bytes, error: Exception) -> Iterator[Any]:
        tp = self._tp
        if isinstance(error, UnsupportedCodecError) or len(raw) <= _MAGIC_AT or raw[_MAGIC_AT] != _MAGIC:
            raise error
        batch = _ByHand(raw)
        if not batch.validate_crc():
            # Not what a producer sent: the bytes do not even tell how many records they are.
            _give_up(tp, batch, "its checksum is wrong", error)
        if batch.is_control_batch:
            raise error
        try:
            for record in batch:
                if record.offset >= self.next_fetch_offset:
                    read = self._consumer_record(tp, record)
                    self.next_fetch_offset = record.offset + 1
                    yield read
        except Exception as fault:  # noqa: BLE001 - see above
            if tp.topic not in self.hand_out:
                _give_up(tp, batch, type(fault).__name__, fault)
            log.error(  # noqa: TRY400 - what a batch holds may be personal, also in an exception
                "a record batch cannot be read to its end; what is left is dead-lettered",
                partition=f"{tp.topic}-{tp.partition}",
                offsets=[self.next_fetch_offset, batch.next_offset - 1],
                error=type(fault).__name__,
            )
            if self.next_fetch_offset < batch.next_offset:
                yield _in_place_of(tp, batch, raw, max(self.next_fetch_offset, batch.base_offset))
        self.next_fetch_offset = batch.next_offset


class _ByHand(_Batch):  # type: ignore[misc]  # of Any
    """aiokafka's batch in Python, with header names of any bytes."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Lenient(self._buffer)

    def _read_msg(self) -> Any:  # noqa: ANN401 - aiokafka's record
        # The compiled one looks behind the buffer's end where a length lies, and takes the process down.
        return super()._read_msg(decode_varint_py)


class _Lenient(bytearray):
    """Bytes whose parts become text whatever they are."""

    def __getitem__(self, at: Any) -> Any:  # noqa: ANN401 - as bytearray's
        part = super().__getitem__(at)
        return _Lenient(part) if isinstance(at, slice) else part

    def decode(self, *_: object) -> str:
        return bytes(self).decode(errors="surrogateescape")


def _in_place_of(tp: TopicPartition, batch: Any, raw: bytes, first: int) -> ConsumerRecord[Any, Any]:  # noqa: ANN401 - aiokafka's
    """Return what stands for the rest of a batch: a record at its last offset, which is committed past."""
    last = batch.next_offset - 1
    return ConsumerRecord(
        topic=tp.topic,
        partition=tp.partition,
        offset=last,
        timestamp=batch.max_timestamp,
        timestamp_type=0,
        key=None,
        value=raw,
        checksum=None,
        serialized_key_size=-1,
        serialized_value_size=len(raw),
        headers=((UNREADABLE, UnreadableOffsets(b"%d-%d" % (first, last))),),
    )


def _give_up(tp: TopicPartition, batch: Any, why: str, error: Exception) -> NoReturn:  # noqa: ANN401 - aiokafka's
    log.error(
        "a record batch cannot be read",
        partition=f"{tp.topic}-{tp.partition}",
        offset=batch.base_offset,
        why=why,
    )
    raise error
