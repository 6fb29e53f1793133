"""A worker that is killed, or stopped, in the middle of its work, and comes back."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.waiting import wait_until
from worker.demo.simulator import Promotion, RunningSimulator, World

_EVENTS = 2_000
_CUSTOMERS = 500
_DRAIN_SECONDS = 5
_IDS = [f"event-{number}" for number in range(_EVENTS)]


@contextmanager
def _fed(lab: Lab, events: int, customers: int) -> Iterator[tuple[Stage, RunningSimulator]]:
    """Give a stage with events of so many customers on two partitions, which nobody reads yet."""
    world = World.with_customers(customers, Promotion(promotion_id=1))
    with lab.simulator(world, latency="10ms") as simulator, lab.stage(simulator.api_url, 2) as stage:
        stage.feed.send_all(_message(number, number % customers + 1) for number in range(events))
        yield stage, simulator


@pytest.fixture
def four_each(lab: Lab) -> Iterator[tuple[Stage, RunningSimulator]]:
    """Give 500 customers, each with four events: 2,000."""
    with _fed(lab, _EVENTS, _CUSTOMERS) as fed:
        yield fed


@pytest.fixture
def one_each(lab: Lab) -> Iterator[tuple[Stage, RunningSimulator]]:
    """Give 1,000 customers, each with one event."""
    with _fed(lab, _EVENTS // 2, _EVENTS // 2) as fed:
        yield fed


def test_killed_in_the_middle(four_each: tuple[Stage, RunningSimulator]) -> None:
    """After a SIGKILL and a restart every event must have its outcome, and nobody be enrolled twice."""
    stage, simulator = four_each
    worker = stage.worker(**CREDENTIALS)
    worker.wait_ready()
    wait_until(lambda: len(stage.outcomes.read()) >= _EVENTS // 4, "a quarter is done", evidence=worker.tail)
    worker.kill()
    done = len(stage.outcomes.read())
    worker.start()
    stage.wait_for_outcomes(_IDS)
    repeats = len(stage.outcomes.read()) - _EVENTS
    print(f"\nkilled after {done} of {_EVENTS} outcomes; {repeats} repeats after the restart")  # noqa: T201 - a figure
    assert _EVENTS // 4 <= done < _EVENTS, "it was not killed in the middle"
    enrolled = Counter(one.customer_id for one in simulator.world.applied)
    assert enrolled == dict.fromkeys(range(1, _CUSTOMERS + 1), 1)


def test_stopped_in_the_middle(one_each: tuple[Stage, RunningSimulator]) -> None:
    """SIGTERM must end it with 0 in time; what had finished must not come again, and nothing be lost.

    Each customer has one event: of several, those that only wait are dropped, and hold the commit back.
    """
    stage, simulator = one_each
    events = _EVENTS // 2
    worker = stage.worker(DRAIN_SECONDS=str(_DRAIN_SECONDS), **CREDENTIALS)
    worker.wait_ready()
    wait_until(lambda: len(stage.outcomes.read()) >= events // 4, "a quarter is done", evidence=worker.tail)
    started = time.monotonic()
    assert worker.stop(_DRAIN_SECONDS + 5) == 0, worker.tail()
    took = time.monotonic() - started
    finished = [one.event_id for one in stage.outcomes.read()]
    assert events // 4 <= len(finished) < events, "it was not stopped in the middle"
    worker.start()
    stage.wait_for_outcomes(_IDS[:events])
    print(f"\nstopped after {len(finished)} of {events} outcomes, in {took:.1f} s")  # noqa: T201 - a figure
    again = Counter(one.event_id for one in stage.outcomes.read())
    assert {event_id for event_id in finished if again[event_id] > 1} == set()
    assert sum(again.values()) == events
    about = sum(one.customer_id is not None for one in simulator.requests.log)
    assert about == 2 * events, "something that had finished was asked again"


def _message(number: int, who: int) -> Message:
    return Message(event(_IDS[number], {"customerId": who}), b"%d" % who)
