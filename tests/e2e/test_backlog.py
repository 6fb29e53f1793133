"""Under a budget old events give way: the customer at the till does not wait for a replay."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.waiting import wait_until
from worker.demo.simulator import Promotion, World

_AN_HOUR: Final = timedelta(hours=1)
_BUDGET: Final = "600"
_OLD: Final = 400
_LIVE: Final = range(10_001, 10_041)
_MORE_THAN_HAS_ROOM: Final = 4_400
_OFFER: Final = Promotion(promotion_id=1, customer_ids=frozenset(_LIVE))
"""For the live ones only: an old event costs one request, a live one two."""


def test_live_events_do_not_wait_for_old_ones(lab: Lab) -> None:
    """Also behind them in their partition; the old ones go on meanwhile, and all are done in the end."""
    world = World.with_customers(_LIVE[-1], _OFFER)
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url, partitions=2) as stage:
        stage.worker(API_REQUESTS_PER_MINUTE=_BUDGET, MAX_IN_FLIGHT="16", **CREDENTIALS).wait_ready()
        old = _send(stage, range(1, _OLD + 1), age=_AN_HOUR, partitions=(0, 1))
        wait_until(stage.outcomes.read, "the old ones are begun", evidence=stage.tails)
        live = _send(stage, _LIVE, partitions=(0, 1))

        stage.wait_for_outcomes(live, seconds=20)
        done = {outcome.event_id for outcome in stage.outcomes.read()}
        assert len(done & {*old}) < _OLD / 2, "the old ones were not behind"
        asked = lab.loop.call(lambda: [record.customer_id for record in simulator.requests.log])
        of_live = [place for place, customer in enumerate(asked) if customer in _LIVE]
        assert len(of_live) == 2 * len(live)
        meanwhile = of_live[-1] - of_live[0] + 1 - len(of_live)
        assert len(of_live) // 10 <= meanwhile <= len(of_live) // 2

        stage.wait_for_outcomes(old, seconds=60)
        names = [outcome.name for outcome in stage.outcomes.read()]
        assert sorted(names) == ["ENROLLED"] * len(live) + ["NO_PROMOTION_AVAILABLE"] * _OLD


def test_more_old_events_than_have_room(lab: Lab) -> None:
    """Their partition waits, and another one is read on."""
    world = World.with_customers(_LIVE[-1], _OFFER)
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url, partitions=2) as stage:
        worker = stage.worker(API_REQUESTS_PER_MINUTE=_BUDGET, **CREDENTIALS)
        worker.wait_ready()
        _send(stage, range(1, _MORE_THAN_HAS_ROOM + 1), age=_AN_HOUR, partitions=(0,))
        wait_until(stage.outcomes.read, "the old ones are begun", evidence=stage.tails)
        for customers in (_LIVE[:10], _LIVE[10:20], _LIVE[20:]):
            stage.wait_for_outcomes(_send(stage, customers, partitions=(1,)), seconds=20)
        assert "warning" not in worker.log()


def _send(
    stage: Stage, customers: Sequence[int], *, age: timedelta = timedelta(0), partitions: Sequence[int]
) -> list[str]:
    """Send an event of that age for each customer, in turn to these partitions; return their ids."""
    happened = datetime.now(UTC) - age
    events = {
        f"event of {who}": event(f"event of {who}", {"customerId": who}, occurred_at=happened)
        for who in customers
    }
    stage.feed.send_all(
        Message(value, name.encode(), partition=partitions[number % len(partitions)])
        for number, (name, value) in enumerate(events.items())
    )
    return [*events]
