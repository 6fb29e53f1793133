"""One process at a time works with a folder of local state."""

import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.settings import SettingsError
from worker.stream import state_folder
from worker.stream.state_folder import FolderTaken, Hold, take_folder

_LOCK = "+process.lock"


@contextmanager
def _holder(
    folder: Path, then: str = "signal.pause()", within: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Give another process that has taken the folder."""
    code = f"""
import os, signal, sys
from pathlib import Path
from worker.stream.state_folder import take_folder
folder = take_folder(Path({str(folder)!r}))
print("taken", flush=True)
{then}
"""
    command = [*within, sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "taken\n"
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def _refusal(folder: Path) -> str:
    with pytest.raises(FolderTaken) as raised:
        take_folder(folder)
    return str(raised.value)


def _number(folder: Path) -> int:
    return (folder / _LOCK).stat().st_ino


def test_a_second_process_is_refused_with_folder_pid_and_remedy(tmp_path: Path) -> None:
    """In one line; also while the first is frozen, and no more once it has died."""
    with _holder(tmp_path) as first:
        told = (
            f"another process (pid {first.pid}) works with {tmp_path}: give each worker an "
            "ENROLMENT_STATE_DIR of its own, or stop the other one first"
        )
        assert _refusal(tmp_path) == told
        first.send_signal(signal.SIGSTOP)
        assert _refusal(tmp_path) == told
        first.send_signal(signal.SIGCONT)
        first.kill()
        first.wait()
        take_folder(tmp_path)
    assert (tmp_path / _LOCK).read_text().startswith(f"{os.getpid()} ")


@pytest.mark.parametrize("other", ["7 elsewhere pid:[1]", "7 {host} pid:[1]", "7 elsewhere {pids}"])
def test_a_pid_of_another_container_is_told_as_such(tmp_path: Path, other: str) -> None:
    """A number means nothing here that was given elsewhere."""
    with _holder(tmp_path):
        _, host, pids = (tmp_path / _LOCK).read_text().split()
        (tmp_path / _LOCK).write_text(other.format(host=host, pids=pids))
        where = host if "{host}" in other else "elsewhere"
        assert _refusal(tmp_path).startswith(
            f"a process of another container or machine (pid 7 there, host name {where}) works with "
        )


def test_two_containers_that_share_a_volume_exclude_each_other(tmp_path: Path) -> None:
    """As two of one pod do: they have one host name, and each counts processes from 1."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("a PID namespace needs unshare and root")
    container = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    with _holder(tmp_path, within=container):
        where = f"(pid 1 there, host name {platform.node()})"
        assert _refusal(tmp_path).startswith(f"a process of another container or machine {where} works with ")


@pytest.mark.parametrize("damage", [b"", b"17", b"\xff a b", b"a b c d"])
def test_a_lock_that_does_not_tell_its_holder_holds(tmp_path: Path, damage: bytes) -> None:
    """As when the disk was full when it was taken."""
    with _holder(tmp_path):
        (tmp_path / _LOCK).write_bytes(damage)
        assert _refusal(tmp_path).startswith(f"another process works with {tmp_path}: ")


def test_one_that_is_about_to_be_gone_is_given_a_moment(tmp_path: Path) -> None:
    """The kernel takes some time to clear up after a process that was killed."""
    with _holder(tmp_path, "import time; time.sleep(0.2)"):
        assert take_folder(tmp_path).path == tmp_path


def test_the_lock_outlives_other_descriptors_of_its_file(tmp_path: Path) -> None:
    """It would not if it were one of lockf."""
    reads = f"open({str(tmp_path / _LOCK)!r}).close(); print('read', flush=True); signal.pause()"
    with _holder(tmp_path, reads) as first:
        assert first.stdout is not None
        first.stdout.readline()
        assert "works with" in _refusal(tmp_path)


def test_a_forked_child_keeps_the_folder_for_its_dead_parent(tmp_path: Path) -> None:
    """Nobody can tell what it still does."""
    forks = "child = os.fork()\nif child: print(child, flush=True)\nsignal.pause()"
    with _holder(tmp_path, forks) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        try:
            assert "works with" in _refusal(tmp_path)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_folder_that_was_removed_under_its_holder_is_another_one(tmp_path: Path) -> None:
    """Who takes the new one cannot tell whether the holder of the old one lives."""
    folder = tmp_path / "state"
    with _holder(folder, "print(*folder.hold, flush=True)\nsignal.pause()") as first:
        assert first.stdout is not None
        boot, device, inode = first.stdout.readline().split()
        (folder / _LOCK).unlink()
        folder.rmdir()
        assert take_folder(folder).hold != Hold(boot, int(device), int(inode))


def test_one_that_is_removed_while_it_is_taken_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on a file that is no longer there keeps nobody out."""
    lock, removed = fcntl.flock, list[int]()

    def late(descriptor: int, operation: int) -> None:
        lock(descriptor, operation)
        if not removed:
            removed.append(descriptor)
            (tmp_path / "state" / _LOCK).unlink()
            (tmp_path / "state").rmdir()

    monkeypatch.setattr(fcntl, "flock", late)
    hold = take_folder(tmp_path / "state").hold
    assert removed
    assert hold is not None
    assert hold.inode == _number(tmp_path / "state")


def test_a_folder_where_the_lock_belongs_is_removed(tmp_path: Path) -> None:
    """Nothing of ours makes one."""
    (tmp_path / _LOCK / "within").mkdir(parents=True)
    take_folder(tmp_path)
    assert (tmp_path / _LOCK).is_file()


def test_a_hold_is_of_this_boot_and_this_file(tmp_path: Path) -> None:
    """The same for whoever takes the folder next, and another for a copy of it."""
    with _holder(tmp_path / "a", "print(*folder.hold, flush=True)\nsignal.pause()") as first:
        assert first.stdout is not None
        boot, device, inode = first.stdout.readline().split()
    hold = take_folder(tmp_path / "a").hold
    assert hold == Hold(boot, int(device), int(inode))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / _LOCK).write_bytes((tmp_path / "a" / _LOCK).read_bytes())
    assert take_folder(tmp_path / "b").hold != hold


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "ceph", "fuse.glusterfs", "9p", "virtiofs", None])
def test_a_lock_over_a_network_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None
) -> None:
    """A server that starts anew may give it to another while its holder lives."""
    monkeypatch.setattr(state_folder, "_file_system", lambda _: kind)
    assert take_folder(tmp_path).hold is None


@pytest.mark.parametrize("boot", [None, b"", b" \n", b"\xff"])
def test_without_a_boot_id_it_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot: bytes | None
) -> None:
    """As on anything but Linux; the folder is ours all the same."""
    monkeypatch.setattr(state_folder, "_BOOT_ID", tmp_path / "boot_id")
    if boot is not None:
        (tmp_path / "boot_id").write_bytes(boot)
    assert take_folder(tmp_path / "state").hold is None
    assert "works with" in _refusal(tmp_path / "state")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With its setting, in one line."""
    (tmp_path / "state").touch()
    with pytest.raises(SettingsError) as raised:
        take_folder(tmp_path / "state")
    must = "it must be a folder that can be written to (FileExistsError)"
    assert raised.value.faults == (f'ENROLMENT_STATE_DIR is "{tmp_path}/state"; {must}',)


def test_a_full_disk_does_not_keep_it_from_being_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it does not tell who holds it."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert take_folder(tmp_path).hold is not None
