"""The folder of the ledger's local copy, and when that is made anew.

The copy keeps what Kafka lets go of by retention. So one that is old is thrown away at a start, and the
ledger is read back from its changelog. RocksDB's own expiry (TTL) is not used: a database that is opened
again with it by rocksdict 0.3.29 gets another expiry than asked for, and a compaction drops young entries.
"""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from worker.settings import SettingsError

_BORN: Final = "born"
_LEAST_AGE: Final = timedelta(days=1)
_SHARE: Final = 4

log = structlog.get_logger(__name__)


def copy_folder(state_dir: Path, group_id: str, retention: timedelta, now: datetime) -> Path:
    """Return the folder of the group's copy; one older than a quarter of the retention is gone.

    Its process must be the only one that has the folder. Raises SettingsError where it cannot be written.
    """
    try:
        return _made(state_dir, group_id, retention, now)
    except OSError as error:
        line = f'ENROLMENT_STATE_DIR is "{state_dir}"; it must be a folder that can be written to'
        raise SettingsError((f"{line} ({type(error).__name__})",)) from None


def _made(state_dir: Path, group_id: str, retention: timedelta, now: datetime) -> Path:
    # A plus is not in any group's name: another group's ledger must not be taken for this one's.
    folder = state_dir / f"{group_id}+ledger"
    # Where earlier releases had it, with that expiry.
    shutil.rmtree(state_dir / group_id / "v1", ignore_errors=True)
    born = folder / _BORN
    if folder.exists() and not _is_young(born, max(retention / _SHARE, _LEAST_AGE), now):
        log.info("the local copy of the ledger is old, and is made anew from its changelog")
        # First, so that what is left by a kill in between is not taken for a copy.
        born.unlink(missing_ok=True)
        shutil.rmtree(folder)
    if not born.exists():
        folder.mkdir(parents=True, exist_ok=True)
        born.write_text(now.isoformat())
    return folder


def _is_young(born: Path, age: timedelta, now: datetime) -> bool:
    try:
        return abs(now - datetime.fromisoformat(born.read_text())) < age
    except (FileNotFoundError, ValueError, TypeError):
        return False
