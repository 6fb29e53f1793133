"""Commits, seen on a real broker."""

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer

from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.waiting import wait_until
from topics.names import TopicNames
from worker.demo.simulator import FaultRule, Promotion, RunningSimulator, World

_CUSTOMERS = 40
_SLOW = 1


@pytest.fixture
def simulator(lab: Lab) -> Iterator[RunningSimulator]:
    """Give an API that keeps whoever asks about one of its customers waiting."""
    world = World.with_customers(_CUSTOMERS, Promotion(promotion_id=1))
    with lab.simulator(world, latency="20ms") as simulator:
        slow = FaultRule(name="slow", customer_ids=frozenset({_SLOW}), seconds=60)
        lab.loop.call(lambda: simulator.faults.add(slow))
        yield simulator


@pytest.fixture
def stage(lab: Lab, simulator: RunningSimulator) -> Iterator[Stage]:
    """Give a stage with two partitions."""
    with lab.stage(simulator.api_url, partitions=2) as stage:
        yield stage


def test_a_commit_never_passes_unfinished_work(lab: Lab, simulator: RunningSimulator, stage: Stage) -> None:
    """Work behind an unfinished event must not be committed: not in time, not by a stop, not by a kill."""
    worker = stage.worker(DRAIN_SECONDS="1", API_TIMEOUT_SECONDS="5.5", **CREDENTIALS)
    worker.wait_ready()
    unfinished = 1
    order = [2, _SLOW, *range(3, _CUSTOMERS)]
    stage.feed.send_all(_message(who) for who in order)
    stage.wait_for_outcomes(f"event-{who}" for who in order if who != _SLOW)
    _see_a_commit(stage)
    assert stage.committed()[0] == unfinished

    assert worker.stop(10) == 0, worker.tail()
    assert stage.committed()[0] == unfinished, "the stop committed past work that was given up"

    asked = _times_asked(lab, simulator)
    worker.start()
    wait_until(
        lambda: _times_asked(lab, simulator) > asked, "the unfinished event came again", evidence=worker.tail
    )
    _see_a_commit(stage)
    worker.kill()
    assert stage.committed()[0] == unfinished, "the kill lost work"

    lab.loop.call(simulator.faults.replace)
    worker.start()
    stage.wait_for_outcomes([f"event-{_SLOW}"])
    end = len(order)
    wait_until(lambda: stage.committed()[0] == end, "all is committed", evidence=worker.tail)


def test_gaps_in_offsets_do_not_stall_the_commit(lab: Lab, stage: Stage) -> None:
    """Markers of transactions take offsets that no record has: the commit must go on behind each."""
    worker = stage.worker(**CREDENTIALS)
    worker.wait_ready()
    who = [2, 3, 4, 5, 6, 7]
    last = lab.loop.run(_transactions(lab.bootstrap_servers, stage.names, who))
    assert last > len(who), "the transactions left no gap"
    stage.wait_for_outcomes(["event-2", "event-3", "event-6", "event-7"])
    # Also behind the marker of the last one.
    wait_until(lambda: stage.committed().get(0) == last + 2, "all is committed", evidence=worker.tail)
    again = stage.feed.send_all([_message(8)])[0]
    stage.wait_for_outcomes(["event-8"])
    end = again.position.offset + 1
    wait_until(lambda: stage.committed().get(0) == end, "what follows is committed", evidence=worker.tail)


def test_records_without_a_key_are_kept_in_order_by_customer(
    lab: Lab, simulator: RunningSimulator, stage: Stage
) -> None:
    """A null key must be accepted: its lane is the customer's, and other customers do not wait for it."""
    lab.loop.call(simulator.faults.replace)
    stage.worker(**CREDENTIALS).wait_ready()
    customers, each = [2, 3, 4, 5], 5
    names = [f"{who}-{number}" for number in range(each) for who in customers]
    stage.feed.send_all(
        Message(event(name, {"customerId": int(name[0])}), None, partition=0) for name in names
    )
    stage.wait_for_outcomes(names)
    books = simulator.requests
    assert books.overlap_count == 0, f"two requests at once for one customer: {books.overlaps[0]}"
    assert books.most_at_once > 1, "the customers waited for each other"
    for who in customers:
        told = [one for one in stage.outcomes.read() if one.event_id.startswith(f"{who}-")]
        assert [one.event_id for one in told] == [f"{who}-{number}" for number in range(each)]
        assert [one.name for one in told] == ["ENROLLED"] + ["ALREADY_ENROLLED"] * (each - 1)


def _message(who: int) -> Message:
    return Message(event(f"event-{who}", {"customerId": who}), b"%d" % who, partition=0)


def _times_asked(lab: Lab, simulator: RunningSimulator) -> int:
    return len(lab.loop.call(lambda: simulator.requests.of_customer(_SLOW)))


def _see_a_commit(stage: Stage) -> None:
    """Block until a commit was made after this call: that of a new event on the other partition."""
    before = stage.committed().get(1, 0)
    stage.feed.send(b"", b"other", partition=1)
    wait_until(
        lambda: stage.committed().get(1, 0) > before, "the other partition is committed", evidence=stage.tails
    )


async def _transactions(bootstrap_servers: str, names: TopicNames, who: list[int]) -> int:
    """Commit a transaction of two records, abort one, commit one; return the last record's offset."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, transactional_id=names.activity, acks="all"
    )
    await producer.start()
    try:
        for pair, end in zip(
            (who[:2], who[2:4], who[4:]),
            (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction),
            strict=True,
        ):
            await producer.begin_transaction()
            for each in pair:
                message = _message(each)
                sent = await producer.send_and_wait(
                    names.activity, message.value, key=message.key, partition=0
                )
            await end()
    finally:
        await producer.stop()
    return int(sent.offset)
