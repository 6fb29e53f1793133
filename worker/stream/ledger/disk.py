"""The ledger's entries on disk, with RocksDB, a database for each partition.

RocksDB writes no log of its own (WAL): the changelog is one. So what a kill leaves on disk, or a damage to
its list of files, is the state of an earlier moment with that moment's mark, never a state with a hole in it.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import rocksdict
import structlog
from faust.stores.rocksdb import Store as RocksDBStore
from faust.types import TP

from worker.enrolment.ports import LedgerFailed
from worker.stream.ledger.store import REPLACED, Entries, Mark

_MIB: Final = 1024 * 1024
STORE_OPTIONS: Final = {
    # A partition's share of memory; Faust's defaults reserve gigabytes for each.
    "write_buffer_size": 2 * _MIB,
    "max_write_buffer_number": 2,
    "target_file_size_base": 16 * _MIB,
    "block_cache_size": 4 * _MIB,
    "bloom_filter_size": 10,
}
_MARK: Final = b"__ledger\0mark__"
_TRUSTED_OPENINGS: Final = 2
"""How many openings in a row may not have come to their end: a kill may hit one, hardly two."""

log = structlog.get_logger(__name__)


class DiskLedger(RocksDBStore):
    """Entries on disk, a database for each partition. Implements LedgerStore.

    A database that cannot be opened is thrown away and made anew. One that fails later is marked, so that the
    next start does the same: it may have handed out entries before.
    """

    offset_key = _MARK
    _dbs: dict[int, rocksdict.Rdict]

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Faust's own
        super().__init__(*arguments, **options)
        self._no_wal = rocksdict.WriteOptions()
        self._marks: dict[int, Mark] = {}
        self._no_wal.disable_wal = True  # type: ignore[method-assign,assignment]  # a property, other than its stub says

    def mark(self, partition: int) -> Mark | None:
        """See LedgerStore."""
        if partition not in self._marks:
            kept = self.value(partition, _MARK)
            if kept is None:
                return None
            self._marks[partition] = Mark.read(kept)
        return self._marks[partition]

    def known_mark(self, partition: int) -> Mark | None:
        """See LedgerStore."""
        return self._marks.get(partition)

    def keep(self, partition: int, entries: Entries, mark: Mark | None) -> None:
        """See LedgerStore."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in entries:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if mark is not None:
            batch.put(_MARK, mark.write())
        with self.watched(partition):
            self._db_for_partition(partition).write(batch, self._no_wal)
        if mark is not None:
            self._marks[partition] = mark

    def value(self, partition: int, key: bytes) -> bytes | None:
        """See LedgerStore."""
        with self.watched(partition):
            # Faust's own way raises for each key that is absent, and remembers each that is not.
            return cast("bytes | None", self._db_for_partition(partition).get(key))

    def is_open(self, partition: int) -> bool:
        """See LedgerStore."""
        return partition in self._dbs

    def discard(self, partition: int, why: str) -> None:
        """See LedgerStore."""
        log.warning(REPLACED, partition=partition, reason=why)
        self._close(partition)
        remove(self.partition_path(partition))
        for note in (self._damaged(partition), self._opening(partition)):
            remove(note)

    def count(self) -> int:
        """See LedgerStore."""
        sizes = (db.property_int_value("rocksdb.estimate-num-keys") for db in self._dbs.values())
        return sum(size or 0 for size in sizes)

    def persisted_offset(self, tp: TP) -> int | None:
        """Return the mark's offset, for Faust."""
        mark = self.mark(tp.partition)
        return None if mark is None else mark.offset

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """Note how far Faust followed the changelog; a later start does not trust that."""
        self.keep(tp.partition, (), Mark(offset, ""))

    def revoke_partitions(self, table: Any, tps: set[TP]) -> None:  # noqa: ANN401 - Faust's
        """Close what is lost; what was written last goes to disk."""
        for tp in tps:
            if tp.topic in table.changelog_topic.topics:
                self._close(tp.partition)

    async def stop(self) -> None:
        """Close everything, as `revoke_partitions` does."""
        for partition in list(self._dbs):
            self._close(partition)

    def _open_for_partition(self, partition: int) -> rocksdict.Rdict:
        self._throw_away_damaged(partition)
        try:
            return self._opened(partition)
        except Exception as error:
            if _is_held(error) or _is_full(error):
                raise
            self.discard(partition, _line(error))
            return self._opened(partition)

    def _throw_away_damaged(self, partition: int) -> None:
        path = self.partition_path(partition)
        if self._damaged(partition).exists():
            self.discard(partition, "it was found damaged by the run before")
        elif _count(self._opening(partition)) >= _TRUSTED_OPENINGS:
            self.discard(partition, "the process ended twice while it was opened")
        elif any(path.glob("*.sst")) and not (path / "CURRENT").exists():
            self.discard(partition, "CURRENT is missing")

    def _opened(self, partition: int) -> rocksdict.Rdict:
        opening = self._opening(partition)
        opening.write_text(str(_count(opening) + 1))
        try:
            path = self.partition_path(partition)
            had_entries = any(path.glob("*.sst"))
            db: rocksdict.Rdict = self.rocksdb_options.open(path)
            try:
                _ensure_marked(db, had_entries)
            except Exception:
                db.close()
                raise
            return db
        finally:
            remove(opening)

    def _close(self, partition: int) -> None:
        self._marks.pop(partition, None)
        db = self._dbs.pop(partition, None)
        if db is not None:
            if not self._damaged(partition).exists():
                with suppress(LedgerFailed), self.watched(partition):
                    db.flush()
            with suppress(Exception):
                db.close()

    @contextmanager
    def watched(self, partition: int) -> Iterator[None]:
        """Raise what RocksDB raises as LedgerFailed, and trust the database no more."""
        try:
            yield
        except LedgerFailed:
            raise
        except Exception as error:
            if not (_is_full(error) or _is_held(error) or isinstance(error, rocksdict.DbClosedError)):
                with suppress(OSError):
                    self._damaged(partition).touch()
            log.error("the ledger's local copy failed", partition=partition, error=_line(error))  # noqa: TRY400 - a stack says no more
            raise LedgerFailed(f"ledger: {type(error).__name__}") from error

    def _damaged(self, partition: int) -> Path:
        return _beside(self.partition_path(partition), "damaged")

    def _opening(self, partition: int) -> Path:
        return _beside(self.partition_path(partition), "opening")


def remove(path: Path) -> None:
    """Remove a file or a folder, whichever it is and whatever its rights. Raises OSError when it stays."""
    if path.is_dir() and not path.is_symlink():
        for folder in [path, *(each for each in path.rglob("*") if each.is_dir())]:
            with suppress(OSError):
                folder.chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _ensure_marked(db: rocksdict.Rdict, had_entries: bool) -> None:  # noqa: FBT001 - the only question
    """Raise ValueError for a database that does not tell what it holds, whatever else RocksDB raises."""
    mark = db.get(_MARK)
    if mark is not None:
        Mark.read(mark)
    elif had_entries:
        raise ValueError("it does not tell up to where it holds the ledger")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")


def _count(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _is_held(error: Exception) -> bool:
    """Whether the database is open elsewhere; rocksdict knows no kinds of errors."""
    return "lock hold by" in str(error) or "While lock file" in str(error)


def _is_full(error: Exception) -> bool:
    return "No space left" in str(error)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
