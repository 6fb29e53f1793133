"""On which partition a key's records lie, by the rules of Kafka's clients.

Java's default partitioner takes murmur2 of the key without its sign bit; librdkafka's (`consistent` and
`consistent_random`, also behind Confluent's clients for Python, Go and .NET) takes CRC-32. Both take the
remainder by the partition count.
"""

from enum import StrEnum
from typing import assert_never
from zlib import crc32

from aiokafka.partitioner import murmur2

from worker.ledger_format import Lane


class Partitioner(StrEnum):
    """The rule by which upstream's client chooses a partition."""

    MURMUR2 = "murmur2"
    CRC32 = "crc32"


def lane_of_key(key: bytes | None) -> Lane | None:
    """Return the hashes of a record's key, None of a null key: its partition is chosen at random."""
    return None if key is None else (murmur2(key) & 0xFFFF_FFFF, crc32(key))


def partition_of(lane: Lane, partitioner: Partitioner, partitions: int) -> int:
    """Return the partition, of so many, that records of the lane's key lie on."""
    match partitioner:
        case Partitioner.MURMUR2:
            return (lane[0] & 0x7FFF_FFFF) % partitions
        case Partitioner.CRC32:
            return lane[1] % partitions
        case _:
            assert_never(partitioner)
