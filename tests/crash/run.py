"""A run's workers, which work through its events and make progress, and its books."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from tests.crash.api import SETTLE_SECONDS, end_refusals
from tests.crash.books import Books
from tests.crash.choices import customers_of_events
from tests.crash.events import Fed
from tests.crash.ground import Ground
from tests.crash.organisation import Notices, Organisation
from tests.crash.outlook import Outlook, in_flight
from tests.crash.owed import Window
from tests.crash.repeats import Asked, Replayed
from tests.crash.trust import promise_of
from tests.crash.upstream import Upstream
from tests.support.e2e.feeds import TopicReader
from tests.support.e2e.redriving import redrive
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.waiting import wait_until
from topics.record import Record

PATIENCE_SECONDS: Final = 90.0
"""How long nothing may move."""
W = TypeVar("W", bound=WorkerProcess)


class Run(Generic[W]):
    """Workers on a ground, which work through its events. Raises AssertionError where nothing moves."""

    most_repeated: float | None = None
    """The share of outcomes that may be repeated unasked, None for any."""

    def __init__(self, on: Ground) -> None:
        self._ground: Final = on
        self._fed: Final = [Fed(number, who) for number, who in enumerate(customers_of_events(on.options))]
        self._workers: list[W] = []
        self._left: list[W] = []
        self._outlook: Final = Outlook(on.stage, on.api)
        self._offered: dict[int, datetime] = {}
        self._thawed: list[str] = []
        seed = on.options.seed
        self._organisation: Final = Organisation(on.api, seed)
        self._upstream: Final = Upstream(on.stage, Notices(on.api, on.stage.feed, seed))
        self._standstills: list[datetime] = []
        """Until when workers or broker stood still."""
        self._replays: Final[list[Replayed]] = []
        self._gone: frozenset[Fed] = frozenset()
        """Events that Kafka has lost before anybody read them."""
        self.ended_by_themselves: Final[list[int]] = []
        """Exit statuses; each of these workers was started again, as an orchestrator does."""
        self.seconds = 0.0

    def prepare(self) -> None:
        """Write all events, only the first if more is to come between them: changes, and notifications."""
        options = self._ground.options
        if options.trusts:
            self._organisation.announce()
        if options.ahead:
            self._upstream.go_on(self._fed, 0, options.ahead)
        else:
            self._feed(self._fed)

    def _feed(self, events: Sequence[Fed]) -> None:
        self._upstream.write(events)
        self._ground.tell(f"{len(events)} events are in {self._ground.options.partitions} partitions")

    @property
    def notified(self) -> int:
        """How many of the API's notifications were fed."""
        return self._upstream.notices.handed_on

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.close()

    def logs(self) -> dict[str, str]:
        """Return the whole logs by name: the workers' and the broker's end."""
        logs = {f"worker-{number}": worker.log() for number, worker in enumerate(self._workers + self._left)}
        return logs | {"broker": self._ground.cluster.log_tail(500), "ledger": self._ledger()}

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
            self._tend()
            self._outlook.look()
            return not self._outlook.count(*names)

        wait_until(none, f"nothing is {' or '.join(names)}", seconds=PATIENCE_SECONDS, evidence=self._stuck)

    def _offer(self, number: int) -> None:
        promotion_id = self._ground.api.offer(number)
        self._offered[promotion_id] = datetime.now(UTC)

    def _wait_for(self, settled: int) -> None:
        """Block until so many events are settled; start workers again that ended by themselves."""
        last, told, since = self._outlook.look(), self._outlook.told, time.monotonic()
        while last < min(settled, len(self._fed)):
            time.sleep(0.05)
            last = self._outlook.look()
            if self._outlook.told > told:
                # After a replay the group goes on behind it, and tells again what was settled before.
                told, since = self._outlook.told, time.monotonic()
            self._tend()
            assert time.monotonic() - since < PATIENCE_SECONDS, f"{last} settled, no more\n{self._stuck()}"

    def _at_work(self, *preferred: W) -> tuple[W, int]:
        """Wait until one of these workers has events in flight, the first if possible; and how many."""

        def found() -> tuple[W, int] | None:
            self._tend()
            assert self._outlook.look() < len(self._fed), "all was settled before every disturbance came"
            working = [(one, in_flight(one)) for one in preferred if one.poll() is None]
            return next(((one, count) for one, count in working if count), None)

        return wait_until(found, "a worker has work", seconds=PATIENCE_SECONDS, evidence=self._stuck)  # type: ignore[return-value] # truthy

    def _tend(self) -> None:
        """Start workers again that ended by themselves; feed what is to be fed while they work."""
        self._revive()
        self._go_on()

    def _go_on(self) -> None:
        options = self._ground.options
        if options.trusts:
            self._upstream.notices.hand_on()
        if options.ahead:
            self._upstream.go_on(self._fed, len(self._outlook.settled), options.ahead)

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
        self._tend()
        committed = self._ground.stage.committed()
        return all(committed.get(number, 0) >= end for number, end in self._ends().items())

    def _ends(self, topic: str | None = None) -> dict[int, int]:
        """Return the offset behind the last record of each partition, the marks of transactions left out.

        Of the activity topic, if no other one is named.
        """
        return {one.position.partition: one.position.offset + 1 for one in self._read(topic)}

    def _read(self, topic: str | None) -> list[Record]:
        """Return what was committed to that topic, the activity topic if no other one is named."""
        on = self._ground
        servers, name = on.cluster.bootstrap_servers, topic or on.stage.names.activity
        reader = TopicReader(on.lab.loop, servers, name, on.options.partitions, committed=True)
        try:
            return reader.read()
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
            windows=self._windows(),
            promise=promise_of(self._ground.options.trusts, self._standstills),
            thawed=self._thawed,
            once=self._ground.options.reenrol == "once",
            asked=Asked(replays=self._replays, redriven=self._redriven()),
            most_repeated=self.most_repeated,
        )

    def _redriven(self) -> Counter[str]:
        """Return how often each event was sent back: it stands on the topic once more for each time."""
        told = (json.loads(one.value or b"{}").get("eventId") for one in self._read(None))
        return Counter(event_id for event_id in told if event_id) - Counter(one.event_id for one in self._fed)

    def _windows(self) -> list[Window]:
        offers = [Window(promotion_id=number, since=since) for number, since in self._offered.items()]
        return offers + self._organisation.windows()

    def _ledger(self) -> str:
        """Return the changelog, a line for each record."""
        on = self._ground
        servers, topic = on.cluster.bootstrap_servers, on.stage.names.ledger
        reader = TopicReader(on.lab.loop, servers, topic, on.options.partitions)
        try:
            records = reader.read()
        finally:
            reader.close()
        return "\n".join(f"{one.position} {one.timestamp_ms} {one.key!r} {one.value!r}" for one in records)

    def _note(self, line: str) -> None:
        self._ground.tell(f"{len(self._outlook.settled):>6} settled: {line}")
