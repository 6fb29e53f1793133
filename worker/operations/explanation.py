"""The worker's decisions for a customer now, promotion by promotion, with the reasons. Pure.

The decisions are the worker's own: those of a dry run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from topics.origin import Origin
from topics.outcome import ActivityReference, Outcome, OutcomeName
from worker.domain.catalogue import ListedPromotion
from worker.domain.identity import Reenrol, organisation
from worker.domain.ledger import Enrolment, Standing
from worker.domain.limits import LimitReason
from worker.domain.plan import Objection, objection
from worker.domain.promotions import CustomerPromotions, Identifier, IdentifierName, Promotion
from worker.domain.settlement import Subject
from worker.domain.times import Span
from worker.enrolment.admission import Admitted
from worker.enrolment.planning import plan_event
from worker.enrolment.rules import Rules
from worker.ledger import format as ledger_format
from worker.ledger.entries import Foregone
from worker.ledger.read_only import Knowledge, KnownLedger

NO_EVENT: Final = ActivityReference(event_id="-", topic="-", partition=-1, offset=-1)
"""Stands for the event that there is not."""

_OBJECTIONS: Final = {
    Objection.OTHER_TYPE: "it is not of the type enrol & issue",
    Objection.INACTIVE: "it is not active",
    Objection.NOT_BEGUN: "it has not begun",
    Objection.ENDED: "it has ended",
    Objection.OTHER_PROGRAM: "its program is not in ENROLMENT_PROGRAM_IDS",
    Objection.NOT_CHOSEN: "it is not in ENROLMENT_PROMOTION_IDS",
    Objection.EXCLUDED: "it is in ENROLMENT_EXCLUDED_PROMOTION_IDS",
}
_LIMITS: Final = {
    LimitReason.CUSTOMER_LIMIT: "the customer has used up the limit",
    LimitReason.PROMOTION_LIMIT: "the promotion's limit for all customers is used up",
    LimitReason.CONFIGURATION_OR_LIMIT: "its configuration or a limit forbids it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One promotion, what is known of the customer in it, and what would become of it."""

    promotion: Promotion
    org_id: int
    available: bool
    """Whether the API lists it as open to this customer, which is all that the worker looks at."""
    objection: Objection | None
    standing: Standing
    outcome: OutcomeName | None
    """None if the worker passes it over."""
    reason: str | None
    key: str | None
    """The idempotency key of the request; None if none is sent, or if it hangs on the event."""
    verdict: str
    listed: ListedPromotion | None = None
    """What the organisation's own list says of it, None if it is not on it, or could not be read."""


def organisations(entries: Mapping[bytes, bytes]) -> frozenset[int]:
    """Return which organisations standings were written under."""
    keys = map(ledger_format.read_standing_key, entries)
    return frozenset(key.org_id for key in keys if key is not None)


def learnt(entries: Mapping[bytes, bytes]) -> frozenset[int]:
    """Return which organisations the worker learnt from events: one, unless its partitions disagree.

    Raises ValueError if an entry cannot be read.
    """
    return frozenset(
        ledger_format.read_organisation(value)
        for key, value in entries.items()
        if ledger_format.is_organisation_key(key)
    )


def ledger_of(entries: Mapping[bytes, bytes], *, connected: bool = False) -> KnownLedger:
    """Return the ledger that these entries are; `connected`: each promotion tells its own (v2.1)."""
    written_under = frozenset[int]() if connected else organisations(entries)
    return KnownLedger(Knowledge(entries.get, organisations=lambda: written_under))


def explain(
    available: CustomerPromotions,
    everything: CustomerPromotions,
    ledger: KnownLedger,
    rules: Rules,
    learnt_org: int | None,
    now: Span,
    *,
    listed: Sequence[ListedPromotion] = (),
) -> tuple[Explained, ...]:
    """Explain each promotion of two readings, those that are open to the customer first.

    `learnt_org` is the organisation that events name. Raises ValueError if an entry cannot be read.
    """
    customer = Identifier(IdentifierName.CUSTOMER_ID, str(available.customer_id))
    event = Admitted(
        origin=Origin(activity=NO_EVENT, org_id=learnt_org),
        event_name="-",
        identifier=customer,
        happened=now.latest,
    )
    dry = replace(rules, dry_run=True)
    on_list = {each.promotion_id: each for each in listed}
    steps = plan_event(event, available, ledger, dry, now.latest, read_at=now.latest, span=now).steps
    told = {
        (step.outcome.program_id, step.outcome.promotion_id): step.outcome
        for step in steps
        if isinstance(step, Foregone)
    }
    hidden = [
        each for each in everything.promotions if available.find(each.program_id, each.promotion_id) is None
    ]

    def explained(promotion: Promotion, *, is_available: bool) -> Explained:
        org_id = organisation(promotion.org_id, rules.policy.org_id, learnt_org)
        standing = ledger.standing(available.customer_id, Subject.of(promotion, org_id))
        outcome = told.get((promotion.program_id, promotion.promotion_id))
        why_not = objection(promotion, rules.policy, now)
        known_org = promotion.org_id or rules.policy.org_id or learnt_org
        hangs_on_event = known_org is None or rules.policy.reenrol is Reenrol.EVERY_EVENT
        return Explained(
            promotion=promotion,
            org_id=org_id,
            available=is_available,
            objection=why_not,
            standing=standing,
            outcome=outcome.outcome if outcome else None,
            reason=outcome.reason if outcome else None,
            key=outcome.idempotency_key if outcome and not hangs_on_event else None,
            verdict=_passed_over(why_not)
            if outcome is None
            else _verdict(outcome, standing, after_revoke=rules.policy.reenrol_after_revoke),
            listed=on_list.get(promotion.promotion_id),
        )

    return (
        *(explained(each, is_available=True) for each in available.promotions),
        *(explained(each, is_available=False) for each in hidden),
    )


def _passed_over(why_not: Objection | None) -> str:
    """Say in a sentence why the worker pays no heed to it."""
    why = "the API does not list it as open to this customer" if why_not is None else _OBJECTIONS[why_not]
    return f"Passed over: {why}."


def _verdict(outcome: Outcome, standing: Standing, *, after_revoke: bool) -> str:
    """Say in a sentence what would happen."""
    known = standing.forbids(after_revoke=after_revoke)
    match outcome.outcome:
        case OutcomeName.WOULD_ENROL if standing.attempt is not None:
            return (
                "An earlier request has no known answer: the worker first finds out what became of it, and "
                "repeats it under the same key only if nothing did."
            )
        case OutcomeName.WOULD_ENROL:
            return "Would be enrolled."
        case OutcomeName.ALREADY_ENROLLED if known is not None:
            return f"Not again: the ledger knows an enrolment{_more(known)}."
        case OutcomeName.ALREADY_ENROLLED:
            return "Not again: the customer's timeline shows an enrolment."
        case OutcomeName.LIMIT_EXHAUSTED:
            said = ", as the API said not long ago" if outcome.cached else ""
            return f"Not asked for: {_limit(outcome)}{said}."
        case _:
            return "Refused: it belongs to another organisation than ENROLMENT_ORG_ID."


def _more(known: Enrolment) -> str:
    """Say what is special about an enrolment that counts."""
    by = " that another channel made" if known.is_anothers else ""
    if known.revoked_at is None:
        return by
    return f"{by}, and it counts although it was taken back (ENROLMENT_REENROL_AFTER_REVOKE is false)"


def _limit(outcome: Outcome) -> str:
    return _LIMITS[LimitReason(outcome.reason or LimitReason.CONFIGURATION_OR_LIMIT)]
