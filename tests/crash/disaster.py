"""What every disaster has: its size, its workers, its books."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Generic, TypeVar

from tests.crash.books import Books, reconcile
from tests.crash.choices import Options
from tests.crash.cluster_run import ClusterRun
from tests.crash.ground import Ground
from tests.support.e2e.worker_process import WorkerProcess

SIZE: Final = Options(
    events=2_000,
    customers=300,
    partitions=4,
    promotions=4,
    refused=0,
    hapless=0,
    redrives=0,
    replays=0,
    trust_seconds=0,
)
SHOWN_BY_A_TIMELINE: Final = (0, 1, 3, 4)
"""Numbers of promotions with a timeline: all that tells who is enrolled once the ledger is gone."""
_NOT_TOLD: Final = "enrolments were applied and not told"
_IN_TWO_WAYS: Final = "told in two ways"


class DisasterRun(ClusterRun[WorkerProcess]):
    """Two workers and what they work on, until something happens to it."""

    def __init__(self, on: Ground) -> None:
        super().__init__(on)
        self._random: Final = Random(on.options.seed)  # noqa: S311 - repeatable, and no secret
        self._workers += [
            WorkerProcess(on.lab.household, on.worker_settings()) for _ in range(on.options.workers)
        ]
        self.findings: list[str] = []

    def _begin(self, share: float) -> None:
        """Offer all promotions, feed this share of the events and let the workers begin."""
        for number in SHOWN_BY_A_TIMELINE:
            self._offer(number)
        self._feed(self._fed[: round(share * len(self._fed))])
        self._start()

    def _start(self) -> None:
        for worker in self._workers:
            worker.start()

    def _stop(self) -> None:
        for worker in self._workers:
            assert worker.stop() == 0, worker.tail()

    def _end(self, most_not_told: int = 0) -> None:
        """Let everything that is not gone come to its end; close the books."""
        self.findings += judged(self._finish(time.monotonic()), most_not_told)


D = TypeVar("D", bound=DisasterRun)


@dataclass(frozen=True, slots=True)
class Disaster(Generic[D]):
    """A kind of run, what happens in it, and with how many brokers."""

    made: type[D]
    happens: Callable[[D], None]
    brokers: int = 1

    def on(self, ground: Ground) -> Sequence[str]:
        """Let it happen there; return what the books find. Raises AssertionError if nothing moves."""
        run = self.made(ground)
        try:
            self.happens(run)
        finally:
            run.close()
        return run.findings


def judged(books: Books, most_not_told: int) -> list[str]:
    """Return the findings; without a ledger some are no faults.

    Then what was under way is not told as enrolled, and what was told and not committed is told again as what
    Capillary shows: already enrolled.
    """
    verdict = reconcile(books)
    if not most_not_told or verdict.not_told > most_not_told:
        return list(verdict.findings)
    return [
        finding for finding in verdict.findings if _NOT_TOLD not in finding and _IN_TWO_WAYS not in finding
    ]
