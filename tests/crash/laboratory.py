"""One run: real workers against Apache Kafka and the simulator, disturbed until every event is settled."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, assert_never

from tests.crash.api import SETTLE_SECONDS, Api, start_api
from tests.crash.books import Books, Fed
from tests.crash.choices import (
    Due,
    Freeze,
    Join,
    Kill,
    Leave,
    Offer,
    Options,
    RestartBroker,
    customers_of_events,
    schedule,
)
from tests.crash.outlook import Outlook, in_flight
from tests.support.crashing import CrashingWorker
from tests.support.events import event
from tests.support.feeds import Message, TopicReader
from tests.support.lab import CREDENTIALS, Lab, Stage, running_lab
from tests.support.waiting import wait_until
from worker.checkpoints import Checkpoint
from worker.demo.broker import Broker, running_broker

_SETTINGS: Final = {
    **CREDENTIALS,
    "API_TIMEOUT_SECONDS": "2",
    "RECONCILE_SETTLE_SECONDS": f"{SETTLE_SECONDS:g}",
    "DRAIN_SECONDS": "6",
    "MAX_IN_FLIGHT": "64",
    "RETRY_INITIAL_SECONDS": "0.05",
    "RETRY_MAX_SECONDS": "0.5",
    "RETRY_DELAYS_SECONDS": "2,4,6",
}
_PATIENCE_SECONDS: Final = 90.0
"""How long nothing may move."""
_CHECKPOINT_SECONDS: Final = 15.0


@dataclass(slots=True)
class Chronicle:
    """What was done to the workers, and what they did of themselves."""

    in_flight_at_kill: list[int] = field(default_factory=list)
    named_kills: int = 0
    broker_restarts: int = 0
    freezes: int = 0
    guests: int = 0
    ended_by_themselves: list[int] = field(default_factory=list)
    """Exit statuses; each of these workers was started again, as an orchestrator does."""
    seconds: float = 0.0


@contextmanager
def laboratory(options: Options, tell: Callable[[str], None]) -> Iterator["Laboratory"]:
    """Set everything up, with all events in Kafka and the workers ready; nothing is left behind."""
    with ExitStack() as stack:
        broker = stack.enter_context(running_broker(own=True, progress=tell))
        lab = stack.enter_context(running_lab(broker.bootstrap_servers))
        api = start_api(lab.household, options)
        stage = stack.enter_context(lab.stage(api.url, options.partitions))
        made = Laboratory(options, tell, broker, lab, stage, api)
        stack.callback(made.close)
        made.prepare()
        yield made


class Laboratory:
    """The parts of a run and the loop that disturbs them. Raises AssertionError where nothing moves."""

    def __init__(
        self,
        options: Options,
        tell: Callable[[str], None],
        broker: Broker,
        lab: Lab,
        stage: Stage,
        api: Api,
    ) -> None:
        self._options = options
        self._tell = tell
        self._broker = broker
        self._lab = lab
        self._stage = stage
        self._api = api
        self._fed = [Fed(number, who) for number, who in enumerate(customers_of_events(options))]
        self._workers = [self._new_worker() for _ in range(options.workers)]
        self._left: list[CrashingWorker] = []
        self._outlook = Outlook(stage, api)
        self._settled_at_kill = 0
        self._offered: dict[int, datetime] = {}
        self._thawed: list[str] = []
        self.chronicle: Final = Chronicle()

    def prepare(self) -> None:
        """Produce all events, start the workers."""
        self._stage.feed.send_all(
            Message(
                event(fed.event_id, {"customerId": fed.customer_id}),
                b"%d" % fed.customer_id,
                (("traceparent", fed.traceparent.encode()),),
            )
            for fed in self._fed
        )
        self._tell(f"{len(self._fed)} events are in {self._options.partitions} partitions")

    def run(self) -> Books:
        """Let it happen; return the books once every event is settled and committed."""
        started = time.monotonic()
        for worker in self._workers:
            worker.start()
        for due in schedule(self._options):
            self._wait_for(due.settled)
            self._let(due)
        self._wait_for(len(self._fed))
        self.chronicle.seconds = time.monotonic() - started
        wait_until(self._all_committed, "all offsets are committed", evidence=self.tails)
        for worker in self._workers:
            assert worker.stop() == 0, worker.tail()
        time.sleep(SETTLE_SECONDS)
        return self._books()

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.close()

    def logs(self) -> dict[str, str]:
        """Return the whole logs by name: the workers' and the broker's end."""
        logs = {f"worker-{number}": worker.log() for number, worker in enumerate(self._workers + self._left)}
        return logs | {"broker": self._broker.log_tail(500), "ledger": self._ledger()}

    def tails(self) -> str:
        """Return the ends of the workers' logs."""
        return "\n".join(worker.tail() for worker in self._workers)

    def _ledger(self) -> str:
        """Return the changelog, a line for each record."""
        reader = TopicReader(
            self._lab.loop, self._broker.bootstrap_servers, self._stage.names.ledger, self._options.partitions
        )
        try:
            records = reader.read()
        finally:
            reader.close()
        return "\n".join(f"{one.position} {one.timestamp_ms} {one.key!r} {one.value!r}" for one in records)

    def _let(self, due: Due) -> None:
        match due.what:
            case Kill():
                self._kill(due.what)
            case RestartBroker(killed):
                self._note("the broker " + ("is killed" if killed else "stops") + " and starts again")
                if killed:
                    self._broker.kill()
                self._broker.restart()
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
                self._offered[self._api.offer(number)] = datetime.now(UTC)
            case _:
                assert_never(due.what)

    def _kill(self, kill: Kill) -> None:
        """Kill a worker with work in flight, after progress since the last kill, and start it again."""
        self._wait_for(self._settled_at_kill + 1)
        worker, _ = self._at_work(kill.worker)
        if kill.checkpoint is not None and self._dies_at(worker, kill.checkpoint, kill.passing):
            self.chronicle.named_kills += 1
            how = f"died at {kill.checkpoint}"
        else:
            time.sleep(kill.pause)
            worker, count = self._at_work(self._workers.index(worker))
            worker.kill()
            self.chronicle.in_flight_at_kill.append(count)
            how = f"was killed, {count} events in flight"
        self._settled_at_kill = self._outlook.look()
        self._note(f"worker {self._workers.index(worker)} {how}" + (", its disk is lost" * kill.new_disk))
        if kill.new_disk:
            worker.settings["STATE_DIR"] = self._new_folder()
        worker.start()

    def _dies_at(self, worker: CrashingWorker, checkpoint: Checkpoint, passing: int) -> bool:
        worker.die_at(checkpoint, passing)
        deadline = time.monotonic() + _CHECKPOINT_SECONDS
        while worker.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        worker.live_on()
        return worker.poll() == -signal.SIGKILL

    def _freeze(self, number: int) -> None:
        worker, _ = self._at_work(number)
        self._note("a worker is frozen past its session time-out")
        worker.send(signal.SIGSTOP)
        time.sleep(self._options.session_seconds + 2)
        worker.send(signal.SIGCONT)
        self._thawed.append(datetime.now(UTC).isoformat())
        self.chronicle.freezes += 1

    def _wait_for(self, settled: int) -> None:
        """Block until so many events are settled; start workers again that ended by themselves."""
        last, since = self._outlook.look(), time.monotonic()
        while last < min(settled, len(self._fed)):
            time.sleep(0.05)
            now = self._outlook.look()
            if now > last:
                last, since = now, time.monotonic()
            self._revive()
            assert time.monotonic() - since < _PATIENCE_SECONDS, f"{last} settled, no more\n{self._stuck()}"

    def _at_work(self, preferred: int) -> tuple[CrashingWorker, int]:
        """Wait until a worker has events in flight, that one or else another; return it and how many."""

        def found() -> tuple[CrashingWorker, int] | None:
            self._revive()
            assert self._outlook.look() < len(self._fed), "all was settled before every disturbance came"
            first = self._workers[preferred]
            working = [(one, in_flight(one)) for one in (first, *self._workers) if one.poll() is None]
            return next(((one, count) for one, count in working if count), None)

        return wait_until(found, "a worker has work", seconds=_PATIENCE_SECONDS, evidence=self._stuck)  # type: ignore[return-value] # truthy

    def _revive(self) -> None:
        for worker in self._workers:
            status = worker.poll()
            if status is not None:
                self._note(f"a worker ended by itself with {status}, and starts again")
                self.chronicle.ended_by_themselves.append(status)
                worker.start()

    def _stuck(self) -> str:
        settled = self._outlook.settled
        missing = [fed.event_id for fed in self._fed if fed.event_id not in settled]
        return f"committed {self._stage.committed()}, without an outcome: {missing[:10]}\n{self.tails()}"

    def _all_committed(self) -> bool:
        self._revive()
        return sum(self._stage.committed().values()) == len(self._fed)

    def _books(self) -> Books:
        self._outlook.look()
        return Books(
            fed=self._fed,
            outcomes=[outcome.value for outcome in self._stage.outcomes.read()],
            enrolments=self._api.get("/enrolments")["enrolments"],
            requests=self._api.get("/requests")["requests"],
            overlaps=self._outlook.overlaps,
            overlap_count=self._api.get("/watch")["overlapCount"],
            offered=self._offered,
            thawed=self._thawed,
        )

    def _new_worker(self) -> CrashingWorker:
        session = f"{self._options.session_seconds:g}"
        own = {"STATE_DIR": self._new_folder(), "KAFKA_SESSION_TIMEOUT_SECONDS": session}
        return CrashingWorker(self._lab.household, self._stage.settings | _SETTINGS | own)

    def _new_folder(self) -> str:
        return str(self._lab.household.folder / f"state-{time.monotonic_ns()}")

    def _note(self, line: str) -> None:
        self._tell(f"{len(self._outlook.settled):>6} settled: {line}")
