"""On which partition a key's records lie, by the rules of Kafka's clients.

Java's default partitioner takes murmur2 of the key without its sign bit; librdkafka's (`consistent` and
`consistent_random`, also behind Confluent's clients for Python, Go and .NET) takes CRC-32. Both take the
remainder by the partition count.
"""

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, assert_never
from zlib import crc32

from murmurhash2 import murmurhash2

from worker.ledger.entries import KeyHashes

_SEED: Final = 0x9747_B28C
_POSITIVE: Final = 0x7FFF_FFFF


class Partitioner(StrEnum):
    """The rule by which upstream's client chooses a partition."""

    MURMUR2 = "murmur2"
    CRC32 = "crc32"


def key_hashes_of(key: bytes | None) -> KeyHashes | None:
    """Return the hashes of a record's key, None of a null key: its partition is chosen at random."""
    return None if key is None else (murmurhash2(key, _SEED), crc32(key))


def partition_of(hashes: KeyHashes, partitioner: Partitioner, partitions: int) -> int:
    """Return the partition, of so many, that records of such a key lie on."""
    match partitioner:
        case Partitioner.MURMUR2:
            return (hashes[0] & _POSITIVE) % partitions
        case Partitioner.CRC32:
            return hashes[1] % partitions
        case _:
            assert_never(partitioner)


def choose_partition(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """Return the partition for a record of ours, as aiokafka's own partitioner, a thousand times as fast."""
    if key is None:
        return random.choice(available or partitions)  # noqa: S311 - nothing secret
    return partitions[(murmurhash2(key, _SEED) & _POSITIVE) % len(partitions)]
