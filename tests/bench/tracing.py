"""What tracing costs: throughput with a tenth of the traces sent and without, turn by turn in one run."""

import time
from dataclasses import dataclass
from statistics import median
from typing import Final

from tests.bench.memory import cpu_seconds
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.otlp import Protocol, collecting
from tests.support.e2e.worker_process import WorkerProcess
from worker.demo.simulator import Promotion, World

_ROUNDS: Final = 7
_EVENTS: Final = 1_000
_CUSTOMERS: Final = 500
_PROMISED_RATIO: Final = 0.9
_SAMPLER: Final = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
_INTERVALS: Final = {"OTEL_BSP_SCHEDULE_DELAY": "5000", "OTEL_METRIC_EXPORT_INTERVAL": "60000"}


@dataclass(frozen=True, slots=True)
class _Run:
    """Events a second, and the worker's CPU for an event."""

    rate: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.rate:.0f} events/s ({self.cpu_ms:.2f} ms CPU each)"


def measure_tracing(lab: Lab, protocol: Protocol = "http/protobuf") -> bool:
    """Print events a second of either worker, and the median of the ratios; judge it.

    Both workers are up all the time, each with topics of its own; only one of them has work at a time.
    """
    world = World.with_customers(_CUSTOMERS, Promotion(promotion_id=1, limit_per_customer=None))
    with (
        collecting(protocol) as (collector, variables),
        lab.simulator(world) as simulator,
        lab.stage(simulator.api_url) as without,
        lab.stage(simulator.api_url) as traced,
    ):
        tracing = variables | _SAMPLER | _INTERVALS
        workers = [_worker(without), _worker(traced, **tracing)]
        for worker in workers:
            worker.wait_ready()
        pairs: list[tuple[_Run, _Run]] = []
        for number in range(_ROUNDS + 1):
            # The order alternates, so that neither is always the one that runs on a warmer machine.
            order = ((0, without), (1, traced)) if number % 2 else ((1, traced), (0, without))
            seen = {place: _run(stage, workers[place], number) for place, stage in order}
            pairs.append((seen[0], seen[1]))
        spans = len(collector.spans())
    for plain, sampled in pairs[1:]:
        print(f"without {plain}, with {sampled}: {sampled.rate / plain.rate:.3f}")
    ratio = median(sampled.rate / plain.rate for plain, sampled in pairs[1:])
    cpu = median(sampled.cpu_ms / plain.cpu_ms for plain, sampled in pairs[1:])
    print(f"{protocol}, {spans:,} spans: median of {_ROUNDS} ratios {ratio:.3f} ", end="")
    print(f"(promised: {_PROMISED_RATIO}), of CPU {cpu:.3f}")
    return ratio >= _PROMISED_RATIO and spans > 0


def _worker(stage: Stage, **variables: str) -> WorkerProcess:
    return stage.worker(REENROL="every-event", RECONCILE_SETTLE_SECONDS="0", **CREDENTIALS, **variables)


def _run(stage: Stage, worker: WorkerProcess, number: int) -> _Run:
    messages = [
        Message(event(f"{number}-{each}", {"customerId": who}), b"%d" % who)
        for each in range(_EVENTS)
        for who in [each % _CUSTOMERS + 1]
    ]
    started, cpu = time.monotonic(), cpu_seconds(worker.pid)
    stage.feed.send_all(messages)
    # Offsets are committed once a second, which is too coarse.
    while worker.metric("enrolment_activity_total", result="handled") < (number + 1) * _EVENTS:
        time.sleep(0.1)
    took = time.monotonic() - started
    return _Run(_EVENTS / took, (cpu_seconds(worker.pid) - cpu) / _EVENTS * 1000)
