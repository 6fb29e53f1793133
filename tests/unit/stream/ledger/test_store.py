"""What the local copy makes of damage: no entry that is wrong or missing, and no start that fails."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import pytest
from faust.types import TP
from structlog.testing import capture_logs

from tests.support.unit.tables import table_of
from worker.enrolment.ports import LedgerFailed
from worker.stream.ledger.disk import DiskLedger, remove
from worker.stream.ledger.store import Mark, MemoryLedger, fingerprint

_ENTRIES: Final = 2_000
_VALUE: Final = b"v" * 900


def _store(folder: Path) -> DiskLedger:
    return cast("DiskLedger", table_of("rocksdb", folder, 1, write_buffer_size=64 * 1024).data)


def _close(store: DiskLedger) -> None:
    asyncio.run(store.stop())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of several files, as a worker that was told to stop leaves it."""
    folder = tmp_path_factory.mktemp("filled")
    store = _store(folder)
    for number in range(_ENTRIES):
        store.keep(0, [(b"%d" % number, b"%d" % number + os.urandom(450))], Mark(number, "print"))
    _close(store)
    return folder


@pytest.fixture
def copy(filled: Path, tmp_path: Path) -> Path:
    """Give a copy of that copy, to be damaged."""
    return Path(shutil.copytree(filled, tmp_path / "copy"))


def _held(store: DiskLedger) -> int:
    """Return up to where it says that it holds entries, after a look whether it does."""
    mark = store.mark(0)
    held = 0 if mark is None else mark.offset + 1
    for number in range(held):
        value = store.value(0, b"%d" % number)
        assert value is not None, f"entry {number} of {held} is missing"
        assert value.startswith(b"%d" % number)
    return held


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def _halve(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _scribble(path: Path) -> None:
    path.write_bytes(os.urandom(max(path.stat().st_size, 10)))


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


_FILES: Final = (
    "CURRENT",
    "MANIFEST-*",
    "*.sst",
    "*.log",
    "OPTIONS-*",
    "IDENTITY",
    "LOCK",
    "rocksdict-config.json",
)


@pytest.mark.parametrize("damage", [_cut, _halve, _flip, _empty, _scribble, Path.unlink, _make_folder])
@pytest.mark.parametrize(("pattern", "which"), [("*.sst", 0), *((pattern, -1) for pattern in _FILES)])
def test_a_damaged_file(copy: Path, pattern: str, which: int, damage: Callable[[Path], object]) -> None:
    """All entries up to the mark, or fewer with an earlier mark; where reading fails, at the next start."""
    tables = copy / "v1" / "tables"
    database = next(tables.glob("ledger-0.db"))
    damage(sorted(database.glob(pattern))[which])
    store = _store(copy)
    failures = 0
    with capture_logs() as lines:
        try:
            _held(store)
        except LedgerFailed:
            failures = 1
            _close(store)
            store = _store(copy)
            assert _held(store) == 0
        thrown_away = [line["log_level"] for line in lines if "thrown away" in line["event"]]
        assert thrown_away in ([], ["warning"])
        assert len([line for line in lines if line["log_level"] == "error"]) == failures
    store.keep(0, [(b"new", b"entry")], Mark(_ENTRIES, "print"))
    assert store.value(0, b"new") == b"entry"
    _close(store)
    store = _store(copy)
    assert store.value(0, b"new") == b"entry"
    _close(store)


def test_a_list_of_files_that_ends_anywhere(copy: Path) -> None:
    """The state of an earlier moment, with its mark: what came after it is not taken for held."""
    manifest = next(copy.glob("v1/tables/ledger-0.db/MANIFEST-*"))
    whole, places = manifest.read_bytes(), set[int]()
    pristine = copy.with_name("pristine")
    shutil.copytree(copy, pristine)
    for end in (*range(0, len(whole), max(len(whole) // 8, 1)), len(whole)):
        shutil.rmtree(copy)
        shutil.copytree(pristine, copy)
        manifest.write_bytes(whole[:end])
        store = _store(copy)
        places.add(_held(store))
        _close(store)
    assert {0, _ENTRIES} <= places


def test_what_a_kill_leaves(copy: Path, tmp_path: Path) -> None:
    """What was on disk by then, with its mark; a kill costs reading on from there, and no trust."""
    store = _store(copy)
    for number in range(_ENTRIES, 2 * _ENTRIES):
        store.keep(0, [(b"%d" % number, b"%d" % number + os.urandom(450))], Mark(number, "print"))
    left = _as_it_is(copy, tmp_path / "left")
    _close(store)
    killed = _store(left)
    with capture_logs() as lines:
        assert _ENTRIES <= _held(killed) <= 2 * _ENTRIES
    assert lines == []
    _close(killed)


def _as_it_is(copy: Path, left: Path) -> Path:
    """Copy a folder that is in use; once more if a compaction took a file away meanwhile."""
    for _ in range(10):
        try:
            return Path(shutil.copytree(copy, left))
        except shutil.Error:
            shutil.rmtree(left)
    raise AssertionError("the folder never stood still")


def test_a_partition_that_is_a_file(tmp_path: Path) -> None:
    """Whatever lies where the database belongs."""
    store = _store(tmp_path)
    path = store.partition_path(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("not a folder")
    assert _held(store) == 0
    _close(store)


def test_a_copy_without_a_mark(copy: Path) -> None:
    """One of an earlier release: nothing tells of which log it is."""
    store = _store(copy)
    store._db_for_partition(0).delete(b"__ledger\0mark__")
    _close(store)
    with capture_logs() as lines:
        store = _store(copy)
        assert _held(store) == 0
        assert store.value(0, b"1") is None
    assert [line["log_level"] for line in lines] == ["warning"]
    _close(store)


def test_openings_that_did_not_come_to_their_end(copy: Path) -> None:
    """Once is a kill that came at that moment; twice in a row is the copy."""
    note = copy / "v1" / "tables" / "ledger-0.db.opening"
    for openings, held in (("1", _ENTRIES), ("2", 0), ("nonsense", 0)):
        note.write_text(openings)
        store = _store(copy)
        assert _held(store) == held
        assert not note.exists()
        _close(store)


def test_a_copy_that_another_process_has(copy: Path) -> None:
    """It is not damaged: Faust waits for it."""
    first, second = _store(copy), _store(copy)
    assert _held(first) == _ENTRIES
    with pytest.raises(Exception, match="lock") as raised:
        second._db_for_partition(0)
    assert not isinstance(raised.value, LedgerFailed)
    _close(first)
    assert _held(second) == _ENTRIES
    _close(second)


@contextmanager
def _nobody() -> Iterator[Path]:
    """Act as a user whom rights hold for; give a folder of theirs."""
    folder, user = Path(tempfile.mkdtemp()), os.geteuid()
    if user == 0:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if user == 0:
            os.seteuid(0)
        remove(folder)


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*", "*.sst", "LOCK", "."])
def test_what_may_not_be_read(pattern: str) -> None:
    """Files and folders of ours whose rights were taken."""
    with _nobody() as folder:
        store = _store(folder)
        store.keep(0, [(b"0", b"0" + _VALUE)], Mark(0, "print"))
        _close(store)
        database = store.partition_path(0)
        for path in [database] if pattern == "." else [*database.glob(pattern)]:
            path.chmod(0)
        store = _store(folder)
        assert _held(store) == 0
        store.keep(0, [(b"0", b"0" + _VALUE)], Mark(0, "print"))
        assert _held(store) == 1
        _close(store)


def test_memory_forgets_what_it_lost(tmp_path: Path) -> None:
    """Entries of one partition go, with how far it was followed; others stay."""
    store = cast("MemoryLedger", table_of("memory", tmp_path, 2).data)
    for partition in (0, 1):
        store.keep(partition, [(b"%d" % partition, b"value"), (b"gone", None)], Mark(4, "print"))
    store.discard(0, "a test")
    assert (store.mark(0), store.value(0, b"0"), store.count()) == (None, None, 1)
    topic = next(iter(store.table.changelog_topic.topics))
    asyncio.run(store.on_rebalance(set(), {TP(topic, 1)}, set()))
    assert store.mark(1) is None


def test_a_fingerprint_tells_records_apart() -> None:
    """By key, value and time, wherever one of them ends and the next begins."""
    prints = {
        fingerprint(key, value, at)
        for key, value, at in [
            (b"a", b"bc", 1),
            (b"ab", b"c", 1),
            (b"a", b"bc", 2),
            (b"a", None, 1),
            (None, b"a", 1),
            (b"a1", None, None),
        ]
    }
    assert len(prints) == 6
