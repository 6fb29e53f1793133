"""The worker as `enrolment-worker run` composes it, with a short patience, and a loop that may be blocked.

Run as `python -m tests.support.e2e.impatient_worker`. PATIENCE is in seconds; BLOCKED_AT names a checkpoint.
Its first passing blocks the event loop for good.
"""

import os
import time
from typing import Final

from worker.composition import worker as composition
from worker.enrolment.checkpoints import Checkpoint
from worker.settings import load_settings
from worker.telemetry.logs import configure_logging

PATIENCE: Final = "PATIENCE"
BLOCKED_AT: Final = "BLOCKED_AT"

_FOR_GOOD: Final = 600.0


def main() -> int:
    """Run the worker and return its exit status."""
    patience, blocked_at = float(os.environ[PATIENCE]), os.environ.get(BLOCKED_AT)

    def probe(checkpoint: Checkpoint) -> None:
        if checkpoint == blocked_at:
            time.sleep(_FOR_GOOD)

    vars(composition)["patience"] = lambda _: patience
    settings = load_settings(os.environ)
    configure_logging(settings.log_level, settings.log_format)
    return composition.run_worker(settings, probe)


if __name__ == "__main__":
    raise SystemExit(main())
