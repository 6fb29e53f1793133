"""A worker on a machine whose clock is wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.e2e.lab import Stage
from tests.support.e2e.shifted_worker import SHIFT
from tests.support.e2e.worker_process import WorkerProcess, environment


class ShiftedWorker(WorkerProcess):
    """A worker process; CLOCK_SHIFT among its settings says by how many seconds its clock is ahead."""

    def start(self, **changed: str) -> None:
        """Start it, with these settings changed for this start; returns at once."""
        assert self.poll() is not None or self._process is None, "it still runs"
        settings = self.settings | changed
        shift = {SHIFT: settings.pop(SHIFT)}
        command = [sys.executable, "-m", "tests.support.e2e.shifted_worker"]
        self._process = self._household.start(self._name, command, environment(settings) | shift)


@contextmanager
def shifted_worker(stage: Stage, seconds: float, **settings: str) -> Iterator[ShiftedWorker]:
    """Give a worker of the stage whose clock is so many seconds ahead; it may not be ready yet."""
    worker = ShiftedWorker(stage.lab.household, stage.settings | settings | {SHIFT: str(seconds)})
    worker.start()
    try:
        yield worker
    finally:
        worker.close()
