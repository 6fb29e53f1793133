"""How long a campaign takes under a budget of requests, with known customers and without."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
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

_A_MINUTE: Final = 1_000
_SMALL: Final = Campaign(events=4_000, customers=400)
_FULL: Final = Campaign(events=20_000, customers=2_000)
_PROMISED_TIMES: Final = 5.0
_PATIENCE_SECONDS: Final = 3600.0
_HEADING: Final = (
    "`LOOKUP_TRUST_SECONDS`",
    "minutes",
    "the first half",
    "the second half",
    "requests",
    "budget allows, minutes",
    "wrongly skipped",
)


@dataclass(frozen=True, slots=True)
class _Run:
    half: float
    minutes: float
    bill: Bill

    @property
    def allowed(self) -> float:
        """The minutes that the budget alone allows its requests."""
        return self.bill.requests / _A_MINUTE


def measure_minutes(lab: Lab) -> bool:
    """Print how long a campaign takes, a fifth of the full one unless BENCH_FULL=1; judge the ratio."""
    return _measure(lab, _FULL if os.environ.get("BENCH_FULL") == "1" else _SMALL)


def measure_minutes_in_full(lab: Lab) -> bool:
    """Print how long the full campaign takes; judge the ratio."""
    return _measure(lab, _FULL)


def _measure(lab: Lab, campaign: Campaign) -> bool:
    runs = {"off": _run(lab, campaign, OFF), ON["LOOKUP_TRUST_SECONDS"]: _run(lab, campaign, ON)}
    without, with_it = runs.values()
    size = "the full size" if campaign == _FULL else f"1/{_FULL.events // campaign.events} of the full size"
    print(f"\nMinutes with API_REQUESTS_PER_MINUTE={_A_MINUTE}: {campaign} ({size})\n")
    print(table(_HEADING, [_row(name, each) for name, each in runs.items()]))
    times = without.minutes / with_it.minutes
    later = (without.minutes - without.half) / (with_it.minutes - with_it.half)
    print(f"\n{times:.1f} times as quick (promised: {_PROMISED_TIMES:g}), {later:.1f} in the second half.")
    most = without.bill.requests / (with_it.bill.issues + with_it.bill.seen)
    print(f"A lookup for each customer and the enrolments allow {most:.1f} times.", flush=True)
    return times >= _PROMISED_TIMES and without.bill.is_right and with_it.bill.is_right


def _run(lab: Lab, campaign: Campaign, settings: Mapping[str, str]) -> _Run:
    world = World.with_customers(campaign.customers, *PROMOTIONS)
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url, PARTITIONS) as stage:
        worker = start(stage, {**settings, "API_REQUESTS_PER_MINUTE": str(_A_MINUTE)})
        customer_ids = campaign.customer_ids()
        began = time.monotonic()
        feed(stage, "event", customer_ids)
        wait_committed(stage, worker, campaign.events // 2, _PATIENCE_SECONDS)
        half = time.monotonic() - began
        wait_committed(stage, worker, campaign.events, _PATIENCE_SECONDS)
        took = time.monotonic() - began
        return _Run(
            half / 60, took / 60, bill(lab, simulator, customer_ids, owed_to(customer_ids, PROMOTIONS))
        )


def _row(name: str, run: _Run) -> tuple[str, ...]:
    return (
        name,
        f"{run.minutes:.1f}",
        f"{run.half:.1f}",
        f"{run.minutes - run.half:.1f}",
        f"{run.bill.requests:,}",
        f"{run.allowed:.1f}",
        f"{run.bill.skipped:,}",
    )
