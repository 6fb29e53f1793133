"""How long a worker with a large ledger takes to be ready, with and without its volume."""

import time
from typing import Final

from tests.bench.fill import fill_ledger
from tests.bench.memory import peak_mib
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.worker_process import WorkerProcess

_ENTRIES: Final = 1_000_000
_PARTITIONS: Final = 8
_PATIENCE_SECONDS: Final = 900.0
_PROMISED_SECONDS: Final = 30.0


def measure_restart(lab: Lab) -> bool:
    """Print the seconds of a rebuild and of a restart with the volume; judge the latter."""
    with lab.stage("http://127.0.0.1:9", _PARTITIONS) as stage:
        began = time.monotonic()
        lab.loop.run(fill_ledger(stage, _ENTRIES), _PATIENCE_SECONDS)
        print(f"a ledger of {_ENTRIES:,} entries written in {time.monotonic() - began:.0f} s")
        worker = stage.worker(**CREDENTIALS)
        print(
            f"without a volume: ready after {_ready(worker):.1f} s, peak RSS {peak_mib(worker.pid):.0f} MiB"
        )
        worker.stop()
        worker.start()
        kept = _ready(worker)
        entries = worker.metric("enrolment_ledger_entries")
        print(f"with the volume: ready after {kept:.1f} s, peak RSS {peak_mib(worker.pid):.0f} MiB, ", end="")
        print(f"{entries:,.0f} entries counted")
    return kept < _PROMISED_SECONDS


def _ready(worker: WorkerProcess) -> float:
    began = time.monotonic()
    worker.wait_ready(seconds=_PATIENCE_SECONDS)
    return time.monotonic() - began
