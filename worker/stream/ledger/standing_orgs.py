"""Under which organisations a partition's standings lie, without reading all of them."""

from collections.abc import Iterator
from typing import Any, Final

from faust.stores.memory import Store as MemoryStore
from faust.tables.table import Table

from worker.ledger.format import read_standing_key
from worker.stream.ledger.disk import DiskLedger

_PREFIX: Final = b"standing/"
_AFTER: Final = b"0"
"""Sorts right behind the `/` that ends an organisation in a key, and before every longer number."""


class StandingOrganisations:
    """Looks into the ledger's store; in memory it remembers what it found while a generation holds."""

    def __init__(self, table: Table[bytes, bytes]) -> None:
        self._table = table
        self._generation: int | None = None
        self._found: dict[int, set[int]] = {}

    def of(self, partition: int, generation: int | None) -> frozenset[int]:
        """Return the organisations of a partition that is ours."""
        store = self._table.data
        if isinstance(store, DiskLedger):
            with store.watched(partition):
                return frozenset(_skipped_through(store._db_for_partition(partition)))  # noqa: SLF001 - what its _get does
        if isinstance(store, MemoryStore) and (not self._found or self._generation != generation):
            self._generation, self._found = generation, _read_through(store)
        return frozenset(self._found.get(partition, ()))

    def written(self, partition: int, org_id: int) -> None:
        """Note that a standing was written."""
        self._found.setdefault(partition, set()).add(org_id)


def _skipped_through(database: Any) -> Iterator[int]:  # noqa: ANN401 - rocksdict's types are its own
    """Find each organisation's first key, and go on behind its last."""
    entries = database.iter()
    entries.seek(_PREFIX)
    while entries.valid() and (key := bytes(entries.key())).startswith(_PREFIX):
        whose = read_standing_key(key)
        if whose is None:
            entries.next()
            continue
        yield whose.org_id
        entries.seek(b"%b%d%b" % (_PREFIX, whose.org_id, _AFTER))
    # What cannot be read ends the way through as its end does.
    entries.status()


def _read_through(store: MemoryStore[bytes, bytes]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for key, partition in store._key_partition.items():  # noqa: SLF001 - by which it drops lost partitions
        whose = read_standing_key(key)
        if whose is not None:
            found.setdefault(partition, set()).add(whose.org_id)
    return found
