"""`AUTO_OFFSET_RESET=latest` is for a group that has never begun, and for no other."""

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.e2e.feeds import ActivityFeed, Message
from tests.support.e2e.lab import Lab
from tests.support.kafka.brokers import create_topic, delete_topics, unique
from topics.names import TopicNames
from worker.settings import load_settings
from worker.stream.first_start import skip_what_is_there

_PARTITIONS = 4


@pytest.fixture
def names(lab: Lab) -> Iterator[TopicNames]:
    """Give a group whose activity topic has four partitions with two records each."""
    name = unique("first")
    names = TopicNames(f"{name}-activity", f"{name}-outcomes", f"{name}-group")
    topics = [names.activity, names.retries[0], names.ledger]
    for topic in topics:
        lab.loop.run(create_topic(lab.bootstrap_servers, topic, _PARTITIONS, None))
    _write(lab, names.activity, 2)
    yield names
    lab.loop.run(delete_topics(lab.bootstrap_servers, topics))


def test_a_group_that_has_never_begun_starts_at_the_ends(lab: Lab, names: TopicNames) -> None:
    """All partitions at once, so that it has begun from then on."""
    _skip(lab, names)
    assert lab.committed(names.group_id, names.activity) == dict.fromkeys(range(_PARTITIONS), 2)
    _write(lab, names.activity, 1)
    _skip(lab, names)
    assert lab.committed(names.group_id, names.activity) == dict.fromkeys(range(_PARTITIONS), 2)


def test_new_partitions_of_a_group_that_has_begun_are_read_from_their_beginning(
    lab: Lab, names: TopicNames
) -> None:
    """An offset of 0 is one, too."""
    lab.loop.run(_commit(lab, names.group_id, names.activity, {0: 0, 1: 2}))
    _skip(lab, names)
    assert lab.committed(names.group_id, names.activity) == {0: 0, 1: 2}


@pytest.mark.parametrize("left", ["retry offsets", "ledger"])
def test_a_group_that_lost_its_offsets_skips_nothing(lab: Lab, names: TopicNames, left: str) -> None:
    """Expired, or deleted by an operator: what is left of the group shows that it has begun."""
    if left == "ledger":
        _write(lab, names.ledger, 1)
    else:
        lab.loop.run(_commit(lab, names.group_id, names.retries[0], {3: 0}))
    _skip(lab, names)
    assert lab.committed(names.group_id, names.activity) == {}


def test_retries_of_another_group_are_no_sign_of_this_one(lab: Lab, names: TopicNames) -> None:
    """Groups share the retry topics of an activity topic."""
    _write(lab, names.retries[0], 1)
    lab.loop.run(_commit(lab, f"{names.group_id}-other", names.activity, {0: 1}))
    _skip(lab, names)
    assert lab.committed(names.group_id, names.activity) == dict.fromkeys(range(_PARTITIONS), 2)


def _skip(lab: Lab, names: TopicNames) -> None:
    settings = load_settings(
        {
            "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": lab.bootstrap_servers,
            "ENROLMENT_GROUP_ID": names.group_id,
            "ENROLMENT_ACTIVITY_TOPIC": names.activity,
            "ENROLMENT_OUTCOME_TOPIC": names.outcomes,
            "ENROLMENT_AUTO_OFFSET_RESET": "latest",
            "ENROLMENT_API_BASE_URL": "http://127.0.0.1:9",
            "ENROLMENT_API_USERNAME": "u",
            "ENROLMENT_API_PASSWORD": "p",
        }
    )
    lab.loop.run(skip_what_is_there(settings, _PARTITIONS))


def _write(lab: Lab, topic: str, each: int) -> None:
    feed = ActivityFeed(lab.loop, lab.bootstrap_servers, topic)
    numbers = [number for number in range(_PARTITIONS) for _ in range(each)]
    feed.send_all(Message(b"{}", b"key", partition=number) for number in numbers)
    feed.close()


async def _commit(lab: Lab, group: str, topic: str, offsets: dict[int, int]) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=lab.bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        at = {TopicPartition(topic, number): offset for number, offset in offsets.items()}
        consumer.assign(list(at))
        await consumer.commit(at)
    finally:
        await consumer.stop()
