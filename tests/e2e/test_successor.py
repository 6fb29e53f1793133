"""A process and the one that follows it on the same STATE_DIR."""

import json
import signal

import pytest

from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.worker_process import WorkerProcess
from worker.demo.simulator import RunningSimulator

pytestmark = pytest.mark.timeout(120)


def _last_line(worker: WorkerProcess) -> str:
    return str(json.loads(worker.log().splitlines()[-1])["message"])


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
            assert _last_line(second) == (
                f"another process (pid {first.pid}) works with {folder}: give each worker an "
                "ENROLMENT_STATE_DIR of its own, or stop the other one first"
            )
            assert len(second.log().splitlines()) == 1
        first.send(signal.SIGCONT)
        first.wait_ready()
        assert first.stop() == 0
        first.start()
        first.wait_ready()
