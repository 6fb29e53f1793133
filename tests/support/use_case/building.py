"""The one place where tests put the use case together, whatever they want at its ports."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.support.use_case.fakes import FakeLease, FakeLedger, FakePublisher, FakeSleep, FakeTracker
from tests.support.use_case.values import NAMES, NOW
from topics.record import Record
from worker.enrolment.catalogue import Lists, NoCatalogue
from worker.enrolment.checkpoints import Probe, nothing
from worker.enrolment.delivery import Delivery
from worker.enrolment.handler import Enrolments
from worker.enrolment.lease import Lease
from worker.enrolment.ports import Ledger, Letters, NoLetters, PromotionsApi, Publisher, Tracker
from worker.enrolment.reconciliation import Readings
from worker.enrolment.resources import Resources
from worker.enrolment.rules import Rules
from worker.kafka.partitioners import key_hashes_of
from worker.resilience.retrying import Retrying
from worker.timing import Clock, Sleep


@dataclass(frozen=True, kw_only=True)
class Time:
    """What the use case takes for time. `timer` counts seconds and only grows."""

    sleep: Sleep
    timer: Callable[[], float]
    clock: Clock
    machine: Clock | None = None
    """The machine's own clock, if it is another one."""


def virtual(sleep: FakeSleep, clock: Clock = lambda: NOW, machine: Clock | None = None) -> Time:
    """Return a time that only sleeping moves; a clock that is not given shows NOW for ever."""
    return Time(sleep=sleep, timer=sleep.elapsed, clock=clock, machine=machine)


def real() -> Time:
    """Return the time of this machine."""
    return Time(sleep=asyncio.sleep, timer=time.monotonic, clock=lambda: datetime.now(UTC))


@dataclass(kw_only=True)
class UseCase:
    """The use case as the worker composes it; what a test does not name is a stand-in that does no harm."""

    api: PromotionsApi
    rules: Rules = field(default_factory=Rules)
    ledger: Ledger = field(default_factory=FakeLedger)
    publisher: Publisher = field(default_factory=lambda: FakePublisher([]))
    tracker: Tracker = field(default_factory=FakeTracker)
    letters: Letters = field(default_factory=NoLetters)
    time: Time = field(default_factory=lambda: virtual(FakeSleep()))
    retrying: Retrying
    probe: Probe = nothing
    backlog_age: timedelta | None = None
    lists: Lists = field(default_factory=NoCatalogue)

    def __post_init__(self) -> None:
        time = self.time
        readings = Readings(
            self.api,
            self.retrying,
            settle_seconds=self.rules.settle_seconds,
            timer=time.timer,
            sleep=time.sleep,
        )
        resources = Resources(
            api=self.api,
            readings=readings,
            retrying=self.retrying,
            clock=time.clock,
            machine=time.machine,
            timer=time.timer,
            sleep=time.sleep,
            probe=self.probe,
            backlog_age=self.backlog_age,
        )
        self.enrolments = Enrolments(
            self.rules,
            resources,
            ledger=self.ledger,
            names=NAMES,
            publisher=self.publisher,
            tracker=self.tracker,
            letters=self.letters,
            key_hashes_of=key_hashes_of,
            lists=self.lists,
        )

    async def handle(self, record: Record, lease: Lease | None = None) -> None:
        """Handle a record; its partition is ours unless the test brings a lease that says otherwise."""
        await self.enrolments.handle(Delivery(record, lease or FakeLease()))
