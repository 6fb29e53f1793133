"""How many requests the catalogue saves where half of the load comes while nothing can be enrolled into."""

import time
from dataclasses import dataclass
from typing import Final

from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from worker.demo.simulator import OfferType, Promotion, World

_EVENTS: Final = 2_000
_CUSTOMERS: Final = 100
_REFRESH: Final = 2.0
_CLOSED: Final = (
    Promotion(promotion_id=1, offer_type=OfferType.GENERIC),
    Promotion(promotion_id=2, program_id=999),
)
_OPEN: Final = Promotion(promotion_id=3)
_PROMISED: Final = 0.55


@dataclass(frozen=True, slots=True)
class _Requests:
    lookups: float
    issues: float
    lists: float

    @property
    def all(self) -> float:
        return self.lookups + self.issues + self.lists


def measure_catalogue(lab: Lab) -> bool:
    """Print the requests without and with it; return whether it halves them, and none is missed."""
    without, with_it = _run(lab, 0.0), _run(lab, _REFRESH)
    for name, requests in (("without", without), ("with", with_it)):
        print(
            f"{name} catalogue: {requests.all:.0f} requests for {_EVENTS} events "
            f"({requests.lookups:.0f} lookups, {requests.issues:.0f} enrolments, {requests.lists:.0f} lists)"
        )
    share = with_it.all / without.all
    print(f"share: {share:.2f} (promised: {_PROMISED})")
    return share <= _PROMISED and with_it.issues == without.issues == _CUSTOMERS


def _run(lab: Lab, refresh_seconds: float) -> _Requests:
    """Feed half of the events, open a promotion, and feed the other half."""
    world = World.with_customers(_CUSTOMERS, *_CLOSED)
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        worker = stage.worker(
            CATALOGUE_REFRESH_SECONDS=str(refresh_seconds), PROGRAM_IDS=str(_OPEN.program_id), **CREDENTIALS
        )
        worker.wait_ready()
        _feed(stage, "first", 1)
        time.sleep(_REFRESH / 2)
        _feed(stage, "closed", _EVENTS // 2 - 1)
        lab.loop.call(lambda: world.put_promotion(_OPEN))
        time.sleep(_REFRESH)
        _feed(stage, "open", _EVENTS // 2)
        requests = _Requests(*(_requests(worker, name) for name in ("lookup", "issue", "catalogue")))
        assert worker.stop() == 0, worker.tail()
        return requests


def _feed(stage: Stage, name: str, events: int) -> None:
    names = [f"{name}-{number}" for number in range(events)]
    customers = [number % _CUSTOMERS + 1 for number in range(events)]
    stage.feed.send_all(
        Message(event(name, {"customerId": who}), b"%d" % who)
        for name, who in zip(names, customers, strict=True)
    )
    stage.wait_for_outcomes(names, seconds=120)


def _requests(worker: WorkerProcess, endpoint: str) -> float:
    return worker.metric("enrolment_api_requests_total", endpoint=endpoint)
