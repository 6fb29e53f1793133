"""A worker is killed and begins on another machine: who of the known customers is looked up again."""

from typing import Final

from tests.bench.budget.campaign import ON, PROMOTIONS, Campaign, bill, feed, owed_to, start, wait_committed
from tests.bench.contest import PARTITIONS
from tests.bench.table import table
from tests.support.e2e.lab import Lab, Stage
from worker.demo.simulator import Endpoint, World

_CAMPAIGN: Final = Campaign(events=10_000, customers=1_000)
_PATIENCE_SECONDS: Final = 240.0
_PROMISED: Final = 0.02
_HEADING: Final = (
    "events done at the kill",
    "customers known by then",
    "events after it",
    "of them of known ones",
    "looked up again",
    "share",
    "wrongly skipped",
)


def measure_killed(lab: Lab) -> bool:
    """Print which share of the known ones is looked up again; return whether it is as small as promised."""
    customer_ids = _CAMPAIGN.customer_ids()
    world = World.with_customers(_CAMPAIGN.customers, *PROMOTIONS)
    with (
        lab.simulator(world, request_log_size=10**6) as simulator,
        lab.stage(simulator.api_url, PARTITIONS) as stage,
    ):
        worker = start(stage, ON)
        feed(stage, "event", customer_ids)
        wait_committed(stage, worker, len(customer_ids) // 3, _PATIENCE_SECONDS)
        worker.kill()
        done = _done(stage)
        known = {customer_ids[number] for number in done}
        before = lab.loop.call(lambda: simulator.requests.total)
        worker.start(STATE_DIR=f"{worker.settings['STATE_DIR']}-elsewhere")
        worker.wait_ready()
        wait_committed(stage, worker, len(customer_ids), _PATIENCE_SECONDS)
        again = lab.loop.call(
            lambda: [
                each.customer_id
                for each in simulator.requests.log
                if each.endpoint is Endpoint.LOOKUP and each.number > before and each.customer_id in known
            ]
        )
        result = bill(lab, simulator, customer_ids, owed_to(customer_ids, PROMOTIONS))
    after = [number for number in range(len(customer_ids)) if number not in done]
    of_known = sum(customer_ids[number] in known for number in after)
    share = len(again) / len(known)
    print(f"\nkill -9, and an empty STATE_DIR: {_CAMPAIGN}. Promised: below {_PROMISED:.0%}\n")
    row = (
        *(f"{count:,}" for count in (len(done), len(known), len(after), of_known, len(again))),
        f"{share:.1%}",
        f"{result.skipped:,}",
    )
    print(table(_HEADING, [row]), flush=True)
    return share < _PROMISED and result.is_right


def _done(stage: Stage) -> set[int]:
    """Return the numbers of the events that have an outcome."""
    return {int(outcome.event_id.removeprefix("event-")) for outcome in stage.outcomes.read()}
