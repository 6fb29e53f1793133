"""The folder of local state (STATE_DIR), which one process at a time works with.

The lock is one of flock: it goes with the process, however that ends, and a process that is frozen keeps it.
One of lockf would be gone as soon as any descriptor of the file is closed.
"""

import fcntl
import os
import platform
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from worker.settings import SettingsError

_LOCK: Final = "+process.lock"
"""A plus is not in any group's name, by which other things in the folder are called."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_HOLDER_BYTES: Final = 1024
_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.05
_OF_ONE_KERNEL: Final = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
"""File systems whose locks only this kernel can take away; a network's may be lost by a live process."""


class FolderTaken(Exception):  # noqa: N818 - reads as what happened
    """Another process works with the folder; the message is one line, for the operator."""

    def __init__(self, folder: Path, holder: str = "another process") -> None:
        super().__init__(
            f"{holder} works with {folder}: give each worker an ENROLMENT_STATE_DIR of its own, or stop the "
            "other one first"
        )


class Hold(NamedTuple):
    """What tells our lock from every other: who takes it later, with the same three, knows that we are dead.

    A machine that has started anew has another `boot`, as every other machine has; a copy of the folder has
    another file.
    """

    boot: str
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The folder, ours alone for as long as the process lives."""

    path: Path
    hold: Hold | None
    """None if the lock proves nothing of whoever had it before: not Linux, or a network's file system."""


def take_folder(path: Path) -> StateFolder:
    """Take the folder for as long as this process lives; it is never given back before.

    Raises SettingsError when it cannot be written, FolderTaken when another process has it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
        _tell_who_holds_it(lock)
        return StateFolder(path, _hold(lock))
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> SettingsError:
    """Return what to raise when the folder cannot be worked with."""
    line = f'ENROLMENT_STATE_DIR is "{path}"; it must be a folder that can be written to'
    return SettingsError((f"{line} ({type(error).__name__})",))


def _lock(folder: Path) -> int:
    file = folder / _LOCK
    while True:
        if file.is_dir():
            shutil.rmtree(file)
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        if not _is_locked(lock):
            holder = _holder(lock)
            os.close(lock)
            raise FolderTaken(folder, holder)
        if _is_at(file, lock):
            return lock
        # Somebody has removed the folder meanwhile, and perhaps others have locked a new file there.
        os.close(lock)


def _is_locked(lock: int) -> bool:
    """Lock it, and return whether we have it; one that was just killed or locked gets a moment.

    The first may hold it until the kernel has cleared up, the second has not told yet who it is.
    """
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            time.sleep(_PAUSE_SECONDS)
        else:
            return True
    return False


def _is_at(file: Path, lock: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(lock))
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        return False


def _tell_who_holds_it(lock: int) -> None:
    with suppress(OSError):  # a full disk: the lock is held all the same
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} {platform.node()} {_pids()}\n".encode(), 0)


def _holder(lock: int) -> str:
    try:
        pid, host, pids = os.pread(lock, _HOLDER_BYTES, 0).decode().split()
    except (OSError, ValueError):
        return "another process"
    if (host, pids) == (platform.node(), _pids()):
        return f"another process (pid {pid})"
    return f"a process of another container or machine (pid {pid} there, host name {host})"


def _pids() -> str:
    """Return what tells the numbers of this container's processes from those of others."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it points to no file
    except OSError:
        return "-"


def _hold(lock: int) -> Hold | None:
    try:
        boot = _BOOT_ID.read_text().strip()
        if not boot or _file_system(lock) not in _OF_ONE_KERNEL:
            return None
    except (OSError, ValueError):
        return None
    file = os.fstat(lock)
    return Hold(boot, file.st_dev, file.st_ino)


def _file_system(lock: int) -> str | None:
    """Return the kind of file system that the lock's file is on, None if Linux does not tell."""
    facts = dict(
        line.split(":", 1)
        for line in Path(f"/proc/self/fdinfo/{lock}").read_text().splitlines()
        if ":" in line
    )
    mount = facts.get("mnt_id", "").strip()
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        before, _, behind = line.partition(" - ")
        if before.split(" ", 1)[0] == mount:
            return behind.split(" ", 1)[0]
    return None
