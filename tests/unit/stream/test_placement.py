"""On which partition a key lies: the rules of Kafka's clients, by examples from their own tests."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from worker.stream.placement import Partitioner, lane_of_key, partition_of


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
    assert (lane_of_key(key) or (0, 0))[0] == signed % 2**32


@pytest.mark.parametrize(("key", "hash_"), [(b"", 0), (b"123456789", 0xCBF43926), (b"foobar", 0x9EF61F95)])
def test_crc32(key: bytes, hash_: int) -> None:
    """The second must be CRC-32 by its published check value."""
    assert (lane_of_key(key) or (-1, -1))[1] == hash_


def test_no_key_has_no_lane() -> None:
    """A null key leads nowhere."""
    assert lane_of_key(None) is None


@given(st.binary(max_size=40), st.integers(1, 100))
def test_partitions(key: bytes, partitions: int) -> None:
    """The partition must be the one that aiokafka's client, after Java's, chooses; CRC-32 has no sign."""
    lane = lane_of_key(key)
    assert lane is not None
    every = list(range(partitions))
    assert partition_of(lane, Partitioner.MURMUR2, partitions) == DefaultPartitioner()(key, every, every)
    assert partition_of(lane, Partitioner.CRC32, partitions) == lane[1] % partitions
