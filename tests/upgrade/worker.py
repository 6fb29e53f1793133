"""A worker that may go on as another version, on the same volume and port, as a pod does."""

from collections.abc import Mapping

from tests.support.e2e.worker_process import WorkerProcess, environment
from tests.upgrade.versions import Version
from worker.demo.processes import Household


class VersionedWorker(WorkerProcess):
    """A worker process of a version that may change between its starts."""

    def __init__(self, household: Household, settings: Mapping[str, str], version: Version) -> None:
        super().__init__(household, settings)
        self.version = version

    def start(self, **changed: str) -> None:
        """Start its version, with these settings changed for this start; returns at once."""
        assert self.poll() is not None or self._process is None, "it still runs"
        surroundings = environment(self.settings | changed)
        # The packages are those that the version was installed with, and not this tree's.
        del surroundings["PYTHONPATH"]
        self._process = self._household.start(self._name, [self.version.program, "run"], surroundings)
