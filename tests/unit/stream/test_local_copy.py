"""When the ledger's local copy is made anew."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from worker.settings import SettingsError
from worker.stream.local_copy import copy_folder

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _begin(state_dir: Path, days: float = 0, retention: float = 400) -> tuple[Path, bool]:
    """Start so many days later; return the folder, and whether what was in it is still there."""
    folder = copy_folder(state_dir / "state", "group", timedelta(days=retention), NOW + timedelta(days=days))
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


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With its setting, in one line."""
    (tmp_path / "state").touch()
    with pytest.raises(SettingsError) as raised:
        _begin(tmp_path)
    must = "it must be a folder that can be written to (NotADirectoryError)"
    assert raised.value.faults == (f'ENROLMENT_STATE_DIR is "{tmp_path}/state"; {must}',)
