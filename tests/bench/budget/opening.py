"""A promotion goes live in the middle of a campaign: who of the known customers is enrolled at once."""

import time
from typing import Final

from tests.bench.budget.campaign import (
    ON,
    PROMOTIONS,
    Campaign,
    asked,
    bill,
    feed,
    owed_to,
    start,
    wait_committed,
)
from tests.bench.contest import PARTITIONS
from tests.bench.table import table
from tests.support.e2e.lab import Lab, Stage
from tests.support.waiting import wait_until
from worker.demo.simulator import Promotion, RunningSimulator, World

_CAMPAIGN: Final = Campaign(events=3_000, customers=500)
_NEW: Final = Promotion(promotion_id=4)
_REFRESH_SECONDS: Final = 2.0
_READINGS: Final = 2
"""The second one begins when the first one that began after the promotion is taken in."""
_PATIENCE_SECONDS: Final = 120.0
_SEED_BEFORE: Final = 1
_SEED_AFTER: Final = 2
_OUTSIDER: Final = 10**6
"""A customer whom the API does not know, and who is not measured."""
_HEADING: Final = (
    "customers seen after it",
    "enrolled at their first event",
    "share",
    "lookups after it",
    "list read after, s",
    "wrongly skipped",
)


def measure_opening(lab: Lab) -> bool:
    """Print which share is enrolled at their first event after the list is read; promised is all of them."""
    settings = {**ON, "CATALOGUE_REFRESH_SECONDS": f"{_REFRESH_SECONDS:g}"}
    before, after = _CAMPAIGN.customer_ids(_SEED_BEFORE), _CAMPAIGN.customer_ids(_SEED_AFTER)
    world = World.with_customers(_CAMPAIGN.customers, *PROMOTIONS)
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url, PARTITIONS) as stage:
        worker = start(stage, settings)
        feed(stage, "before", before)
        wait_committed(stage, worker, len(before), _PATIENCE_SECONDS)
        began, asked_before = time.monotonic(), asked(lab, simulator)
        lab.loop.call(lambda: world.put_promotion(_NEW))
        told = _tell_until_read(lab, stage, simulator, asked_before["list"] + _READINGS)
        read_after = time.monotonic() - began
        feed(stage, "after", after)
        wait_committed(stage, worker, len(before) + told + len(after), _PATIENCE_SECONDS)
        at_once = _enrolled_at_their_first(stage, after)
        lookups = asked(lab, simulator)["lookup"] - asked_before["lookup"]
        # Who came before it alone has no event that could enrol them into it.
        owed = owed_to(before, PROMOTIONS) | owed_to(after, (*PROMOTIONS, _NEW))
        result = bill(lab, simulator, [*before, *after], owed)
    seen = len(set(after))
    print(f"\nA promotion goes live in the middle, CATALOGUE_REFRESH_SECONDS={_REFRESH_SECONDS:g}: ", end="")
    print(f"{_CAMPAIGN} before it, as many after it. Promised: 100 %\n")
    row = (
        f"{seen:,}",
        f"{at_once:,}",
        f"{at_once / seen:.1%}",
        f"{lookups:,}",
        f"{read_after:.1f}",
        f"{result.skipped:,}",
    )
    print(table(_HEADING, [row]), flush=True)
    return at_once == seen and result.is_right


def _tell_until_read(lab: Lab, stage: Stage, simulator: RunningSimulator, readings: int) -> int:
    """Feed the outsider's events until the list is read, which it is while events come; return how many."""
    told = 0

    def is_read() -> bool:
        nonlocal told
        feed(stage, f"asks-{told}", [_OUTSIDER])
        told += 1
        return asked(lab, simulator)["list"] >= readings

    wait_until(is_read, "the list is read again", seconds=_PATIENCE_SECONDS, evidence=stage.tails)
    return told


def _enrolled_at_their_first(stage: Stage, customer_ids: list[int]) -> int:
    """Count the customers whose first event enrolled them into the new promotion."""
    firsts = {f"after-{customer_ids.index(who)}" for who in set(customer_ids)}
    enrolled = {
        outcome.event_id
        for outcome in stage.outcomes.read()
        if outcome.name == "ENROLLED" and outcome.value["promotionId"] == _NEW.promotion_id
    }
    return len(firsts & enrolled)
