"""The folder of the ledger's local copy: whose it is, of which topic, and when it is made anew.

The copy keeps what Kafka lets go of by retention. So one that is old is thrown away at a start, and the
ledger is read back from its changelog. RocksDB's own expiry (TTL) is not used: a database that is opened
again with it by rocksdict 0.3.29 gets another expiry than asked for, and a compaction drops young entries.

Beside the copy lie notes: when it was born (`born`), of which topic it is (`origin`), what native code left
behind when it brought the process down (`fault`) and how often that was (`faults`), and why the ledger
counts as lost (`lost`).
"""

import faulthandler
import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from worker.kafka.topic_identity import Identity
from worker.stream.ledger.disk import remove
from worker.stream.state_folder import FolderTaken, unwritable

_LEAST_AGE: Final = timedelta(days=1)
_SHARE: Final = 4
_TRUSTED_FAULTS: Final = 2
_OLD: Final = "is old"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class LocalCopy:
    """The folder, ours alone for as long as the process lives."""

    folder: Path
    origin: Identity | None
    """Of which topic it is a copy, None for one that was just begun."""
    loss: str | None
    """Why an earlier run took the ledger for lost, None if none did."""

    def belongs_to(self, identity: Identity) -> None:
        """Note of which topic it is a copy from now on."""
        self.origin, self.loss = identity, None
        _note(self.folder, "origin").write_text(str(identity))
        remove(_note(self.folder, "lost"))

    def lost(self, line: str) -> None:
        """Note that the ledger is lost: no start may go on before an operator has accepted it."""
        with suppress(OSError):
            _note(self.folder, "lost").write_text(line)

    def throw_away(self) -> None:
        """Forget all entries."""
        remove(self.folder / "v1")

    def watch_for_faults(self) -> None:
        """Have it noted when native code, RocksDB's say, brings the process down; a kill leaves no note."""
        faulthandler.enable(os.open(_note(self.folder, "fault"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC))


def open_copy(state_dir: Path, group_id: str, retention: timedelta, now: datetime) -> LocalCopy:
    """Open the folder of the group's copy; one that is not to be trusted any more begins anew, empty.

    Raises SettingsError when it cannot be written, FolderTaken when another process has it.
    """
    # A plus is not in any group's name: another group's ledger must not be taken for this one's.
    folder = state_dir / f"{group_id}+ledger"
    try:
        # Where earlier releases had it, with that expiry.
        remove(state_dir / group_id / "v1")
        _lock(state_dir, f"{group_id}+ledger.lock")
        flaw = _flaw(folder, max(retention / _SHARE, _LEAST_AGE), now)
        if flaw is not None:
            _begin_anew(folder, flaw, now)
        return LocalCopy(folder, _origin(folder), _read(_note(folder, "lost")))
    except OSError as error:
        raise unwritable(state_dir, error) from None


def _lock(state_dir: Path, name: str) -> None:
    """Take the lock by which earlier releases keep each other from the group's copy; they know no other.

    It is the process's and goes with it, however it ends. Never let go of before.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / name
    if path.is_dir():
        remove(path)
    lock = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(lock)
        raise FolderTaken(state_dir) from None


def _begin_anew(folder: Path, flaw: str, now: datetime) -> None:
    lost = _read(_note(folder, "lost"))
    if _exists(folder):
        say = log.info if flaw == _OLD else log.warning
        say(f"the local copy of the ledger {flaw}, and is made anew from its changelog")
        if folder.is_dir():
            # First, so that what is left by a kill in between is not taken for a copy.
            remove(_note(folder, "born"))
        remove(folder)
    folder.mkdir(parents=True)
    if lost is not None:
        _note(folder, "lost").write_text(lost)
    _note(folder, "born").write_text(now.isoformat())


def _flaw(folder: Path, age: timedelta, now: datetime) -> str | None:
    """Return why the copy must begin anew, None if it may be read on from."""
    if not _exists(folder):
        return "is missing"
    if not folder.is_dir():
        return "is no folder"
    faults = _count_faults(folder)
    if faults >= _TRUSTED_FAULTS:
        return f"brought the process down {faults} times"
    if not _is_young(_note(folder, "born"), age, now):
        return _OLD
    if _origin(folder) is None and _exists(folder / "v1"):
        return "does not tell of which topic it is"
    return _unfit(folder)


def _unfit(folder: Path) -> str | None:
    for path in (folder / "v1", folder / "v1" / "tables", *folder.glob("v1/tables/*.db")):
        if _exists(path) and not path.is_dir():
            return f"has a file at {path.name} and no folder"
    for path in (folder, *folder.rglob("*")):
        if not os.access(path, os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)):
            return f"may not be read or written at {path.name}"
    return None


def _count_faults(folder: Path) -> int:
    """Return how often native code brought the process down, the last time included."""
    before = _read(_note(folder, "faults")) or ""
    faults = int(before) if before.isdecimal() else 0
    note = _note(folder, "fault")
    said = _read(note)
    if said:
        faults += 1
        log.warning("the last run was brought down by native code", error=said.splitlines()[0])
        _note(folder, "faults").write_text(str(faults))
        remove(note)
    return faults


def _is_young(born: Path, age: timedelta, now: datetime) -> bool:
    try:
        return abs(now - datetime.fromisoformat(_read(born) or "")) < age
    except (ValueError, TypeError):
        return False


def _origin(folder: Path) -> Identity | None:
    try:
        return Identity.read(_read(_note(folder, "origin")) or "")
    except ValueError:
        return None


def _note(folder: Path, name: str) -> Path:
    return folder / name


def _read(path: Path) -> str | None:
    """Return a note, None if there is none that can be read."""
    try:
        return path.read_text()
    except (OSError, ValueError):
        return None


def _exists(path: Path) -> bool:
    return os.path.lexists(path)
