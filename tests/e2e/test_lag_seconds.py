"""How old the first record is that is not done, and for how long it holds up others, as operators see it."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.logs import begin_transaction
from tests.support.waiting import wait_until
from worker.demo.simulator import FaultRule, RunningSimulator

pytestmark = pytest.mark.timeout(180)

_LAG: Final = "enrolment_consumer_lag"
_AGE: Final = "enrolment_consumer_lag_seconds"
_BLOCKED: Final = "enrolment_blocked_seconds"
_EVENT_AGE: Final = "enrolment_activity_age_seconds"
_HOUR: Final = 3600.0


@pytest.fixture
def stage(lab: Lab, api: RunningSimulator) -> Iterator[Stage]:
    """Give a stage with two partitions and an API that serves."""
    lab.loop.call(api.faults.replace)
    with lab.stage(api.api_url, partitions=2) as stage:
        yield stage


def test_age_grows_in_an_outage_also_of_what_is_not_read(
    lab: Lab, api: RunningSimulator, stage: Stage
) -> None:
    """With records on hand in one partition, and in the other one that came while nothing is read."""
    worker = _started(stage, OUTAGE_THRESHOLD="3", OUTAGE_PROBE_SECONDS="1", MAX_IN_FLIGHT="4")
    lab.loop.call(lambda: api.faults.replace(FaultRule(name="error_503")))
    names = _send(stage, range(20), partition=0, age=_HOUR)
    wait_until(
        lambda: worker.metric("enrolment_api_outage") == 1, "the outage is noticed", evidence=worker.tail
    )
    time.sleep(1.5)
    names += _send(stage, range(20, 25), partition=1, age=2 * _HOUR)
    wait_until(lambda: _of(stage, worker, _AGE, 1) >= 2 * _HOUR, "the time is read", evidence=worker.tail)
    assert _HOUR <= _of(stage, worker, _AGE, 0) < _HOUR + 100
    assert _of(stage, worker, _AGE, 1) < 2 * _HOUR + 100
    before = _of(stage, worker, _AGE, 1)
    time.sleep(2.0)
    assert _of(stage, worker, _AGE, 1) >= before + 1.9
    assert _of(stage, worker, _BLOCKED, 0) > 1
    assert _of(stage, worker, _BLOCKED, 1) > 1
    lab.loop.call(api.faults.replace)
    stage.wait_for_outcomes(names)
    wait_until(lambda: worker.metric(_LAG) == 0, "all is done", evidence=worker.tail)
    assert worker.metric(_AGE) == worker.metric(_BLOCKED) == 0


@pytest.mark.long
def test_a_retry_that_is_not_due_ages_and_blocks_nothing(
    lab: Lab, api: RunningSimulator, stage: Stage
) -> None:
    """It is a record that is not done; and it is where it should be."""
    worker = _started(stage, RETRY_MAX_ATTEMPTS="1", RETRY_DELAYS_SECONDS="600,600,600")
    lab.loop.call(lambda: api.faults.replace(FaultRule(name="error_500", customer_ids=frozenset({1}))))
    _send(stage, range(1), partition=0)
    retry = stage.names.retries[0]
    wait_until(lambda: worker.metric(_LAG, topic=retry) == 1, "an event waits", evidence=worker.tail)
    wait_until(lambda: worker.metric(_AGE, topic=retry) > 3, "its age grows", evidence=worker.tail)
    assert worker.metric(_AGE, topic=stage.names.activity) == 0
    assert worker.metric(_BLOCKED) == 0
    assert worker.metric(f"{_EVENT_AGE}_count") == 0, "its last outcome is to come"


def test_an_event_is_as_old_as_it_says_at_its_last_outcome(
    lab: Lab, api: RunningSimulator, stage: Stage
) -> None:
    """Once for each event, whatever it took: the time it says, else its record's."""
    worker = _started(stage, RETRY_MAX_ATTEMPTS="1", RETRY_DELAYS_SECONDS="1,1,1")
    broken = FaultRule(name="error_500", customer_ids=frozenset({31}))
    lab.loop.call(lambda: api.faults.replace(broken))
    old = datetime.now(UTC) - timedelta(seconds=2 * _HOUR)
    stage.feed.send(event("deferred", {"customerId": 31}, occurred_at=old), b"31", partition=0)
    wait_until(stage.retries[0].read, "it is put off", evidence=worker.tail)
    assert worker.metric(f"{_EVENT_AGE}_count") == 0
    lab.loop.call(api.faults.replace)
    stage.feed.send_all([Message(b"not an event", b"x", (), 1, round((time.time() - _HOUR) * 1000))])
    wait_until(
        lambda: worker.metric(f"{_EVENT_AGE}_count") == 2, "both are at their end", evidence=worker.tail
    )
    assert 3 * _HOUR <= worker.metric(f"{_EVENT_AGE}_sum") < 3 * _HOUR + 60
    assert worker.metric(f"{_EVENT_AGE}_bucket", le="3600.0") == 0
    assert worker.metric(f"{_EVENT_AGE}_bucket", le="14400.0") == 2


@pytest.mark.parametrize("seconds", [3, pytest.param(62, marks=pytest.mark.long)])
def test_what_lies_behind_an_open_transaction_waits(lab: Lab, stage: Stage, seconds: int) -> None:
    """Its own records have an age too, and hold up the partition; after a minute a line names the first."""
    worker = _started(stage)
    stage.wait_for_outcomes(_send(stage, range(40, 43), partition=0))
    values = [event(f"open-{who}", {"customerId": who}) for who in range(50, 53)]
    producer = lab.loop.run(begin_transaction(lab.bootstrap_servers, stage.names.activity, values))
    names = [f"open-{who}" for who in range(50, 53)] + _send(stage, range(60, 62), partition=0)
    try:
        wait_until(
            lambda: _of(stage, worker, _BLOCKED, 0) > seconds,
            "it stands still",
            seconds=90,
            evidence=worker.tail,
        )
        assert _of(stage, worker, _AGE, 0) > seconds - 1
        assert _of(stage, worker, _LAG, 0) == 5
    finally:
        lab.loop.run(producer.commit_transaction())
        lab.loop.run(producer.stop())
    stage.wait_for_outcomes(names)
    wait_until(lambda: worker.metric(_LAG) == 0, "all is done", evidence=worker.tail)
    assert worker.metric(_AGE) == worker.metric(_BLOCKED) == 0
    wait_until(lambda: stage.committed()[0] == 9, "the marker is passed", evidence=worker.tail)
    lines = [
        json.loads(line)
        for line in worker.log().splitlines()
        if "stands still" in line or "gets on again" in line
    ]
    if seconds < 60:
        assert lines == []
        return
    stands, gets_on = lines
    assert (stands["offset"], stands["partition"], stands["records"]) == (3, 0, 5)
    assert stands["waits_for"] == "a transaction that upstream has not ended"
    assert "gets on again" in gets_on["message"]


@pytest.mark.long
def test_what_another_replica_has_is_shown_by_that_alone(
    lab: Lab, api: RunningSimulator, stage: Stage
) -> None:
    """Ages and standstill go with the partitions, as the lag does."""
    lab.loop.call(lambda: api.faults.replace(FaultRule(name="error_503")))
    first = _started(stage, OUTAGE_THRESHOLD="3", OUTAGE_PROBE_SECONDS="1", MAX_IN_FLIGHT="4")
    for partition in (0, 1):
        _send(stage, range(70 + 5 * partition, 75 + 5 * partition), partition=partition, age=_HOUR)
    wait_until(
        lambda: _partitions(stage, first, _AGE) == {0, 1} and _of(stage, first, _BLOCKED, 1) > 2,
        "both wait",
        evidence=first.tail,
    )
    second = stage.worker(
        **CREDENTIALS,
        OUTAGE_THRESHOLD="3",
        OUTAGE_PROBE_SECONDS="1",
        MAX_IN_FLIGHT="4",
        STATE_DIR=f"{stage.settings['STATE_DIR']}-2",
    )
    second.wait_ready(60.0)

    def shown() -> list[list[set[int]]]:
        return [
            [_partitions(stage, each, name) for each in (first, second)] for name in (_LAG, _AGE, _BLOCKED)
        ]

    wait_until(
        lambda: all(sorted(map(len, each)) == [1, 1] for each in shown()),
        "each shows a partition of its own",
        evidence=stage.tails,
    )
    assert all(set.union(*each) == {0, 1} for each in shown())
    wait_until(
        lambda: all(each.metric(_AGE) > _HOUR for each in (first, second)),
        "both are old",
        evidence=stage.tails,
    )


def _started(stage: Stage, **settings: str) -> WorkerProcess:
    worker = stage.worker(**settings, **CREDENTIALS)
    worker.wait_ready()
    return worker


def _send(stage: Stage, numbers: range, partition: int, age: float = 0.0) -> list[str]:
    """Write an event of each of these customers, into records that are so many seconds old."""
    names = {who: f"{stage.names.activity}-{who}" for who in numbers}
    at = round((time.time() - age) * 1000)
    stage.feed.send_all(
        Message(event(name, {"customerId": who + 1}), b"%d" % who, (), partition, at)
        for who, name in names.items()
    )
    return list(names.values())


def _of(stage: Stage, worker: WorkerProcess, name: str, partition: int) -> float:
    return worker.metric(name, topic=stage.names.activity, partition=str(partition))


def _partitions(stage: Stage, worker: WorkerProcess, name: str) -> set[int]:
    """Return for which of the activity topic's partitions it shows a sample."""
    lines = worker.get("/metrics").body.splitlines()
    return {
        number
        for number in range(stage.partitions)
        if any(
            line.startswith(f"{name}{{")
            and f'topic="{stage.names.activity}"' in line
            and f'partition="{number}"' in line
            for line in lines
        )
    }
