"""A campaign: events of customers who come often and of many who come now and then, and the worker's part."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from worker.demo.simulator import Promotion, RunningSimulator

SEED: Final = 15
THIRD: Final = 3
FOR_ALL: Final = (Promotion(promotion_id=1), Promotion(promotion_id=2))
PROMOTIONS: Final = (*FOR_ALL, Promotion(promotion_id=3, one_in=THIRD))
OFF: Final[Mapping[str, str]] = {}
ON: Final[Mapping[str, str]] = {"LOOKUP_TRUST_SECONDS": "3600", "CATALOGUE_REFRESH_SECONDS": "60"}
_PAUSE_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Campaign:
    """So many events of so many customers."""

    events: int
    customers: int

    def customer_ids(self, seed: int = SEED) -> list[int]:
        """Return whose each event is, in order: the customer of rank k comes 1/k as often as the first."""
        chance = Random(seed)  # noqa: S311 - repeatable, and no secret
        ids = list(range(1, self.customers + 1))
        chance.shuffle(ids)
        return chance.choices(ids, [1 / rank for rank in range(1, len(ids) + 1)], k=self.events)

    def __str__(self) -> str:
        return f"{self.events:,} events of {self.customers:,} customers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the API was asked, and what became of the customers who came."""

    events: int
    seen: int
    requests: int
    lookups: int
    issues: int
    lists: int
    enrolments: int
    skipped: int
    """Customers and promotions that were owed and not made."""
    repeated: int
    """Enrolments that were made twice, or not owed."""

    @property
    def lookups_an_event(self) -> float:
        """Lookups for each event."""
        return self.lookups / self.events

    @property
    def is_right(self) -> bool:
        """Whether everybody is enrolled into what they had, once."""
        return self.skipped == self.repeated == 0


def start(stage: Stage, settings: Mapping[str, str]) -> WorkerProcess:
    """Start a worker with these settings, and wait until it has its partitions."""
    worker = stage.worker(RECONCILE_SETTLE_SECONDS="5", **settings, **CREDENTIALS)
    worker.wait_ready()
    return worker


def feed(stage: Stage, name: str, customer_ids: Iterable[int]) -> None:
    """Produce an event of each of these customers, called name-number, by their keys."""
    stage.feed.send_all(
        Message(event(f"{name}-{number}", {"customerId": who}), b"%d" % who)
        for number, who in enumerate(customer_ids)
    )


def wait_committed(stage: Stage, worker: WorkerProcess, events: int, seconds: float) -> None:
    """Block until the group is done with so many events in all; raises AssertionError if it is not."""
    deadline = time.monotonic() + seconds
    while (done := sum(stage.committed().values())) < events:
        assert worker.poll() is None, f"the worker ended with {worker.poll()}\n{worker.tail()}"
        assert time.monotonic() < deadline, f"{done} of {events} events in {seconds:g} s\n{worker.tail()}"
        time.sleep(_PAUSE_SECONDS)


def asked(lab: Lab, simulator: RunningSimulator) -> dict[str, int]:
    """Return how often each endpoint was asked, whatever it answered."""
    counts = lab.loop.call(lambda: dict(simulator.requests.counts))
    endpoints = {endpoint for endpoint, _ in counts}
    return {each: sum(n for (endpoint, _), n in counts.items() if endpoint == each) for each in endpoints}


def owed_to(customer_ids: Iterable[int], promotions: Sequence[Promotion]) -> set[tuple[int, int]]:
    """Return into which of these promotions, by id, each of these customers is to be enrolled."""
    return {(who, each.promotion_id) for who in customer_ids for each in promotions if each.is_for(who)}


def bill(
    lab: Lab, simulator: RunningSimulator, customer_ids: Sequence[int], owed: set[tuple[int, int]]
) -> Bill:
    """Return what the events of these customers have cost and led to, beside what was owed."""
    world = simulator.world
    applied = lab.loop.call(lambda: [(each.customer_id, each.promotion_id) for each in world.applied])
    requests = asked(lab, simulator)
    return Bill(
        events=len(customer_ids),
        seen=len(set(customer_ids)),
        requests=sum(requests.values()),
        lookups=requests.get("lookup", 0),
        issues=requests.get("issue", 0),
        lists=requests.get("list", 0),
        enrolments=len(applied),
        skipped=len(owed - set(applied)),
        repeated=len(applied) - len(owed & set(applied)),
    )
