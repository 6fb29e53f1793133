"""The group's offsets do not fit the logs any more: no new event is passed over, none is lost in silence."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteGroupsRequest

from tests.support.e2e.breakable import Breakable
from tests.support.e2e.events import event
from tests.support.e2e.feeds import ActivityFeed, Message
from tests.support.e2e.lab import CREDENTIALS, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.brokers import create_topic, delete_topics
from tests.support.kafka.logs import begin_transaction, cut_tail, delete_records
from tests.support.waiting import wait_until
from worker.demo.simulator import FaultRule, Promotion, RunningSimulator, World

pytestmark = pytest.mark.timeout(120)

_CUSTOMERS = 500
_EXPIRED = "enrolment_records_expired_total"
_LAG = "enrolment_consumer_lag"


@pytest.fixture(scope="module")
def api(breakable: Breakable) -> Iterator[RunningSimulator]:
    """Give an API that knows everybody, and has a promotion for them."""
    with breakable.lab.simulator(World.with_customers(_CUSTOMERS, Promotion(promotion_id=1))) as simulator:
        yield simulator


@pytest.fixture
def stage(breakable: Breakable, api: RunningSimulator) -> Iterator[Stage]:
    """Give a stage with one partition and an API that serves."""
    breakable.lab.loop.call(api.faults.replace)
    with breakable.lab.stage(api.api_url) as stage:
        yield stage


@pytest.mark.parametrize("more", [20, 60])
def test_the_log_loses_its_end_under_a_running_worker(breakable: Breakable, stage: Stage, more: int) -> None:
    """New events at offsets that were done before, as many as were lost or more, must all be handled."""
    worker = _started(stage)
    _handled(stage, range(40))
    _cut(breakable, stage, keep=20)
    _handled(stage, range(40, 40 + more))
    (line,) = _errors(worker, "a partition is not the log that was read")
    assert (line["topic"], line["partition"], line["goes_on_at"]) == (stage.names.activity, 0, 20)
    assert worker.get("/live").status == 200
    wait_until(lambda: stage.committed() == {0: 20 + more}, "all is committed", evidence=worker.tail)


def test_the_log_loses_its_end_while_the_worker_is_away(breakable: Breakable, stage: Stage) -> None:
    """At the next start the offset lies in range again; the events there must be handled."""
    worker = _started(stage)
    _handled(stage, range(40))
    assert worker.stop() == 0
    _cut(breakable, stage, keep=20)
    names = _send(stage, range(40, 65))
    worker.start()
    stage.wait_for_outcomes(names)
    (line,) = _errors(worker, "a partition is not the log that was read")
    assert (line["offset"], line["log_ends_at"], line["goes_on_at"]) == (40, 45, 20)


def test_the_ledger_loses_its_end_while_the_worker_is_away(breakable: Breakable, stage: Stage) -> None:
    """No start goes on by the rest of it, with a volume or without; without the topic it may be told to."""
    worker, ledger = _started(stage), stage.names.ledger
    # None of these is enrolled yet: without a plan nothing is written. The first one's is its own batch.
    _handled(stage, range(300, 301))
    _handled(stage, range(301, 340))
    wait_until(lambda: stage.committed() == {0: 40}, "all is committed", evidence=worker.tail)
    assert worker.stop() == 0
    breakable.broker.kill()
    cut_tail(breakable.folder / f"{ledger}-0", keep=2)
    breakable.broker.restart()
    names = _send(stage, range(340, 350))
    worker.start()
    assert worker.wait(60.0) == 1, worker.tail()
    bare = stage.worker(STATE_DIR=f"{stage.settings['STATE_DIR']}-bare", **CREDENTIALS)
    assert bare.wait(60.0) == 1, bare.tail()
    for each in (worker, bare):
        assert f"the ledger's topic {ledger} has lost its end" in each.log()
        assert "Traceback" not in each.log()
    breakable.lab.loop.run(delete_topics(breakable.lab.bootstrap_servers, [ledger]))
    worker.options = ("--new-ledger",)
    worker.start()
    stage.wait_for_outcomes(names)


def test_an_offset_beyond_the_end_is_not_waited_at(breakable: Breakable, stage: Stage) -> None:
    """A tool has set the group's offset to where the log does not reach: reading begins at the beginning."""
    worker = _started(stage)
    _handled(stage, range(10))
    assert worker.stop() == 0
    breakable.lab.loop.run(_commit(stage, 1_000))
    names = _send(stage, range(10, 20))
    worker.start()
    stage.wait_for_outcomes(names)
    assert _errors(worker, "a partition is not the log that was read")[0]["offset"] == 1_000
    told = [each.value for each in stage.outcomes.read()]
    ids = {one["activity"]["eventId"]: one["outcomeId"] for one in told}
    assert {one["outcomeId"] for one in told} == set(ids.values()), "what was told again was told otherwise"


@pytest.mark.parametrize(("more", "pause"), [(0, 0.0), (10, 0.0), (-10, 9.0)])
def test_the_topic_is_made_anew_under_a_running_worker(
    breakable: Breakable, stage: Stage, more: int, pause: float
) -> None:
    """With as many records as before, or more, so that the offset is in range, or fewer: all are handled."""
    worker = _started(stage)
    _handled(stage, range(20))
    topic, servers = stage.names.activity, breakable.lab.bootstrap_servers
    breakable.lab.loop.run(delete_topics(servers, [topic]))
    time.sleep(pause)
    breakable.lab.loop.run(_made_anew(servers, topic))
    feed = ActivityFeed(breakable.lab.loop, servers, topic)
    try:
        names = [f"{topic}-{who}" for who in range(20, 40 + more)]
        feed.send_all(_messages(stage, range(20, 40 + more)))
    finally:
        feed.close()
    stage.wait_for_outcomes(names, seconds=60.0)
    said = _errors(
        worker, "the activity topic is gone" if pause else "a partition is not the log that was read"
    )
    assert said, worker.tail()


def test_records_deleted_while_the_worker_is_away_are_counted(breakable: Breakable, stage: Stage) -> None:
    """What is gone is told by topic, partition and number; what is left is handled, also with `latest`."""
    worker = _started(stage, AUTO_OFFSET_RESET="latest")
    _handled(stage, range(10))
    assert worker.stop() == 0
    left = _send(stage, range(10, 40))[15:]
    breakable.lab.loop.run(delete_records(breakable.lab.bootstrap_servers, stage.names.activity, 25))
    worker.start()
    stage.wait_for_outcomes(left)
    assert worker.metric(_EXPIRED, topic=stage.names.activity) == 15
    (line,) = _errors(worker, "records were deleted before they were read")
    assert (line["partition"], line["records"], line["first_offset"]) == (0, 15, 10)
    assert worker.stop() == 0
    worker.start()
    worker.wait_ready()
    assert worker.metric(_EXPIRED) == 0, "they are counted once"


def test_records_deleted_in_an_outage_are_counted_while_it_lasts(
    breakable: Breakable, api: RunningSimulator, stage: Stage
) -> None:
    """Of activity and of retries; afterwards handled and counted are all that there were."""
    worker = _started(
        stage,
        RETRY_MAX_ATTEMPTS="1",
        RETRY_DELAYS_SECONDS="600,600,600",
        OUTAGE_THRESHOLD="3",
        OUTAGE_PROBE_SECONDS="1",
        MAX_IN_FLIGHT="4",
    )
    retry = stage.names.retries[0]
    breakable.lab.loop.call(lambda: api.faults.add(FaultRule(name="error_500", customer_ids=frozenset({1}))))
    _handled(stage, range(2))
    wait_until(stage.retries[0].read, "an event waits to be retried", evidence=worker.tail)
    assert worker.stop() == 0
    breakable.lab.loop.run(delete_records(breakable.lab.bootstrap_servers, retry, 1))
    worker.start()
    worker.wait_ready()
    assert worker.metric(_EXPIRED, topic=retry) == 1

    breakable.lab.loop.call(lambda: api.faults.replace(FaultRule(name="error_503")))
    _send(stage, range(2, 100))
    wait_until(
        lambda: worker.metric("enrolment_api_outage") == 1, "the outage is noticed", evidence=worker.tail
    )
    time.sleep(1.0)
    last = _send(stage, range(100, 400))
    end = stage.feed.send(b"", b"last").position.offset
    breakable.lab.loop.run(delete_records(breakable.lab.bootstrap_servers, stage.names.activity, end - 10))
    wait_until(lambda: worker.metric(_EXPIRED, topic=stage.names.activity), "told", evidence=worker.tail)
    breakable.lab.loop.call(api.faults.replace)
    stage.wait_for_outcomes(last[-10:])
    told = {one.value["activity"]["offset"] for one in stage.outcomes.read()}
    gone = worker.metric(_EXPIRED, topic=stage.names.activity)
    assert gone > 0, "all were fetched before"
    assert len(told) + gone == end + 1


@pytest.mark.parametrize("before", [pytest.param(0, marks=pytest.mark.long), 2])
def test_lag_behind_an_open_transaction(breakable: Breakable, stage: Stage, before: int) -> None:
    """What waits behind an open transaction of upstream is lag; when it has ended nothing is left."""
    worker = _started(stage)
    _handled(stage, range(60, 60 + before))
    told = len(stage.outcomes.read())
    run = breakable.lab.loop.run
    values = [message.value or b"" for message in _messages(stage, range(30))]
    producer = run(begin_transaction(breakable.lab.bootstrap_servers, stage.names.activity, values))
    try:
        names = _send(stage, range(30, 60))
        wait_until(lambda: worker.metric(_LAG) == 60, "all that waits is lag", evidence=worker.tail)
        assert len(stage.outcomes.read()) == told
    finally:
        run(producer.commit_transaction())
        run(producer.stop())
    stage.wait_for_outcomes([*names, *(f"{stage.names.activity}-{who}" for who in range(30))])
    wait_until(lambda: worker.metric(_LAG) == 0, "a marker at the end is no lag", evidence=worker.tail)


def test_lag_of_a_first_start_into_an_outage(
    breakable: Breakable, api: RunningSimulator, stage: Stage
) -> None:
    """A group that has committed nothing has the whole topic before it."""
    breakable.lab.loop.call(lambda: api.faults.replace(FaultRule(name="error_503")))
    _send(stage, range(300))
    worker = _started(stage, OUTAGE_THRESHOLD="3", OUTAGE_PROBE_SECONDS="1", MAX_IN_FLIGHT="4")
    wait_until(
        lambda: worker.metric(_LAG, topic=stage.names.activity) == 300, "all wait", evidence=worker.tail
    )
    time.sleep(2.0)
    assert worker.metric(_LAG, topic=stage.names.activity) == 300
    breakable.lab.loop.call(api.faults.replace)
    wait_until(lambda: worker.metric(_LAG) == 0, "nothing waits", evidence=worker.tail, seconds=60)


def test_a_group_that_lost_its_offsets_passes_over_nothing(breakable: Breakable, stage: Stage) -> None:
    """With `latest`, and a ledger that knows it: activity and retries are read from their beginning."""
    worker = _started(stage, AUTO_OFFSET_RESET="latest")
    _handled(stage, range(450, 455))
    assert worker.stop() == 0
    names = _send(stage, range(455, 460))
    breakable.lab.loop.run(_forget_group(stage))
    worker.start()
    stage.wait_for_outcomes(names)


def _started(stage: Stage, **settings: str) -> WorkerProcess:
    worker = stage.worker(**settings, **CREDENTIALS)
    worker.wait_ready()
    return worker


def _messages(stage: Stage, numbers: range) -> list[Message]:
    """Return an event for each customer of these numbers, named after the topic and the number.

    Those of a number that another test had are enrolled already.
    """
    return [
        Message(event(f"{stage.names.activity}-{who}", {"customerId": who % _CUSTOMERS + 1}), b"%d" % who)
        for who in numbers
    ]


def _send(stage: Stage, numbers: range) -> list[str]:
    """Produce them one by one, each a batch of its own, with a producer that knows no earlier log."""
    feed = stage.feed_of(stage.names.activity)
    for message in _messages(stage, numbers):
        feed.send(message.value, message.key)
    return [f"{stage.names.activity}-{who}" for who in numbers]


def _handled(stage: Stage, numbers: range) -> None:
    names = _send(stage, numbers)
    stage.wait_for_outcomes(names)
    end = len(stage.outcomes.read())
    assert end >= len(names)


def _errors(worker: WorkerProcess, message: str) -> list[dict[str, Any]]:
    """Return the error lines of the worker, of every start, that begin with the message."""
    lines = [json.loads(line) for line in worker.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["level"] == "error" and line["message"].startswith(message)]


def _cut(breakable: Breakable, stage: Stage, keep: int) -> None:
    """Let the activity topic's only partition lose what lies behind so many records."""
    wait_until(
        lambda: stage.committed().get(0, 0) > keep, "more than that is committed", evidence=stage.tails
    )
    breakable.broker.kill()
    cut_tail(breakable.folder / f"{stage.names.activity}-0", keep)
    breakable.broker.restart()


async def _made_anew(bootstrap_servers: str, topic: str) -> None:
    """Make a topic that was deleted just now; Kafka takes a moment to forget it."""
    for _ in range(100):
        await create_topic(bootstrap_servers, topic, 1, None)
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        await admin.start()
        try:
            if topic in await admin.list_topics():
                return
        finally:
            await admin.close()
    raise AssertionError(f"{topic} could not be made anew")


async def _commit(stage: Stage, offset: int) -> None:
    """Set the offset of the group, which has no members, as Kafka's tools do."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stage.lab.bootstrap_servers, group_id=stage.names.group_id, enable_auto_commit=False
    )
    await consumer.start()
    try:
        at = TopicPartition(stage.names.activity, 0)
        consumer.assign([at])
        await consumer.commit({at: offset})
    finally:
        await consumer.stop()


async def _forget_group(stage: Stage) -> None:
    """Delete the group with its offsets, which is what their expiry comes to."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.lab.bootstrap_servers)
    await admin.start()
    try:
        node = await admin.find_coordinator(stage.names.group_id)
        answer = await admin._send_request(DeleteGroupsRequest([stage.names.group_id]), node)
        assert answer.results == [(stage.names.group_id, 0)]
    finally:
        await admin.close()
