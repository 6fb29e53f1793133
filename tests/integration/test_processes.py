"""Children and their folder vanish however we end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.demo.processes import Household

# A household with a child that keeps writing into the folder and one that is frozen; then it sleeps.
_PARENT = """
import signal, sys, time
from worker.demo.processes import Household

with Household() as home:
    writing = f"while :; do date >> {home.folder}/again; done"
    busy = home.start("busy", ["/bin/sh", "-c", writing])
    frozen = home.start("frozen", ["/bin/sleep", "600"])
    frozen.send(signal.SIGSTOP)
    print(home.folder, busy.pid, frozen.pid, flush=True)
    if sys.argv[1] == "raise":
        raise RuntimeError
    time.sleep(600)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, None])
def test_nothing_is_left_behind(end: signal.Signals | None) -> None:
    """Whether we are killed, interrupted, terminated or raise, children and folder must be gone soon."""
    command = [sys.executable, "-c", _PARENT, "sleep" if end else "raise"]
    with subprocess.Popen(  # noqa: S603 - the text above
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout
        folder, *pids = parent.stdout.readline().split()
        if end:
            parent.send_signal(end)
        assert parent.wait(30) != 0
    assert _soon(lambda: not Path(folder).exists()), "the folder is still there"
    assert _soon(lambda: not any(_runs(int(pid)) for pid in pids)), "a child still runs"


def test_a_child_is_asked_to_end_then_killed(tmp_path: Path) -> None:
    """A child must get SIGTERM first, and SIGKILL only when it outstays its grace."""
    waiting = f"touch {tmp_path}/up; while :; do sleep 0.05; done"
    with Household() as home:
        polite = home.start("polite", ["/bin/sh", "-c", f"trap 'echo bye; exit 3' TERM; {waiting}"])
        assert _soon((tmp_path / "up").exists)
        assert polite.stop(grace=10) == 3
        assert polite.log_tail() == "bye"
        (tmp_path / "up").unlink()
        deaf = home.start("deaf", ["/bin/sh", "-c", f"trap '' TERM; {waiting}"], env={"PATH": "/bin"})
        assert _soon((tmp_path / "up").exists)
        assert deaf.stop(grace=0.1) == -signal.SIGKILL
    assert not home.folder.exists()


def _runs(pid: int) -> bool:
    """Tell whether a process runs; a dead one that nobody has collected yet does not."""
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
