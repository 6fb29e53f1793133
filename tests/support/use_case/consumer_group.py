"""A consumer group whose events go through retry topics, dead letters and redrives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from tests.support.use_case.building import UseCase, virtual
from tests.support.use_case.fakes import (
    FakeApi,
    FakeLedger,
    FakePublisher,
    FakeSleep,
    FakeTracker,
    retrying_with,
)
from tests.support.use_case.honest_api import Killed
from tests.support.use_case.values import NAMES, NOW, found
from topics.dead_letter import REDRIVEN, dead_letter_headers
from topics.record import Headers, Position, Record
from worker.domain.answers import (
    IssueAnswer,
    LookupAnswer,
)
from worker.enrolment.rules import Rules
from worker.resilience.circuit import Call
from worker.resilience.retrying import RetryPolicy


class ConsumerGroup:
    """A consumer group whose ledger and topics outlast the handling of one record."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.ledger = FakeLedger()
        self.publisher = FakePublisher([])
        self.api_journal: list[tuple[object, ...]] = []
        self.borne_out: bool | None = True
        self.deferred_for: list[str] = []
        self.ages: list[float] = []
        self.others_are_served = True
        """Whether the API serves somebody else while it is asked."""
        self.dies_waiting = False

    async def handle(
        self,
        source: Record,
        lookups: Sequence[LookupAnswer],
        issues: Mapping[int, Sequence[IssueAnswer]] | None = None,
    ) -> list[tuple[str, int | None]]:
        """Handle a record; return outcome and promotion of what is told."""
        sleep, tracker = FakeSleep(), FakeTracker()
        retrying = retrying_with(RetryPolicy(2), tracker, sleep)

        async def wait(seconds: float) -> None:
            if self.dies_waiting:
                raise Killed
            await sleep(seconds)
            if self.others_are_served:
                for call in Call:
                    retrying._circuits[call].heard("another", found())

        retrying._sleep = wait
        before = len(self.publisher.outcomes)
        use_case = UseCase(
            api=FakeApi(self.api_journal, lookups, issues or {}),
            rules=self.rules,
            ledger=self.ledger,
            publisher=self.publisher,
            tracker=tracker,
            letters=self,
            time=virtual(sleep, lambda: NOW + timedelta(seconds=sleep.elapsed())),
            retrying=retrying,
        )
        await use_case.handle(source)
        self.deferred_for += tracker.deferred_for
        self.ages += tracker.ages
        return [(each.outcome.value, each.promotion_id) for _, each in self.publisher.outcomes[before:]]

    async def bears_out(self, letter: Position, redriven: Record) -> bool | None:  # noqa: ARG002 - the port's
        """Say of each redrive what the test has it be."""
        return self.borne_out

    def retry(self) -> Record:
        """Return the record deferred last, as it lies on its retry topic."""
        source, failure, hop = self.publisher.deferred[-1]
        at = replace(source.position, topic=NAMES.retries[hop - 1], offset=len(self.publisher.deferred))
        mark = self.publisher.redriven
        headers = dead_letter_headers(source.headers, failure) + (
            ((REDRIVEN, mark.encode()),) if mark else ()
        )
        return replace(source, position=at, headers=headers)

    def redriven(self) -> Record:
        """Return the record dead-lettered last, as redrive puts it back."""
        source, failure = self.publisher.dead_letters[-1]
        headers: Headers = (
            *dead_letter_headers(source.headers, failure),
            (REDRIVEN, f"{NAMES.dead_letters}-0-0".encode()),
        )
        return replace(source, position=replace(source.position, offset=99), headers=headers)
