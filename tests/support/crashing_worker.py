"""The worker as `enrolment-worker run` composes it, with a way to die at a checkpoint.

Run as `python -m tests.support.crashing_worker`. CRASH_ORDER names a file; once it holds `<checkpoint> <n>`,
the process ends itself by SIGKILL at the n-th passing of that checkpoint, counted from the start of the
process or from the last order. It takes the order away first: the next start lives.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from worker.checkpoints import Checkpoint, Probe
from worker.composition import run_worker
from worker.settings import load_settings
from worker.telemetry.logs import configure_logging

ORDER: Final = "CRASH_ORDER"
"""Environment variable with the path of the order."""


def probe_for(order: Path, end: Callable[[], None]) -> Probe:
    """Return a probe that ends the process when the file orders it; None of the file means: live on."""
    passed: Counter[Checkpoint] = Counter()

    def probe(checkpoint: Checkpoint) -> None:
        try:
            wanted, number = order.read_text().split()
        except FileNotFoundError:
            passed.clear()
            return
        passed[checkpoint] += 1
        if checkpoint == wanted and passed[checkpoint] == int(number):
            order.unlink()
            end()

    return probe


def main() -> int:
    """Run the worker and return its exit status."""
    settings = load_settings(os.environ)
    configure_logging(settings.log_level, settings.log_format)
    return run_worker(
        settings, probe_for(Path(os.environ[ORDER]), lambda: os.kill(os.getpid(), signal.SIGKILL))
    )


if __name__ == "__main__":
    raise SystemExit(main())
