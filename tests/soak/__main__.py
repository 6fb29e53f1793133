"""`python -m tests.soak`: six minutes of weather, then the books; exit status 1 where they disagree."""

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle
from random import Random
from typing import Final

import click

from tests.bench.memory import resident_mib
from tests.crash.api import Api, start_simulator
from tests.crash.changes import changes
from tests.crash.choices import BY_THE_SEED, trusted
from tests.crash.events import Fed
from tests.crash.organisation import Notices, Organisation
from tests.crash.owed import Window
from tests.crash.trust import known_customers, promise_of
from tests.soak.books import Books, busiest_minute, findings
from tests.soak.weather import FORECAST, Weather
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Stage, running_lab
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.waiting import wait_until
from worker.demo.broker import running_broker

_BUDGET: Final = 3000
_TRUST_SECONDS: Final = 10.0
"""Well below the time between two offers, for which everybody is looked up again."""
_SECONDS: Final = sum(weather.seconds for weather in FORECAST)
_LOGS: Final = {"request-log-size": 1_000_000, "notification-log-size": 1_000_000}
_CUSTOMERS: Final = 600
_PARTITIONS: Final = 4
_EVENTS_A_SECOND: Final = 15
_BAD_SHARE: Final = 0.02
_NEW_OFFER_SECONDS: Final = 20.0
_WARM_SECONDS: Final = 60.0
_JOINS_AFTER_SECONDS: Final = 130.0
_JOIN_SECONDS: Final = 90.0
"""A throttled worker drains for as long as it may before it lets another join."""
_CATCH_UP_SECONDS: Final = 240.0
_SETTINGS: Final = {
    **CREDENTIALS,
    "API_REQUESTS_PER_MINUTE": str(_BUDGET),
    "API_TIMEOUT_SECONDS": "4",
    "RECONCILE_SETTLE_SECONDS": "1",
    "RETRY_DELAYS_SECONDS": "3,6,9",
    "OUTAGE_PROBE_SECONDS": "1",
    "MAX_IN_FLIGHT": "64",
    "DRAIN_SECONDS": "10",
}
_BAD: Final = (
    b"",
    b"\xff\x00\xfe",
    b"[1, 2, 3]",
    b'{"customer": {"customerId": ',
    b'{"eventName": "transactionAdded", "customer": {}}',
    b"[" * 100_000,
    b'{"eventName": "transactionAdded", "customer": {"customerId": NaN}}',
    b'{"eventName": "transactionAdded", "customer": {"customerId": 1180591620717411303424}}',
    b'{"eventName": "transactionAdded", "customer": {"mobile": "' + b"9" * 300_000 + b'"}}',
)


class Soak:
    """One run. Raises AssertionError where nothing moves any more."""

    def __init__(self, stage: Stage, api: Api, seed: int, trusts: float) -> None:
        self._stage = stage
        self._api = api
        self._trusts = trusts
        self._organisation = Organisation(api, seed)
        self._notices = Notices(api, stage.feed, seed)
        self._changes = deque(changes(seed, _CUSTOMERS) if trusts else ())
        self._fed: list[Fed] = []
        self._offered: list[Window] = []
        self._random = Random(seed)  # noqa: S311 - repeatable, and no secret
        self._bad = cycle(_BAD)
        self._numbers = iter(range(1_000_000))
        self._offers = iter(range(1_000))
        self._good_at: set[tuple[int, int]] = set()
        self._bad_at: set[tuple[int, int]] = set()
        self._workers: dict[str, WorkerProcess] = {}
        self._early: dict[str, tuple[float, float]] = {}
        self._begun = time.monotonic()
        self._next_offer = 0.0

    def run(self) -> Books:
        """Let the weather change while events flow; return the books once everything is settled."""
        if self._trusts:
            self._organisation.announce()
        self._join("first")
        self._begun = time.monotonic()
        for weather in FORECAST:
            self._set(weather)
            self._feed_for(weather)
        self._set(FORECAST[0])
        every = self._good_at | self._bad_at
        wait_until(
            lambda: every <= self._settled(), "all is settled", seconds=_CATCH_UP_SECONDS, evidence=self._left
        )
        memory = {
            name: (self._early[name][1], resident_mib(worker.pid)) for name, worker in self._workers.items()
        }
        for worker in self._workers.values():
            assert worker.stop() == 0, worker.tail()
        return self._books(memory)

    def _feed_for(self, weather: Weather) -> None:
        begun = time.monotonic()
        while time.monotonic() - begun < weather.seconds:
            tick = time.monotonic()
            self._offer_now_and_then()
            self._change()
            self._feed(list(self._events()))
            if time.monotonic() - self._begun > _JOINS_AFTER_SECONDS and "second" not in self._workers:
                self._join("second")
            self._weigh()
            time.sleep(max(0.0, tick + 1.0 - time.monotonic()))
        told = Counter(one.name for one in self._stage.outcomes.read())
        click.echo(f"{time.monotonic() - self._begun:6.0f} s  {weather.name}: {dict(told)}")

    def _events(self) -> Iterator[tuple[bool, Message]]:
        for _ in range(_EVENTS_A_SECOND):
            number = next(self._numbers)
            customer = self._random.randrange(1, _CUSTOMERS + 1)
            if self._random.random() < _BAD_SHARE:
                yield False, Message(next(self._bad), b"bad-%d" % number)
            else:
                fed = Fed(number, customer)
                self._fed.append(fed)
                traced = (("traceparent", fed.traceparent.encode()),)
                yield True, Message(event(fed.event_id, {"customerId": customer}), b"%d" % customer, traced)

    def _feed(self, events: list[tuple[bool, Message]]) -> None:
        records = self._stage.feed.send_all(message for _, message in events)
        for (is_good, _), record in zip(events, records, strict=True):
            at = (record.position.partition, record.position.offset)
            (self._good_at if is_good else self._bad_at).add(at)

    def _offer_now_and_then(self) -> None:
        if time.monotonic() - self._begun >= self._next_offer:
            self._next_offer += _NEW_OFFER_SECONDS
            promotion_id = self._api.offer(next(self._offers))
            self._offered.append(Window(promotion_id=promotion_id, since=datetime.now(UTC)))

    def _change(self) -> None:
        """Let happen at Capillary what is due by now, and hand on what it notifies."""
        gone = (time.monotonic() - self._begun) / _SECONDS
        while self._changes and self._changes[0][0] <= gone:
            _, change = self._changes.popleft()
            said = self._organisation.let(change, (one.value for one in self._stage.outcomes.read()))
            click.echo(f"{gone * _SECONDS:6.0f} s  {said}")
        if self._trusts:
            self._notices.hand_on()

    def _join(self, name: str) -> None:
        folder = f"{self._stage.settings['STATE_DIR']}-{name}"
        worker = self._stage.worker(STATE_DIR=folder, **_SETTINGS, **known_customers(self._trusts))
        worker.wait_ready(_JOIN_SECONDS)
        self._workers[name] = worker
        self._early[name] = (time.monotonic(), 0.0)

    def _weigh(self) -> None:
        """Note each worker's memory once it has been at work for a minute."""
        for name, (since, memory) in self._early.items():
            if not memory and time.monotonic() - since >= _WARM_SECONDS:
                self._early[name] = (since, resident_mib(self._workers[name].pid))

    def _set(self, weather: Weather) -> None:
        self._api.send("PATCH", "/settings", weather.settings)
        self._api.send("PUT", "/faults", list(weather.faults))

    def _settled(self) -> set[tuple[int, int]]:
        return {
            (one.value["activity"]["partition"], one.value["activity"]["offset"])
            for one in self._stage.outcomes.read()
            if one.name != "DEFERRED"
        }

    def _left(self) -> str:
        missing = sorted((self._good_at | self._bad_at) - self._settled())
        return f"{len(missing)} are not settled, such as {missing[:5]}\n{self._stage.tails()}"

    def _books(self, memory: dict[str, tuple[float, float]]) -> Books:
        return Books(
            good=frozenset(self._good_at),
            bad=frozenset(self._bad_at),
            outcomes=[one.value for one in self._stage.outcomes.read()],
            dead_letters=[
                (int(one.error["partition"]), int(one.error["offset"]))
                for one in self._stage.dead_letters.read()
            ],
            enrolments=self._api.get("/enrolments")["enrolments"],
            requests=self._api.get("/requests")["requests"],
            fed=self._fed,
            windows=self._offered + self._organisation.windows(),
            promise=promise_of(self._trusts),
            budget=_BUDGET,
            memory=memory,
        )


def _report(books: Books, seconds: float) -> None:
    told = Counter(one["outcome"] for one in {each["outcomeId"]: each for each in books.outcomes}.values())
    click.echo(f"took: {seconds:.0f} s; events: {len(books.good)} good, {len(books.bad)} bad")
    click.echo(f"outcomes: {dict(told)}; repeats {len(books.outcomes) - told.total()}")
    click.echo(f"dead letters: {len(books.dead_letters)}; enrolments applied: {len(books.enrolments)}")
    click.echo(f"requests: {len(books.requests)}, {busiest_minute(books.arrivals)} in the busiest minute")
    click.echo(f"known customers: {books.known} events were told without a lookup")
    for name, (early, late) in books.memory.items():
        click.echo(f"memory of the {name} worker: {early:.0f} MiB after a minute, {late:.0f} MiB at the end")


@click.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--trust-seconds", default=BY_THE_SEED, show_default=True, help="0: off; -1: for even seeds.")
def main(seed: int, trust_seconds: float) -> None:
    """Run the soak and say whether the books agree."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    started, trusts = time.monotonic(), trusted(trust_seconds, seed, _TRUST_SECONDS)
    click.echo(f"customers are known for {trusts:g} s" if trusts else "every event is looked up")
    with running_broker() as broker, running_lab(broker.bootstrap_servers) as lab:
        api = start_simulator(lab.household, _CUSTOMERS, {"seed": seed} | _LOGS)
        with lab.stage(api.url, _PARTITIONS) as stage:
            books = Soak(stage, api, seed, trusts).run()
    _report(books, time.monotonic() - started)
    found = findings(books)
    for line in found:
        click.echo(f"FAULT: {line}")
    click.echo("the books disagree" if found else "the books agree")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
