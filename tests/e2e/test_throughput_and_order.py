"""How fast one partition is, and that speed costs no order."""

import time

import pytest

from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab
from worker.demo.simulator import Promotion, World

_EVENTS = 2_000
_CUSTOMERS = 400
_SECONDS = 20.0


@pytest.mark.long
def test_one_partition_is_fast_and_keeps_the_order_per_key(lab: Lab) -> None:
    """2,000 events at 100 ms a request must be done in 20 s, each customer's one by one in their order.

    Every event enrols (REENROL=every-event), so that its idempotency key tells the simulator's log which
    event a request belongs to. The API shows at once what it applied: with no time to settle, no event has to
    look once more at what the one before it left.
    """
    world = World.with_customers(_CUSTOMERS, Promotion(promotion_id=1, limit_per_customer=None))
    with lab.simulator(world, latency="100ms") as simulator, lab.stage(simulator.api_url) as stage:
        worker = stage.worker(
            REENROL="every-event", MAX_IN_FLIGHT="256", RECONCILE_SETTLE_SECONDS="0", **CREDENTIALS
        )
        worker.wait_ready()
        order = [(f"event-{number}", _customer(number)) for number in range(_EVENTS)]
        messages = [Message(event(name, {"customerId": who}), b"%d" % who) for name, who in order]
        started = time.monotonic()
        stage.feed.send_all(messages)
        stage.wait_for_outcomes(name for name, _ in order)
        took = time.monotonic() - started
        books = simulator.requests
        asked = lab.loop.call(lambda: list(books.log))
        issues = [
            (record.customer_id, record.idempotency_key)
            for record in asked
            if record.endpoint.value == "issue"
        ]
        print(  # noqa: T201 - the figure that this test is for
            f"\n{_EVENTS} events, {len(asked)} requests of 100 ms, one partition: {took:.1f} s, "
            f"{_EVENTS / took:.0f} events/s, at most {books.most_at_once} requests at once"
        )
        assert sorted(one.name for one in stage.outcomes.read()) == ["ENROLLED"] * _EVENTS
        assert books.overlap_count == 0, f"two requests at once for one customer: {books.overlaps[0]}"
        for who in range(1, _CUSTOMERS + 1):
            ours = [name for name, customer in order if customer == who]
            keys = [enrolment_key(0, who, 469, 1, name) for name in ours]
            assert [key for customer, key in issues if customer == who] == keys
            endpoints = [record.endpoint.value for record in asked if record.customer_id == who]
            assert endpoints == ["lookup", "issue"] * len(ours)
        assert took < _SECONDS


def test_large_keys_hold_nobody_up(lab: Lab) -> None:
    """Each was hashed in Python, at each ledger entry: forty of 900 KB took a minute."""
    world = World.with_customers(80, Promotion(promotion_id=1))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        stage.worker(**CREDENTIALS).wait_ready()
        messages = [
            Message(
                event(f"event-{who}", {"customerId": who}),
                (bytes(900_000) if who % 2 else b"") + b"%d" % who,
                partition=0,
            )
            for who in range(1, 81)
        ]
        started = time.monotonic()
        stage.feed.send_all(messages)
        stage.wait_for_outcomes(f"event-{who}" for who in range(1, 81))
        assert time.monotonic() - started < _SECONDS


def _customer(number: int) -> int:
    """Spread a customer's five events over 500: near enough that several are on hand at once."""
    return number // 500 * 100 + number % 100 + 1
