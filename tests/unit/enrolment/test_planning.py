"""From a lookup to the plan of an event: what the ledger knows decides with what the reading shows."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from tests.support.use_case.fakes import FakeLedger
from tests.support.use_case.values import CUSTOMER, NOW, PROGRAM, event, promotion, record
from topics.outcome import OutcomeName
from worker.domain.evidence import Evidence
from worker.domain.identity import Reenrol, idempotency_key
from worker.domain.ledger import Attempt, Enrolment, Limit, Standing
from worker.domain.limits import LimitReason
from worker.domain.plan import Policy
from worker.domain.promotions import CustomerPromotions, Promotion, Restriction, TimelineEntry
from worker.domain.settlement import Subject
from worker.domain.times import Span
from worker.enrolment.admission import Admitted, admit
from worker.enrolment.planning import plan_event
from worker.enrolment.rules import Rules
from worker.ledger.entries import EventPlan, Foregone, Planned, Request, StandingEntry

pytestmark = pytest.mark.asyncio

ORG: Final = 1800
READ_AT: Final = NOW - timedelta(seconds=1)
SHOWN: Final = TimelineEntry(11, NOW, None)
FULL: Final = Restriction(
    kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=Decimal(10), usage=Decimal(10)
)
OPEN: Final = promotion(1)
ENROLLED: Final = promotion(1, timeline=[SHOWN])
USED_UP: Final = promotion(1, timeline=None, restrictions=[FULL])
SUBJECT: Final = Subject.of(OPEN, ORG)
EVERY_EVENT: Final = Rules(policy=Policy(reenrol=Reenrol.EVERY_EVENT))
AFTER_EXPIRY: Final = Rules(policy=Policy(reenrol=Reenrol.AFTER_EXPIRY))
DRY: Final = Rules(dry_run=True)

EARLIER: Final = Enrolment(
    key="earlier key",
    event_id="earlier event",
    attempts=2,
    enrolment_id=11,
    settled_at=NOW - timedelta(days=1),
)
RECENT: Final = Limit(NOW - timedelta(minutes=59), LimitReason.CUSTOMER_LIMIT, FULL)
OVER: Final = Limit(NOW - timedelta(minutes=60), LimitReason.CUSTOMER_LIMIT, FULL)
ATTEMPT: Final = Attempt(event_id="another event", key="its key", number=2, noted=Evidence((7,)))


def key(*, org: int = ORG, count: int = 0, limits: int = 0, reenrol: Reenrol = Reenrol.ONCE) -> str:
    """Return the key of our customer's enrolment by the event."""
    return idempotency_key(
        org_id=org,
        customer_id=CUSTOMER,
        program_id=PROGRAM,
        promotion_id=1,
        reenrol=reenrol,
        event_id="evt-1",
        timeline_entries=count,
        settled_limits=limits,
    )


def admitted() -> Admitted:
    """Return the event, with the hashes of its record's key."""
    admission = admit(record(event()), Rules(), NOW)
    assert isinstance(admission, Admitted)
    return replace(admission, key_hashes=(1, 2))


async def planned(
    standing: Standing | None,
    *promotions: Promotion,
    rules: Rules | None = None,
    span: Span | None = None,
    org: int = ORG,
) -> EventPlan:
    """Plan for the customer, of whom the ledger knows this in promotion 1, under `org`."""
    rules = rules or Rules()
    ledger = FakeLedger()
    if standing is not None:
        await ledger.write(StandingEntry(CUSTOMER, Subject.of(OPEN, org), standing))
    customer = CustomerPromotions(CUSTOMER, promotions)
    return plan_event(admitted(), customer, ledger, rules, NOW, read_at=READ_AT, span=span)


def said(step: Planned) -> tuple[OutcomeName, bool | None]:
    """Return what is told of a promotion without a request, and whether from memory."""
    assert isinstance(step, Foregone), step
    return step.outcome.outcome, step.outcome.cached


ALREADY: Final = (OutcomeName.ALREADY_ENROLLED, None)
LIMIT: Final = (OutcomeName.LIMIT_EXHAUSTED, None)
KNOWN_LIMIT: Final = (OutcomeName.LIMIT_EXHAUSTED, True)
WOULD: Final = (OutcomeName.WOULD_ENROL, None)


async def test_a_plan_says_whose_it_is_and_what_it_was_made_from() -> None:
    """The customer's id by the lookup, the reading's time, the names of the event, and the record's key."""
    plan = await planned(None, promotion(1, timeline=[], restrictions=[replace(FULL, usage=Decimal(3))]))
    event = admitted()
    assert plan == EventPlan(
        origin=replace(event.origin, customer_id=CUSTOMER),
        customer_id=CUSTOMER,
        steps=(Request(subject=SUBJECT, key=key(), noted=Evidence((), 3), after=None),),
        source="INSTORE",
        read_at=READ_AT,
        marks=event.marks,
        key_hashes=(1, 2),
    )
    assert plan.marks


async def test_steps_are_in_the_lookups_order() -> None:
    """Whatever becomes of each."""
    plan = await planned(Standing(EARLIER), promotion(9), OPEN, promotion(2, timeline=[SHOWN]), promotion(3))
    asked = [step.subject.promotion_id if isinstance(step, Request) else said(step) for step in plan.steps]
    assert asked == [9, ALREADY, ALREADY, 3]


@pytest.mark.parametrize(
    ("standing", "seen", "rules", "told"),
    [
        (Standing(EARLIER), OPEN, Rules(), ALREADY),
        (Standing(EARLIER, RECENT, 1), OPEN, Rules(), ALREADY),
        (Standing(limit=RECENT, settled_limits=1), OPEN, Rules(), KNOWN_LIMIT),
        (Standing(EARLIER, RECENT, 1), OPEN, EVERY_EVENT, KNOWN_LIMIT),
        (Standing(), ENROLLED, Rules(), ALREADY),
        (Standing(), ENROLLED, AFTER_EXPIRY, ALREADY),
        (Standing(), USED_UP, Rules(), LIMIT),
        (Standing(limit=RECENT, settled_limits=1), USED_UP, Rules(), LIMIT),
        (Standing(EARLIER), USED_UP, Rules(), ALREADY),
        (Standing(EARLIER), USED_UP, EVERY_EVENT, LIMIT),
        (Standing(), OPEN, DRY, WOULD),
        (Standing(attempt=ATTEMPT), OPEN, DRY, WOULD),
        (Standing(EARLIER), OPEN, DRY, ALREADY),
        (Standing(attempt=ATTEMPT), ENROLLED, DRY, ALREADY),
        (Standing(attempt=ATTEMPT), USED_UP, DRY, LIMIT),
    ],
)
async def test_what_is_known_is_told_without_a_request(
    standing: Standing, seen: Promotion, rules: Rules, told: tuple[OutcomeName, bool | None]
) -> None:
    """By the ledger or by the reading. A limit may be used up by our own enrolment: once that is told."""
    (step,) = (await planned(standing, seen, rules=rules)).steps
    assert said(step) == told


@pytest.mark.parametrize(
    ("standing", "seen", "rules", "asked"),
    [
        (Standing(), OPEN, Rules(), Request(subject=SUBJECT, key=key(), noted=Evidence(()))),
        (
            Standing(limit=OVER, settled_limits=2),
            OPEN,
            Rules(),
            Request(subject=SUBJECT, key=key(limits=2), noted=Evidence(())),
        ),
        (
            Standing(EARLIER),
            ENROLLED,
            EVERY_EVENT,
            Request(
                subject=SUBJECT,
                key=key(reenrol=Reenrol.EVERY_EVENT),
                noted=Evidence((11,)),
                after="earlier key",
            ),
        ),
        (
            Standing(EARLIER),
            promotion(1, timeline=[replace(SHOWN, expires_at=NOW)]),
            AFTER_EXPIRY,
            Request(
                subject=SUBJECT,
                key=key(count=1, reenrol=Reenrol.AFTER_EXPIRY),
                noted=Evidence((11,)),
                after="earlier key",
            ),
        ),
        (Standing(attempt=ATTEMPT), OPEN, Rules(), Request(subject=SUBJECT, key=key(), noted=Evidence(()))),
        (
            Standing(Enrolment(key=key(), event_id="evt-1", attempts=1)),
            OPEN,
            Rules(),
            Request(subject=SUBJECT, key=key(), noted=Evidence(()), after=key()),
        ),
    ],
    ids=["unknown", "cooled down", "every event", "after expiry", "another's attempt", "our own, applied"],
)
async def test_a_request_holds_its_key_what_was_seen_and_what_came_before(
    standing: Standing, seen: Promotion, rules: Rules, asked: Request
) -> None:
    """After each settled 8890 the key is another; after an enrolment the request says which."""
    (step,) = (await planned(standing, seen, rules=rules)).steps
    assert step == asked


@pytest.mark.parametrize("seen", [ENROLLED, USED_UP], ids=["enrolled", "used up"])
async def test_what_may_be_another_events_doing_is_found_out_first(seen: Promotion) -> None:
    """Nobody else would tell that event's outcome: the plan asks, under its key, by what it had noted."""
    (step,) = (await planned(Standing(EARLIER, attempt=ATTEMPT), seen)).steps
    assert step == Request(subject=SUBJECT, key="its key", noted=Evidence((7,)), after="earlier key")


@pytest.mark.parametrize(
    "standing",
    [
        Standing(attempt=replace(ATTEMPT, key=key(org=0))),
        Standing(Enrolment(key=key(org=0), event_id="evt-1", attempts=1)),
    ],
    ids=["attempt", "enrolment"],
)
async def test_a_key_that_is_in_use_goes_on_being_used(standing: Standing) -> None:
    """It was derived while no organisation was known; a request under the other would be a second one."""
    (step,) = (await planned(standing, OPEN)).steps
    assert isinstance(step, Request)
    assert step.key == key(org=0) != key()


async def test_a_key_of_another_organisation_that_was_taken_for_ours_goes_on_being_used() -> None:
    """The ledger says which there were."""
    standing = Standing(attempt=replace(ATTEMPT, key=key(org=7)))
    (step,) = (await planned(standing, OPEN, org=7)).steps
    assert isinstance(step, Request)
    assert step.key == key(org=7)


async def test_an_enrolment_has_expired_only_if_both_clocks_say_so() -> None:
    """One of them may be wrong; the outcome is dated by the one that we go by."""
    expiring = promotion(1, timeline=[replace(SHOWN, expires_at=NOW)])
    span = Span(NOW - timedelta(minutes=1), NOW)
    (step,) = (await planned(None, expiring, rules=AFTER_EXPIRY, span=span)).steps
    assert said(step) == ALREADY
    assert isinstance(step, Foregone)
    assert step.outcome.occurred_at == NOW
