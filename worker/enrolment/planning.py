"""From a lookup to the plan of an event, with what the ledger knows already."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import assert_never

from worker.domain.evidence import evidence_of
from worker.domain.identity import Reenrol
from worker.domain.ledger import Ask, CoolingDown, FindOut, NotAgain, OwnEnrolment, Standing, advise
from worker.domain.plan import Already, Enrol, Renewals, Step, UsedUp, plan
from worker.domain.promotions import CustomerPromotions, Promotion
from worker.domain.settlement import Settlement, Subject, WouldEnrol
from worker.domain.settling import settle_by_ledger, settle_unasked
from worker.domain.times import Span
from worker.enrolment.admission import Admitted
from worker.enrolment.outcomes import tell
from worker.enrolment.ports import PartitionLedger
from worker.enrolment.rules import Rules
from worker.ledger.entries import NOBODY, EventPlan, Foregone, Planned, Request


def _key_in_use(step: Enrol, standing: Standing) -> str:
    """Return the request's key, or its twin in use, if another organisation was taken for ours."""
    used = (standing.attempt, standing.enrolment)
    return next((each.key for each in used if each is not None and each.key in step.twins), step.key)


def plan_event(
    event: Admitted,
    customer: CustomerPromotions,
    ledger: PartitionLedger,
    rules: Rules,
    now: datetime,
    *,
    read_at: datetime,
    span: Span | None = None,
) -> EventPlan:
    """Decide for each promotion whether to ask for it, and under which key; settle the others at once.

    `read_at` is when the reading of the customer began, `span` between which times it is now for certain.
    """
    origin = replace(event.origin, customer_id=customer.customer_id)
    event_id = origin.event_id

    @cache
    def standing_in(subject: Subject) -> Standing:
        return ledger.standing(customer.customer_id, subject)

    def renewals(promotion: Promotion, org_id: int) -> Renewals:
        standing = standing_in(Subject.of(promotion, org_id))
        return Renewals(standing.settled_limits, standing.revocations)

    def planned(step: Step) -> Planned:
        subject = Subject.of(step.promotion, step.org_id)
        standing = standing_in(subject)
        after = standing.enrolment.key if standing.enrolment else None
        stands = isinstance(step, Already | UsedUp)
        if stands and standing.attempt is not None and not rules.dry_run:
            # What the reading shows may be what became of another event's attempt: that is found out first.
            return Request(
                subject=subject,
                key=standing.attempt.key,
                noted=standing.attempt.noted,
                after=after,
                revocations=standing.revocations,
            )
        forbidding = standing.forbids(after_revoke=rules.policy.reenrol_after_revoke)
        if isinstance(step, UsedUp) and forbidding and rules.policy.reenrol is Reenrol.ONCE:
            # The limit may be used up by our own enrolment if there is no timeline to show it.
            known = settle_by_ledger(NotAgain(forbidding), subject)
            return Foregone(tell(origin, known, now))
        if not isinstance(step, Enrol):
            return Foregone(tell(origin, settle_unasked(step), now))
        key = _key_in_use(step, standing)
        advice = advise(
            standing,
            event_id=event_id,
            key=key,
            after=after,
            reenrol=rules.policy.reenrol,
            after_revoke=rules.policy.reenrol_after_revoke,
            revocations=standing.revocations,
            cool_down=rules.limit_cool_down,
            now=now,
        )
        match advice:
            case NotAgain() | CoolingDown():
                return Foregone(tell(origin, settle_by_ledger(advice, subject), now))
            case Ask() | FindOut() | OwnEnrolment() if rules.dry_run:
                would = WouldEnrol(subject, key, step.promotion.request_id)
                return Foregone(tell(origin, would, now))
            case Ask() | FindOut() | OwnEnrolment():
                return Request(
                    subject=subject,
                    key=key,
                    noted=evidence_of(step.promotion),
                    after=after,
                    revocations=standing.revocations,
                )
        assert_never(advice)

    steps = plan(
        customer,
        rules.policy,
        event_id=event_id,
        learnt_org=origin.org_id,
        now=span or Span.at(now),
        renewals=renewals,
        other_orgs=ledger.organisations(),
    )
    return EventPlan(
        origin=origin,
        customer_id=customer.customer_id,
        steps=tuple(map(planned, steps)),
        source=event.identifier.source,
        read_at=read_at,
        marks=event.marks,
        key_hashes=event.key_hashes,
        request_id=None if steps else customer.request_id,
    )


def plan_of_known(event: Admitted, settlements: Sequence[Settlement], now: datetime) -> EventPlan:
    """Return the plan of an event of a known customer, all of whose promotions are settled."""
    origin = event.origin
    return EventPlan(
        origin=origin,
        customer_id=origin.customer_id or NOBODY,
        steps=tuple(Foregone(tell(origin, each, now)) for each in settlements),
        source=event.identifier.source,
        marks=event.marks,
        key_hashes=event.key_hashes,
    )
