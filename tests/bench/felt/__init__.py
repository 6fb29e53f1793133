"""What a disturbance of the workers or of Kafka costs those who wait for an outcome."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from tests.bench.felt.cases import CASES, Case
from tests.bench.felt.report import is_as_wanted, print_row, print_table
from tests.bench.felt.scene import API_LATENCY, EVENTS_A_SECOND, PARTITIONS, running_scene
from tests.bench.machine import description
from tests.support.e2e.lab import Lab, running_lab
from worker.demo.broker import running_broker

Measurement = Callable[[Lab], bool]


def _measure(cases: Iterable[Case], _: Lab) -> bool:
    """Print what each case costs; return whether that is within what is wanted.

    On a broker of its own, which one of the cases restarts.
    """
    # Its clients write thousands of lines while a broker is away.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    print(description())
    print(
        f"{EVENTS_A_SECOND} events/s on {PARTITIONS} partitions, {API_LATENCY} a request, "
        "the default session time-out",
        flush=True,
    )
    with (
        running_broker(own=True) as broker,
        running_lab(broker.bootstrap_servers) as lab,
        running_scene(lab, broker) as scene,
    ):
        rows = []
        for case in cases:
            rows.append(case.measured(scene))
            print_row(rows[-1])
    print_table(rows)
    return all(map(is_as_wanted, rows))


measure_felt: Final[Measurement] = partial(_measure, CASES)
ALONE: Final[Mapping[str, Measurement]] = {f"felt-{each.name}": partial(_measure, [each]) for each in CASES}
"""One case each, by its own name."""
