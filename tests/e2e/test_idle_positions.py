"""Positions of partitions that nothing is read of any more: what Kafka's own tools show of them."""

from collections.abc import Iterator
from typing import Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.logs import begin_transaction
from tests.support.waiting import wait_until
from worker.demo.simulator import RunningSimulator

pytestmark = pytest.mark.timeout(90)

_LAG: Final = "enrolment_consumer_lag"


@pytest.fixture
def stage(lab: Lab, api: RunningSimulator) -> Iterator[Stage]:
    """Give a stage with two partitions; nothing is ever written to the second."""
    with lab.stage(api.api_url, partitions=2) as stage:
        yield stage


def test_partitions_that_were_never_written_have_an_offset(lab: Lab, stage: Stage) -> None:
    """Of activity and of retries: a tool that finds none shows a dash, and cannot tell it from a fault."""
    worker = _started(stage)
    topics = (stage.names.activity, *stage.names.retries)
    wait_until(
        lambda: all(lab.committed(stage.names.group_id, topic) == {0: 0, 1: 0} for topic in topics),
        "every partition has an offset",
        evidence=worker.tail,
    )


@pytest.mark.parametrize(("before", "is_kept"), [(3, True), pytest.param(0, False, marks=pytest.mark.long)])
def test_the_end_of_a_transaction_is_passed(lab: Lab, stage: Stage, *, before: int, is_kept: bool) -> None:
    """Records and the marker behind them, or records that were taken back: nothing is left, also to tools."""
    worker = _started(stage)
    names = _send(stage, range(before))
    producer = _transaction(lab, stage, range(before, before + 6))
    lab.loop.run(producer.commit_transaction() if is_kept else producer.abort_transaction())
    lab.loop.run(producer.stop())
    if is_kept:
        names += [_name(stage, who) for who in range(before, before + 6)]
    wait_until(
        lambda: stage.committed()[0] == before + 7, "the marker is passed", evidence=worker.tail, seconds=20
    )
    assert _end(lab, stage) == before + 7
    stage.wait_for_outcomes(names)
    assert len(stage.outcomes.read()) == len(names)
    assert worker.metric(_LAG) == 0
    assert worker.stop() == 0
    assert stage.committed()[0] == before + 7


def test_an_open_transaction_is_not_passed(lab: Lab, stage: Stage) -> None:
    """Nothing behind it is committed before it ends, whatever ended before it; then it is handled."""
    worker = _started(stage)
    names = _send(stage, range(2))
    stage.wait_for_outcomes(names)
    producer = _transaction(lab, stage, range(2, 5))
    late = _send(stage, range(5, 8))
    wait_until(
        lambda: worker.metric(_LAG, topic=stage.names.activity) == 6, "they wait", evidence=worker.tail
    )
    assert worker.stop() == 0
    assert stage.committed()[0] == 2
    worker.start()
    worker.wait_ready()
    lab.loop.run(producer.commit_transaction())
    lab.loop.run(producer.stop())
    stage.wait_for_outcomes([*late, *(_name(stage, who) for who in range(2, 5))])
    wait_until(lambda: stage.committed()[0] == 9, "the marker is passed", evidence=worker.tail)


def _started(stage: Stage) -> WorkerProcess:
    worker = stage.worker(**CREDENTIALS)
    worker.wait_ready()
    return worker


def _name(stage: Stage, who: int) -> str:
    return f"{stage.names.activity}-{who}"


def _value(stage: Stage, who: int) -> bytes:
    return event(_name(stage, who), {"customerId": who + 1})


def _send(stage: Stage, numbers: range) -> list[str]:
    for who in numbers:
        stage.feed.send(_value(stage, who), b"%d" % who, partition=0)
    return [_name(stage, who) for who in numbers]


def _transaction(lab: Lab, stage: Stage, numbers: range) -> AIOKafkaProducer:
    values = [_value(stage, who) for who in numbers]
    return lab.loop.run(begin_transaction(lab.bootstrap_servers, stage.names.activity, values))


def _end(lab: Lab, stage: Stage) -> int:
    """Return where the first partition's log ends, as tools see it."""
    return lab.loop.run(_end_of(lab.bootstrap_servers, TopicPartition(stage.names.activity, 0)))


async def _end_of(bootstrap_servers: str, at: TopicPartition) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    try:
        return int((await consumer.end_offsets([at]))[at])
    finally:
        await consumer.stop()
