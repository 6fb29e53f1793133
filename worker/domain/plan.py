"""Which promotions an event leads to an enrolment into, and why the others not."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from worker.domain.identity import UNNAMED_ORG, Reenrol, idempotency_key, organisation
from worker.domain.limits import LimitReason, exhausted_limit
from worker.domain.promotions import (
    ENROL_AND_ISSUE,
    CustomerPromotions,
    Promotion,
    Restriction,
    TimelineEntry,
)
from worker.domain.times import Span


class Objection(StrEnum):
    """Why a promotion of a reading is none to enrol into, whatever the customer's state in it."""

    OTHER_TYPE = "OTHER_TYPE"
    """Not enrol & issue."""
    INACTIVE = "INACTIVE"
    NOT_BEGUN = "NOT_BEGUN"
    ENDED = "ENDED"
    OTHER_PROGRAM = "OTHER_PROGRAM"
    NOT_CHOSEN = "NOT_CHOSEN"
    """Not among the promotions that the operator names."""
    EXCLUDED = "EXCLUDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator allows: empty sets of ids mean all."""

    org_id: int | None = None
    program_ids: frozenset[int] = frozenset()
    promotion_ids: frozenset[int] = frozenset()
    excluded_promotion_ids: frozenset[int] = frozenset()
    reenrol: Reenrol = Reenrol.ONCE
    reenrol_after_revoke: bool = False
    """Whether `once` may enrol again after Capillary took an enrolment back."""

    def objection(self, program_id: int | None, promotion_id: int) -> Objection | None:
        """Return which filter the ids do not pass, None if they pass all; an unknown program passes."""
        if self.program_ids and program_id is not None and program_id not in self.program_ids:
            return Objection.OTHER_PROGRAM
        if self.promotion_ids and promotion_id not in self.promotion_ids:
            return Objection.NOT_CHOSEN
        return Objection.EXCLUDED if promotion_id in self.excluded_promotion_ids else None

    def allows(self, program_id: int | None, promotion_id: int) -> bool:
        """Tell whether the ids pass; an unknown program passes."""
        return self.objection(program_id, promotion_id) is None


@dataclass(frozen=True, slots=True)
class Enrol:
    """Ask for this enrolment, under this key."""

    promotion: Promotion
    org_id: int
    key: str
    twins: tuple[str, ...] = ()
    """The key under the other organisations that were taken for ours, if one may be in use."""


@dataclass(frozen=True, slots=True)
class Already:
    """The timeline shows an enrolment that the policy does not repeat."""

    promotion: Promotion
    org_id: int
    enrolment: TimelineEntry


@dataclass(frozen=True, slots=True)
class UsedUp:
    """The promotion's own figures leave no room: no request is spent on it."""

    promotion: Promotion
    org_id: int
    reason: LimitReason
    restriction: Restriction


@dataclass(frozen=True, slots=True)
class Foreign:
    """A promotion of an organisation that the credentials are not for (v2.1)."""

    promotion: Promotion
    org_id: int


Step = Enrol | Already | UsedUp | Foreign


@dataclass(frozen=True, slots=True)
class Renewals:
    """What a customer has behind them in a promotion, after which a key is used no more."""

    settled_limits: int = 0
    revocations: int = 0


def plan(
    customer: CustomerPromotions,
    policy: Policy,
    *,
    event_id: str,
    learnt_org: int | None,
    now: Span,
    renewals: Callable[[Promotion, int], Renewals] = lambda _promotion, _org_id: Renewals(),
    other_orgs: Collection[int] = (),
) -> tuple[Step, ...]:
    """Return a step for each promotion that is ours to act on, in the lookup's order.

    `renewals` tells what the customer has behind them in a promotion of an organisation, `other_orgs` under
    which organisations enrolments may have been asked for before one was learnt.
    """

    def enrol(promotion: Promotion, org_id: int) -> Enrol:
        behind = renewals(promotion, org_id)
        derived = partial(
            idempotency_key,
            customer_id=customer.customer_id,
            program_id=promotion.program_id,
            promotion_id=promotion.promotion_id,
            reenrol=policy.reenrol,
            event_id=event_id,
            timeline_entries=len(promotion.timeline or ()),
            settled_limits=behind.settled_limits,
            revocations=behind.revocations,
        )
        # With every-event a key is its event's, whose plan holds it.
        others = () if policy.reenrol is Reenrol.EVERY_EVENT else {UNNAMED_ORG, *other_orgs} - {org_id}
        twins = tuple(derived(org_id=each) for each in sorted(others))
        return Enrol(promotion, org_id, derived(org_id=org_id), twins)

    def step(promotion: Promotion) -> Step:
        org_id = organisation(promotion.org_id, policy.org_id, learnt_org)
        return obstacle(promotion, policy, org_id, now) or enrol(promotion, org_id)

    return tuple(
        step(promotion) for promotion in customer.promotions if objection(promotion, policy, now) is None
    )


def objection(promotion: Promotion, policy: Policy, now: Span) -> Objection | None:
    """Return why a promotion of the reading is none to enrol into now, None if it is, or may be."""
    objections = {
        Objection.OTHER_TYPE: promotion.offer_type != ENROL_AND_ISSUE,
        Objection.INACTIVE: not promotion.active,
        Objection.NOT_BEGUN: promotion.starts_at is not None and now.latest < promotion.starts_at,
        Objection.ENDED: promotion.ends_at is not None and promotion.ends_at < now.earliest,
    }
    first = next((why for why, holds in objections.items() if holds), None)
    return first or policy.objection(promotion.program_id, promotion.promotion_id)


def obstacle(
    promotion: Promotion, policy: Policy, org_id: int, now: Span
) -> Already | UsedUp | Foreign | None:
    """Return what a reading itself says against an enrolment into a promotion that is open, if anything."""
    if promotion.org_id is not None and policy.org_id is not None and promotion.org_id != policy.org_id:
        return Foreign(promotion, org_id)
    standing = _standing_enrolment(promotion, policy.reenrol, now)
    if standing is not None:
        return Already(promotion, org_id, standing)
    reason, restriction = exhausted_limit(promotion)
    if restriction is not None:
        return UsedUp(promotion, org_id, reason, restriction)
    return None


def _standing_enrolment(promotion: Promotion, reenrol: Reenrol, now: Span) -> TimelineEntry | None:
    """Return the enrolment that forbids another: any one, an unexpired one, or none, by the policy."""
    entries = promotion.timeline or ()
    match reenrol:
        case Reenrol.ONCE:
            return entries[-1] if entries else None
        case Reenrol.AFTER_EXPIRY:
            return next((e for e in entries if e.expires_at is None or e.expires_at > now.earliest), None)
        case Reenrol.EVERY_EVENT:
            return None
