"""An event that failed to the last, sent back by an operator: handled as the event that it was."""

from collections.abc import Iterator

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import outcome_id
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.redriving import redrive
from tests.support.waiting import wait_until
from worker.demo.simulator import Endpoint, FaultRule, RunningSimulator

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def failing(lab: Lab, world_api: RunningSimulator) -> Iterator[Desk]:
    """Give a worker that gives up soon."""
    with lab.stage(world_api.api_url, partitions=3) as stage:
        worker = stage.worker(RETRY_MAX_ATTEMPTS="1", RETRY_DELAYS_SECONDS="0.2,0.2,0.2", **CREDENTIALS)
        worker.wait_ready()
        yield Desk(stage, world_api, worker)


def test_a_redriven_event_is_settled_under_its_own_identity(failing: Desk) -> None:
    """What was enrolled stays so; what was rejected or failed is asked for again, under the same identity.

    The answer about the rejected one is lost this time: the old rejection does not tell what became of it.
    """
    customer = failing.customer()
    done, rejected, failed = (failing.promotion(customer) for _ in range(3))
    faults = [
        FaultRule(
            name="api_error", code=8874, endpoint=Endpoint.ISSUE, promotion_ids=_only(rejected.promotion_id)
        ),
        FaultRule(name="error_500", endpoint=Endpoint.ISSUE, promotion_ids=_only(failed.promotion_id)),
    ]
    failing.stage.lab.loop.call(lambda: failing.simulator.faults.replace(*faults))
    body = b'{"eventName": "transactionAdded", "customer": {"customerId": %d}}' % customer.customer_id
    sent = failing.stage.feed.send(body, b"key", (("upstream", b"\xff"),), 2)
    wait_until(
        lambda: failing.stage.dead_letters.of(sent),
        "the event is a dead letter",
        evidence=failing.stage.tails,
    )
    identity = str(sent.position)
    assert {(each.name, each.value["promotionId"]) for each in failing.stage.outcomes.of(identity)} >= {
        ("ENROLLED", done.promotion_id),
        ("REJECTED", rejected.promotion_id),
        ("DEAD_LETTERED", failed.promotion_id),
    }

    lost = FaultRule(
        name="reset_after_apply", endpoint=Endpoint.ISSUE, promotion_ids=_only(rejected.promotion_id), count=1
    )
    failing.stage.lab.loop.call(lambda: failing.simulator.faults.replace(lost))
    assert "1" in redrive(failing.stage.settings)
    wanted = {outcome_id(identity, one.promotion_id, "ENROLLED") for one in (rejected, failed)}
    wait_until(
        lambda: wanted <= {each.value["outcomeId"] for each in failing.stage.outcomes.read()},
        "both promotions are enrolled",
        evidence=failing.stage.tails,
    )
    world = failing.simulator.world
    applied = failing.stage.lab.loop.call(
        lambda: [one.promotion_id for one in world.applied if one.customer_id == customer.customer_id]
    )
    assert sorted(applied) == sorted([done.promotion_id, rejected.promotion_id, failed.promotion_id])
    redrive(failing.stage.settings)
    assert (
        failing.worker.metric("enrolment_activity_total", event_name="transactionAdded", result="handled")
        == 5
    )


def test_nothing_to_redrive(lab: Lab, world_api: RunningSimulator) -> None:
    """Without a dead letter the command must say so, and end well."""
    with lab.stage(world_api.api_url) as stage:
        stage.worker(**CREDENTIALS).wait_ready()
        assert "0" in redrive(stage.settings)


def _only(promotion_id: int) -> frozenset[int]:
    return frozenset({promotion_id})
