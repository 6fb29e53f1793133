"""Outlives its starter for a moment, to leave nothing behind. Run as a script; standard library only.

It makes a temporary folder and an empty process group, and writes both to standard output as one JSON line.
The starter puts every child into that group from birth. When standard input ends, whatever ended the starter
(even SIGKILL), the group is killed and the folder removed.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

_SETTLE_SECONDS = 5.0


def _hold_group() -> int:
    """Fork a process that leads a group of its own and ends with standard input; return its id."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.read(0, 1)
        os._exit(0)
    # Both sides set it, so that the group exists before either goes on.
    with contextlib.suppress(PermissionError, ProcessLookupError):
        os.setpgid(pid, pid)
    return pid


def _sweep(group: int, folder: str) -> None:
    """Kill the group, then remove the folder until it stays removed (a dying process may still write)."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        if not Path(folder).exists():
            return
        time.sleep(0.05)


def main() -> None:
    """Report group and folder, wait for the end of standard input, sweep."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    folder = tempfile.mkdtemp(prefix=sys.argv[1])
    group = _hold_group()
    sys.stdout.write(json.dumps({"group": group, "folder": folder}) + "\n")
    sys.stdout.flush()
    os.read(0, 1)
    _sweep(group, folder)


if __name__ == "__main__":
    main()
