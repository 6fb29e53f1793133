"""A group without committed offsets that starts at the end of its topic."""

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.waiting import wait_until
from worker.demo.simulator import Endpoint, FaultRule, RunningSimulator

pytestmark = pytest.mark.timeout(90)


def test_latest_skips_what_was_there_and_loses_no_retry(lab: Lab, world_api: RunningSimulator) -> None:
    """Earlier events have no outcome; a deferred one, with nothing committed of its topic, comes again."""
    with lab.stage(world_api.api_url) as stage:
        worker = stage.worker(
            AUTO_OFFSET_RESET="latest",
            RETRY_MAX_ATTEMPTS="1",
            RETRY_DELAYS_SECONDS="4,60,60",
            **CREDENTIALS,
        )
        desk = Desk(stage, world_api, worker)
        customer = desk.customer()
        body = {"customerId": customer.customer_id}
        worker.kill()
        worker.wait(10.0)
        stage.feed.send(event("before", body), b"key")
        worker.start()
        worker.wait_ready()
        failing = FaultRule(
            name="error_500",
            endpoint=Endpoint.LOOKUP,
            customer_ids=frozenset({customer.customer_id}),
            count=2,
        )
        lab.loop.call(lambda: world_api.faults.add(failing))
        stage.feed.send(event("after", body), b"key")
        wait_until(lambda: stage.outcomes.of("after"), "the event is deferred", evidence=stage.tails)
        worker.kill()
        worker.wait(10.0)
        lab.loop.call(world_api.faults.replace)
        worker.start()

        wait_until(
            lambda: len(stage.outcomes.of("after")) > 1, "it comes again", evidence=stage.tails, seconds=40
        )
        assert {outcome.name for outcome in stage.outcomes.of("after")} == {
            "DEFERRED",
            "NO_PROMOTION_AVAILABLE",
        }
        assert stage.outcomes.of("before") == []
