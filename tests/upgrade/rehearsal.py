"""Two versions of the worker alternating on one consumer group, while there is work all the time."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.crash.books import Books
from tests.crash.choices import Options
from tests.crash.ground import Ground, ground
from tests.crash.run import Run
from tests.upgrade.versions import Version
from tests.upgrade.worker import VersionedWorker

_FIRST, _LAST = 0.04, 0.92
"""Replacements come while this share of the events is settled."""
_READY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """A replica becomes the new version, or the old one again; the one before ends by SIGTERM or SIGKILL."""

    replica: int
    to_new: bool
    killed: bool = False


REPLICAS: Final = 2
STEPS: Final = (
    Step(0, to_new=True),
    Step(1, to_new=True),
    Step(0, to_new=False),
    Step(1, to_new=False, killed=True),
    Step(0, to_new=True, killed=True),
    Step(1, to_new=True),
)


@contextmanager
def rehearsal(
    options: Options, old: Version, new: Version, tell: Callable[[str], None]
) -> Iterator["Rehearsal"]:
    """Set everything up, with all events in Kafka; nothing is left behind."""
    with ground(options, tell) as on:
        made = Rehearsal(on, old, new)
        try:
            made.prepare()
            yield made
        finally:
            made.close()


class Rehearsal(Run[VersionedWorker]):
    """The run that rolls forth and back."""

    def __init__(self, on: Ground, old: Version, new: Version) -> None:
        super().__init__(on)
        self._old: Final = old
        self._new: Final = new
        settings = (on.worker_settings() for _ in range(REPLICAS))
        self._workers += [VersionedWorker(on.lab.household, own, old) for own in settings]
        self.stopped = 0
        self.in_flight_at_kill: Final[list[int]] = []
        self.handled: Final[Counter[str]] = Counter()
        """Records that each version was seen to have taken, by the version's name."""

    def run(self) -> Books:
        """Let it happen; return the books once every event is settled and committed."""
        started, events = time.monotonic(), self._ground.options.events
        for worker in self._workers:
            worker.start()
        promotions = self._ground.options.promotions
        steps: list[tuple[float, Callable[[], None]]] = [
            *((number / promotions, partial(self._offer, number)) for number in range(promotions)),
            *(
                (_FIRST + (_LAST - _FIRST) * place / len(STEPS), partial(self._replace, step))
                for place, step in enumerate(STEPS)
            ),
        ]
        for share, happen in sorted(steps, key=lambda one: one[0]):
            self._wait_for(round(share * events))
            happen()
        self._wait_for(events)
        for worker in self._workers:
            self._count(worker)
        return self._finish(started)

    def _replace(self, step: Step) -> None:
        """End a worker with work in flight, and let the other version go on in its place; wait for it."""
        worker = self._workers[step.replica]
        _, in_flight = self._at_work(worker)
        self._count(worker)
        begun, was = time.monotonic(), worker.version
        if step.killed:
            worker.kill()
            self.in_flight_at_kill.append(in_flight)
        else:
            assert worker.stop() == 0, worker.tail()
            self.stopped += 1
        worker.version = self._new if step.to_new else self._old
        worker.start()
        worker.wait_ready(_READY_SECONDS)
        how = f"{'killed' if step.killed else 'stopped'} with {in_flight} events in flight"
        seconds = time.monotonic() - begun
        self._note(
            f"worker {step.replica} {how}: {was.name} -> {worker.version.name}, ready after {seconds:.1f} s"
        )

    def _count(self, worker: VersionedWorker) -> None:
        self.handled[worker.version.name] += int(worker.metric("enrolment_activity_total"))
