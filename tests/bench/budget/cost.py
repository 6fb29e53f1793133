"""What an event of a known customer costs in CPU, beside one that is looked up to the same outcome."""

import os
from collections.abc import Mapping, Sequence
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
_EVENTS: Final = 2_000
_ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "5"))
_PATIENCE_SECONDS: Final = 240.0
_PROMISED: Final = 1 / 3
_HEADING: Final = ("", "promotions", "CPU an event, ms", "of a looked up one", "from round to round")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a worker with these settings makes of an event of somebody who is enrolled already."""

    name: str
    settings: Mapping[str, str]
    lookups: int
    outcome: tuple[str, bool] | None
    """And whether it is told as cached; once for each promotion."""


_LOOKED_UP: Final = _Kind("looked up", OFF, 1, ("ALREADY_ENROLLED", False))
_KNOWN: Final = _Kind("known", ON, 0, ("ALREADY_ENROLLED", True))
_TOLD: Final = _Kind(
    "told by the list alone",
    {"CATALOGUE_REFRESH_SECONDS": "60", "PROGRAM_IDS": "999"},
    0,
    ("NO_PROMOTION_AVAILABLE", False),
)
"""Nothing is read from the ledger of the customer, and one outcome is written."""
_PASSED_OVER: Final = _Kind("passed over", {"TRIGGER_EVENTS": "otherThings"}, 0, None)
_FLOORS: Final = (_TOLD, _PASSED_OVER)


@dataclass(slots=True)
class _Side:
    """A worker on a stage of its own."""

    kind: _Kind
    promotions: int
    stage: Stage
    api: Api
    worker: WorkerProcess
    fed: int = 0
    rounds: list[float] = field(default_factory=list)
    """Milliseconds of CPU an event."""

    @property
    def cpu_ms(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    def warm_up(self) -> None:
        """Let everybody come, and then once more as in the measured rounds."""
        for _ in range(2):
            self._work_off(CUSTOMERS)

    def run(self) -> None:
        """Work off a round's events; raises AssertionError if another number of them is looked up."""
        served, cpu = self.api.served(), cpu_seconds(self.worker.pid)
        self._work_off(_EVENTS)
        self.rounds.append((cpu_seconds(self.worker.pid) - cpu) / _EVENTS * 1000)
        now = self.api.served()
        asked = [now[endpoint] - served[endpoint] for endpoint in ("lookup", "issue")]
        assert asked == [self.kind.lookups * _EVENTS, 0], (self.kind.name, asked)

    def check(self) -> None:
        """Raise AssertionError unless all measured events were told as they should be."""
        told = [(each.name, each.value.get("cached", False)) for each in self.stage.outcomes.read()]
        again = (self.fed - CUSTOMERS) * self.promotions
        if self.kind.outcome is None:
            assert not told
        else:
            assert told[-again:].count(self.kind.outcome) == again, self.kind.name

    def _work_off(self, events: int) -> None:
        name = f"from-{self.fed}"
        self.stage.lab.loop.run(fill_activity(self.stage, name, events))
        self.fed += events
        wait_committed(self.stage, self.worker, self.fed, _PATIENCE_SECONDS)


def measure_cost(lab: Lab) -> bool:
    """Print the medians; return whether a known one costs at most a third of one that is looked up."""
    sides = [_measured(lab, number, _FLOORS if number == 1 else ()) for number in _PROMOTIONS]
    print(f"\nCPU an event: {_EVENTS:,} events of {CUSTOMERS:,} customers a round, all enrolled already,")
    print(f"{_ROUNDS} rounds turn by turn, medians; one partition, {AT_ONCE} in flight, ", end="")
    print(f"{LATENCY_SECONDS * 1000:.0f} ms a request. Promised for a known one: a third\n")
    print(table(_HEADING, [_row(each, group[0]) for group in sides for each in group]), flush=True)
    return all(known.cpu_ms <= _PROMISED * looked_up.cpu_ms for looked_up, known, *_ in sides)


def _measured(lab: Lab, promotions: int, more: Sequence[_Kind]) -> list[_Side]:
    """Let a worker that looks up, one that knows, and more take turns; the others have nothing to do then."""
    with ExitStack() as stack:
        api = stack.enter_context(running_api(lab, LATENCY_SECONDS, promotions))
        sides = [
            _side(stack.enter_context(lab.stage(api.url)), api, kind, promotions)
            for kind in (_LOOKED_UP, _KNOWN, *more)
        ]
        for side in sides:
            side.warm_up()
        for _ in range(_ROUNDS):
            for side in sides:
                side.run()
        for side in sides:
            side.check()
        return sides


def _side(stage: Stage, api: Api, kind: _Kind, promotions: int) -> _Side:
    worker = stage.worker(
        MAX_IN_FLIGHT=str(AT_ONCE),
        RECONCILE_SETTLE_SECONDS="5",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{api.url}/v1/traces",
        **SAMPLER,
        **kind.settings,
        **CREDENTIALS,
    )
    worker.wait_ready()
    return _Side(kind, promotions, stage, api, worker)


def _row(side: _Side, looked_up: _Side) -> tuple[str, ...]:
    return (
        side.kind.name,
        f"{side.promotions}",
        f"{side.cpu_ms:.2f}",
        f"{side.cpu_ms / looked_up.cpu_ms:.2f}",
        f"{min(side.rounds):.2f} to {max(side.rounds):.2f}",
    )
