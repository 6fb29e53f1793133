"""How many requests a campaign takes with known customers and without; and whether anybody is missed."""

from collections.abc import Mapping
from typing import Final

from tests.bench.budget.campaign import (
    OFF,
    ON,
    PROMOTIONS,
    Bill,
    Campaign,
    bill,
    feed,
    owed_to,
    start,
    wait_committed,
)
from tests.bench.contest import PARTITIONS
from tests.bench.table import table
from tests.support.e2e.lab import Lab
from worker.demo.simulator import World

_CAMPAIGN: Final = Campaign(events=20_000, customers=2_000)
_PATIENCE_SECONDS: Final = 600.0
_PROMISED: Final = 0.12
_HEADING: Final = (
    "`LOOKUP_TRUST_SECONDS`",
    "requests",
    "an event",
    "lookups",
    "an event",
    "lists",
    "enrolments",
    "wrongly skipped",
)


def measure_requests(lab: Lab) -> bool:
    """Print what both cost; return whether lookups are as few as promised, and enrolments the same."""
    bills = {"off": _run(lab, OFF), ON["LOOKUP_TRUST_SECONDS"]: _run(lab, ON)}
    without, with_it = bills.values()
    print(f"\nRequests: {_CAMPAIGN}, {without.seen:,} of whom come; {len(PROMOTIONS)} promotions, ", end="")
    print(f"one for a third of them. Promised: {_PROMISED} lookups an event, none skipped\n")
    print(table(_HEADING, [_row(name, each) for name, each in bills.items()]), flush=True)
    return (
        with_it.lookups_an_event <= _PROMISED
        and without.is_right
        and with_it.is_right
        and with_it.enrolments == without.enrolments
    )


def _run(lab: Lab, settings: Mapping[str, str]) -> Bill:
    world = World.with_customers(_CAMPAIGN.customers, *PROMOTIONS)
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url, PARTITIONS) as stage:
        worker = start(stage, settings)
        customer_ids = _CAMPAIGN.customer_ids()
        feed(stage, "event", customer_ids)
        wait_committed(stage, worker, len(customer_ids), _PATIENCE_SECONDS)
        return bill(lab, simulator, customer_ids, owed_to(customer_ids, PROMOTIONS))


def _row(name: str, each: Bill) -> tuple[str, ...]:
    return (
        name,
        f"{each.requests:,}",
        f"{each.requests / each.events:.2f}",
        f"{each.lookups:,}",
        f"{each.lookups_an_event:.3f}",
        f"{each.lists:,}",
        f"{each.enrolments:,}",
        f"{each.skipped:,}",
    )
