"""What an event of a known customer costs in CPU, beside one that is looked up to the same outcome."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from tests.bench.api import Api, running_api
from tests.bench.budget.campaign import OFF, ON, wait_committed
from tests.bench.compare import AT_ONCE, LATENCY_SECONDS
from tests.bench.contest import CUSTOMERS, SAMPLER
from tests.bench.fill import fill_activity
from tests.bench.memory import cpu_seconds
from tests.bench.table import table
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess

_PROMOTIONS: Final = (1, 3)
_EVENTS: Final = 4_000
_ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "5"))
_PATIENCE_SECONDS: Final = 240.0
_PROMISED: Final = 1 / 3
_HEADING: Final = ("promotions", "looked up, ms", "known, ms", "share", "the rounds' shares")


@dataclass(slots=True)
class _Side:
    """A worker on a stage of its own, all of whose customers are enrolled."""

    stage: Stage
    api: Api
    worker: WorkerProcess
    is_known: bool
    promotions: int
    fed: int = 0
    rounds: list[float] = field(default_factory=list)
    """Milliseconds of CPU an event."""

    def warm_up(self) -> None:
        """Enrol everybody, then take every step of the measured ones once."""
        for _ in range(2):
            self._work_off(CUSTOMERS)

    def run(self) -> None:
        """Work off a round's events; raises AssertionError if another number of them is looked up."""
        served, cpu = self.api.served(), cpu_seconds(self.worker.pid)
        self._work_off(_EVENTS)
        self.rounds.append((cpu_seconds(self.worker.pid) - cpu) / _EVENTS * 1000)
        now = self.api.served()
        asked = [now[kind] - served[kind] for kind in ("lookup", "issue")]
        assert asked == [0 if self.is_known else _EVENTS, 0], asked

    def check(self) -> None:
        """Raise AssertionError unless the outcomes are those of customers who are enrolled already."""
        told = [(each.name, each.value.get("cached", False)) for each in self.stage.outcomes.read()]
        first = CUSTOMERS * self.promotions
        assert told[:first].count(("ENROLLED", False)) == first
        again = (self.fed - CUSTOMERS) * self.promotions
        assert told[first:].count(("ALREADY_ENROLLED", self.is_known)) == again

    def _work_off(self, events: int) -> None:
        name = f"from-{self.fed}"
        self.stage.lab.loop.run(fill_activity(self.stage, name, events))
        self.fed += events
        wait_committed(self.stage, self.worker, self.fed, _PATIENCE_SECONDS)


def measure_cost(lab: Lab) -> bool:
    """Print the medians of both; return whether a known one costs at most a third, with one promotion."""
    sides = {promotions: _measured(lab, promotions) for promotions in _PROMOTIONS}
    print(f"\nCPU an event: {_EVENTS:,} events of {CUSTOMERS:,} customers a round, all enrolled already, ")
    print(f"{_ROUNDS} rounds turn by turn, medians; one partition, {AT_ONCE} in flight, ", end="")
    print(f"{LATENCY_SECONDS * 1000:.0f} ms a request. Promised: a third\n")
    print(table(_HEADING, [_row(number, *both) for number, both in sides.items()]), flush=True)
    return all(median(known.rounds) <= _PROMISED * median(asked.rounds) for asked, known in sides.values())


def _measured(lab: Lab, promotions: int) -> tuple[_Side, _Side]:
    """Let a worker that looks up and one that knows take turns; neither has anything to do meanwhile."""
    with ExitStack() as stack:
        api = stack.enter_context(running_api(lab, LATENCY_SECONDS, promotions))
        off, on = [
            _side(stack.enter_context(lab.stage(api.url)), api, settings, promotions)
            for settings in (OFF, ON)
        ]
        for side in (off, on):
            side.warm_up()
        for _ in range(_ROUNDS):
            for side in (off, on):
                side.run()
        for side in (off, on):
            side.check()
        return off, on


def _side(stage: Stage, api: Api, settings: Mapping[str, str], promotions: int) -> _Side:
    worker = stage.worker(
        MAX_IN_FLIGHT=str(AT_ONCE),
        RECONCILE_SETTLE_SECONDS="5",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{api.url}/v1/traces",
        **SAMPLER,
        **settings,
        **CREDENTIALS,
    )
    worker.wait_ready()
    return _Side(stage, api, worker, settings is ON, promotions)


def _row(promotions: int, asked: _Side, known: _Side) -> tuple[str, ...]:
    ratios = [k / a for a, k in zip(asked.rounds, known.rounds, strict=True)]
    return (
        f"{promotions}",
        f"{median(asked.rounds):.2f}",
        f"{median(known.rounds):.2f}",
        f"{median(known.rounds) / median(asked.rounds):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
    )
