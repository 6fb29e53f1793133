"""A worker that a test lets die or freeze at a checkpoint, and starts again."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from tests.support.e2e.crashing_worker import ORDER
from tests.support.e2e.lab import Stage
from tests.support.e2e.worker_process import WorkerProcess, environment
from tests.support.waiting import wait_until
from worker.demo.processes import Household
from worker.enrolment.checkpoints import Checkpoint


class CrashingWorker(WorkerProcess):
    """A worker process that can be told at which checkpoint to die."""

    def __init__(self, household: Household, settings: Mapping[str, str]) -> None:
        super().__init__(household, settings)
        self._order: Final = Path(household.folder / f"{self._name}.order")

    def start(self, **changed: str) -> None:
        """Start it, with these settings changed for this start; returns at once."""
        self._start(changed)

    def replay(self, since: datetime, until: datetime) -> None:
        """Start it to handle a window of time once more, and to ask again for what was rejected."""
        self._start({}, since.isoformat(), until.isoformat())

    def _start(self, changed: Mapping[str, str], *arguments: str) -> None:
        assert self.poll() is not None or self._process is None, "it still runs"
        command = [sys.executable, "-m", "tests.support.e2e.crashing_worker", *arguments]
        surroundings = environment({**self.settings, **changed}) | {ORDER: str(self._order)}
        self._process = self._household.start(self._name, command, surroundings)

    def die_at(self, checkpoint: Checkpoint, passing: int = 1) -> None:
        """Order it to kill itself at a passing of the checkpoint, counted from now."""
        self._command(f"{checkpoint} {passing} SIGKILL")

    def freeze_at(self, checkpoint: Checkpoint) -> None:
        """Order it to freeze at the next passing of the checkpoint, until it gets a SIGCONT."""
        self._command(f"{checkpoint} 1 SIGSTOP")

    def wait_frozen(self, seconds: float = 20.0) -> None:
        """Block until it has taken the order to freeze."""
        wait_until(lambda: not self._order.exists(), "the worker froze", seconds=seconds, evidence=self.tail)

    def live_on(self) -> None:
        """Take back an order that it has not come to."""
        self._order.unlink(missing_ok=True)

    def wait_killed(self, seconds: float = 20.0) -> None:
        """Block until it has died by SIGKILL; raises AssertionError for any other end, and for none."""
        wait_until(lambda: self.poll() is not None, "the worker died", seconds=seconds, evidence=self.tail)
        assert self.poll() == -signal.SIGKILL, f"the worker ended with {self.poll()}\n{self.tail()}"

    def _command(self, text: str) -> None:
        draft = self._order.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self._order)


@contextmanager
def crashing_worker(stage: Stage, **settings: str) -> Iterator[CrashingWorker]:
    """Start such a worker on a stage, and end it with the block."""
    worker = CrashingWorker(stage.lab.household, stage.settings | settings)
    worker.start()
    try:
        yield worker
    finally:
        worker.close()
