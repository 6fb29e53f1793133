"""The processes of the demo, and which of them ended though nobody asked it to."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import worker
from worker.demo.processes import ChildProcess, Household

_BROKERS: Final = {"kafka": "Apache Kafka", "light-broker": "the light broker"}
_LASTING: Final = {**_BROKERS, "simulator": "the simulated API", "worker": "the worker"}
_INHERITED: Final = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "VIRTUAL_ENV"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"),
)
"""All that a part gets of the user's environment: no setting and no proxy of theirs disturbs the demo."""


class PartEnded(Exception):  # noqa: N818 - reads as what happened
    """A part of the demo ended by itself; `log` is the end of what it wrote."""

    def __init__(self, what: str, status: int, log: str) -> None:
        super().__init__(f"{what} {_how(status)}")
        self.log = log


class Cast(Household):
    """The household of one demo."""

    def __init__(self) -> None:
        super().__init__("enrolment-demo-")
        self._parts: dict[str, ChildProcess] = {}
        self._may_end: set[str] = set()

    def start(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> ChildProcess:
        """Start a process as a household does; one of a lasting part is watched from now on."""
        child = super().start(name, argv, env)
        if name in _LASTING:
            self._parts[name] = child
        return child

    def program(self, name: str, *arguments: str, settings: Mapping[str, str] | None = None) -> ChildProcess:
        """Start `enrolment-worker` with these settings (names without prefix) and nobody else's."""
        # With -P a folder `worker` in the current directory is not taken for ours.
        return self.start(
            name, [sys.executable, "-P", "-m", "worker", *arguments], environment(settings or {}, os.environ)
        )

    def check(self) -> None:
        """Raise `PartEnded` if a lasting part has ended."""
        for name, child in self._parts.items():
            status = child.poll()
            if status is not None and name not in self._may_end:
                raise PartEnded(_LASTING[name], status, child.log_tail(20))

    def dismiss(self, name: str) -> ChildProcess:
        """Ask a part to end (SIGTERM); from now on it may."""
        self._may_end.add(name)
        part = self._parts[name]
        part.send(signal.SIGTERM)
        return part

    def kill_all(self) -> None:
        """End every part at once: nobody waits for a drain that nobody looks at."""
        for name, part in self._parts.items():
            self._may_end.add(name)
            part.kill()


def environment(settings: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """Return a part's whole environment: the settings, and what any program needs of ours."""
    return {
        **{name: inherited[name] for name in _INHERITED if name in inherited},
        "PYTHONPATH": str(Path(worker.__file__).parent.parent),
        "PYTHONUNBUFFERED": "1",
        **{f"ENROLMENT_{name}": value for name, value in settings.items()},
    }


def _how(status: int) -> str:
    if status >= 0:
        return f"ended by itself with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
