"""What the crash laboratory lets change, at the simulated API."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
from aiokafka.errors import KafkaConnectionError

from tests.crash.api import Api
from tests.crash.changes import AUDIENCES, Begin, End, LetIn, Revoke
from tests.crash.organisation import Notices, Organisation
from tests.support.e2e.feeds import Message
from tests.support.loop_thread import LoopThread
from worker.demo.processes import ChildProcess
from worker.demo.simulator import RunningSimulator, SimulatorOptions, World, running_simulator

_LATE, _LATER = 100.0, 200.0
"""Seconds after which everything that is handed on late is due."""


class _Lab:
    def __init__(self, loop: LoopThread, simulator: RunningSimulator) -> None:
        self.api = Api(Mock(ChildProcess), simulator.api_url, simulator.control_url)
        self.organisation = Organisation(self.api, 2)
        self._loop, self._simulator = loop, simulator

    def enrolled(self, customer_id: int, promotion_id: int, key: str = "key") -> dict[str, Any]:
        """Let a worker enrol a customer, and return the outcome."""
        world = self._simulator.world
        promotion = world.promotions[promotion_id]
        now = datetime.now(UTC)
        self._loop.call(lambda: world.issue(customer_id, promotion, now=now, idempotency_key=key))
        return {"outcome": "ENROLLED", "idempotencyKey": key}

    def available(self, customer_id: int) -> list[int]:
        """Return what is open to a customer."""
        now, world = datetime.now(UTC), self._simulator.world
        return [
            one.promotion_id
            for one in world.promotions_of(customer_id)
            if world.can_enrol(customer_id, one, now)
        ]


@pytest.fixture
def lab() -> Iterator[_Lab]:
    """Give a simulated API with 20 customers and no promotion."""
    with LoopThread() as loop:
        world = World.with_customers(20)
        simulator, leave = loop.enter(running_simulator(SimulatorOptions(), world=world))
        try:
            yield _Lab(loop, simulator)
        finally:
            leave()


def test_audiences(lab: _Lab) -> None:
    """Nobody is in them at first; whoever is let in has a window from then on."""
    before = datetime.now(UTC)
    lab.organisation.announce()
    assert lab.available(5) == []
    lab.organisation.let(LetIn(AUDIENCES[1], (4, 5)), [])
    promotion_id = lab.api.promotion_id(AUDIENCES[1])
    assert lab.available(5) == [promotion_id]
    windows = lab.organisation.windows()
    assert [(one.customer_id, one.promotion_id, one.until) for one in windows] == [
        (4, promotion_id, None),
        (5, promotion_id, None),
    ]
    assert all(before.replace(microsecond=0) <= one.since <= datetime.now(UTC) for one in windows)


def test_a_promotion_begins_and_ends(lab: _Lab) -> None:
    """It is there before it goes live, with those whom another channel enrols; its window is from then on."""
    before = datetime.now(UTC)
    lab.organisation.let(Begin(200, (3,)), [])
    (enrolment,) = lab.api.get("/enrolments")["enrolments"]
    assert (enrolment["customerId"], enrolment["idempotencyKey"]) == (3, None)
    (window,) = lab.organisation.windows()
    assert (window.customer_id, window.until) == (None, None)
    assert before < window.since
    assert datetime.fromisoformat(enrolment["at"]) < window.since
    assert lab.available(3) == []
    lab.organisation.let(End(200), [])
    (window,) = lab.organisation.windows()
    assert window.until is not None
    (promotion,) = lab.api.get("/world")["promotions"]
    assert datetime.fromisoformat(promotion["ends"]) == window.until
    assert promotion["timelines"]


def test_only_what_was_told_is_revoked(lab: _Lab) -> None:
    """An enrolment that nobody told of may be in doubt still; one that is revoked is not revoked again."""
    promotion_id = lab.api.offer(0)
    told = [lab.enrolled(1, promotion_id, "a"), lab.enrolled(2, promotion_id, "b")]
    lab.enrolled(3, promotion_id, "c")
    for _ in range(2):
        lab.organisation.let(Revoke(0, 1.0), told)
    revoked = [one["customerId"] for one in lab.api.get("/enrolments")["enrolments"] if one["revokedAt"]]
    assert revoked == [1, 2]


class _Feed:
    """Keeps what it gets, unless it is away."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.is_away = False

    def send_all(self, messages: Iterable[Message]) -> None:
        """Take them."""
        if self.is_away:
            raise KafkaConnectionError
        self.messages += messages


def test_notifications_are_handed_on_under_the_key_of_their_subject(lab: _Lab) -> None:
    """The customer's, for a promotion its own; each at least once."""
    feed = _Feed()
    notices = Notices(lab.api, feed, 2)
    promotion_id = lab.api.offer(0)
    for customer_id in range(1, 21):
        lab.enrolled(customer_id, promotion_id, f"key-{customer_id}")
    notices.hand_on(_LATE)
    first = len(feed.messages)
    notices.hand_on(_LATER)
    keys = {message.key for message in feed.messages}
    assert keys == {b"%d" % about for about in (promotion_id, *range(1, 21))}
    assert first < len(feed.messages) == notices.handed_on
    assert len(feed.messages) > len(keys)
    assert b"promotionCreated" in (feed.messages[0].value or b"")


def test_nothing_is_lost_while_nobody_takes_it(lab: _Lab) -> None:
    """It comes again once it is taken; the simulator is asked for what is new only."""
    feed = _Feed()
    notices = Notices(lab.api, feed, 2)
    promotion_id = lab.api.offer(0)
    feed.is_away = True
    notices.hand_on(_LATE)
    assert notices.handed_on == 0
    feed.is_away = False
    notices.hand_on(_LATER)
    assert [message.key for message in feed.messages] == [b"%d" % promotion_id]
