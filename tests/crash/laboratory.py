"""One run: real workers against Apache Kafka and the simulator, disturbed until every event is settled."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, assert_never

from tests.crash.books import Books
from tests.crash.choices import Due, Freeze, Join, Kill, Leave, Offer, Options, RestartBroker, schedule
from tests.crash.ground import Ground, Run, ground
from tests.support.crashing import CrashingWorker
from worker.checkpoints import Checkpoint
from worker.stream.watchdog import EXIT_STUCK

_CHECKPOINT_SECONDS: Final = 15.0


@dataclass(slots=True)
class Chronicle:
    """What was done to the workers."""

    in_flight_at_kill: list[int] = field(default_factory=list)
    named_kills: int = 0
    broker_restarts: int = 0
    freezes: int = 0
    guests: int = 0


@contextmanager
def laboratory(options: Options, tell: Callable[[str], None]) -> Iterator["Laboratory"]:
    """Set everything up, with all events in Kafka; nothing is left behind."""
    with ground(options, tell) as on:
        made = Laboratory(on)
        try:
            made.prepare()
            yield made
        finally:
            made.close()


class Laboratory(Run[CrashingWorker]):
    """The loop that disturbs a run."""

    def __init__(self, on: Ground) -> None:
        super().__init__(on)
        self._workers += [self._new_worker() for _ in range(on.options.workers)]
        self._settled_at_kill = 0
        self.chronicle: Final = Chronicle()

    def run(self) -> Books:
        """Let it happen; return the books once every event is settled and committed."""
        started = time.monotonic()
        for worker in self._workers:
            worker.start()
        for due in schedule(self._ground.options):
            self._wait_for(due.settled)
            self._let(due)
        books = self._finish(started)
        fenced = self.ended_by_themselves.count(EXIT_STUCK)
        assert fenced <= self.chronicle.freezes, f"{fenced} workers ended that were not frozen"
        return books

    def _let(self, due: Due) -> None:
        match due.what:
            case Kill():
                self._kill(due.what)
            case RestartBroker(killed):
                self._note("the broker " + ("is killed" if killed else "stops") + " and starts again")
                if killed:
                    self._ground.broker.kill()
                self._ground.broker.restart()
                self.chronicle.broker_restarts += 1
            case Freeze(number):
                self._freeze(number)
            case Join():
                self._note("one more worker joins")
                self._workers.append(self._new_worker())
                self._workers[-1].start()
                self.chronicle.guests += 1
            case Leave():
                guest = self._workers.pop()
                self._left.append(guest)
                self._note("the worker that joined leaves")
                if guest.poll() is None:
                    guest.wait_ready()
                    assert guest.stop() == 0, guest.tail()
            case Offer(number):
                self._offer(number)
            case _:
                assert_never(due.what)

    def _kill(self, kill: Kill) -> None:
        """Kill a worker with work in flight, after progress since the last kill, and start it again."""
        self._wait_for(self._settled_at_kill + 1)
        worker, _ = self._at_work(self._workers[kill.worker], *self._workers)
        if kill.checkpoint is not None and self._dies_at(worker, kill.checkpoint, kill.passing):
            self.chronicle.named_kills += 1
            how = f"died at {kill.checkpoint}"
        else:
            time.sleep(kill.pause)
            worker, count = self._at_work(worker, *self._workers)
            worker.kill()
            self.chronicle.in_flight_at_kill.append(count)
            how = f"was killed, {count} events in flight"
        self._settled_at_kill = self._outlook.look()
        self._note(f"worker {self._workers.index(worker)} {how}" + (", its disk is lost" * kill.new_disk))
        if kill.new_disk:
            worker.settings["STATE_DIR"] = self._ground.new_folder()
        worker.start()

    def _dies_at(self, worker: CrashingWorker, checkpoint: Checkpoint, passing: int) -> bool:
        worker.die_at(checkpoint, passing)
        deadline = time.monotonic() + _CHECKPOINT_SECONDS
        while worker.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        worker.live_on()
        return worker.poll() == -signal.SIGKILL

    def _freeze(self, number: int) -> None:
        worker, _ = self._at_work(self._workers[number], *self._workers)
        self._note("a worker is frozen past its session time-out")
        worker.send(signal.SIGSTOP)
        time.sleep(self._ground.options.session_seconds + 2)
        worker.send(signal.SIGCONT)
        self._thawed.append(datetime.now(UTC).isoformat())
        self.chronicle.freezes += 1

    def _new_worker(self) -> CrashingWorker:
        return CrashingWorker(self._ground.lab.household, self._ground.worker_settings())
