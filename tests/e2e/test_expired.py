"""Records that are deleted before they were read, whatever their partition is at: counted and told once."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.logs import begin_transaction, delete_records
from tests.support.waiting import wait_until
from worker.demo.simulator import FaultRule, RunningSimulator

pytestmark = pytest.mark.timeout(120)

_LAG: Final = "enrolment_consumer_lag"
_EXPIRED: Final = "enrolment_records_expired_total"


@pytest.fixture
def stage(lab: Lab, api: RunningSimulator) -> Iterator[Stage]:
    """Give a stage with one partition and an API that serves."""
    lab.loop.call(api.faults.replace)
    with lab.stage(api.api_url) as stage:
        yield stage


@pytest.mark.long
@pytest.mark.parametrize("behind", [0, 1])
def test_a_retry_that_is_deleted_while_it_waits(
    lab: Lab, api: RunningSimulator, stage: Stage, behind: int
) -> None:
    """Each is handled, if it was fetched before, or counted as lost; then nothing is looked for any more."""
    worker = _started(stage, RETRY_MAX_ATTEMPTS="1", RETRY_DELAYS_SECONDS="6,600,600")
    broken = FaultRule(name="error_500", customer_ids=frozenset({1, 2}))
    lab.loop.call(lambda: api.faults.replace(broken))
    retry, names = stage.names.retries[0], _send(stage, range(1 + behind))
    _send(stage, range(20, 25))
    wait_until(
        lambda: worker.metric(_LAG, topic=retry) == 1 + behind,
        "they wait to be retried",
        evidence=worker.tail,
    )
    lab.loop.call(api.faults.replace)
    lab.loop.run(delete_records(lab.bootstrap_servers, retry, 1))
    wait_until(
        lambda: lab.committed(stage.names.group_id, retry) == {0: 1 + behind},
        "the place that it had is passed",
        evidence=worker.tail,
    )
    wait_until(lambda: worker.metric(_LAG) == 0, "nothing waits", evidence=worker.tail)
    final = {one.event_id for one in stage.outcomes.read() if one.value["outcome"] != "DEFERRED"}
    lost = worker.metric(_EXPIRED, topic=retry)
    assert len(final & set(names)) + lost == 1 + behind
    lines = _told(worker, "records were deleted before they were read")
    assert [(line["topic"], line["records"], line["level"]) for line in lines] == [
        (retry, lost, "error")
    ] * len(lines)
    assert len(lines) == lost
    # Longer than three looks, which find that nothing comes.
    time.sleep(5.0)
    assert len(_told(worker, "records that we went back to did not come")) <= 1


def test_records_deleted_under_a_running_worker_that_cannot_read_them(lab: Lab, stage: Stage) -> None:
    """They lie behind a transaction that is open: what is left behind them is handled."""
    worker = _started(stage)
    stage.wait_for_outcomes(_send(stage, range(2)))
    upstream = lab.loop.run(
        begin_transaction(lab.bootstrap_servers, stage.names.activity, [_value(stage, 40)])
    )
    names = _send(stage, range(10, 16))
    wait_until(lambda: worker.metric(_LAG) == 7, "they wait", evidence=worker.tail)
    lab.loop.run(delete_records(lab.bootstrap_servers, stage.names.activity, 6))
    wait_until(
        lambda: worker.metric(_EXPIRED, topic=stage.names.activity) == 4, "counted", evidence=worker.tail
    )
    wait_until(lambda: worker.metric(_LAG) == 3, "what is gone is no lag", evidence=worker.tail)
    lab.loop.run(upstream.commit_transaction())
    lab.loop.run(upstream.stop())
    stage.wait_for_outcomes(names[3:])
    wait_until(lambda: stage.committed() == {0: 10}, "the marker is passed", evidence=worker.tail)
    (line,) = _told(worker, "records were deleted before they were read")
    assert (line["records"], line["first_offset"], line["begins_at"]) == (4, 2, 6)
    assert worker.metric(_EXPIRED) == 4


@pytest.mark.long
def test_a_restart_with_a_committed_offset_below_the_beginning(lab: Lab, stage: Stage) -> None:
    """All that is left is gone, too: the offset is moved, so that tools show no lag; it is counted once."""
    worker = _started(stage)
    stage.wait_for_outcomes(_send(stage, range(2)))
    wait_until(lambda: stage.committed() == {0: 2}, "all is committed", evidence=worker.tail)
    assert worker.stop() == 0
    _send(stage, range(2, 8))
    lab.loop.run(delete_records(lab.bootstrap_servers, stage.names.activity, 8))
    worker.start()
    worker.wait_ready(60.0)
    wait_until(lambda: worker.metric(_EXPIRED) == 6, "counted", evidence=worker.tail)
    assert stage.committed() == {0: 8}
    assert worker.metric(_LAG) == 0
    assert worker.stop() == 0
    worker.start()
    worker.wait_ready(60.0)
    assert worker.metric(_EXPIRED) == 0
    assert len(_told(worker, "records were deleted before they were read")) == 1


def _started(stage: Stage, **settings: str) -> WorkerProcess:
    worker = stage.worker(**settings, **CREDENTIALS)
    worker.wait_ready(60.0)
    return worker


def _value(stage: Stage, who: int) -> bytes:
    return event(f"{stage.names.activity}-{who}", {"customerId": who + 1})


def _send(stage: Stage, numbers: range) -> list[str]:
    for who in numbers:
        stage.feed.send(_value(stage, who), b"%d" % who)
    return [f"{stage.names.activity}-{who}" for who in numbers]


def _told(worker: WorkerProcess, message: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in worker.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"].startswith(message)]
