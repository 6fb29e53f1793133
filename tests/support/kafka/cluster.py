"""A cluster of several brokers that keeps three replicas, for tests that kill, stop and freeze them."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.support.kafka.brokers import REPLICAS
from worker.demo.apache_kafka import SETTINGS, new_cluster_id
from worker.demo.broker import Broker
from worker.demo.kafka_node import KafkaNode, KafkaProgram, find_kafka
from worker.demo.ports import HOST, free_ports
from worker.demo.processes import Household

_START_SECONDS: Final = 90.0
_CONTROLLER: Final = "100"
"""Node id of the controller that is apart; brokers are numbered from 1."""
_KEEPING: Final = {
    "unclean.leader.election.enable": "false",
    "default.replication.factor": str(REPLICAS),
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": str(REPLICAS),
    "transaction.state.log.replication.factor": str(REPLICAS),
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": str(REPLICAS),
    "share.coordinator.state.topic.min.isr": "2",
    # A broker that is back leads again soon: else the same one would lead all after some deaths.
    "leader.imbalance.check.interval.seconds": "3",
    "leader.imbalance.per.broker.percentage": "0",
    "group.coordinator.threads": "1",
}


class Controllers(StrEnum):
    """Where the controllers are: in the brokers, whose majority is theirs too, or one in a process apart."""

    TOGETHER = "together"
    APART = "apart"


class Cluster:
    """Brokers by number from 0, of which any may end or freeze and go on with its data. Calls block."""

    def __init__(self, brokers: Sequence[Broker]) -> None:
        self.brokers: Final = tuple(brokers)

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of each, separated by commas."""
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    def kill(self, *numbers: int) -> None:
        """End these at once (SIGKILL)."""
        for number in numbers:
            self.brokers[number].kill()

    def stop(self, *numbers: int) -> None:
        """Ask these to end (SIGTERM), all at the same time; those that do not in 20 s are killed."""
        self._at_the_same_time(Broker.stop, numbers)

    def freeze(self, *numbers: int) -> None:
        """Let these stand still (SIGSTOP) with their connections open."""
        for number in numbers:
            self.brokers[number].freeze()

    def thaw(self, *numbers: int) -> None:
        """Let these go on after `freeze`."""
        for number in numbers:
            self.brokers[number].thaw()

    def start(self, *numbers: int) -> None:
        """Start these again and block until each of them serves; raises `BrokerFailed`."""
        self._at_the_same_time(Broker.restart, numbers)

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of each broker's log."""
        tails = (broker.log_tail(lines) for broker in self.brokers)
        return "\n".join(f"--- broker {number}\n{tail}" for number, tail in enumerate(tails))

    def _at_the_same_time(self, do: Callable[[Broker], None], numbers: Iterable[int]) -> None:
        chosen = [self.brokers[number] for number in numbers]
        with ThreadPoolExecutor(len(chosen)) as pool:
            for done in [pool.submit(do, broker) for broker in chosen]:
                done.result()


@contextmanager
def running_cluster(
    household: Household,
    brokers: int,
    controllers: Controllers,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Cluster]:
    """Give a cluster of so many brokers. Raises `BrokerUnavailable` or `BrokerFailed`."""
    began, program = time.monotonic(), find_kafka(None, progress)
    progress(f"starting {brokers} brokers of {program.kind}, controllers {controllers}, on {program.java}")
    cluster_id, settings = new_cluster_id(), cluster_settings(free_ports(2 * brokers), controllers)
    nodes = {name: _Node(household, program, name, each, cluster_id) for name, each in settings.items()}
    try:
        with ThreadPoolExecutor(len(nodes)) as pool:
            for started in [pool.submit(node.start, _START_SECONDS) for node in nodes.values()]:
                started.result()
        yield Cluster(
            [
                Broker(
                    kind=program.kind,
                    bootstrap_servers=node.bootstrap_servers,
                    started_in=time.monotonic() - began,
                    java=program.java,
                    server=node,
                )
                for node in nodes.values()
                if node.serves_clients
            ]
        )
    finally:
        # Their data goes with them: no need for an orderly end.
        for node in nodes.values():
            node.kill()


def cluster_settings(ports: Sequence[int], controllers: Controllers) -> dict[str, dict[str, str]]:
    """Return the settings of each node by its name; `ports` are two for each broker."""
    addresses = [f"{HOST}:{port}" for port in ports]
    plain, control = addresses[::2], addresses[1::2]
    brokers = {str(number): address for number, address in enumerate(plain, 1)}
    voters = dict(zip(brokers, control, strict=True))
    if controllers is Controllers.APART:
        voters = {_CONTROLLER: control[0]}
    common = (
        SETTINGS
        | _KEEPING
        | {
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "controller.quorum.voters": ",".join(f"{node}@{address}" for node, address in voters.items()),
        }
    )
    nodes = {}
    for node in dict.fromkeys([*voters, *brokers]):
        roles, listeners = [], []
        if node in brokers:
            roles, listeners = ["broker"], [f"PLAINTEXT://{brokers[node]}"]
        if node in voters:
            roles, listeners = [*roles, "controller"], [*listeners, f"CONTROLLER://{voters[node]}"]
        own = {"node.id": node, "process.roles": ",".join(roles), "listeners": ",".join(listeners)}
        if node in brokers:
            own["advertised.listeners"] = f"PLAINTEXT://{brokers[node]}"
        nodes["kafka-controller" if node == _CONTROLLER else f"kafka-{node}"] = common | own
    return nodes


async def not_whole(bootstrap_servers: str) -> list[str]:
    """Name the partitions that lack a replica in sync or their first replica as leader; [""] if unknown."""
    try:
        client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5000)
        try:
            await client.start()
            topics = await client.describe_topics()
        finally:
            await client.close()
    except (KafkaError, OSError, TimeoutError):
        return [""]
    return [
        f"{topic['topic']}-{each['partition']}"
        for topic in topics
        for each in topic["partitions"]
        if set(each["isr"]) != set(each["replicas"]) or each["leader"] != each["replicas"][0]
    ]


class _Node(KafkaNode):
    """A broker, a controller or both; from its first `start` on, its data outlasts its end."""

    def __init__(
        self,
        household: Household,
        program: KafkaProgram,
        name: str,
        settings: Mapping[str, str],
        cluster_id: str,
    ) -> None:
        super().__init__(household, program, name)
        self._settings = settings
        self._cluster_id = cluster_id
        self._is_formatted = False

    @property
    def serves_clients(self) -> bool:
        """Whether it is a broker."""
        return "advertised.listeners" in self._settings

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`; of a broker."""
        return self._settings["advertised.listeners"].removeprefix("PLAINTEXT://")

    def start(self, timeout: float) -> None:
        """Start it and block until it serves if it is a broker; raises `BrokerFailed`."""
        if not self._is_formatted:
            self.format(self._settings, self._cluster_id, timeout)
            self._is_formatted = True
        self.launch()
        if self.serves_clients:
            self.wait_until_serving(self.bootstrap_servers, self._cluster_id, timeout)
