"""The worker against what a user would run instead: same broker, same API, same events, turn by turn."""

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.api import running_api
from tests.bench.contest import (
    BARE,
    CUSTOMERS,
    FASTSTREAM,
    FAUST,
    OURS,
    PARTITIONS,
    TRACES,
    Contest,
    Contestant,
    Run,
)
from tests.bench.machine import description
from tests.bench.plot import bars
from tests.support.e2e.lab import Lab

LATENCY_SECONDS: Final = 0.05
AT_ONCE: Final = 256
OURS_AT_LOAD: Final = Contestant("enrolment-worker", OURS, AT_ONCE, 4_000)
BARE_AT_LOAD: Final = Contestant("bare loop: aiokafka, aiohttp", BARE, AT_ONCE, 10_000)
_FASTSTREAM: Final = Contestant("FastStream, httpx, 256 workers", FASTSTREAM, AT_ONCE, 1_000)
_FAUST: Final = Contestant("Faust, httpx, concurrency 256, unsafe", FAUST, AT_ONCE, 300)
_FASTSTREAM_ONE: Final = Contestant("FastStream, httpx, 1 worker", FASTSTREAM, 1, 60)
_FAUST_ONE: Final = Contestant("Faust, httpx, one by one", FAUST, 1, 60)
_CONTESTANTS: Final = (
    OURS_AT_LOAD,
    BARE_AT_LOAD,
    _FASTSTREAM,
    _FAUST,
    _FASTSTREAM_ONE,
    _FAUST_ONE,
)
_ROUNDS: Final = 3
_CHART: Final = Path(__file__).resolve().parents[2] / "dist" / "bench.svg"
_CORES: Final = os.cpu_count() or 1


def measure_compare(lab: Lab) -> bool:
    """Print each run, then medians and ratios, and draw the rates; return whether all floors are kept."""
    print(description())
    spans = "a tenth of the traces sent" if TRACES else "no traces: it cannot send any yet"
    print(f"{LATENCY_SECONDS * 1000:.0f} ms a request, {PARTITIONS} partitions, {CUSTOMERS:,} customers")
    print(f"the worker: ledger on RocksDB; {spans}")
    runs: dict[Contestant, list[Run]] = {contestant: [] for contestant in _CONTESTANTS}
    with running_api(lab, LATENCY_SECONDS) as api:
        for _ in range(_ROUNDS):
            for contestant, of_it in runs.items():
                with Contest(lab, api, contestant).running() as contest:
                    of_it.append(contest.run())
                print(_line(contestant, of_it[-1]), flush=True)
    _print_table(runs)
    rates = {contestant.name: _rate(of_it) for contestant, of_it in runs.items()}
    _CHART.parent.mkdir(exist_ok=True)
    title = f"Events a second at {LATENCY_SECONDS * 1000:.0f} ms a request (median of {_ROUNDS} runs)"
    _CHART.write_text(bars(title, rates, OURS_AT_LOAD.name), encoding="utf-8")
    print(f"chart: {_CHART}")
    return _judge(runs)


def _line(contestant: Contestant, run: Run) -> str:
    return (
        f"{contestant.name}: {run.rate:,.1f} events/s ({run.events:,} in {run.seconds:.1f} s), "
        f"{run.cpu_ms:.2f} ms CPU an event, {run.client_cpu / run.seconds:.0%} of a core, "
        f"peak RSS {run.peak_mib:.0f} MiB; API {run.api_cpu / run.seconds:.0%} of a core, "
        f"machine {run.machine_cpu / run.seconds / _CORES:.0%} busy"
    )


def _print_table(runs: dict[Contestant, list[Run]]) -> None:
    print("\n| | events/s | of the bare loop | CPU an event, ms | CPU s in all | peak RSS, MiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    bare = _rate(runs[BARE_AT_LOAD])
    for contestant, of_it in runs.items():
        cpu, peak = _cpu(of_it), median(run.peak_mib for run in of_it)
        spent, rate = median(run.client_cpu for run in of_it), _rate(of_it)
        row = f"| {contestant.name} | {rate:,.0f} | {rate / bare:.2f} | {cpu:.2f} | "
        print(row + f"{spent:.1f} of {of_it[0].events:,} events | {peak:.0f} |")


def _judge(runs: dict[Contestant, list[Run]]) -> bool:
    ours, bare = runs[OURS_AT_LOAD], runs[BARE_AT_LOAD]
    floors = {
        "throughput of the bare loop's": (_rate(ours) / _rate(bare), 0.25, True),
        "CPU an event of the bare loop's": (_cpu(ours) / _cpu(bare), 4.0, False),
        "throughput of FastStream's with 256 workers": (_rate(ours) / _rate(runs[_FASTSTREAM]), 2.0, True),
        "throughput of Faust's one by one": (_rate(ours) / _rate(runs[_FAUST_ONE]), 40.0, True),
    }
    for what, (ratio, floor, at_least) in floors.items():
        print(f"{ratio:.2f} times the {what} (floor: {'>=' if at_least else '<='} {floor:g})")
    return all((ratio >= floor) is at_least or ratio == floor for ratio, floor, at_least in floors.values())


def _rate(runs: Sequence[Run]) -> float:
    return median(run.rate for run in runs)


def _cpu(runs: Sequence[Run]) -> float:
    return median(run.cpu_ms for run in runs)
