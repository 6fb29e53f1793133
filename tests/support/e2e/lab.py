"""Where end-to-end tests happen: a broker, simulators, and stages with topics and workers of their own."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import CompletedProcess, run
from typing import Any, Final

from tests.support.e2e.feeds import (
    ActivityFeed,
    DeadLetterReader,
    OutcomeReader,
    TopicReader,
    committed_notes,
)
from tests.support.e2e.worker_process import WorkerProcess, environment
from tests.support.kafka.brokers import create_topic, delete_topics, unique
from tests.support.loop_thread import LoopThread
from tests.support.waiting import wait_until
from topics.names import TopicNames
from worker.demo.processes import Household
from worker.demo.simulator import RunningSimulator, SimulatorOptions, World, running_simulator

CREDENTIALS: Final = {"API_USERNAME": "simulator", "API_PASSWORD": "secret"}
"""Settings with which a simulator lets a worker in."""
_KAFKA_SETTINGS: Final = (
    "KAFKA_BOOTSTRAP_SERVERS",
    "GROUP_ID",
    "ACTIVITY_TOPIC",
    "OUTCOME_TOPIC",
    "TOPIC_PARTITIONS",
)


@contextmanager
def running_lab(bootstrap_servers: str) -> Iterator["Lab"]:
    """Give a lab on that broker; nothing of it is left behind."""
    with Household() as household, LoopThread() as loop:
        yield Lab(bootstrap_servers, household, loop)


@dataclass(frozen=True, slots=True)
class Lab:
    """What stages share: the broker, the owner of processes, the thread of clients and simulators."""

    bootstrap_servers: str
    household: Household
    loop: LoopThread

    @contextmanager
    def simulator(self, world: World, **options: Any) -> Iterator[RunningSimulator]:  # noqa: ANN401 - see SimulatorOptions
        """Run a simulated API in this process; touch its parts with `loop.call` only."""
        running, leave = self.loop.enter(running_simulator(SimulatorOptions(**options), world=world))
        try:
            yield running
        finally:
            leave()

    @contextmanager
    def stage(
        self, api_url: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> Iterator["Stage"]:
        """Make an activity topic of its own; workers are ended and topics removed with the block."""
        stage = Stage(self, api_url, partitions)
        self.loop.run(create_topic(self.bootstrap_servers, stage.names.activity, partitions, config))
        try:
            yield stage
        finally:
            stage.close()

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the committed offset of each partition of the topic that has one."""
        return {partition: offset for partition, (offset, _) in self.noted(group, topic).items()}

    def noted(self, group: str, topic: str) -> dict[int, tuple[int, str]]:
        """Return the same with the text beside each offset."""
        found = self.loop.run(committed_notes(self.bootstrap_servers, group))
        return {partition: kept for (name, partition), kept in found.items() if name == topic}


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
        retries = [TopicReader(lab.loop, servers, topic, partitions) for topic in self.names.retries]
        self.feed: Final = ActivityFeed(lab.loop, servers, self.names.activity)
        self.outcomes: Final = OutcomeReader(readers[0])
        self.dead_letters: Final = DeadLetterReader(readers[1])
        self.retries: Final = [DeadLetterReader(reader) for reader in retries]
        """Of each retry topic in turn; its records are as dead letters."""
        self._clients: Final[list[ActivityFeed | TopicReader]] = [self.feed, *readers, *retries]

    @property
    def settings(self) -> dict[str, str]:
        """What a worker of this stage needs; names without `ENROLMENT_`."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.lab.bootstrap_servers,
            "GROUP_ID": self.names.group_id,
            "ACTIVITY_TOPIC": self.names.activity,
            "OUTCOME_TOPIC": self.names.outcomes,
            "TOPIC_PARTITIONS": str(self.partitions),
            "KAFKA_SESSION_TIMEOUT_SECONDS": "6",
            "API_TIMEOUT_SECONDS": "5",
            "API_BASE_URL": self._api_url,
            "RETRY_INITIAL_SECONDS": "0.02",
            "RECONCILE_SETTLE_SECONDS": "0.2",
            "STATE_DIR": str(self.lab.household.folder / self.names.group_id),
        }

    def worker(self, **settings: str) -> WorkerProcess:
        """Start a worker with these settings beside the stage's; it may not be ready yet."""
        worker = WorkerProcess(self.lab.household, self.settings | settings)
        self._workers.append(worker)
        worker.start()
        return worker

    def command(self, *arguments: str) -> CompletedProcess[str]:
        """Run another command of the program with the stage's settings of Kafka, and return how it ended."""
        ours = {name: value for name, value in self.settings.items() if name in _KAFKA_SETTINGS}
        command = [sys.executable, "-m", "worker", *arguments]
        return run(command, env=environment(ours), capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own program

    def feed_of(self, topic: str) -> ActivityFeed:
        """Return a producer for another of the stage's topics."""
        feed = ActivityFeed(self.lab.loop, self.lab.bootstrap_servers, topic)
        self._clients.append(feed)
        return feed

    def committed(self) -> dict[int, int]:
        """Return the group's committed offset of each activity partition that has one."""
        return self.lab.committed(self.names.group_id, self.names.activity)

    def noted(self) -> dict[int, tuple[int, str]]:
        """Return the same with the text beside each offset."""
        return self.lab.noted(self.names.group_id, self.names.activity)

    def wait_for_outcomes(self, event_ids: Iterable[str], seconds: float = 40.0) -> None:
        """Block until each of the events has an outcome."""
        wanted = set(event_ids)
        wait_until(
            lambda: wanted <= {outcome.event_id for outcome in self.outcomes.read()} or self._all_ended(),
            f"all of {len(wanted)} events have an outcome",
            seconds=seconds,
            evidence=lambda: self._missing(wanted),
        )
        found = {outcome.event_id for outcome in self.outcomes.read()}
        assert wanted <= found, f"every worker has ended\n{self._missing(wanted)}"

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

    def _all_ended(self) -> bool:
        """Whether none is left of the stage's own workers; a test may run others."""
        return bool(self._workers) and all(worker.poll() is not None for worker in self._workers)

    def _missing(self, wanted: set[str]) -> str:
        missing = sorted(wanted - {outcome.event_id for outcome in self.outcomes.read()})
        return f"{len(missing)} without an outcome, such as {missing[:5]}\n{self.tails()}"
