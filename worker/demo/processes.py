"""Child processes that cannot outlive us, on Linux and macOS."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from worker.demo import guardian

_TAIL_BYTES = 64 * 1024
_GUARDIAN_SECONDS = 15.0


class ChildProcess:
    """A process of a `Household`; its output is appended to `log_path`."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, log_path: Path) -> None:
        self._process = process
        self.name = name
        self.log_path = log_path

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status (negative: the signal that ended it), None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Block until it ends and return the exit status; raises TimeoutError after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {timeout} s") from None

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal (SIGSTOP and SIGCONT freeze and thaw it); nothing happens once it has ended."""
        self._process.send_signal(signal_number)

    def stop(self, grace: float) -> int:
        """Ask it to end (SIGTERM), kill it `grace` seconds later, and return the exit status.

        A frozen process is thawed, so that it can answer.
        """
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)
        try:
            return self.wait(grace)
        except TimeoutError:
            return self.kill()

    def kill(self) -> int:
        """End it at once (SIGKILL) and return the exit status."""
        self.send(signal.SIGKILL)
        return self._process.wait()

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines that it wrote, at most 64 KiB."""
        return tail(self.log_path, lines)


class Household:
    """Owns child processes and a temporary folder, `folder`; a context manager.

    Both are gone when it is closed, and also when this process ends in any other way, SIGKILL included: a
    guardian process notices that our end of its pipe is closed. A terminal's Ctrl-C reaches us but not the
    children.
    """

    def __init__(self, prefix: str = "enrolment-") -> None:
        self._guardian = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-I", "-S", guardian.__file__, prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        assert self._guardian.stdout is not None  # noqa: S101 - tells mypy what PIPE means
        with self._guardian.stdout as answer:
            report = json.loads(answer.readline())
        self._group: int = report["group"]
        self._children: list[ChildProcess] = []
        self._lock = threading.Lock()
        self.folder = Path(report["folder"])

    def start(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> ChildProcess:
        """Start a process that logs to `<folder>/<name>.log`; `env` is its whole environment, else ours.

        Several threads may start some at the same time.
        """
        log_path = self.folder / f"{name}.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the caller's command, no shell
                [os.fspath(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                process_group=self._group,
            )
        child = ChildProcess(process, name, log_path)
        with self._lock:
            self._children = [*(other for other in self._children if other.poll() is None), child]
        return child

    def close(self, grace: float = 10.0) -> None:
        """Stop the children, the latest first, each within `grace` seconds, and remove the folder."""
        try:
            for child in reversed(self._children):
                child.stop(grace)
        finally:
            assert self._guardian.stdin is not None  # noqa: S101 - tells mypy what PIPE means
            self._guardian.stdin.close()
            for child in self._children:
                child.wait(_GUARDIAN_SECONDS)
            self._guardian.wait(_GUARDIAN_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def tail(path: Path, lines: int) -> str:
    """Return the last `lines` lines of a file, at most 64 KiB; empty if there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
