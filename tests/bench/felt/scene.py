"""Where it happens: a broker, the simulator, events without end, and workers that come and go."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.bench.felt.owners import Assigned, assignments, owners
from tests.bench.felt.traffic import CUSTOMERS, Waited, traffic, waits
from tests.bench.group import settled
from tests.support.e2e.feeds import TopicReader
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.brokers import create_topic
from tests.support.waiting import wait_until
from worker.demo.broker import Broker
from worker.demo.simulator import Promotion, World

PARTITIONS: Final = 12
EVENTS_A_SECOND: Final = 60
API_LATENCY: Final = "50ms"
_DEFAULTS: Final = {
    "KAFKA_SESSION_TIMEOUT_SECONDS": "45",
    "API_TIMEOUT_SECONDS": "10",
    "RETRY_INITIAL_SECONDS": "0.2",
    "RECONCILE_SETTLE_SECONDS": "5",
}
"""The product's own, in place of those of a stage's quick tests."""
_QUIET_SECONDS: Final = 3.0
"""With nothing late in them, all goes well again."""
_WELL_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 150.0
_POLL_SECONDS: Final = 0.5


class Scene:
    """The group under steady traffic."""

    def __init__(self, lab: Lab, broker: Broker, stage: Stage) -> None:
        self._lab = lab
        self._stage = stage
        self.broker: Final = broker
        self.workers: Final[list[WorkerProcess]] = []
        self._ever: Final[list[WorkerProcess]] = []
        self._activity = TopicReader(lab.loop, lab.bootstrap_servers, stage.names.activity, stage.partitions)

    def have(self, number: int) -> None:
        """Let so many workers run; block until all goes well."""
        while len(self.workers) > number:
            self.leave()
        while len(self.workers) < number:
            self.join()
        for worker in self.workers:
            worker.wait_ready(_PATIENCE_SECONDS)
        self._lab.loop.run(
            settled(self._lab.bootstrap_servers, self._stage.names.group_id, number), _PATIENCE_SECONDS
        )
        self.wait_until_well()

    def join(self) -> None:
        """Start one more worker, with a volume of its own; returns at once."""
        settings = {"STATE_DIR": self.new_volume(), "LOG_FORMAT": "json", **_DEFAULTS, **CREDENTIALS}
        worker = self._stage.worker(**settings)
        self.workers.append(worker)
        self._ever.append(worker)

    def leave(self) -> None:
        """Stop the last worker (SIGTERM); blocks until it has ended."""
        worker = self.workers.pop()
        assert worker.stop() == 0, worker.tail()

    def new_volume(self) -> str:
        """Return the path of a state folder that nobody has."""
        return str(self._lab.household.folder / f"state-{time.monotonic_ns()}")

    def assignments(self) -> list[Assigned]:
        """Return who took which partitions up, from the beginning."""
        return assignments([worker.log() for worker in self._ever])

    def owned_by(self, worker: WorkerProcess) -> frozenset[int]:
        """Return the partitions that the worker has."""
        number = self._ever.index(worker)
        return frozenset(at for at, owner in owners(self.assignments()).items() if owner == number)

    def waits_since(self, began_ms: int, until_ms: int) -> list[Waited]:
        """Block until each event that was written in this time has its outcome; return what each waited."""

        def found() -> list[Waited] | None:
            ours = self._waits(began_ms, until_ms)
            return ours if ours and all(each.seconds is not None for each in ours) else None

        return (
            wait_until(
                found, "each event has an outcome", seconds=_PATIENCE_SECONDS, evidence=self._stage.tails
            )
            or []
        )

    def wait_until_well(self) -> None:
        """Block until for some seconds nothing was late."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            now = round(time.time() * 1000)
            time.sleep(_QUIET_SECONDS)
            found = self._waits(now - round(_QUIET_SECONDS * 1000), now)
            if found and all(each.seconds is not None and each.seconds < _WELL_SECONDS for each in found):
                return
            assert time.monotonic() < deadline, f"it does not go well\n{self._stage.tails()}"

    def close(self) -> None:
        """Close the connections."""
        self._activity.close()

    def _waits(self, began_ms: int, until_ms: int) -> list[Waited]:
        all_of_them = waits(self._activity.read(), self._stage.outcomes.read())
        return [each for each in all_of_them if began_ms <= each.written_ms < until_ms]


@contextmanager
def running_scene(lab: Lab, broker: Broker) -> Iterator[Scene]:
    """Set everything up, without a worker yet; nothing is left behind."""
    world = World.with_customers(CUSTOMERS, Promotion(promotion_id=1))
    with (
        lab.simulator(world, latency=API_LATENCY) as simulator,
        lab.stage(simulator.api_url, PARTITIONS) as stage,
    ):
        servers, names = lab.bootstrap_servers, stage.names
        # Stamped when Kafka has it: the worker's own stamp is of before it was sent.
        stamped = {"message.timestamp.type": "LogAppendTime"}
        lab.loop.run(create_topic(servers, names.outcomes, PARTITIONS, stamped))
        scene = Scene(lab, broker, stage)
        _, leave = lab.loop.enter(traffic(servers, names.activity, EVENTS_A_SECOND))
        try:
            yield scene
        finally:
            leave()
            scene.close()
