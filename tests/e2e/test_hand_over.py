"""Partitions change hands: by a freeze, by SIGTERM, by a worker that comes and goes."""

import json
import signal
import time
from collections.abc import Iterable

import pytest

from tests.crash.outlook import in_flight
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.frozen import frozen_before_its_request
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from topics.record import Record
from worker.demo.simulator import Endpoint, FaultRule, Listing, Promotion, RunningSimulator, World

pytestmark = pytest.mark.timeout(90)

_OFFERS = (
    Promotion(promotion_id=1),
    Promotion(promotion_id=2, listing=Listing.UNTIL_ENROLLED),
)


def test_a_worker_that_thaws_does_not_send_what_it_was_about_to(
    lab: Lab, world_api: RunningSimulator
) -> None:
    """Frozen before its request until another worker has enrolled: it must not send it as it wakes up."""
    settings = CREDENTIALS | {"KAFKA_SESSION_TIMEOUT_SECONDS": "4", "API_TIMEOUT_SECONDS": "2"}
    with (
        lab.stage(world_api.api_url) as stage,
        frozen_before_its_request(stage, world_api, settings) as frozen,
    ):
        stage.worker(**settings, STATE_DIR=str(lab.household.folder / unique("state")))
        assert frozen.desk.wait_for(frozen.event_id).name == "ENROLLED"
        frozen.thaw()
        frozen.worker.wait_ready()
        assert frozen.applied() == [frozen.key]
        assert [one.name for one in stage.outcomes.of(frozen.event_id)] == ["ENROLLED"]


def test_a_drain_finishes_what_it_can_and_ends_in_time(lab: Lab) -> None:
    """SIGTERM with 256 in flight and one never answered: exit 0 in time, the others are done for good."""
    with (
        lab.simulator(World.with_customers(256, *_OFFERS), latency="600ms") as simulator,
        lab.stage(simulator.api_url) as stage,
    ):
        stuck = FaultRule(
            name="timeout_before", endpoint=Endpoint.LOOKUP, customer_ids=frozenset({256}), count=1
        )
        lab.loop.call(lambda: simulator.faults.add(stuck))
        settings = {"KAFKA_SESSION_TIMEOUT_SECONDS": "20", "API_TIMEOUT_SECONDS": "15", "DRAIN_SECONDS": "5"}
        worker = stage.worker(**CREDENTIALS, **settings, MAX_IN_FLIGHT="256")
        worker.wait_ready()
        records = _feed(stage, range(1, 257))
        wait_until(lambda: worker.metric("enrolment_in_flight") == 256, "256 are in flight")
        told = time.monotonic()
        assert worker.stop() == 0
        took = time.monotonic() - told
        print(f"\nended {took:.1f} s after SIGTERM, with a drain of 5 s")  # noqa: T201 - the figure of this test
        assert took < 10
        assert stage.committed() == {0: records[-1].position.offset}
        before = [one.record.value for one in stage.outcomes.read()]
        assert len(before) == 2 * 255
        worker.start()
        stage.wait_for_outcomes([_event_of(records[-1])])
        wait_until(lambda: stage.committed() == {0: records[-1].position.offset + 1}, "all is committed")
        again = [
            one for one in stage.outcomes.read()[len(before) :] if one.event_id != _event_of(records[-1])
        ]
        assert again == [], "a finished event was delivered again"
        assert len(_applied(lab, simulator, range(1, 257))) == 2 * 256


def test_a_worker_that_comes_and_goes_commits_nothing_but_its_own(lab: Lab) -> None:
    """No commit may pass an event without its outcomes, nor fall back; and nobody is enrolled twice."""
    customers = range(1, 101)
    with (
        lab.simulator(World.with_customers(len(customers), *_OFFERS), latency="60ms") as simulator,
        lab.stage(simulator.api_url, partitions=4) as stage,
    ):
        settings = CREDENTIALS | {"MAX_IN_FLIGHT": "8", "DRAIN_SECONDS": "5"}
        stage.worker(**settings).wait_ready()
        records = [record for _ in range(12) for record in _feed(stage, customers)]
        guest = stage.worker(**settings, STATE_DIR=str(lab.household.folder / unique("state")))
        commits: dict[int, int] = {}

        def committed_is_told() -> bool:
            now = stage.committed()
            assert all(now.get(partition, 0) >= offset for partition, offset in commits.items())
            commits.update(now)
            told = {one.event_id for one in stage.outcomes.read()}
            passed = [one for one in records if one.position.offset < now.get(one.position.partition, 0)]
            assert all(_event_of(one) in told for one in passed)
            return len(passed) == len(records)

        wait_until(lambda: committed_is_told() or in_flight(guest), "the guest is at work")
        assert sum(commits.values()) < len(records), "all was done before the guest came"
        guest.send(signal.SIGTERM)
        wait_until(committed_is_told, "all is committed", seconds=60, evidence=stage.tails)
        assert guest.wait(10) == 0
        assert len(_applied(lab, simulator, customers)) == 2 * len(customers)
        overlaps = lab.loop.call(lambda: simulator.requests.overlap_count)
        assert overlaps == 0


def _feed(stage: Stage, customers: Iterable[int]) -> list[Record]:
    return stage.feed.send_all(
        Message(event(unique("event"), {"customerId": who}), b"%d" % who) for who in customers
    )


def _event_of(record: Record) -> str:
    return str(json.loads(record.value or b"")["eventId"])


def _applied(lab: Lab, simulator: RunningSimulator, customers: Iterable[int]) -> list[str | None]:
    """Return the keys of the enrolments that were applied to the customers; each key once."""
    wanted = frozenset(customers)
    keys = lab.loop.call(
        lambda: [one.idempotency_key for one in simulator.world.applied if one.customer_id in wanted]
    )
    assert len(set(keys)) == len(keys), "enrolled twice"
    return keys
