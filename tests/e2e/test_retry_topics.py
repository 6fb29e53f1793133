"""Events that fail while the API serves others: to the retry topics, and from there to their end."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event, outcome_id
from tests.support.e2e.feeds import DeadLetter, Message, OutcomeRecord
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.kafka.batches import raw_batch, raw_record
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from topics.dead_letter import DeadLetterReason, Failure, dead_letter_headers
from topics.record import Position, Record
from worker.demo.simulator import Customer, Endpoint, FaultRule, RunningSimulator

pytestmark = pytest.mark.timeout(90)

_DELAYS = (1.0, 1.5, 2.0)


@pytest.fixture(scope="module")
def deferring(lab: Lab, world_api: RunningSimulator) -> Iterator[Desk]:
    """Give a worker that tries twice in place and comes back soon."""
    with lab.stage(world_api.api_url, partitions=2) as stage:
        worker = stage.worker(
            RETRY_MAX_ATTEMPTS="2",
            RETRY_MAX_SECONDS="0.05",
            RETRY_DELAYS_SECONDS=",".join(map(str, _DELAYS)),
            NOT_FOUND_GRACE_SECONDS="2.5",
            **CREDENTIALS,
        )
        worker.wait_ready()
        yield Desk(stage, world_api, worker)


def test_an_event_that_always_fails_goes_all_the_way_and_holds_nobody_up(deferring: Desk) -> None:
    """Three hops, each after its delay and on its partition, then the dead letter; others go on."""
    poison, neighbour = deferring.customer(), deferring.customer()
    deferring.promotion(neighbour)
    fail(deferring, poison, Endpoint.LOOKUP)
    sent = send(deferring, poison, headers=(("upstream", b"\xff"), ("upstream", None)))
    for number in range(3):
        after = send(deferring, neighbour, partition=sent.position.partition)
        assert finals(deferring, after, 1, seconds=5.0)[0].name == (
            "ALREADY_ENROLLED" if number else "ENROLLED"
        )

    told = finals(deferring, sent, 1, seconds=30.0)
    deferred = [each for each in outcomes(deferring, sent) if each.name == "DEFERRED"]
    event_id = told[0].event_id
    assert [each.value["outcomeId"] for each in told] == [outcome_id(event_id, None, "DEAD_LETTERED")]
    assert told[0].value["reason"] == "retries_exhausted"
    assert len({each.value["outcomeId"] for each in deferred}) == 3
    assert {each.value["severity"] for each in deferred} == {"warning"}
    hops = [letter(deferring, hop, sent) for hop in range(3)]
    (dead,) = deferring.stage.dead_letters.of(sent)
    due = zip([*hops, dead], [*hops[1:], dead], _DELAYS, strict=False)
    for this, following, delay in due:
        assert following.record.timestamp_ms - this.record.timestamp_ms >= delay * 1000
    for each in hops:
        assert each.record.position.partition == sent.position.partition
    for attempts, each in zip((2, 4, 6, 8), [*hops, dead], strict=True):
        assert (each.record.key, each.record.value, each.foreign) == (sent.key, sent.value, sent.headers)
        assert each.error["attempts"] == str(attempts)
        assert each.error["offset"] == str(sent.position.offset)
        assert each.error["timestamp"] == str(sent.timestamp_ms)
        assert each.error["first_failed_at"] == hops[0].error["first_failed_at"]
    assert dead.error["reason"] == "retries_exhausted"


def test_a_deferred_enrolment_succeeds_later_and_only_it_is_asked_for(deferring: Desk) -> None:
    """Of two promotions the one that failed is enrolled on the retry; the other is not asked for again."""
    customer = deferring.customer()
    fails, works = (deferring.promotion(customer) for _ in range(2))
    rule = FaultRule(
        name="error_500", endpoint=Endpoint.ISSUE, promotion_ids=frozenset({fails.promotion_id}), count=2
    )
    deferring.stage.lab.loop.call(lambda: deferring.simulator.faults.add(rule))
    sent = send(deferring, customer)

    finals(deferring, sent, 2, seconds=30.0)
    by_promotion = {
        number: [each.name for each in outcomes(deferring, sent) if each.value["promotionId"] == number]
        for number in (fails.promotion_id, works.promotion_id)
    }
    assert set(by_promotion[works.promotion_id]) == {"ENROLLED"}
    assert [name for name in by_promotion[fails.promotion_id] if name != "ENROLLED"] == ["DEFERRED"]
    asked = requests(deferring, customer)
    assert asked.count(works.promotion_id) == 1
    assert asked.count(fails.promotion_id) == 3
    assert len(deferring.applied(customer)) == 2


def test_a_deferred_attempt_in_doubt_is_reconciled_not_repeated(deferring: Desk) -> None:
    """Applied, answer lost, and no reading possible until the retry: ENROLLED then, after one request."""
    customer = deferring.customer()
    promotion = deferring.promotion(customer)
    only = frozenset({customer.customer_id})
    lost = FaultRule(name="error_500_after_apply", endpoint=Endpoint.ISSUE, customer_ids=only, count=1)
    deferring.stage.lab.loop.call(lambda: deferring.simulator.faults.add(lost))
    sent = send(deferring, customer)
    wait_until(lambda: requests(deferring, customer) == [promotion.promotion_id], "the request is lost")
    blind = FaultRule(name="error_500", endpoint=Endpoint.LOOKUP, customer_ids=only)
    deferring.stage.lab.loop.call(lambda: deferring.simulator.faults.add(blind))
    wait_until(lambda: outcomes(deferring, sent), "the event is deferred or settled", seconds=20.0)
    deferring.stage.lab.loop.call(deferring.simulator.faults.replace)

    (told,) = finals(deferring, sent, 1, seconds=20.0)
    assert (told.name, told.value["reconciled"]) == ("ENROLLED", True)
    assert requests(deferring, customer) == [promotion.promotion_id]
    assert len(deferring.applied(customer)) == 1


def test_an_unknown_customer_of_a_young_event_is_looked_for_again(deferring: Desk) -> None:
    """Registered a moment after the event: enrolled on the retry; never registered: CUSTOMER_NOT_FOUND."""
    late, never = Customer.synthetic(990_001), Customer.synthetic(990_002)
    first, second = send(deferring, late), send(deferring, never)
    wait_until(lambda: outcomes(deferring, first) and outcomes(deferring, second), "both are deferred")
    deferring.stage.lab.loop.call(lambda: deferring.simulator.world.customers.add(late))
    deferring.promotion(late)

    assert finals(deferring, first, 1, seconds=20.0)[0].name == "ENROLLED"
    assert finals(deferring, second, 1, seconds=20.0)[0].name == "CUSTOMER_NOT_FOUND"
    deferred = outcomes(deferring, second)[0]
    assert (deferred.name, deferred.value["errors"][0]["code"]) == ("DEFERRED", 8015)


def test_retries_of_another_group_are_left_to_it(deferring: Desk) -> None:
    """A record of someone else's retry is neither handled nor dead-lettered, and holds nothing up."""
    customer = deferring.customer()
    deferring.promotion(customer)
    other = unique("event")
    feed = deferring.stage.feed_of(deferring.stage.names.retries[0])
    ours = (("enrolment.error.group", b"another-group"),)
    before = deferring.worker.metric("enrolment_activity_total", result="retry_of_another_group")
    feed.send(event(other, {"customerId": customer.customer_id}), b"key", ours, 0)
    wait_until(
        lambda: deferring.worker.metric("enrolment_activity_total", result="retry_of_another_group") > before,
        "the foreign retry is passed over",
    )
    assert deferring.stage.outcomes.of(other) == []


def fail(desk: Desk, customer: Customer, endpoint: Endpoint) -> None:
    """Let the API fail for one customer, for as long as the desk lasts."""
    rule = FaultRule(name="error_500", endpoint=endpoint, customer_ids=frozenset({customer.customer_id}))
    desk.stage.lab.loop.call(lambda: desk.simulator.faults.add(rule))


def send(desk: Desk, customer: Customer, *, headers: object = (), partition: int | None = None) -> Record:
    """Put an event of the customer on the activity topic."""
    body = event(unique("event"), {"customerId": customer.customer_id})
    key = str(customer.customer_id).encode()
    (record,) = desk.stage.feed.send_all([Message(body, key, tuple(headers), partition)])  # type: ignore[arg-type]  # headers as they come
    return record


def outcomes(desk: Desk, sent: Record) -> list[OutcomeRecord]:
    """Return the outcomes of an event so far, each once."""
    at = (sent.position.partition, sent.position.offset)
    found = {
        each.value["outcomeId"]: each
        for each in desk.stage.outcomes.read()
        if (each.value["activity"]["partition"], each.value["activity"]["offset"]) == at
    }
    return list(found.values())


def finals(desk: Desk, sent: Record, count: int, seconds: float) -> list[OutcomeRecord]:
    """Block until the event has so many outcomes other than DEFERRED; return them."""
    begun = time.monotonic()

    def done() -> list[OutcomeRecord]:
        return [each for each in outcomes(desk, sent) if each.name != "DEFERRED"]

    wait_until(lambda: len(done()) >= count, "final outcomes", seconds=seconds, evidence=desk.stage.tails)
    assert len(done()) == count, (time.monotonic() - begun, [each.value for each in done()])
    return done()


def letter(desk: Desk, hop: int, sent: Record) -> DeadLetter:
    """Return the record that the event has on a retry topic (0 for the first)."""
    (found,) = desk.stage.retries[hop].of(sent)
    return found


def requests(desk: Desk, customer: Customer) -> list[int | None]:
    """Return the promotions that enrolments of the customer were asked for, in order."""
    log = desk.stage.lab.loop.call(lambda: list(desk.simulator.requests.log))
    return [
        each.promotion_id
        for each in log
        if each.endpoint is Endpoint.ISSUE and each.customer_id == customer.customer_id
    ]


def test_a_retry_that_is_stamped_ahead_of_our_clock_waits_for_its_delay_once(deferring: Desk) -> None:
    """It waited at each fetch anew, and whatever is due behind it with it."""
    stage = deferring.stage
    customers = [deferring.customer() for _ in range(4)]
    batches = []
    for number, (customer, ahead) in enumerate(zip(customers, (45, 45, 45, -60), strict=True)):
        deferring.promotion(customer)
        now = datetime.now(UTC)
        at = Position(stage.names.activity, 0, number)
        failure = Failure(
            reason=DeadLetterReason.RETRIES_EXHAUSTED,
            message="lookup: HTTP 500",
            position=at,
            timestamp_ms=1,
            group=stage.names.group_id,
            attempts=1,
            first_failed_at=now,
            last_failed_at=now,
        )
        value = event(f"ahead-{number}", {"customerId": customer.customer_id})
        stamp = round((now.timestamp() + ahead) * 1000)
        record = raw_record(0, b"%d" % number, value, dead_letter_headers((), failure))
        batches.append(raw_batch(record, 1, timestamp=stamp))
    feed, began = stage.feed_of(stage.names.retries[1]), time.monotonic()
    for batch in batches:
        feed.send_raw(batch)

    stage.wait_for_outcomes([f"ahead-{number}" for number in range(4)])
    assert time.monotonic() - began < 2 * _DELAYS[1] + 4
