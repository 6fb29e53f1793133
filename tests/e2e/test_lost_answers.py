"""Answers that never came, came broken, or came before their time: one enrolment each, and one outcome."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from tests.support.e2e.desk import Desk, Told, told_as
from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, Endpoint, Listing, Promotion, RunningSimulator
from worker.demo.simulator.books import RequestRecord

pytestmark = [pytest.mark.long, pytest.mark.timeout(60)]

_SETTLE = 1.0
_BOTH = (Listing.UNTIL_LIMIT, Listing.UNTIL_ENROLLED)


@pytest.fixture(scope="module")
def forgetful(lab: Lab, world_api: RunningSimulator) -> Iterator[Desk]:
    """Give a worker that has an API of which anything may be lost, and a second to settle it."""
    with lab.stage(world_api.api_url) as stage:
        worker = stage.worker(
            RECONCILE_SETTLE_SECONDS=str(_SETTLE),
            API_TIMEOUT_SECONDS="1.2",
            RETRY_MAX_ATTEMPTS="2",
            RETRY_INITIAL_SECONDS="0.02",
            RETRY_MAX_SECONDS="0.05",
            # Each customer's failures here are one test's, not an outage.
            OUTAGE_THRESHOLD="1000",
            **CREDENTIALS,
        )
        worker.wait_ready()
        yield Desk(stage, world_api, worker)


@pytest.mark.parametrize(
    "fault",
    [
        "reset_after_apply",
        "timeout_after_apply",
        "error_500_after_apply",
        "html_502_after_apply",
        "garbage_after_apply",
        "empty_answer_after_apply",
        "apply_late",
        "timeout_apply_late",
        "error_500_apply_late",
    ],
)
def test_an_applied_request_is_found_out(forgetful: Desk, fault: str) -> None:
    """Applied before or soon after its answer was lost: ENROLLED, reconciled, after one request only."""
    seconds = 1.7 if fault == "timeout_apply_late" else 0.5
    pairs = _pairs(forgetful, fault, seconds=seconds)
    for (customer, promotion), told in zip(pairs, _tell_all(forgetful, pairs), strict=True):
        key = enrolment_key(0, customer.customer_id, promotion.program_id, promotion.promotion_id)
        (enrolment,) = _applied(forgetful, customer)
        assert enrolment == (key, told.only.value["enrollmentId"])
        assert [one.idempotency_key for one in _posts(forgetful, customer)] == [key]
        assert _value(told) == told_as(
            told,
            "ENROLLED",
            "info",
            customer=customer,
            promotion=promotion,
            org=0,
            idempotencyKey=key,
            attempts=1,
            reconciled=True,
            enrollmentId=enrolment[1],
            apiRequestId=forgetful.traced(customer),
        )


def test_an_enrolment_that_shows_late_is_found_out(forgetful: Desk) -> None:
    """Applied at once and shown half a second later: not before the settle time does absence count."""
    with _showing_late(forgetful, 0.6):
        pairs = _pairs(forgetful, "reset_after_apply")
        for (customer, _), told in zip(pairs, _tell_all(forgetful, pairs), strict=True):
            assert (told.only.name, told.only.value.get("reconciled")) == ("ENROLLED", True)
            assert len(_applied(forgetful, customer)) == len(_posts(forgetful, customer)) == 1


def test_an_answer_before_its_effect_is_believed(forgetful: Desk) -> None:
    """An answer that precedes the enrolment settles it; a second event meanwhile must not ask again."""
    pairs = _pairs(forgetful, "answer_then_apply_late", seconds=0.6)
    first, second = _tell_all(forgetful, pairs), _tell_all(forgetful, pairs)
    for (customer, promotion), one, other in zip(pairs, first, second, strict=True):
        assert (one.only.name, one.only.value.get("reconciled")) == ("ENROLLED", None)
        assert other.only.name == "ALREADY_ENROLLED"
        assert len(_posts(forgetful, customer)) == 1, promotion
        wait_until(partial(_applied, forgetful, customer), "it is applied")
        assert len(_applied(forgetful, customer)) == 1


@pytest.mark.parametrize("fault", ["reset_before", "timeout_before", "error_500", "garbage", "empty_answer"])
def test_a_request_that_was_not_applied_is_repeated(forgetful: Desk, fault: str) -> None:
    """Nothing applied: the same key again, not before the settle time is over."""
    pairs = _pairs(forgetful, fault)
    for (customer, promotion), told in zip(pairs, _tell_all(forgetful, pairs), strict=True):
        key = enrolment_key(0, customer.customer_id, promotion.program_id, promotion.promotion_id)
        first, second = _posts(forgetful, customer)
        assert (first.idempotency_key, second.idempotency_key) == (key, key)
        assert (second.at - first.at).total_seconds() >= _SETTLE
        assert [applied for applied, _ in _applied(forgetful, customer)] == [key]
        assert (told.only.name, told.only.value["attempts"]) == ("ENROLLED", 2)
        assert "reconciled" not in told.only.value


def test_without_evidence_nothing_is_sent_again(forgetful: Desk) -> None:
    """No timeline and no limit of the customer's: a dead letter, in doubt, for this and each later event."""
    customer = forgetful.customer()
    promotion = forgetful.promotion(customer, timelines=False, limit_per_customer=None)
    forgetful.fault("reset_after_apply", customer, endpoint=Endpoint.ISSUE)
    for told in (_tell(forgetful, customer), _tell(forgetful, customer)):
        assert (told.only.name, told.only.value["reason"]) == ("DEAD_LETTERED", "in_doubt")
        assert told.only.value["promotionId"] == promotion.promotion_id
        (letter,) = forgetful.stage.dead_letters.of(told.record)
        assert (letter.error["reason"], letter.record.value) == ("in_doubt", told.record.value)
    assert len(_posts(forgetful, customer)) == 1


def test_issual_usage_is_evidence_where_there_is_no_timeline(forgetful: Desk) -> None:
    """A count of the customer's issuals that rose must settle the attempt; one that did not, repeat it."""
    for fault, posts, reconciled in (("reset_after_apply", 1, True), ("reset_before", 2, None)):
        customer = forgetful.customer()
        forgetful.promotion(customer, timelines=False, limit_per_customer=10)
        forgetful.fault(fault, customer, endpoint=Endpoint.ISSUE, count=1)
        told = _tell(forgetful, customer)
        assert (told.only.name, told.only.value.get("reconciled")) == ("ENROLLED", reconciled)
        assert (len(_posts(forgetful, customer)), len(_applied(forgetful, customer))) == (posts, 1)


@pytest.mark.parametrize("fault", ["reset_after_apply", "reset_before"])
@pytest.mark.parametrize("evidence", [{}, {"timelines": False}], ids=["timeline", "usage"])
def test_a_later_event_settles_an_attempt_that_stayed_open(
    forgetful: Desk, evidence: dict[str, bool], fault: str
) -> None:
    """While nothing can be read an attempt stays open; the customer's next event looks into it first."""
    customer = forgetful.customer()
    promotion = forgetful.promotion(customer, **evidence)
    forgetful.fault("slow", customer, endpoint=Endpoint.ISSUE, seconds=0.6, count=1)
    forgetful.fault(fault, customer, endpoint=Endpoint.ISSUE, count=1)
    first = unique("event")
    record = forgetful.stage.feed.send(event(first, {"customerId": customer.customer_id}), b"key")
    wait_until(lambda: _posts(forgetful, customer), "the request has arrived")
    forgetful.fault("error_500", customer, endpoint=Endpoint.LOOKUP, count=4)
    deferred = forgetful.collect(record)
    assert (deferred.only.name, deferred.only.value["reason"]) == ("DEFERRED", "retries_exhausted")
    second = _tell(forgetful, customer)
    key = enrolment_key(0, customer.customer_id, promotion.program_id, promotion.promotion_id)
    assert [one for one, _ in _applied(forgetful, customer)] == [key]
    late = forgetful.stage.outcomes.of(first)[1:]
    if fault == "reset_after_apply":
        assert [(one.name, one.value["reconciled"]) for one in late] == [("ENROLLED", True)]
        assert second.only.name == "ALREADY_ENROLLED"
        assert len(_posts(forgetful, customer)) == 1
    else:
        assert late == []
        assert (second.only.name, second.only.value["idempotencyKey"]) == ("ENROLLED", key)
        assert len(_posts(forgetful, customer)) == 2


def test_the_same_event_again_is_told_identically(forgetful: Desk) -> None:
    """A record that upstream sent twice must lead to the same outcome twice, and to no further request."""
    pairs = _pairs(forgetful, "reset_after_apply")
    for customer, _ in pairs:
        value = event(unique("event"), {"customerId": customer.customer_id})
        first = forgetful.tell(value)
        asked = len(forgetful.requests(customer))
        forgetful.collect(forgetful.stage.feed.send(value, b"key"))
        once, again = forgetful.stage.outcomes.of(first.only.event_id)
        assert (once.record.value, once.headers) == (again.record.value, again.headers)
        assert len(forgetful.requests(customer)) == asked


def _pairs(desk: Desk, fault: str, seconds: float = 1.0) -> list[tuple[Customer, Promotion]]:
    """Return a customer with a promotion for each kind of listing; their first request meets the fault."""
    made = []
    for listing in _BOTH:
        customer = desk.customer()
        made.append((customer, desk.promotion(customer, listing=listing)))
        desk.fault(fault, customer, endpoint=Endpoint.ISSUE, count=1, seconds=seconds)
    return made


def _tell_all(desk: Desk, pairs: list[tuple[Customer, Promotion]]) -> list[Told]:
    """Produce an event for each customer at once; return what they led to."""
    records = desk.stage.feed.send_all(
        Message(
            event(unique("event"), {"customerId": customer.customer_id}), str(customer.customer_id).encode()
        )
        for customer, _ in pairs
    )
    return [desk.collect(record) for record in records]


def _tell(desk: Desk, customer: Customer) -> Told:
    return desk.tell(event(unique("event"), {"customerId": customer.customer_id}))


def _posts(desk: Desk, customer: Customer) -> list[RequestRecord]:
    log = desk.stage.lab.loop.call(lambda: desk.simulator.requests.of_customer(customer.customer_id))
    return [record for record in log if record.endpoint is Endpoint.ISSUE]


def _applied(desk: Desk, customer: Customer) -> list[tuple[str | None, int]]:
    return [(one.idempotency_key, one.enrolment_id) for one in desk.applied(customer)]


def _value(told: Told) -> dict[str, object]:
    return {name: value for name, value in told.only.value.items() if name != "occurredAt"}


@contextmanager
def _showing_late(desk: Desk, seconds: float) -> Iterator[None]:
    simulation, loop = desk.simulator.simulation, desk.stage.lab.loop

    def show(late: timedelta) -> None:
        simulation.settings = replace(simulation.settings, show_late=late)

    loop.call(lambda: show(timedelta(seconds=seconds)))
    try:
        yield
    finally:
        loop.call(lambda: show(timedelta(0)))
