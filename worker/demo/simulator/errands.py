"""The work of a request: done at once, or (if a fault has it so) later than its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from worker.demo.simulator.model import Enrolment, NotIssued
from worker.demo.simulator.queries import Issue, read_issue
from worker.demo.simulator.reading import Refused
from worker.demo.simulator.responses import Answer
from worker.demo.simulator.shapes import issued_answer, not_issued_answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from worker.demo.simulator.idempotency import KeptAnswers
    from worker.demo.simulator.model import Promotion
    from worker.demo.simulator.reading import Query
    from worker.demo.simulator.shapes import Json
    from worker.demo.simulator.world import World


class Errand(Protocol):
    """A request on its way: `begin`, then one of the other three. Both that answer may raise Refused."""

    def begin(self) -> Answer | None:
        """Return the answer that stops the request here, if there is one."""

    def carry_out(self, now: datetime) -> Answer:
        """Do it and answer."""

    def promise(self, now: datetime, due: datetime) -> Answer:
        """Answer as `carry_out` would, and do it at `due`, if it can be done then."""

    def give_up(self) -> None:
        """Do nothing of it."""


@dataclass(frozen=True, slots=True)
class ReadErrand:
    """A request that changes nothing."""

    read: Callable[[datetime], Json]

    def begin(self) -> None:
        """Let it pass."""

    def carry_out(self, now: datetime) -> Answer:
        """Answer."""
        return Answer(result="ok", body=self.read(now))

    def promise(self, now: datetime, due: datetime) -> Answer:  # noqa: ARG002 - there is nothing to do then
        """Answer."""
        return self.carry_out(now)

    def give_up(self) -> None:
        """There is nothing to undo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueErrand:
    """An enrolment; `kept` holds earlier answers if the server honours idempotency keys."""

    world: World
    query: Query
    content_type: str
    body: bytes
    key: str | None
    show_late: timedelta
    kept: KeptAnswers | None

    def begin(self) -> Answer | None:
        """Claim the key."""
        if self.kept is None or self.key is None:
            return None
        return self.kept.claim(self.key, (self.query, self.body))

    def carry_out(self, now: datetime) -> Answer:
        """Enrol, if limits and configuration allow; a kept answer is repeated instead."""
        if (repeated := self._repeated()) is not None:
            return repeated
        asked = self._read()
        answer = self._issue(asked, now)
        self._keep(answer)
        return answer

    def promise(self, now: datetime, due: datetime) -> Answer:
        """Enrol at `due`; the answer knows only what stands in the way now."""
        if (repeated := self._repeated()) is not None:
            return repeated
        asked = self._read()
        refusal = self.world.refusal(asked.customer.customer_id, asked.promotion, now)
        if refusal is not None:
            answer = _not_issued(refusal)
            self._keep(answer)
            return answer
        issual_id = self.world.next_issual_id()
        self.world.later(due, lambda at: self._keep(self._issue(asked, at, issual_id)))
        return _issued(asked.promotion, issual_id)

    def give_up(self) -> None:
        """Free the key."""
        if self.kept is not None and self.key is not None:
            self.kept.release(self.key)

    def _read(self) -> Issue:
        try:
            return read_issue(self.query, self.content_type, self.body, self.world)
        except Refused:
            self.give_up()
            raise

    def _issue(self, asked: Issue, at: datetime, issual_id: int | None = None) -> Answer:
        outcome = self.world.issue(
            asked.customer.customer_id,
            asked.promotion,
            now=at,
            show_late=self.show_late,
            idempotency_key=self.key,
            issual_id=issual_id,
        )
        if isinstance(outcome, Enrolment):
            return _issued(asked.promotion, outcome.issual_id)
        return _not_issued(outcome)

    def _repeated(self) -> Answer | None:
        return None if self.kept is None or self.key is None else self.kept.answer(self.key)

    def _keep(self, answer: Answer) -> None:
        if self.kept is not None and self.key is not None:
            self.kept.keep(self.key, answer)


def _issued(promotion: Promotion, issual_id: int) -> Answer:
    return Answer(result="issued", body=issued_answer(promotion, issual_id))


def _not_issued(reason: NotIssued) -> Answer:
    return Answer(result=f"not-issued:{reason}", body=not_issued_answer())
