"""One run: real workers against Apache Kafka and the simulator, disturbed until every event is settled."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final, assert_never

from tests.crash.books import Books
from tests.crash.broker_faults import Away, NobodyFollows, Rolling
from tests.crash.changes import Begin, Change, End, LetIn, Revoke
from tests.crash.choices import (
    Due,
    Freeze,
    Join,
    Kill,
    Leave,
    Offer,
    Options,
    Redrive,
    Replay,
    Rest,
    RestartBroker,
    schedule,
)
from tests.crash.cluster_run import ClusterRun
from tests.crash.ground import Ground, ground
from tests.crash.outlook import in_flight
from tests.crash.repeats import Replayed
from tests.crash.run import PATIENCE_SECONDS
from tests.support.e2e.crashing import CrashingWorker
from tests.support.waiting import wait_until
from worker.enrolment.checkpoints import Checkpoint

_CHECKPOINT_SECONDS: Final = 15.0
_REPLAY_SECONDS: Final = 300.0
_REST_SECONDS: Final = 6.0
_ALARM: Final = "a partition is not the log that was read"
_LONGEST_REST_SECONDS: Final = 60.0


@contextmanager
def laboratory(options: Options, tell: Callable[[str], None]) -> Iterator["Laboratory"]:
    """Set everything up, with events in Kafka; nothing is left behind."""
    with ground(options, tell) as on:
        made = Laboratory(on)
        try:
            made.prepare()
            yield made
        finally:
            made.close()


class Laboratory(ClusterRun[CrashingWorker]):
    """The loop that disturbs a run."""

    def __init__(self, on: Ground) -> None:
        super().__init__(on)
        self.most_repeated = on.options.most_repeated
        self._workers += [self._new_worker() for _ in range(on.options.workers)]
        self._settled_at_kill = 0

    def run(self) -> Books:
        """Let it happen; return the books once every event is settled and committed."""
        started = time.monotonic()
        for worker in self._workers:
            worker.start()
        for due in schedule(self._ground.options):
            self._wait_for(due.settled)
            self._let(due)
        if self._ground.options.brokers > 1:
            self._wait_whole()
        books = self._finish(started)
        self._nobody_ends_again()
        self._nobody_misses_records()
        return books

    def _nobody_misses_records(self) -> None:
        """Raise AssertionError if a worker took a log for another one: none has lost anything here."""
        workers = (*self._workers, *self._left)
        alarms = [line for worker in workers for line in worker.log().splitlines() if _ALARM in line]
        assert not alarms, "a worker missed records of a whole log:\n" + "\n".join(alarms)

    def _let(self, due: Due) -> None:
        match due.what:
            case Kill():
                self._kill(due.what)
            case RestartBroker(killed):
                self._restart_broker(killed=killed)
            case Away() | NobodyFollows() | Rolling():
                self._break(due.what)
            case Freeze(number):
                self._freeze(number)
            case Join():
                self._note("one more worker joins")
                self._workers.append(self._new_worker())
                self._workers[-1].start()
                self.chronicle.guests += 1
            case Leave():
                self._leave()
            case Redrive(kill):
                self._redrive()
                self._kill(kill)
            case Replay(share, kills):
                written = self._upstream.written
                self._replay(written[int(share * len(written))], kills)
            case Offer() | Rest() | LetIn() | Begin() | End() | Revoke():
                self._change(due.what)
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

    def _restart_broker(self, *, killed: bool) -> None:
        self._note("the broker " + ("is killed" if killed else "stops") + " and starts again")
        if killed:
            self._ground.cluster.kill(0)
        self._ground.cluster.start(0)
        self._standstills.append(datetime.now(UTC))
        self.chronicle.broker_restarts += 1

    def _change(self, what: Offer | Rest | Change) -> None:
        """Let something happen at Capillary, or nothing at all for a while."""
        if isinstance(what, Offer):
            self._offer(what.number)
            return
        if isinstance(what, Rest):
            self._rest()
            return
        told = (outcome.value for outcome in self._ground.stage.outcomes.read())
        self._note(self._organisation.let(what, told))
        self.chronicle.changes += 1

    def _rest(self) -> None:
        """Feed no event until what is known now is trusted no more."""
        seconds = min(self._ground.options.trusts + _REST_SECONDS, _LONGEST_REST_SECONDS)
        self._note(f"no event comes for {seconds:g} s")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.1)
            self._revive()
            self._upstream.notices.hand_on()

    def _leave(self) -> None:
        guest = self._workers.pop()
        self._left.append(guest)
        self._note("the worker that joined leaves")
        if guest.poll() is None:
            guest.wait_ready()
            assert guest.stop() == 0, guest.tail()

    def _redrive(self) -> None:
        super()._redrive()
        self.chronicle.redrives += 1

    def _ask_again(self) -> None:
        """Handle all events once more, with `--retry-rejected`."""
        last = [due.what for due in schedule(self._ground.options) if isinstance(due.what, Replay)][-1:]
        self._replay(datetime.now(UTC) + timedelta(seconds=1), last[0].kills if last else ())

    def _replay(self, until: datetime, kills: Sequence[Kill]) -> None:
        """Stop all workers, let one process handle what was written before that time again, and go on.

        The process is killed in between, and begins anew.
        """
        rejected = self._outlook.count("REJECTED")
        self._note(f"all workers stop; what was written before {until:%H:%M:%S.%f} is replayed")
        # One that was killed or has just joined may be starting still.
        for worker in self._workers:
            wait_until(partial(self._is_up, worker), "a worker is up", seconds=PATIENCE_SECONDS)
        for worker in self._workers:
            assert worker.stop() == 0, f"it ended with {worker.poll()}\n{worker.tail()}"
        stage, replaying = self._ground.stage, self._workers[0]
        told, before = len(stage.outcomes.read()), stage.noted()
        for kill in kills:
            self._begin_replay(replaying, until)
            wait_until(
                lambda: replaying.poll() is not None or in_flight(replaying),
                "the replay has work",
                seconds=PATIENCE_SECONDS,
                evidence=replaying.tail,
            )
            if kill.checkpoint is not None:
                self._dies_at(replaying, kill.checkpoint, kill.passing)
            else:
                time.sleep(kill.pause)
            if replaying.poll() is None:
                replaying.kill()
            self.chronicle.replays_killed += replaying.poll() == -signal.SIGKILL
        self._begin_replay(replaying, until)
        wait_until(
            lambda: replaying.poll() is not None,
            "the replay comes to its end",
            seconds=_REPLAY_SECONDS,
            evidence=replaying.tail,
        )
        assert replaying.poll() == 0, replaying.tail()
        self.chronicle.replays += 1
        set_back = {at: kept[0] for at, kept in stage.noted().items() if kept != before.get(at)}
        self._replays.append(Replayed(range(told, len(stage.outcomes.read())), set_back))
        self._outlook.look()
        self._note(f"replayed; rejected before {rejected}, now {self._outlook.count('REJECTED')}")
        for worker in self._workers:
            worker.start()

    def _is_up(self, worker: CrashingWorker) -> bool:
        self._tend()
        try:
            return worker.get("/ready").status == HTTPStatus.OK
        except OSError:
            return False

    def _begin_replay(self, worker: CrashingWorker, until: datetime) -> None:
        """Start it once the group has no member any more: one that was killed counts for a while."""
        time.sleep(self._ground.options.session_seconds + 1)
        worker.replay(self._upstream.written[0], until)

    def _dies_at(self, worker: CrashingWorker, checkpoint: Checkpoint, passing: int) -> bool:
        worker.die_at(checkpoint, passing)
        deadline = time.monotonic() + _CHECKPOINT_SECONDS
        while worker.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
            self._go_on()
        worker.live_on()
        return worker.poll() == -signal.SIGKILL

    def _freeze(self, number: int) -> None:
        worker, _ = self._at_work(self._workers[number], *self._workers)
        self._note("a worker is frozen past its session time-out")
        worker.send(signal.SIGSTOP)
        time.sleep(self._ground.options.session_seconds + 2)
        worker.send(signal.SIGCONT)
        self._standstills.append(datetime.now(UTC))
        self._thawed.append(self._standstills[-1].isoformat())
        self.chronicle.freezes += 1
        self._allowed_ends += 1

    def _new_worker(self) -> CrashingWorker:
        return CrashingWorker(self._ground.lab.household, self._ground.worker_settings())
