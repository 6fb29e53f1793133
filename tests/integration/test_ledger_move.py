"""`enrolment-worker ledger move` against Kafka: every entry is found where its customer's events now go."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from click.testing import CliRunner, Result

from tests.support.e2e.feeds import ActivityFeed, Message, TopicReader
from tests.support.kafka.brokers import create_topic, delete_topics, unique
from tests.support.loop_thread import LoopThread
from topics.names import TopicNames
from worker.commands.main import program
from worker.demo.broker import Broker
from worker.domain.ledger import Standing
from worker.domain.settlement import Subject
from worker.kafka.errors import KafkaFailed
from worker.kafka.partition_admin import PartitionAdmin
from worker.kafka.partitioners import key_hashes_of
from worker.ledger.entries import OrganisationEntry, StandingEntry
from worker.ledger.format import is_organisation_key, organisation_key, read_organisation, write
from worker.settings import Settings, load_settings
from worker.stream.startup import prepare_topics

_SUBJECT: Final = Subject(1, 2, "promotion", 3)
_CUSTOMERS: Final = range(200)


@dataclass(frozen=True)
class Place:
    """A group's topics, at first with four partitions, and what was written to its ledger."""

    loop: LoopThread
    names: TopicNames
    environ: dict[str, str]
    written: dict[bytes, tuple[bytes | None, bytes]] = field(default_factory=dict)
    """By entry key: the activity record's key, and the latest value."""

    @property
    def servers(self) -> str:
        """The brokers' addresses."""
        return self.environ["ENROLMENT_KAFKA_BOOTSTRAP_SERVERS"]

    def settings(self) -> Settings:
        """Return the settings of a worker."""
        api = {"ENROLMENT_API_BASE_URL": "http://127.0.0.1:9", "ENROLMENT_API_USERNAME": "u"}
        return load_settings({**self.environ, **api, "ENROLMENT_API_PASSWORD": "p"})

    def write(self, partitions: int, customers: range, version: int) -> None:
        """Write an entry for each customer, where their events lie among so many partitions."""

        async def steps() -> None:
            async with AIOKafkaProducer(bootstrap_servers=self.servers) as producer:
                for customer in customers:
                    record_key = f"customer {customer}".encode() if customer else None
                    standing = Standing(settled_limits=version)
                    key, value = write(StandingEntry(customer, _SUBJECT, standing), key_hashes_of(record_key))
                    self.written[key] = (record_key, value)
                    await producer.send(
                        self.names.ledger, value, key, partition=_home(record_key, partitions)
                    )
                await producer.flush()

        self.loop.run(steps())

    def write_organisation(self, partition: int, org_id: int) -> None:
        """Write what a partition has learnt."""

        async def steps() -> None:
            async with AIOKafkaProducer(bootstrap_servers=self.servers) as producer:
                key, value = write(OrganisationEntry(partition, org_id), None)
                await producer.send_and_wait(self.names.ledger, value, key, partition=partition)

        self.loop.run(steps())

    def organisations(self, partitions: int) -> dict[int, int]:
        """Return what each partition has learnt; an entry elsewhere than in its own partition fails."""
        reader = TopicReader(self.loop, self.servers, self.names.ledger, partitions)
        found = {}
        for record in reader.read():
            if record.key is not None and is_organisation_key(record.key):
                assert record.key == organisation_key(record.position.partition)
                found[record.position.partition] = read_organisation(record.value or b"")
        reader.close()
        return found

    def grow(self, partitions: int, *topics: str) -> None:
        """Give topics so many partitions, the activity topic where none is named."""
        self.loop.run(
            PartitionAdmin(self.settings()).raise_partitions(topics or [self.names.activity], partitions)
        )

    def counts(self) -> dict[str, int]:
        """Return the partition count of each topic that exists."""
        names = self.names
        every = [names.activity, names.ledger, *names.retries, names.move_mark]
        found = self.loop.run(PartitionAdmin(self.settings()).existing(every))
        return {name: topic.partitions for name, topic in found.items()}

    def missing(self, partitions: int) -> list[bytes]:
        """Return the keys of entries that are not found where their customers' events lie now."""
        reader = TopicReader(self.loop, self.servers, self.names.ledger, partitions)
        found = {(record.position.partition, record.key): record.value for record in reader.read()}
        reader.close()
        return [
            key
            for key, (record_key, value) in self.written.items()
            if found.get((_home(record_key, partitions), key)) != value
        ]

    def move(self, *options: str) -> Result:
        """Call the command in this process."""
        return CliRunner().invoke(
            program, ["ledger", "move", *options], env=self.environ, prog_name="enrolment-worker"
        )


def _home(record_key: bytes | None, partitions: int) -> int:
    every = list(range(partitions))
    return 0 if record_key is None else int(DefaultPartitioner()(record_key, every, every))


@pytest.fixture
def place(kafka: Broker) -> Iterator[Place]:
    """Give a ledger with entries of 199 customers, one of them without a record key."""
    names = TopicNames(unique("activity"), unique("outcomes"), unique("group"))
    environ = {
        "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ENROLMENT_GROUP_ID": names.group_id,
        "ENROLMENT_ACTIVITY_TOPIC": names.activity,
        "ENROLMENT_OUTCOME_TOPIC": names.outcomes,
        "ENROLMENT_TOPIC_PARTITIONS": "4",
    }
    created = CliRunner().invoke(program, ["topics", "create"], env=environ)
    assert created.exit_code == 0, created.output
    with LoopThread() as loop:
        place = Place(loop, names, environ)
        place.write(4, _CUSTOMERS, version=1)
        yield place
    every = [names.activity, names.outcomes, names.dead_letters, names.ledger, names.move_mark]
    asyncio.run(delete_topics(kafka.bootstrap_servers, [*every, *names.retries]))


def test_entries_follow_their_keys(place: Place) -> None:
    """Twice in a row, each time with the latest version; a dry run before it changes nothing."""
    place.write(4, range(50), version=2)
    feed = ActivityFeed(place.loop, place.servers, place.names.activity)
    feed.send_all(Message(b"event", f"customer {customer}".encode()) for customer in range(3))
    feed.close()
    place.grow(6)
    before = place.counts()
    rehearsed = place.move("--dry-run")
    assert (rehearsed.exit_code, place.counts()) == (0, before), rehearsed.output

    moved = place.move()
    assert moved.exit_code == 0, moved.output
    assert place.missing(6) == []
    names = place.names
    assert place.counts() == dict.fromkeys([names.activity, names.ledger, *names.retries], 6)
    assert "without a key: 1," in moved.stdout
    assert f"warning: 3 events of {names.activity} are not handled yet" in moved.stderr
    assert moved.stdout.removeprefix("copied") == rehearsed.stdout.removeprefix("to copy")
    assert place.loop.run(prepare_topics(place.settings())).partitions == 6

    # The copies that stayed behind are outdated from here on.
    place.write(6, range(100), version=3)
    place.grow(12)
    assert place.move().exit_code == 0
    assert place.missing(12) == []


def test_every_partition_gets_to_know_the_organisation(place: Place) -> None:
    """Old ones and new ones; the one that was learnt first, where they disagree, and none is overwritten."""
    for partition, org in ((2, 1800), (1, 1801)):
        place.write_organisation(partition, org)
    place.grow(6)
    assert place.move("--dry-run").exit_code == 0
    assert place.organisations(4) == {1: 1801, 2: 1800}
    for _ in range(2):
        moved = place.move()
        assert moved.exit_code == 0, moved.output
    assert "different organisations (1800, 1801); set ENROLMENT_ORG_ID" in moved.stderr
    assert place.organisations(6) == {0: 1800, 1: 1801, 2: 1800, 3: 1800, 4: 1800, 5: 1800}
    assert "without a key: 1," in moved.stdout


def test_an_interrupted_move_is_gone_on_with(place: Place) -> None:
    """Half-way no worker may start, also with equal counts; the next run completes it without repeats."""
    names = place.names
    place.grow(8)
    with pytest.raises(
        KafkaFailed, match=r"8 partitions and the ledger .* has 4: run `enrolment-worker ledger"
    ):
        place.loop.run(prepare_topics(place.settings()))
    place.loop.run(create_topic(place.servers, names.move_mark, 4, None))
    place.grow(8, names.ledger, *names.retries)
    with pytest.raises(KafkaFailed, match="is being moved, or its move was interrupted"):
        place.loop.run(prepare_topics(place.settings()))
    place.write(8, range(1, 51), version=1)

    moved = place.move()
    assert moved.exit_code == 0, moved.output
    there = sum(_home(f"customer {number}".encode(), 8) > 3 for number in range(1, 51))
    all_ = sum(_home(f"customer {number}".encode(), 8) > 3 for number in _CUSTOMERS if number)
    assert moved.stdout.startswith(f"copied: {all_ - there}, already there: {there}, ")
    assert place.missing(8) == []
    assert place.loop.run(prepare_topics(place.settings())).partitions == 8


def test_a_wrong_partitioner_is_refused(place: Place) -> None:
    """Copies by a rule that upstream does not follow would cut the ledger off: nothing is changed."""
    place.grow(8)
    before = place.counts()
    refused = place.move("--partitioner", "crc32")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[-1].endswith("where murmur2 does: use --partitioner murmur2")
    assert place.counts() == before


def test_a_group_at_work_is_refused(place: Place) -> None:
    """While anybody is in the group, entries may still be written."""

    async def steps() -> Result:
        async with AIOKafkaConsumer(
            place.names.activity,
            bootstrap_servers=place.servers,
            group_id=place.names.group_id,
        ):
            return await asyncio.to_thread(place.move)

    place.grow(8)
    refused = place.loop.run(steps())
    assert refused.exit_code == 1
    assert f"group {place.names.group_id} has 1 members: stop all workers first" in refused.stderr
    assert place.counts()[place.names.ledger] == 4
