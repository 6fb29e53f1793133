"""A process and the one that follows it on the same STATE_DIR."""

import json
import shutil
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.e2e.crashing import crashing_worker
from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.frozen import frozen_before_its_request
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.simulator import RunningSimulator
from worker.enrolment.checkpoints import Checkpoint

pytestmark = pytest.mark.timeout(120)

_SESSION_SECONDS = 45
"""The default; a start on a busy machine takes a third of it."""
_SIGNED_OFF = "signed off the process that was here before: the group does not wait for it"


def _lines(worker: WorkerProcess) -> list[str]:
    return [str(json.loads(line)["message"]) for line in worker.log().splitlines()]


def _assignments(worker: WorkerProcess) -> list[tuple[datetime, list[int]]]:
    """Return when it was assigned which partitions, of every start."""
    lines = [json.loads(line) for line in worker.log().splitlines()]
    return [
        (datetime.fromisoformat(line["time"]), line["partitions"])
        for line in lines
        if line["message"] == "partitions assigned"
    ]


def _holds(worker: WorkerProcess, partitions: int) -> Callable[[], bool]:
    return lambda: bool(_assignments(worker)) and len(_assignments(worker)[-1][1]) == partitions


def _note(stage: Stage, folder: str) -> Path:
    return Path(folder) / f"{stage.names.group_id}+members"


def test_a_second_process_ends_before_it_asks_for_anything(lab: Lab, world_api: RunningSimulator) -> None:
    """Whatever its group, with one line; also while the first is frozen. Then the first works on."""
    with lab.stage(world_api.api_url) as stage:
        first = stage.worker(**CREDENTIALS)
        first.wait_ready()
        folder = stage.settings["STATE_DIR"]
        for number in (None, signal.SIGSTOP):
            if number is not None:
                first.send(number)
            # Neither its port nor Kafka is asked for.
            second = stage.worker(
                **CREDENTIALS,
                GROUP_ID=f"{stage.names.group_id}-other",
                KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9",
                HTTP_PORT=first.settings["HTTP_PORT"],
            )
            assert second.wait(20) == 1
            assert "\n".join(_lines(second)) == (
                f"another process (pid {first.pid}) works with {folder}: give each worker an "
                "ENROLMENT_STATE_DIR of its own, or stop the other one first"
            )
        first.send(signal.SIGCONT)
        first.wait_ready()
        assert first.stop() == 0
        assert not _note(stage, folder).exists(), "it left the group, and nobody has to be signed off"
        first.start()
        first.wait_ready()
        assert _SIGNED_OFF not in _lines(first)


def test_the_successor_of_a_killed_process_takes_its_place_at_once(
    lab: Lab, world_api: RunningSimulator
) -> None:
    """In one rebalance, in which the other member keeps what it has."""
    with lab.stage(world_api.api_url, partitions=4) as stage:
        settings = CREDENTIALS | {"KAFKA_SESSION_TIMEOUT_SECONDS": str(_SESSION_SECONDS)}
        folder = str(lab.household.folder / unique("state"))
        killed = stage.worker(**settings, STATE_DIR=folder)
        killed.wait_ready()
        other = stage.worker(**settings)
        wait_until(
            lambda: _holds(killed, 2)() and _holds(other, 2)(),
            "each has half",
            seconds=60,
            evidence=stage.tails,
        )
        before, rebalances = _assignments(killed)[-1], len(_assignments(other))
        for _ in range(2):
            killed.kill()
            at = datetime.now(UTC)
            killed.start()
            killed.wait_ready()
            assert (_assignments(killed)[-1][0] - at).total_seconds() < _SESSION_SECONDS * 2 / 3
        assert _lines(killed).count(_SIGNED_OFF) == 2
        assert _assignments(killed)[-1][1] == before[1]
        assert {tuple(partitions) for _, partitions in _assignments(other)[rebalances - 1 :]} == {
            tuple({0, 1, 2, 3} - set(before[1]))
        }
        assert len(_assignments(other)) == rebalances + 2
        for number in range(20):
            stage.feed.send(event(f"{stage.names.group_id}-{number}", {"customerId": 1}), b"%d" % number)
        stage.wait_for_outcomes(f"{stage.names.group_id}-{number}" for number in range(20))


@pytest.mark.long
def test_without_its_folder_a_killed_process_is_waited_for(lab: Lab, world_api: RunningSimulator) -> None:
    """As long as its session time-out says."""
    with lab.stage(world_api.api_url) as stage:
        worker = stage.worker(**CREDENTIALS, KAFKA_SESSION_TIMEOUT_SECONDS="20")
        worker.wait_ready()
        worker.kill()
        at = datetime.now(UTC)
        worker.start(STATE_DIR=str(lab.household.folder / unique("state")))
        worker.wait_ready(60)
        # The last heartbeat was at most four seconds old.
        assert (_assignments(worker)[-1][0] - at).total_seconds() > 15
        assert _SIGNED_OFF not in _lines(worker)


@pytest.mark.long
def test_a_frozen_process_is_not_signed_off_by_a_copy_of_its_folder(
    lab: Lab, world_api: RunningSimulator
) -> None:
    """Frozen before its request: whoever has the copy waits as ever, and nobody is enrolled twice."""
    settings = CREDENTIALS | {"KAFKA_SESSION_TIMEOUT_SECONDS": "20", "API_TIMEOUT_SECONDS": "2"}
    with (
        lab.stage(world_api.api_url) as stage,
        frozen_before_its_request(stage, world_api, settings) as frozen,
    ):
        at = datetime.now(UTC)
        copy = lab.household.folder / unique("state")
        shutil.copytree(stage.settings["STATE_DIR"], copy)
        assert _note(stage, str(copy)).exists()
        successor = stage.worker(**settings, STATE_DIR=str(copy))
        assert frozen.desk.wait_for(frozen.event_id).name == "ENROLLED"
        assert (_assignments(successor)[-1][0] - at).total_seconds() > 15
        assert _SIGNED_OFF not in _lines(successor)
        assert any("may live elsewhere" in line for line in _lines(successor))
        frozen.thaw()
        assert frozen.applied() == [frozen.key]


@pytest.mark.long
@pytest.mark.long
def test_a_killed_replay_begins_again_at_once(lab: Lab, world_api: RunningSimulator) -> None:
    """It counts for no member of the group that must be stopped first."""
    settings = CREDENTIALS | {"KAFKA_SESSION_TIMEOUT_SECONDS": str(_SESSION_SECONDS)}
    since = datetime.now(UTC)
    with lab.stage(world_api.api_url) as stage, crashing_worker(stage, **settings) as worker:
        desk = Desk(stage, world_api, worker)
        customer = desk.customer()
        desk.promotion(customer)
        told = desk.tell(event(unique("event"), {"customerId": customer.customer_id}, orgId=100))
        assert told.only.name == "ENROLLED"
        assert worker.stop() == 0
        until = datetime.now(UTC)
        worker.die_at(Checkpoint.TOLD)
        worker.replay(since, until)
        worker.wait_killed()
        at = datetime.now(UTC)
        worker.replay(since, until)
        assert worker.wait(60) == 0, worker.tail()
        assert (datetime.now(UTC) - at).total_seconds() < _SESSION_SECONDS * 2 / 3
