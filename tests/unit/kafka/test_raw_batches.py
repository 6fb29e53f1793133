"""Batches that aiokafka gives up on, without a broker: what is read of them, and where reading goes on."""

import gzip
from collections.abc import Iterator
from typing import Any

import cramjam
import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.kafka.batches import batch_of, raw_batch, raw_record
from topics.record import UNREADABLE, Headers, UnreadableOffsets
from worker.kafka import raw_batches, raw_headers

NAME = b"caf\xe9 \xff".decode(errors="surrogateescape")
AT = TopicPartition("activity", 3)
PLAIN = (b"k", b"good", (("name", b"v"),))
ODD = (b"k", b"odd", ((NAME, b"1"), ("caf\u00e9", None), (NAME, b"")))


@pytest.fixture(autouse=True, scope="module")
def _installed() -> Iterator[None]:
    """Leave aiokafka as it was."""
    before = fetcher.MemoryRecords, fetcher.PartitionRecords
    raw_batches.install(["activity"])
    yield
    fetcher.MemoryRecords, fetcher.PartitionRecords = before


def read(fetched: bytes, start: int = 0, at: TopicPartition = AT) -> tuple[list[Any], int]:
    """Return the records that aiokafka's consumer would return, and the offset that it fetches next."""
    records = fetcher.PartitionRecords(
        at,
        fetcher.MemoryRecords(fetched),
        aborted_transactions=None,
        fetch_offset=start,
        key_deserializer=None,
        value_deserializer=None,
        check_crcs=True,
        isolation_level=0,
    )
    return list(records), records.next_fetch_offset


def values(records: list[Any]) -> list[tuple[int, bytes]]:
    """Return offset and value of each."""
    return [(record.offset, record.value) for record in records]


def test_header_names_of_any_bytes_are_read_and_their_neighbours_with_them() -> None:
    """Before, in and behind the batch, compressed or not, every record comes once, with its headers."""
    odd = batch_of([PLAIN, ODD, PLAIN], base_offset=11)
    fetched = batch_of([PLAIN], base_offset=10) + odd + batch_of([ODD, PLAIN], base_offset=20)

    records, position = read(fetched)

    assert [offset for offset, _ in values(records)] == [10, 11, 12, 13, 20, 21]
    assert records[2].headers == records[4].headers == ODD[2]
    assert (records[2].key, records[2].value, records[2].timestamp) == (b"k", b"odd", 1_700_000_000_000)
    assert position == 22


@pytest.mark.parametrize(
    ("codec", "compress"),
    [
        (1, gzip.compress),
        (2, cramjam.snappy.compress_raw),
        (3, cramjam.lz4.compress),
        (4, cramjam.zstd.compress),
    ],
)
def test_header_names_in_compressed_batches(codec: int, compress: Any) -> None:  # noqa: ANN401 - four signatures
    """The codec makes no difference."""
    records = raw_record(0, *PLAIN) + raw_record(1, *ODD)
    batch = raw_batch(bytes(compress(records)), 2, base_offset=5, codec=codec)

    assert [record.headers for record in read(batch)[0]] == [PLAIN[2], ODD[2]]


def test_reading_goes_on_where_it_was() -> None:
    """A fetch from within the batch gives what lies behind, and nothing twice."""
    records, position = read(batch_of([ODD, PLAIN, ODD], base_offset=7), start=8)

    assert (values(records), position) == ([(8, b"good"), (9, b"odd")], 10)


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_what_no_codec_can_read_is_one_record_that_holds_it(codec: int) -> None:
    """The batch comes whole, at its last offset, and tells its offsets; the next one is read."""
    broken = raw_batch(b"\0garbage\xff" * 3, 4, base_offset=30, codec=codec)

    (stand_in, after), position = read(broken + batch_of([PLAIN], base_offset=34))

    assert (stand_in.offset, stand_in.key, stand_in.value) == (33, None, broken)
    assert stand_in.headers == ((UNREADABLE, b"30-33"),)
    assert isinstance(stand_in.headers[0][1], UnreadableOffsets)
    assert (after.offset, position) == (34, 35)


def test_the_readable_part_of_a_batch_is_read() -> None:
    """Records before the damage are events like any other; only the rest is dead-lettered."""
    damaged = raw_record(0, *PLAIN) + raw_record(1, *ODD) + b"\x09garbage"
    broken = raw_batch(damaged, 3, base_offset=30)

    records, position = read(broken)

    assert values(records) == [(30, b"good"), (31, b"odd"), (32, broken)]
    assert records[-1].headers == ((UNREADABLE, b"32-32"),)
    assert position == 33


def test_nothing_stands_for_what_is_not_missing() -> None:
    """Octets behind the last record are no record."""
    records, position = read(raw_batch(raw_record(0, *PLAIN) + b"more", 1, base_offset=30))

    assert (values(records), position) == ([(30, b"good")], 31)


@pytest.mark.parametrize("large", [(b"k", b"x" * 9_000_000, ()), (b"k", b"", (("n", b""),) * 45_000)])
def test_a_fetch_unpacks_to_so_much_and_no_more(large: tuple[bytes, bytes, Headers]) -> None:
    """The rest is fetched again, from where this ended: nothing is missing, nothing comes twice."""
    unpacked = b"".join(raw_record(delta, *large) for delta in range(3))
    fetched = raw_batch(bytes(cramjam.zstd.compress(unpacked)), 3, codec=4)
    records, position = read(fetched)
    rest, end = read(fetched, position)

    assert [[record.offset for record in each] for each in (records, rest)] == [[0, 1], [2]]
    assert end == 3


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=5), st.integers(1, 99)
)
@settings(max_examples=100, deadline=None)
def test_damage_of_any_kind_is_passed(damage: list[tuple[int, int]], count: int) -> None:
    """Whatever a batch holds, something comes of it, and reading goes on behind it."""
    octets = bytearray(raw_record(0, *PLAIN) + raw_record(1, *ODD) + raw_record(2, *PLAIN))
    for at, octet in damage:
        octets[at] = octet

    records, position = read(raw_batch(bytes(octets), count) + batch_of([PLAIN], base_offset=count))

    assert (records[-1].offset, position) == (count, count + 1)
    assert len(records) > 1


def test_elsewhere_an_unreadable_batch_still_raises() -> None:
    """In a ledger's changelog, nothing may be taken for an entry that is none."""
    broken = raw_batch(b"garbage", 1, codec=4)

    with pytest.raises(cramjam.DecompressionError):
        read(broken, at=TopicPartition("ledger-changelog", 0))
    assert read(batch_of([ODD]), at=TopicPartition("ledger-changelog", 0))[0][0].headers == ODD[2]


def test_a_wrong_checksum_raises() -> None:
    """Bytes that were damaged on the way do not tell which offsets they are: nothing is passed over."""
    batch = bytearray(batch_of([ODD, PLAIN]))
    batch[-1] ^= 1

    with pytest.raises(CorruptRecordException, match="CRC"):
        read(bytes(batch))


@pytest.mark.parametrize(
    ("headers", "plain"),
    [
        ((), True),
        ((("name", b"\xff"), ("caf\u00e9 \U0001f600", None)), True),
        ((("name", b""), (NAME, b"")), False),
    ],
)
def test_what_aiokafka_can_write_is_left_to_it(headers: Headers, plain: bool) -> None:  # noqa: FBT001 - a table
    """Only names that are not UTF-8 need another way."""
    assert raw_headers.is_plain(headers) is plain


def test_epochs_are_told_as_batches_are_read_and_what_waits_is_known() -> None:
    """The epoch of a batch that was not reached yet is not told; other topics' are nobody's."""
    told: list[tuple[str, int, int, int]] = []
    before = fetcher.PartitionRecords
    raw_batches.install(["activity"], lambda *it: told.append(it))
    try:
        fetched = b"".join(
            _led(batch_of([PLAIN, PLAIN], base_offset=offset), epoch) for offset, epoch in ((4, 3), (6, 5))
        )
        for topic in ("activity", "another"):
            records = fetcher.PartitionRecords(
                TopicPartition(topic, 3),
                fetcher.MemoryRecords(fetched + fetched[:40]),
                None,
                4,
                None,
                None,
                check_crcs=True,
                isolation_level=0,
            )
            assert records.end == 8
            assert next(records).offset == 4
            assert (told, records.end) == ([("activity", 3, 3, 6)], 8)
        list(records)
    finally:
        fetcher.PartitionRecords = before
    assert records.end == 8


def test_a_second_reader_in_the_process_takes_nothing_from_the_first() -> None:
    """A worker looks up dead letters while it works: its own topics are read as before."""
    told: list[tuple[str, int, int, int]] = []
    before = fetcher.PartitionRecords
    try:
        raw_batches.install(["activity", "retry"], lambda *it: told.append(it))
        raw_batches.install(["activity", "dead-letters"])
        for topic in ("retry", "dead-letters"):
            (record,), _ = read(raw_batch(b"garbage", 1, codec=4), at=TopicPartition(topic, 3))
            assert record.headers[0][0] == UNREADABLE
    finally:
        fetcher.PartitionRecords = before
    assert [each[:2] for each in told] == [("retry", 3)]


def _led(batch: bytes, epoch: int) -> bytes:
    """Return the batch as a leader of that epoch wrote it."""
    return batch[:12] + epoch.to_bytes(4, "big") + batch[16:]
