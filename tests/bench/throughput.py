"""How fast one partition is at 256 in flight, against one event at a time; and whether order holds."""

import time
from typing import Final

from tests.bench.memory import peak_mib
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from worker.demo.simulator import Promotion, World

_EVENTS: Final = 10_000
_ONE_BY_ONE: Final = 60
_CUSTOMERS: Final = 2_000
_LATENCY: Final = "100ms"
_TIMES_FASTER: Final = 20


def measure_throughput(lab: Lab) -> bool:
    """Print events a second, their ratio and the peak of memory; return whether the promise holds."""
    single, _, _ = _run(lab, _ONE_BY_ONE, in_flight=1)
    many, overlaps, peak = _run(lab, _EVENTS, in_flight=256)
    print(f"one at a time: {single:.2f} events/s ({_ONE_BY_ONE} events)")
    print(
        f"256 in flight: {many:.0f} events/s ({_EVENTS} events), peak RSS {peak:.0f} MiB, {overlaps} overlaps"
    )
    print(f"ratio: {many / single:.1f} (promised: {_TIMES_FASTER})")
    return many >= _TIMES_FASTER * single and overlaps == 0


def _run(lab: Lab, events: int, in_flight: int) -> tuple[float, int, float]:
    world = World.with_customers(_CUSTOMERS, Promotion(promotion_id=1, limit_per_customer=None))
    with lab.simulator(world, latency=_LATENCY) as simulator, lab.stage(simulator.api_url) as stage:
        worker = stage.worker(
            REENROL="every-event", RECONCILE_SETTLE_SECONDS="0", MAX_IN_FLIGHT=str(in_flight), **CREDENTIALS
        )
        worker.wait_ready()
        names = [f"event-{number}" for number in range(events)]
        customers = [number % _CUSTOMERS + 1 for number in range(events)]
        messages = [
            Message(event(name, {"customerId": who}), b"%d" % who)
            for name, who in zip(names, customers, strict=True)
        ]
        started = time.monotonic()
        stage.feed.send_all(messages)
        _wait_until_committed(stage, events)
        took = time.monotonic() - started
        stage.wait_for_outcomes(names)
        return events / took, simulator.requests.overlap_count, peak_mib(worker.pid)


def _wait_until_committed(stage: Stage, events: int) -> None:
    while stage.committed().get(0) != events:
        time.sleep(0.25)
