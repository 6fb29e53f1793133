"""On which partition a key lies: the rules of Kafka's clients, by examples from their own tests."""

import time

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.partitioners import Partitioner, choose_partition, key_hashes_of, partition_of


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"abc", 479470107),
    ],
)
def test_murmur2(key: bytes, signed: int) -> None:
    """The first hash must be murmur2 as Kafka's UtilsTest has it, there as a signed number."""
    assert (key_hashes_of(key) or (0, 0))[0] == signed % 2**32


@pytest.mark.parametrize(("key", "hash_"), [(b"", 0), (b"123456789", 0xCBF43926), (b"foobar", 0x9EF61F95)])
def test_crc32(key: bytes, hash_: int) -> None:
    """The second must be CRC-32 by its published check value."""
    assert (key_hashes_of(key) or (-1, -1))[1] == hash_


def test_no_key_has_no_lane() -> None:
    """A null key leads nowhere."""
    assert key_hashes_of(None) is None


@given(st.binary(max_size=40), st.integers(1, 100))
def test_partitions(key: bytes, partitions: int) -> None:
    """The partition must be the one that aiokafka's client, after Java's, chooses; CRC-32 has no sign."""
    lane = key_hashes_of(key)
    assert lane is not None
    every = list(range(partitions))
    assert partition_of(lane, Partitioner.MURMUR2, partitions) == DefaultPartitioner()(key, every, every)
    assert partition_of(lane, Partitioner.CRC32, partitions) == lane[1] % partitions


@given(st.binary(max_size=300), st.integers(1, 100))
def test_our_own_records_go_where_aiokafka_would_send_them(key: bytes, partitions: int) -> None:
    """Keys of outcomes keep their partitions."""
    all_ = [*range(partitions)]

    assert choose_partition(key, all_, all_) == DefaultPartitioner()(key, all_, all_)


def test_a_record_without_a_key_goes_to_a_partition_that_has_a_leader() -> None:
    """Else to any."""
    assert {choose_partition(None, [0, 1, 2], [1]), choose_partition(None, [2], [])} == {1, 2}


def test_a_large_key_is_hashed_in_no_time() -> None:
    """In pure Python it took seconds, and the whole worker waited."""
    began = time.perf_counter()
    for _ in range(20):
        key_hashes_of(bytes(900_000))

    assert time.perf_counter() - began < 1
