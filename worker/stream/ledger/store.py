"""The store of the ledger's entries; in memory, here, or on disk (`disk.py`).

Beside the entries a store keeps a mark: up to which record of the changelog it holds all of them, and what
that record looked like, by which a later start tells whether the changelog still is the one that it knows.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Final, Protocol, cast

import structlog
from faust.stores.memory import Store as MemoryStore
from faust.types import TP

REPLACED: Final = "the local copy of a ledger partition is thrown away, and read back from its changelog"
"""Is logged for each partition that is discarded."""
FAILED: Final = (
    "giving up: the ledger's local copy cannot be read or written (see the line before); "
    "the next start reads it back from its changelog, if ENROLMENT_STATE_DIR has room"
)
"""Tells the operator how a process ends whose store raised LedgerFailed."""

log = structlog.get_logger(__name__)

Entries = Iterable[tuple[bytes, bytes | None]]


def fingerprint(key: bytes | None, value: bytes | None, timestamp_ms: int | None) -> str:
    """Return by what a record of the changelog is known again."""
    hashed = blake2b(digest_size=16)
    for part in (key or b"", value or b"", b"%d" % (timestamp_ms or 0)):
        hashed.update(b"%d:" % len(part))
        hashed.update(part)
    return hashed.hexdigest()


@dataclass(frozen=True, slots=True)
class Mark:
    """The last record of the changelog up to which all are held."""

    offset: int
    record: str
    """Its fingerprint."""

    def write(self) -> bytes:
        """Return it as it is kept."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, text: bytes) -> "Mark":
        """Read it back. Raises ValueError or TypeError for anything else."""
        return cls(**json.loads(text))


class LedgerStore(Protocol):
    """What the ledger asks of either store. Raises LedgerFailed when a copy cannot be read or written."""

    def mark(self, partition: int) -> Mark | None:
        """Return the partition's mark, None before the first."""
        ...

    def known_mark(self, partition: int) -> Mark | None:
        """Return the partition's mark as it was read or written last; opens nothing, from any thread."""
        ...

    def keep(self, partition: int, entries: Entries, mark: Mark | None) -> None:
        """Write entries, and the mark with them unless it is None; a null value takes its key away."""
        ...

    def value(self, partition: int, key: bytes) -> bytes | None:
        """Return an entry, None if there is none."""
        ...

    def is_open(self, partition: int) -> bool:
        """Whether the partition may be read without taking it up, which only its owner may."""
        ...

    def discard(self, partition: int, why: str) -> None:
        """Throw the partition's copy away, with a warning."""
        ...

    def count(self) -> int:
        """Return about how many entries there are; does not count them one by one."""
        ...


class MemoryLedger(MemoryStore[bytes, bytes]):
    """Entries in memory. Implements LedgerStore; Faust drops those of partitions that were lost."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Faust's own
        super().__init__(*arguments, **options)
        self._marks: dict[int, Mark] = {}

    def mark(self, partition: int) -> Mark | None:
        """See LedgerStore."""
        return self._marks.get(partition)

    def known_mark(self, partition: int) -> Mark | None:
        """See LedgerStore."""
        return self._marks.get(partition)

    def keep(self, partition: int, entries: Entries, mark: Mark | None) -> None:
        """See LedgerStore."""
        for key, value in entries:
            if value is None:
                self.data.pop(key, None)
                self._key_partition.pop(key, None)
            else:
                self.data[key] = value
                self._key_partition[key] = partition
        if mark is not None:
            self._marks[partition] = mark

    def value(self, partition: int, key: bytes) -> bytes | None:  # noqa: ARG002 - of all partitions at once
        """See LedgerStore."""
        return cast("bytes | None", self.data.get(key))

    def is_open(self, partition: int) -> bool:  # noqa: ARG002 - nothing is taken up
        """See LedgerStore."""
        return True

    def discard(self, partition: int, why: str) -> None:
        """See LedgerStore."""
        log.warning(REPLACED, partition=partition, reason=why)
        for key in [key for key, where in self._key_partition.items() if where == partition]:
            del self.data[key], self._key_partition[key]
        self._marks.pop(partition, None)

    def count(self) -> int:
        """See LedgerStore."""
        return len(self.data)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Forget how far lost partitions were followed."""
        for tp in revoked | newly_assigned:
            if tp.topic in self.table.changelog_topic.topics:
                self._marks.pop(tp.partition, None)
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
