"""The worker as `enrolment-worker run` composes it, with a way to die, or to freeze, at a checkpoint.

Run as `python -m tests.support.e2e.crashing_worker`. With two times as arguments it replays the events
between them, and asks again for what was rejected. CRASH_ORDER names a file. When that holds
`<checkpoint> <n> <signal>`, the process sends itself the signal (SIGKILL, SIGSTOP) at the n-th passing of the
checkpoint, counted from when it first saw the order. It takes the order away first: whatever follows, lives.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from worker.composition.worker import run_worker
from worker.enrolment.checkpoints import Checkpoint, Probe
from worker.settings import load_settings
from worker.stream.replay_window import Replay
from worker.telemetry.logs import configure_logging

ORDER: Final = "CRASH_ORDER"
"""Environment variable with the path of the order."""


def probe_for(order: Path, send: Callable[[signal.Signals], None]) -> Probe:
    """Return a probe that sends what the file orders; without the file, nothing."""
    passed: Counter[Checkpoint] = Counter()

    def probe(checkpoint: Checkpoint) -> None:
        try:
            wanted, number, name = order.read_text().split()
        except FileNotFoundError:
            passed.clear()
            return
        passed[checkpoint] += 1
        if checkpoint == wanted and passed[checkpoint] == int(number):
            order.unlink()
            send(signal.Signals[name])

    return probe


def main() -> int:
    """Run the worker and return its exit status."""
    settings = load_settings(os.environ)
    configure_logging(settings.log_level, settings.log_format)
    probe = probe_for(Path(os.environ[ORDER]), lambda number: os.kill(os.getpid(), number))
    replay = None
    if len(sys.argv) > 1:
        since, until = map(datetime.fromisoformat, sys.argv[1:])
        replay = Replay(since, until, retry_rejected=True)
    return run_worker(settings, probe, replay)


if __name__ == "__main__":
    raise SystemExit(main())
