"""Runs the measurements that are named, all of them without a name."""

import sys

from tests.bench import felt
from tests.bench.budget import ALONE, measure_budget
from tests.bench.catalogue import measure_catalogue
from tests.bench.compare import measure_compare
from tests.bench.endurance import measure_endurance
from tests.bench.latency import measure_latency
from tests.bench.restart import measure_restart
from tests.bench.scale import measure_scale
from tests.bench.throughput import measure_throughput
from tests.bench.tracing import measure_tracing
from tests.support.e2e.lab import running_lab
from worker.demo.broker import running_broker

_MEASUREMENTS = {
    "throughput": measure_throughput,
    "restart": measure_restart,
    "catalogue": measure_catalogue,
    "compare": measure_compare,
    "latency": measure_latency,
    "tracing": measure_tracing,
    "scale": measure_scale,
    "endurance": measure_endurance,
    "felt": felt.measure_felt,
    "budget": measure_budget,
}
_BY_NAME = {**_MEASUREMENTS, **ALONE, **felt.ALONE}


def main(names: list[str]) -> int:
    """Measure; return 1 where a figure is not what the project promises."""
    with running_broker(progress=print) as broker, running_lab(broker.bootstrap_servers) as lab:
        print(f"{broker.kind}, up in {broker.started_in:.1f} s")
        good = [_BY_NAME[name](lab) for name in names or _MEASUREMENTS]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
