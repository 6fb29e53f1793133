"""What a run happens on: all events in Kafka, the simulator, workers that make progress, and its books."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

from tests.crash.api import SETTLE_SECONDS, Api, end_refusals, start_api
from tests.crash.books import Books, Fed
from tests.crash.choices import Options, customers_of_events
from tests.crash.outlook import Outlook, in_flight
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message, TopicReader
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage, running_lab
from tests.support.e2e.redriving import redrive
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.waiting import wait_until
from topics.record import Position
from worker.demo.broker import Broker, running_broker
from worker.demo.processes import Household

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
_FED_AT_ONCE: Final = 500
"""Events that are written at the same time: a window of time begins or ends between two such lots."""
PATIENCE_SECONDS: Final = 90.0
"""How long nothing may move."""
W = TypeVar("W", bound=WorkerProcess)


@dataclass(frozen=True, slots=True)
class Ground:
    """A broker and a simulator of its own, a topic, and the options that they were made for."""

    options: Options
    tell: Callable[[str], None]
    broker: Broker
    data: Path
    """Where the broker has its logs."""
    lab: Lab
    stage: Stage
    api: Api

    def worker_settings(self) -> dict[str, str]:
        """Return the settings of one more worker: a state folder of its own, the run's session time-out."""
        session = f"{self.options.session_seconds:g}"
        own = {"STATE_DIR": self.new_folder(), "KAFKA_SESSION_TIMEOUT_SECONDS": session}
        own["REENROL"] = self.options.reenrol
        return self.stage.settings | _SETTINGS | own

    def new_folder(self) -> str:
        """Return the path of a state folder that nobody has."""
        return str(self.lab.household.folder / f"state-{time.monotonic_ns()}")


@contextmanager
def ground(options: Options, tell: Callable[[str], None]) -> Iterator[Ground]:
    """Set up broker, simulator and topic; nothing is left behind."""
    with ExitStack() as stack:
        home = stack.enter_context(Household())
        broker = stack.enter_context(running_broker(own=True, household=home, progress=tell))
        lab = stack.enter_context(running_lab(broker.bootstrap_servers))
        api = start_api(lab.household, options)
        stage = stack.enter_context(lab.stage(api.url, options.partitions))
        data = home.folder / "kafka" / "data"
        yield Ground(options, tell, broker=broker, data=data, lab=lab, stage=stage, api=api)


class Run(Generic[W]):
    """Workers on a ground, which work through its events. Raises AssertionError where nothing moves."""

    def __init__(self, on: Ground) -> None:
        self._ground: Final = on
        self._fed: Final = [Fed(number, who) for number, who in enumerate(customers_of_events(on.options))]
        self._workers: list[W] = []
        self._left: list[W] = []
        self._outlook: Final = Outlook(on.stage, on.api)
        self._offered: dict[int, datetime] = {}
        self._thawed: list[str] = []
        self._written: list[datetime] = []
        """When each lot of events was written."""
        self._positions: list[tuple[Fed, Position]] = []
        self._gone: frozenset[Fed] = frozenset()
        """Events that Kafka has lost before anybody read them."""
        self.ended_by_themselves: Final[list[int]] = []
        """Exit statuses; each of these workers was started again, as an orchestrator does."""
        self.seconds = 0.0

    def prepare(self) -> None:
        """Produce all events."""
        self._feed(self._fed)

    def _feed(self, events: Sequence[Fed]) -> None:
        # A producer of its own: one that is idempotent cannot go on in a log that has lost its records.
        feed = self._ground.stage.feed_of(self._ground.stage.names.activity)
        for first in range(0, len(events), _FED_AT_ONCE):
            lot = events[first : first + _FED_AT_ONCE]
            written = feed.send_all(
                Message(
                    event(fed.event_id, {"customerId": fed.customer_id}),
                    b"%d" % fed.customer_id,
                    (("traceparent", fed.traceparent.encode()),),
                )
                for fed in lot
            )
            self._written.append(written[0].timestamp)
            self._positions += [(fed, record.position) for fed, record in zip(lot, written, strict=True)]
        self._ground.tell(f"{len(events)} events are in {self._ground.options.partitions} partitions")

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.close()

    def logs(self) -> dict[str, str]:
        """Return the whole logs by name: the workers' and the broker's end."""
        logs = {f"worker-{number}": worker.log() for number, worker in enumerate(self._workers + self._left)}
        return logs | {"broker": self._ground.broker.log_tail(500), "ledger": self._ledger()}

    def tails(self) -> str:
        """Return the ends of the workers' logs."""
        return "\n".join(worker.tail() for worker in self._workers)

    def _finish(self, started: float) -> Books:
        """Wait until every event is settled and committed, end the workers, close the books.

        Before that the API refuses nobody any more, and what was refused or failed is asked for once more.
        """
        self._wait_for(len(self._fed) - len(self._gone))
        self._wait_until_none("DEFERRED")
        self.seconds = time.monotonic() - started
        end_refusals(self._ground.api, self._ground.options)
        if self._outlook.count("DEAD_LETTERED"):
            self._redrive()
        self._wait_until_none("DEFERRED", "DEAD_LETTERED")
        self._ask_again()
        self._wait_until_none("DEFERRED", "DEAD_LETTERED", "REJECTED")
        wait_until(self._all_committed, "all offsets are committed", evidence=self.tails)
        for worker in self._workers:
            # One that was killed, or started after a replay, may not be up yet.
            worker.wait_ready(PATIENCE_SECONDS)
            assert worker.stop() == 0, f"it ended with {worker.poll()}\n{worker.tail()}"
        time.sleep(SETTLE_SECONDS)
        return self._books()

    def _redrive(self) -> None:
        """Send all dead letters back, while the workers work."""
        stage, waiting = self._ground.stage, self._outlook.count("DEAD_LETTERED")
        self._note(f"dead letters are redriven, {waiting} promotions wait for it")
        redrive(stage.settings, seconds=PATIENCE_SECONDS)

    def _ask_again(self) -> None:
        """Ask once more for all that was rejected; a run without refusals has nothing to ask for."""

    def _wait_until_none(self, *names: str) -> None:
        """Block until no promotion of any event has such an outcome last."""

        def none() -> bool:
            self._revive()
            self._outlook.look()
            return not self._outlook.count(*names)

        wait_until(none, f"nothing is {' or '.join(names)}", seconds=PATIENCE_SECONDS, evidence=self._stuck)

    def _offer(self, number: int) -> None:
        promotion_id = self._ground.api.offer(number)
        self._offered[promotion_id] = datetime.now(UTC)

    def _wait_for(self, settled: int) -> None:
        """Block until so many events are settled; start workers again that ended by themselves."""
        last, since = self._outlook.look(), time.monotonic()
        while last < min(settled, len(self._fed)):
            time.sleep(0.05)
            now = self._outlook.look()
            if now > last:
                last, since = now, time.monotonic()
            self._revive()
            assert time.monotonic() - since < PATIENCE_SECONDS, f"{last} settled, no more\n{self._stuck()}"

    def _at_work(self, *preferred: W) -> tuple[W, int]:
        """Wait until one of these workers has events in flight, the first if possible; and how many."""

        def found() -> tuple[W, int] | None:
            self._revive()
            assert self._outlook.look() < len(self._fed), "all was settled before every disturbance came"
            working = [(one, in_flight(one)) for one in preferred if one.poll() is None]
            return next(((one, count) for one, count in working if count), None)

        return wait_until(found, "a worker has work", seconds=PATIENCE_SECONDS, evidence=self._stuck)  # type: ignore[return-value] # truthy

    def _revive(self) -> None:
        for worker in self._workers:
            status = worker.poll()
            if status is not None:
                self._note(f"a worker ended by itself with {status}, and starts again")
                self.ended_by_themselves.append(status)
                worker.start()

    def _stuck(self) -> str:
        settled = self._outlook.settled
        missing = [fed.event_id for fed in self._fed if fed.event_id not in settled]
        committed = self._ground.stage.committed()
        return f"committed {committed}, without an outcome: {missing[:10]}\n{self.tails()}"

    def _all_committed(self) -> bool:
        self._revive()
        committed = self._ground.stage.committed()
        return all(committed.get(number, 0) >= end for number, end in self._ends().items())

    def _ends(self, topic: str | None = None) -> dict[int, int]:
        """Return the offset behind the last record of each partition, the marks of transactions left out.

        Of the activity topic, if no other one is named.
        """
        on = self._ground
        servers, name = on.broker.bootstrap_servers, topic or on.stage.names.activity
        reader = TopicReader(on.lab.loop, servers, name, on.options.partitions, committed=True)
        try:
            return {one.position.partition: one.position.offset + 1 for one in reader.read()}
        finally:
            reader.close()

    def _books(self) -> Books:
        self._outlook.look()
        api = self._ground.api
        return Books(
            fed=[fed for fed in self._fed if fed not in self._gone],
            outcomes=[outcome.value for outcome in self._ground.stage.outcomes.read()],
            enrolments=api.get("/enrolments")["enrolments"],
            requests=api.get("/requests")["requests"],
            overlaps=self._outlook.overlaps,
            overlap_count=api.get("/watch")["overlapCount"],
            offered=self._offered,
            thawed=self._thawed,
            once=self._ground.options.reenrol == "once",
        )

    def _ledger(self) -> str:
        """Return the changelog, a line for each record."""
        on = self._ground
        servers, topic = on.broker.bootstrap_servers, on.stage.names.ledger
        reader = TopicReader(on.lab.loop, servers, topic, on.options.partitions)
        try:
            records = reader.read()
        finally:
            reader.close()
        return "\n".join(f"{one.position} {one.timestamp_ms} {one.key!r} {one.value!r}" for one in records)

    def _note(self, line: str) -> None:
        self._ground.tell(f"{len(self._outlook.settled):>6} settled: {line}")
