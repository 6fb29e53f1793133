"""The worker as `enrolment-worker run` composes it, on a machine whose clock is wrong by SHIFT seconds.

Run as `python -m tests.support.e2e.shifted_worker`. What counts seconds is right, as it is on such a machine.
"""

import os
import time
from datetime import datetime, timedelta
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from worker import timing
from worker.settings import load_settings
from worker.telemetry.logs import configure_logging

SHIFT: Final = "CLOCK_SHIFT"
"""Environment variable with how many seconds the clock is ahead."""


def main() -> int:
    """Run the worker and return its exit status."""
    seconds, right, right_now = float(os.environ[SHIFT]), time.time, timing.utc_now

    def shifted() -> datetime:
        return right_now() + timedelta(seconds=seconds)

    async def send(producer: AIOKafkaProducer, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - aiokafka's
        options.setdefault("timestamp_ms", None)
        if options["timestamp_ms"] is None:
            # What the client's compiled code would read from the machine's clock.
            options["timestamp_ms"] = round(time.time() * 1000)
        return await right_send(producer, *arguments, **options)

    right_send = AIOKafkaProducer.send
    AIOKafkaProducer.send = send
    time.time = lambda: right() + seconds
    timing.utc_now = shifted
    from worker.composition.worker import run_worker  # noqa: PLC0415 - takes over the clock

    settings = load_settings(os.environ)
    configure_logging(settings.log_level, settings.log_format)
    return run_worker(settings)


if __name__ == "__main__":
    raise SystemExit(main())
