"""Three real brokers: what is acknowledged is on two of them."""

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from tests.crash.breaking import Breaking
from tests.support.e2e.feeds import TopicReader
from tests.support.kafka.brokers import create_topic, kafka_or_skip, unique
from tests.support.kafka.cluster import Cluster, Controllers, running_cluster
from tests.support.loop_thread import LoopThread
from worker.demo.processes import Household

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
    # aiokafka forgets connections to brokers that died.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
_PARTITIONS = 6
_TIME_OUT_MS = 12_000
"""Others lead after 3 s what a broker led that was killed."""


@pytest.fixture(params=Controllers)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Give a cluster with its controllers in the brokers, and one with a controller apart."""
    with Household() as home, kafka_or_skip(running_cluster(home, 3, request.param)) as running:
        yield running


def test_two_of_three_brokers_must_have_what_is_acknowledged(cluster: Cluster) -> None:
    """With one away all goes on; with two away nothing is acknowledged; once they are back all is there."""
    topic, servers = unique("kept"), cluster.bootstrap_servers
    with LoopThread() as loop:
        mending = Breaking(cluster, loop, lambda: None)
        loop.run(create_topic(servers, topic, _PARTITIONS, None))
        mending.wait_whole()
        assert loop.run(_least_in_sync(servers, topic, "__consumer_offsets")) == {"2"}
        loop.run(_write(servers, topic, b"all are there"))

        cluster.kill(0)
        loop.run(_write(servers, topic, b"one is away"))
        cluster.kill(1)
        with pytest.raises(KafkaError):
            loop.run(_write(servers, topic, b"two are away"))

        cluster.start(0, 1)
        mending.wait_whole()
        loop.run(_write(servers, topic, b"all are back"))
        reader = TopicReader(loop, servers, topic, _PARTITIONS)
        found = {(record.value, record.position.partition) for record in reader.read()}
        reader.close()
    for value in (b"all are there", b"one is away", b"all are back"):
        assert {(value, partition) for partition in range(_PARTITIONS)} <= found


async def _least_in_sync(servers: str, *topics: str) -> set[str]:
    """Return the least numbers of replicas in sync that the topics ask for."""
    client = AIOKafkaAdminClient(bootstrap_servers=servers)
    try:
        await client.start()
        answers = await client.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
        )
    finally:
        await client.close()
    return {
        entry[1]
        for answer in answers
        for *_, entries in answer.resources
        for entry in entries
        if entry[0] == "min.insync.replicas"
    }


async def _write(servers: str, topic: str, value: bytes) -> None:
    """Write it to each partition once; raises what it leads to if it is not acknowledged in time."""
    # Not an idempotent one: that never gives up.
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", request_timeout_ms=_TIME_OUT_MS)
    async with producer:
        for partition in range(_PARTITIONS):
            await producer.send_and_wait(topic, value, partition=partition)
