"""Where end-to-end tests happen: a broker, simulators, and stages with topics and workers of their own."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Final, Self

from aiokafka.admin import AIOKafkaAdminClient

from tests.brokers import create_topic, delete_topics, unique
from tests.support.feeds import ActivityFeed, DeadLetterReader, OutcomeReader, TopicReader
from tests.support.loop_thread import LoopThread
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess
from topics.names import TopicNames
from worker.demo.processes import Household
from worker.demo.simulator import RunningSimulator, SimulatorOptions, World, running_simulator

CREDENTIALS: Final = {"API_USERNAME": "simulator", "API_PASSWORD": "secret"}
"""Settings with which a simulator lets a worker in."""


class Lab:
    """Owns what stages share: the thread of clients and simulators, and the processes. A context manager."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers: Final = bootstrap_servers
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.household = self._stack.enter_context(Household())
        self.loop = self._stack.enter_context(LoopThread())
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        self.loop.run(self._admin.start())
        self._stack.callback(lambda: self.loop.run(self._admin.close()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def simulator(self, world: World, **options: Any) -> Iterator[RunningSimulator]:  # noqa: ANN401 - see SimulatorOptions
        """Run a simulated API in this process; touch its parts with `loop.call` only."""
        running, leave = self.loop.enter(running_simulator(SimulatorOptions(**options), world=world))
        try:
            yield running
        finally:
            leave()

    @contextmanager
    def stage(self, api_url: str, partitions: int = 1) -> Iterator["Stage"]:
        """Make an activity topic of its own; workers are ended and topics removed with the block."""
        stage = Stage(self, api_url, partitions)
        self.loop.run(create_topic(self.bootstrap_servers, stage.names.activity, partitions, None))
        try:
            yield stage
        finally:
            stage.close()

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the committed offset of each partition of the topic that has one."""
        found = self.loop.run(self._admin.list_consumer_group_offsets(group))
        return {at.partition: kept.offset for at, kept in found.items() if at.topic == topic}


class Stage:
    """A consumer group with topics of its own, its workers, its feed and its readers."""

    def __init__(self, lab: Lab, api_url: str, partitions: int) -> None:
        name, servers = unique("stage"), lab.bootstrap_servers
        self.lab: Final = lab
        self.names: Final = TopicNames(f"{name}-activity", f"{name}-outcomes", f"{name}-group")
        self.partitions: Final = partitions
        self._api_url = api_url
        self._workers: list[WorkerProcess] = []
        readers = [
            TopicReader(lab.loop, servers, topic, partitions)
            for topic in (self.names.outcomes, self.names.dead_letters)
        ]
        self.feed: Final = ActivityFeed(lab.loop, servers, self.names.activity)
        self.outcomes: Final = OutcomeReader(readers[0])
        self.dead_letters: Final = DeadLetterReader(readers[1])
        self._clients = (self.feed, *readers)

    @property
    def settings(self) -> dict[str, str]:
        """What a worker of this stage needs; names without `ENROLMENT_`."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.lab.bootstrap_servers,
            "GROUP_ID": self.names.group_id,
            "ACTIVITY_TOPIC": self.names.activity,
            "OUTCOME_TOPIC": self.names.outcomes,
            "KAFKA_SESSION_TIMEOUT_SECONDS": "6",
            "API_TIMEOUT_SECONDS": "5",
            "API_BASE_URL": self._api_url,
            "RETRY_INITIAL_SECONDS": "0.02",
            "STATE_DIR": str(self.lab.household.folder / self.names.group_id),
        }

    def worker(self, settings: Mapping[str, str] = CREDENTIALS, **more: str) -> WorkerProcess:
        """Start a worker; it may not be ready yet. `settings` and `more` add to the stage's, or change it."""
        worker = WorkerProcess(self.lab.household, self.settings | dict(settings) | more)
        self._workers.append(worker)
        worker.start()
        return worker

    def committed(self) -> dict[int, int]:
        """Return the group's committed offset of each activity partition that has one."""
        return self.lab.committed(self.names.group_id, self.names.activity)

    def wait_for_outcomes(self, event_ids: Iterable[str], seconds: float = 60.0) -> None:
        """Block until each of the events has an outcome."""
        wanted = set(event_ids)
        wait_until(
            lambda: wanted <= {outcome.event_id for outcome in self.outcomes.read()},
            f"all of {len(wanted)} events have an outcome",
            seconds=seconds,
            evidence=lambda: self._missing(wanted),
        )

    def tails(self) -> str:
        """Return the ends of the workers' logs."""
        return "\n".join(worker.tail() for worker in self._workers)

    def close(self) -> None:
        """End the workers, close the clients and remove the topics."""
        for worker in self._workers:
            worker.close()
        for client in self._clients:
            client.close()
        ours = (self.names.activity, self.names.outcomes, self.names.dead_letters, self.names.ledger)
        self.lab.loop.run(delete_topics(self.lab.bootstrap_servers, [*ours, *self.names.retries]))

    def _missing(self, wanted: set[str]) -> str:
        missing = sorted(wanted - {outcome.event_id for outcome in self.outcomes.read()})
        return f"{len(missing)} without an outcome, such as {missing[:5]}\n{self.tails()}"
