"""What a run happens on: brokers, a topic, the simulator, and the settings of its workers."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.crash.api import SETTLE_SECONDS, Api, start_api
from tests.crash.choices import Options
from tests.crash.trust import known_customers
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage, running_lab
from tests.support.kafka.brokers import REPLICAS
from tests.support.kafka.cluster import Cluster, running_cluster
from worker.demo.broker import running_broker
from worker.demo.processes import Household

_SETTINGS: Final = {
    **CREDENTIALS,
    "API_TIMEOUT_SECONDS": "2",
    "RECONCILE_SETTLE_SECONDS": f"{SETTLE_SECONDS:g}",
    "DRAIN_SECONDS": "6",
    "MAX_IN_FLIGHT": "64",
    "RETRY_INITIAL_SECONDS": "0.05",
    "RETRY_MAX_SECONDS": "0.5",
    "RETRY_DELAYS_SECONDS": "2,4,6",
}


@dataclass(frozen=True, slots=True)
class Ground:
    """Brokers and a simulator of its own, a topic, and the options that they were made for."""

    options: Options
    tell: Callable[[str], None]
    cluster: Cluster
    data: Path
    """Where the only broker has its logs."""
    lab: Lab
    stage: Stage
    api: Api

    def worker_settings(self) -> dict[str, str]:
        """Return the settings of one more worker: a state folder of its own, the run's session time-out."""
        session = f"{self.options.session_seconds:g}"
        own = {"STATE_DIR": self.new_folder(), "KAFKA_SESSION_TIMEOUT_SECONDS": session}
        own["REENROL"] = self.options.reenrol
        own["TOPIC_REPLICATION_FACTOR"] = str(min(REPLICAS, self.options.brokers))
        return self.stage.settings | _SETTINGS | own | known_customers(self.options.trusts)

    def new_folder(self) -> str:
        """Return the path of a state folder that nobody has."""
        return str(self.lab.household.folder / f"state-{time.monotonic_ns()}")


@contextmanager
def ground(options: Options, tell: Callable[[str], None]) -> Iterator[Ground]:
    """Set up brokers, simulator and topic; nothing is left behind."""
    with ExitStack() as stack:
        home = stack.enter_context(Household())
        cluster = stack.enter_context(_cluster(home, options, tell))
        lab = stack.enter_context(running_lab(cluster.bootstrap_servers))
        api = start_api(lab.household, options)
        stage = stack.enter_context(lab.stage(api.url, options.partitions))
        data = home.folder / "kafka" / "data"
        yield Ground(options, tell, cluster=cluster, data=data, lab=lab, stage=stage, api=api)


@contextmanager
def _cluster(home: Household, options: Options, tell: Callable[[str], None]) -> Iterator[Cluster]:
    if options.brokers == 1:
        with running_broker(own=True, household=home, progress=tell) as broker:
            yield Cluster([broker])
    else:
        with running_cluster(home, options.brokers, options.where_controllers_are, tell) as cluster:
            yield cluster
