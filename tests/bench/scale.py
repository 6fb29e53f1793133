"""How the worker's throughput, CPU and memory change with what it is given; each point one worker's life."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from tests.bench.api import running_api
from tests.bench.compare import AT_ONCE
from tests.bench.contest import CUSTOMERS, OURS, PARTITIONS, Contest, Contestant, Run
from tests.bench.machine import description
from tests.bench.memory import PROMISED_MIB
from tests.support.e2e.lab import Lab

_ROUNDS: Final = 1
"""Of each point; from 3 on, medians mean something."""
_SECONDS: Final = 12.0
"""What a point shall take, about."""
_EXPECTED_RATE: Final = 190.0
"""Events a second of a worker that its CPU limits; only decides how many events a point gets."""
_REQUESTS: Final = 2
_PROMISED_RATIO: Final = 1.8


@dataclass(frozen=True, slots=True)
class _Point:
    """What a worker is given. In flight: each replica's."""

    at_once: int = AT_ONCE
    latency_ms: int = 50
    partitions: int = PARTITIONS
    replicas: int = 1

    @property
    def limit(self) -> float:
        """Events a second that the API's latency allows."""
        return self.replicas * self.at_once / (_REQUESTS * self.latency_ms / 1000)

    @property
    def events(self) -> int:
        """How many events it gets."""
        return round(min(self.limit, _EXPECTED_RATE) * _SECONDS)


_Runs = Mapping[_Point, Sequence[Run]]
_DEFAULT: Final = _Point()
_ONE: Final = _Point(at_once=32, latency_ms=200)
_TWO: Final = _Point(at_once=32, latency_ms=200, replicas=2)


@dataclass(frozen=True, slots=True)
class _Table:
    """Points that differ in one thing."""

    title: str
    column: str
    value: Callable[[_Point], int]
    points: tuple[_Point, ...]


_TABLES: Final = (
    _Table(
        f"In flight: 50 ms a request, {PARTITIONS} partitions, one replica",
        "`MAX_IN_FLIGHT`",
        lambda point: point.at_once,
        tuple(_Point(at_once=number) for number in (1, 4, 16, 64, 256, 1024)),
    ),
    _Table(
        f"Latency: {AT_ONCE} in flight, {PARTITIONS} partitions, one replica",
        "ms a request",
        lambda point: point.latency_ms,
        tuple(_Point(latency_ms=number) for number in (5, 50, 200)),
    ),
    _Table(
        f"Partitions: 50 ms a request, {AT_ONCE} in flight, one replica",
        "partitions",
        lambda point: point.partitions,
        tuple(_Point(partitions=number) for number in (1, 8, 32)),
    ),
    _Table(
        f"Replicas: 200 ms a request, 32 in flight each, {PARTITIONS} partitions",
        "replicas",
        lambda point: point.replicas,
        (_ONE, _TWO),
    ),
)


def measure_scale(lab: Lab) -> bool:
    """Print a table for each thing that is varied; judge two replicas against one, and the peak of memory."""
    print(description())
    print(f"ledger on RocksDB, a tenth of the traces sent, {CUSTOMERS:,} customers, rounds: {_ROUNDS}")
    points = dict.fromkeys(point for table in _TABLES for point in table.points)
    runs: dict[_Point, list[Run]] = {point: [] for point in points}
    for _ in range(_ROUNDS):
        for point, of_it in runs.items():
            of_it.append(_run(lab, point))
            run = of_it[-1]
            print(
                f"{point}: {run.events:,} events in {run.seconds:.1f} s, {run.rate:.1f} a second", flush=True
            )
    for table in _TABLES:
        _print_table(table, runs)
    return _judge(runs)


def _run(lab: Lab, point: _Point) -> Run:
    contestant = Contestant("enrolment-worker", OURS, point.at_once, point.events)
    with (
        running_api(lab, point.latency_ms / 1000) as api,
        Contest(lab, api, contestant, point.partitions).running(point.replicas) as contest,
    ):
        return contest.run()


def _print_table(table: _Table, runs: _Runs) -> None:
    print(f"\n{table.title}\n")
    print(
        f"| {table.column} | events/s | latency allows | CPU an event, ms | cores | peak RSS a replica, MiB |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for point in table.points:
        of_it = runs[point]
        cpu, cores = (
            median(run.cpu_ms for run in of_it),
            median(run.client_cpu / run.seconds for run in of_it),
        )
        row = f"| {table.value(point):,} | {_rate(runs, point):,.1f} | {point.limit:,.0f} | {cpu:.2f} "
        print(f"{row}| {cores:.2f} | {_peak(runs, point):.0f} |")


def _judge(runs: _Runs) -> bool:
    ratio, peak = _rate(runs, _TWO) / _rate(runs, _ONE), _peak(runs, _DEFAULT)
    print(f"\ntwo replicas: {ratio:.2f} times the throughput of one (promised: >= {_PROMISED_RATIO})")
    print(f"{AT_ONCE} in flight: peak RSS {peak:.0f} MiB (promised: <= {PROMISED_MIB:.0f} MiB, 150 MB)")
    return ratio >= _PROMISED_RATIO and peak <= PROMISED_MIB


def _rate(runs: _Runs, point: _Point) -> float:
    return median(run.rate for run in runs[point])


def _peak(runs: _Runs, point: _Point) -> float:
    """Return the peak of one replica, the mean where there are more."""
    return median(run.peak_mib / point.replicas for run in runs[point])
