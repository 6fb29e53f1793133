"""What the ledger remembers: when a customer is enrolled again, under which key, and on which machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.e2e.desk import Desk, Told
from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.kafka.brokers import unique
from worker.demo.simulator import Customer, Endpoint, Listing, Promotion, RunningSimulator

pytestmark = pytest.mark.timeout(60)


def test_a_limit_is_trusted_until_its_cool_down_is_over(lab: Lab, world_api: RunningSimulator) -> None:
    """Within it no request is spent; after it a new key goes out, and succeeds once the limit is gone."""
    with _desk(lab, world_api, LIMIT_COOLDOWN_SECONDS="1.5") as desk:
        customer = desk.customer()
        promotion = desk.promotion(customer, listing=Listing.ALWAYS, configuration_fault=True)
        first, cached = _tell(desk, customer), _tell(desk, customer)
        for told in (first, cached):
            assert told.only.name == "LIMIT_EXHAUSTED"
            assert told.only.value["reason"] == "CONFIGURATION_OR_LIMIT"
        assert ("cached" in first.only.value, cached.only.value.get("cached")) == (False, True)
        assert _keys(desk, customer) == [_key(customer, promotion)]
        time.sleep(1.5)
        again = _tell(desk, customer)
        assert (again.only.name, "cached" in again.only.value) == ("LIMIT_EXHAUSTED", False)
        repaired = Promotion(
            promotion_id=promotion.promotion_id, name=promotion.name, customer_ids=promotion.customer_ids
        )
        lab.loop.call(lambda: desk.simulator.world.put_promotion(repaired))
        assert _tell(desk, customer).only.value.get("cached") is True
        time.sleep(1.5)
        assert _tell(desk, customer).only.name == "ENROLLED"
        assert _keys(desk, customer) == [_key(customer, promotion, *more) for more in ((), ("r1",), ("r2",))]


def test_after_expiry_enrols_again_once_it_is_over(lab: Lab, world_api: RunningSimulator) -> None:
    """The key counts the timeline's entries; a lost answer is judged by what is new in it."""
    with _desk(lab, world_api, REENROL="after-expiry") as desk:
        customer = desk.customer()
        promotion = desk.promotion(customer, enrolment_lasts=timedelta(seconds=1.5))
        assert [_tell(desk, customer).only.name for _ in range(2)] == ["ENROLLED", "ALREADY_ENROLLED"]
        # The API's answers tell its time to the second, and an enrolment is over when both clocks say so.
        time.sleep(2.6)
        desk.fault("reset_after_apply", customer, endpoint=Endpoint.ISSUE, count=1)
        again = _tell(desk, customer)
        assert (again.only.name, again.only.value["reconciled"]) == ("ENROLLED", True)
        assert _keys(desk, customer) == [_key(customer, promotion, str(count)) for count in (0, 1)]


def test_every_event_enrols(lab: Lab, world_api: RunningSimulator) -> None:
    """Each event has a key of its own, is reconciled by itself, and enrols once also when it comes twice."""
    with _desk(lab, world_api, REENROL="every-event") as desk:
        customer = desk.customer()
        promotion = desk.promotion(customer)
        names = [unique("event") for _ in range(3)]
        desk.fault("reset_after_apply", customer, endpoint=Endpoint.ISSUE, count=1)
        told = [desk.tell(event(name, {"customerId": customer.customer_id})) for name in (*names, names[0])]
        assert [one.only.value.get("reconciled") for one in told[:3]] == [True, None, None]
        assert all(one.only.name == "ENROLLED" for one in told[:3])
        assert len(desk.stage.outcomes.of(names[0])) == 2
        assert _keys(desk, customer) == [_key(customer, promotion, name) for name in names]


def test_every_event_counts_its_own_enrolment_alone(lab: Lab, world_api: RunningSimulator) -> None:
    """One that shows late is not the next event's; one id of two sources, or of two keys, is two events."""
    with _desk(lab, world_api, REENROL="every-event", RECONCILE_SETTLE_SECONDS="2") as desk:
        customer, other = desk.customer(), desk.customer()
        for each in (customer, other):
            desk.promotion(each)
        desk.fault("answer_then_apply_late", customer, endpoint=Endpoint.ISSUE, count=1, seconds=1)
        assert _tell(desk, customer).only.name == "ENROLLED"
        desk.fault("reset_before", customer, endpoint=Endpoint.ISSUE, count=1)
        assert _tell(desk, customer).only.name == "ENROLLED"
        who = b'{"eventName": "transactionAdded", "customer": {"customerId": %d}}'
        ids = {"ce_specversion": "1.0", "ce_type": "transactionAdded", "ce_id": unique("event")}
        told = [
            desk.tell(
                who % each.customer_id,
                key=key,
                headers=tuple(
                    (name, value.encode()) for name, value in (ids | {"ce_source": source}).items()
                ),
            ).only
            for each, key, source in [
                (customer, b"key", "/till"),
                (customer, b"key", "/web"),
                (other, b"another", "/till"),
            ]
        ]
        assert [(one.name, one.event_id) for one in told] == [("ENROLLED", ids["ce_id"])] * 3
        assert len({one.value["outcomeId"] for one in told}) == 3
        applied = lab.loop.call(lambda: [one.customer_id for one in desk.simulator.world.applied])
        assert [applied.count(each.customer_id) for each in (customer, other)] == [4, 1]
        labels = {"event_name": "transactionAdded", "result": "identity_reused"}
        assert desk.worker.metric("enrolment_activity_total", **labels) == 1


@pytest.mark.parametrize("store", ["rocksdb", "memory"])
def test_the_ledger_outlives_its_machine(
    lab: Lab, world_api: RunningSimulator, tmp_path: Path, store: str
) -> None:
    """On an empty disk the ledger comes back from Kafka: what it alone knows keeps its effect."""
    with _desk(lab, world_api, LEDGER_STORE=store) as desk:
        customer = desk.customer()
        desk.promotion(customer, timelines=False, limit_per_customer=None)
        value = event(unique("event"), {"customerId": customer.customer_id})
        first = desk.tell(value)
        assert first.only.name == "ENROLLED"
        assert desk.worker.stop() == 0
        desk.worker.start(STATE_DIR=str(tmp_path))
        desk.worker.wait_ready()
        assert desk.worker.metric("enrolment_ledger_entries") >= 3
        asked = desk.requests(customer)
        desk.collect(desk.stage.feed.send(value, b"key"))
        once, again = desk.stage.outcomes.of(first.only.event_id)
        assert once.record.value == again.record.value
        assert desk.requests(customer) == asked
        assert _tell(desk, customer).only.name == "ALREADY_ENROLLED"
        assert len(_keys(desk, customer)) == 1


@contextmanager
def _desk(lab: Lab, world_api: RunningSimulator, **settings: str) -> Iterator[Desk]:
    with lab.stage(world_api.api_url) as stage:
        worker = stage.worker(**settings, **CREDENTIALS)
        worker.wait_ready()
        yield Desk(stage, world_api, worker)


def _tell(desk: Desk, customer: Customer) -> Told:
    return desk.tell(event(unique("event"), {"customerId": customer.customer_id}))


def _keys(desk: Desk, customer: Customer) -> list[str | None]:
    log = desk.stage.lab.loop.call(lambda: desk.simulator.requests.of_customer(customer.customer_id))
    return [record.idempotency_key for record in log if record.endpoint is Endpoint.ISSUE]


def _key(customer: Customer, promotion: Promotion, *more: str) -> str:
    return enrolment_key(0, customer.customer_id, promotion.program_id, promotion.promotion_id, *more)
