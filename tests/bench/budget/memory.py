"""What a worker holds in memory if it knows a million customers, beside one that knows none."""

from dataclasses import dataclass
from typing import Final

from tests.bench.api import Api, running_api
from tests.bench.budget.campaign import ON, wait_committed
from tests.bench.compare import AT_ONCE, LATENCY_SECONDS
from tests.bench.contest import CUSTOMERS, PARTITIONS, SAMPLER
from tests.bench.fill import fill_activity, fill_memory
from tests.bench.memory import PROMISED_MIB, peak_mib, resident_mib
from tests.bench.table import table
from tests.support.e2e.lab import CREDENTIALS, Lab

_KNOWN: Final = 1_000_000
_EVENTS: Final = 10_000
_FILL_SECONDS: Final = 600.0
_PATIENCE_SECONDS: Final = 240.0
_MORE_MIB: Final = 15.0
"""By which two runs on nothing may differ."""
_HEADING: Final = (
    "customers known at the start",
    "resident when ready, MiB",
    "after the events, MiB",
    "peak, MiB",
    "lookups",
    "bytes a customer",
)


@dataclass(frozen=True, slots=True)
class _Life:
    known: int
    ready: float
    after: float
    peak: float
    lookups: int
    size: float


def measure_memory(lab: Lab) -> bool:
    """Print memory with none and with a million known; return whether it is the same, and as promised."""
    with running_api(lab, LATENCY_SECONDS) as api:
        lives = [_life(lab, api, known) for known in (0, _KNOWN)]
    none, many = lives
    print(f"\nMemory: {_EVENTS:,} events of {CUSTOMERS:,} customers, on a volume, {AT_ONCE} in flight.")
    print(f"Promised: flat, and a peak of {PROMISED_MIB:.0f} MiB\n")
    print(table(_HEADING, [_row(each) for each in lives]), flush=True)
    is_flat = many.peak <= none.peak + _MORE_MIB and many.after <= none.after + _MORE_MIB
    return is_flat and many.peak <= PROMISED_MIB and many.lookups == 0


def _life(lab: Lab, api: Api, known: int) -> _Life:
    """Let a worker work that has read its ledger back in an earlier life."""
    with lab.stage(api.url, PARTITIONS) as stage:
        size = lab.loop.run(fill_memory(stage, known), _FILL_SECONDS)
        worker = stage.worker(
            MAX_IN_FLIGHT=str(AT_ONCE),
            RECONCILE_SETTLE_SECONDS="5",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{api.url}/v1/traces",
            **SAMPLER,
            **ON,
            **CREDENTIALS,
        )
        worker.wait_ready(_PATIENCE_SECONDS)
        assert worker.stop() == 0, worker.tail()
        worker.start()
        worker.wait_ready(_PATIENCE_SECONDS)
        ready, lookups = resident_mib(worker.pid), api.served()["lookup"]
        lab.loop.run(fill_activity(stage, "event", _EVENTS))
        wait_committed(stage, worker, _EVENTS, _PATIENCE_SECONDS)
        return _Life(
            known,
            ready,
            resident_mib(worker.pid),
            peak_mib(worker.pid),
            api.served()["lookup"] - lookups,
            size / known if known else 0.0,
        )


def _row(life: _Life) -> tuple[str, ...]:
    return (
        f"{life.known:,}",
        *(f"{mib:.0f}" for mib in (life.ready, life.after, life.peak)),
        f"{life.lookups:,}",
        f"{life.size:.0f}",
    )
