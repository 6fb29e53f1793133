"""When the ledger's local copy is made anew."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from worker.kafka.topic_identity import Identity
from worker.settings import SettingsError
from worker.stream.ledger.disk import remove
from worker.stream.ledger.local_copy import LocalCopy, open_copy

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _open(state_dir: Path, days: float = 0, retention: float = 400) -> LocalCopy:
    return open_copy(state_dir / "state", "group", timedelta(days=retention), NOW + timedelta(days=days))


def _begin(state_dir: Path, days: float = 0, retention: float = 400) -> tuple[Path, bool]:
    """Start so many days later; return the folder, and whether what was in it is still there."""
    copy = _open(state_dir, days, retention)
    copy.belongs_to(Identity("cluster", "topic"))
    folder = copy.folder
    entry = folder / "v1" / "entry"
    is_kept = entry.exists()
    entry.parent.mkdir(exist_ok=True)
    entry.touch()
    return folder, is_kept


@pytest.mark.parametrize(
    ("retention", "days", "is_kept"), [(400, 99, True), (400, 101, False), (1, 0.9, True), (1, 1.1, False)]
)
def test_it_is_thrown_away_once_it_is_old(
    tmp_path: Path, retention: float, days: float, *, is_kept: bool
) -> None:
    """At a quarter of the retention, and not more often than daily; its age counts from then on."""
    _begin(tmp_path, retention=retention)
    assert _begin(tmp_path, days, retention)[1] is is_kept
    assert _begin(tmp_path, days + 0.05, retention)[1]


def test_one_that_does_not_tell_its_age_is_thrown_away(tmp_path: Path) -> None:
    """As where the process was killed while it made or removed it."""
    folder, _ = _begin(tmp_path)
    for damage in (b"", b"yesterday", b"\xff", b"2026-11-22T12:00:00"):
        (folder / "born").write_bytes(damage)
        assert not _begin(tmp_path)[1]
    (folder / "born").unlink()
    assert not _begin(tmp_path)[1]


def test_a_clock_that_was_wrong_does_not_keep_it_for_ever(tmp_path: Path) -> None:
    """A time of birth that is yet to come is none."""
    _begin(tmp_path, days=3000)
    assert not _begin(tmp_path)[1]


def test_the_copies_of_earlier_releases_are_thrown_away(tmp_path: Path) -> None:
    """They had lost entries; what else lies there is left alone."""
    old = tmp_path / "state" / "group"
    (old / "v1" / "tables").mkdir(parents=True)
    (old / "notes").touch()
    _begin(tmp_path)
    assert [path.name for path in old.iterdir()] == ["notes"]


def test_it_remembers_its_topic(tmp_path: Path) -> None:
    """And a loss that an earlier run saw, until somebody accepts it, whatever becomes of the entries."""
    copy = _open(tmp_path)
    assert (copy.origin, copy.loss) == (None, None)
    copy.belongs_to(Identity("cluster", "topic"))
    assert (_open(tmp_path).origin, _open(tmp_path).loss) == (Identity("cluster", "topic"), None)
    copy.lost("the ledger is gone")
    assert _open(tmp_path).loss == "the ledger is gone"
    assert _open(tmp_path, days=1000).loss == "the ledger is gone"
    _open(tmp_path).belongs_to(Identity("cluster", "another"))
    assert (_open(tmp_path).origin, _open(tmp_path).loss) == (Identity("cluster", "another"), None)


@pytest.mark.parametrize("note", ["born", "origin", "v1", "v1/tables", "v1/tables/ledger-0.db"])
def test_one_of_the_wrong_shape_is_thrown_away(tmp_path: Path, note: str) -> None:
    """A folder where a file belongs, a file where a folder does."""
    folder, _ = _begin(tmp_path)
    database = folder / "v1" / "tables" / "ledger-0.db"
    database.mkdir(parents=True)
    path = folder / note
    if path.is_dir():
        remove(path)
        path.touch()
    else:
        path.unlink()
        path.mkdir()
    assert not _begin(tmp_path)[1]
    assert _begin(tmp_path)[1]


def test_a_file_in_its_place_is_thrown_away(tmp_path: Path) -> None:
    """As is what lies where its lock does."""
    folder, _ = _begin(tmp_path)
    remove(folder)
    folder.touch()
    assert not _begin(tmp_path)[1]
    lock = folder.with_name(f"{folder.name}.lock")
    lock.unlink()
    lock.mkdir()
    assert _begin(tmp_path)[1]


def test_one_that_brought_the_process_down_twice_is_thrown_away(tmp_path: Path) -> None:
    """By native code, which leaves a note; a kill leaves an empty one."""
    folder, _ = _begin(tmp_path)
    for said, is_kept in (("", True), ("Fatal Python error: Aborted\n", True), ("", True), ("Fatal", False)):
        (folder / "fault").write_text(said)
        assert _begin(tmp_path)[1] is is_kept
    (folder / "fault").write_text("Fatal, in a new copy")
    assert _begin(tmp_path)[1]


def test_a_fault_of_native_code_is_noted(tmp_path: Path) -> None:
    """In a process that dies of it, and of a kill."""
    for signal, is_noted in (("SIGSEGV", True), ("SIGABRT", True), ("SIGKILL", False)):
        code = f"""
import os, signal
from pathlib import Path
from worker.stream.ledger.local_copy import LocalCopy
LocalCopy(Path({str(tmp_path)!r}), None, None).watch_for_faults()
os.kill(os.getpid(), signal.{signal})
"""
        ended = subprocess.run([sys.executable, "-c", code], check=False)  # noqa: S603 - our own program
        assert ended.returncode < 0
        assert ((tmp_path / "fault").read_text() != "") is is_noted


def test_two_processes_never_share_it(tmp_path: Path) -> None:
    """The second is told so in one line, and nothing is touched; a process that died lets go of it."""
    folder, _ = _begin(tmp_path)
    code = f"""
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from worker.stream.ledger.local_copy import FolderTaken, open_copy
try:
    open_copy(Path({str(tmp_path / "state")!r}), "group", timedelta(days=400), datetime.now(UTC))
except FolderTaken as taken:
    print(taken)
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    assert said.stdout.count("\n") == 1
    assert "ENROLMENT_STATE_DIR" in said.stdout
    assert (folder / "v1" / "entry").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With its setting, in one line."""
    (tmp_path / "state").touch()
    with pytest.raises(SettingsError) as raised:
        _begin(tmp_path)
    must = "it must be a folder that can be written to (NotADirectoryError)"
    assert raised.value.faults == (f'ENROLMENT_STATE_DIR is "{tmp_path}/state"; {must}',)
