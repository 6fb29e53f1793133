"""Known customers: what a lookup showed of one is trusted for a while, and an event then asks nobody.

Whatever could have become open since, as far as anybody tells us, ends the trust: then the API is asked. What
nobody tells, an audience that one customer is added to, is found once the trust ends (contract, 5a).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from worker.domain.catalogue import Listing, NotAsked, Unread
from worker.domain.identity import Reenrol, organisation
from worker.domain.ledger import CoolingDown, NotAgain, Standing
from worker.domain.memory import Memory, Nobody, Shown
from worker.domain.plan import Already, Foreign, Objection, Policy, UsedUp, objection, obstacle
from worker.domain.promotions import (
    Promotion,
)
from worker.domain.settlement import (
    AlreadyEnrolled,
    LimitExhausted,
    NothingAvailable,
    Rejected,
    Settlement,
    Subject,
    UnknownCustomer,
)
from worker.domain.settling import settle_by_ledger, settle_unasked
from worker.domain.times import Span, is_within

_UNKNOWN: Final = timedelta(seconds=60)
"""How long a customer that the API does not know is trusted to stay unknown, at most."""


class Doubt(StrEnum):
    """Why an event must ask all the same."""

    NOTHING_REMEMBERED = "nothing is remembered of the customer"
    FORGOTTEN = "the customer was forgotten"
    TOO_OLD = "it is too long ago"
    ALWAYS = "events of this name always ask"
    EVERY_EVENT = "with every-event each event asks"
    OTHER_PROGRAMS = "programs that count now were not asked for then"
    NO_LIST = "there is no reading of the promotion list to hold it against"
    NEW_PROMOTION = "a promotion went live since"
    UNSETTLED = "a promotion that was listed has nothing against it"
    ATTEMPT_OPEN = "a request has no known answer"
    LIMIT_OVER = "a limit may have ended"
    EXPIRED = "an enrolment that was shown has expired"


@dataclass(frozen=True, slots=True)
class Ask:
    """The API must be asked."""

    why: Doubt


@dataclass(frozen=True, slots=True)
class Known:
    """What a lookup would lead to."""

    settlements: tuple[Settlement, ...]
    by_feedback: bool = False
    """It hangs on an enrolment that a notification told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far what is remembered is trusted, by the operator's rules."""

    seconds: float
    policy: Policy
    cool_down: timedelta
    always: frozenset[str] = frozenset()

    @property
    def length(self) -> timedelta:
        """How long."""
        return timedelta(seconds=self.seconds)

    def length_of(self, seen: Shown | Nobody) -> timedelta:
        """Return how long what was seen is trusted: that there is nobody for a minute at most."""
        return min(self.length, _UNKNOWN) if isinstance(seen, Nobody) else self.length

    @property
    def is_on(self) -> bool:
        """Whether anything is."""
        return self.seconds > 0 and self.policy.reenrol is not Reenrol.EVERY_EVENT


def recall(
    memory: Memory,
    trust: Trust,
    *,
    event_name: str,
    listing: Listing | Unread | NotAsked,
    standing: Callable[[Subject], Standing],
    learnt_org: int | None,
    now: Span,
) -> Known | Ask:
    """Say what an event of the customer leads to by what is remembered, or why the API must be asked.

    `standing` tells what the ledger knows of the customer in a promotion, `learnt_org` which organisation
    events name. Never says *known* if a promotion that the customer could be enrolled into may be there, as
    far as the list, the ledger and the lookup tell.
    """
    seen = _trusted(memory, trust, event_name, listing, now)
    match seen:
        case Doubt():
            return Ask(seen)
        case Nobody():
            return Known((UnknownCustomer(seen.errors, None, cached=True),))
        case Shown():
            pass
    settlements: list[Settlement] = []
    by_feedback = False
    for offer in seen.offers:
        promotion = offer.as_promotion()
        against = objection(promotion, trust.policy, now)
        if against is Objection.INACTIVE:
            return Ask(Doubt.UNSETTLED)
        if against is not None:
            continue
        org_id = organisation(promotion.org_id, trust.policy.org_id, learnt_org)
        known = standing(Subject.of(promotion, org_id))
        settled = _settled(promotion, org_id, known, trust, now, seen.read_at)
        if isinstance(settled, Doubt):
            return Ask(settled)
        by_feedback |= known.enrolment is not None and known.enrolment.is_anothers
        settlements.append(settled)
    return Known(tuple(settlements) or (NothingAvailable(cached=True),), by_feedback)


def _trusted(
    memory: Memory, trust: Trust, event_name: str, listing: Listing | Unread | NotAsked, now: Span
) -> Shown | Nobody | Doubt:
    """Return what of the memory counts, or why nothing does."""
    seen = memory.valid
    if event_name in trust.always:
        return Doubt.ALWAYS
    if trust.policy.reenrol is Reenrol.EVERY_EVENT:
        return Doubt.EVERY_EVENT
    if seen is None:
        return Doubt.NOTHING_REMEMBERED if memory.forgotten_at is None else Doubt.FORGOTTEN
    if not is_within(seen.read_at, trust.length_of(seen), now.latest):
        return Doubt.TOO_OLD
    return seen if isinstance(seen, Nobody) else next(_since(seen, trust.policy, listing, now), seen)


def _since(seen: Shown, policy: Policy, listing: Listing | Unread | NotAsked, now: Span) -> Iterator[Doubt]:
    """Yield what may have become open since."""
    if seen.programs and not (policy.program_ids and policy.program_ids <= set(seen.programs)):
        yield Doubt.OTHER_PROGRAMS
    if isinstance(listing, Unread) or (isinstance(listing, Listing) and seen.live is None):
        yield Doubt.NO_LIST
    elif isinstance(listing, Listing):
        is_new = not listing.may_be_live(now) <= set(seen.live or ())
        if is_new or listing.has_back(seen.read_at):
            yield Doubt.NEW_PROMOTION
    if policy.reenrol is Reenrol.AFTER_EXPIRY:
        ends = (entry.expires_at for offer in seen.offers for entry in offer.timeline)
        if any(end is not None and seen.read_at < end <= now.latest for end in ends):
            yield Doubt.EXPIRED


def _settled(  # noqa: PLR0911 - one for each kind of obstacle
    promotion: Promotion, org_id: int, standing: Standing, trust: Trust, now: Span, read_at: datetime
) -> Settlement | Doubt:
    """Return what becomes of a promotion without a request, or why that is not known."""
    if standing.attempt is not None:
        return Doubt.ATTEMPT_OPEN
    subject, policy = Subject.of(promotion, org_id), trust.policy
    against = obstacle(promotion, policy, org_id, now)
    is_once = policy.reenrol is Reenrol.ONCE
    forbidding = standing.forbids(after_revoke=policy.reenrol_after_revoke) if is_once else None
    match against:
        case Already() if _revoked_since(standing, policy, read_at):
            return Doubt.UNSETTLED
        case Already() | Foreign():
            return _cached(settle_unasked(against))
        case _ if forbidding is not None:
            return _cached(settle_by_ledger(NotAgain(forbidding), subject))
        case UsedUp():
            is_trusted = is_within(read_at, trust.cool_down, now.latest)
            return _cached(settle_unasked(against)) if is_trusted else Doubt.LIMIT_OVER
        case None:
            limit = standing.limit
            if limit is None or not is_within(limit.since, trust.cool_down, now.latest):
                return Doubt.UNSETTLED if limit is None else Doubt.LIMIT_OVER
            return settle_by_ledger(CoolingDown(limit), subject)


def _revoked_since(standing: Standing, policy: Policy, read_at: datetime) -> bool:
    """Whether the enrolment that the timeline showed may be the one that was taken back since."""
    known = standing.enrolment
    at = None if known is None else known.revoked_at
    return policy.reenrol_after_revoke and at is not None and at >= read_at


def _cached(settlement: Settlement) -> Settlement:
    """Return the settlement, as one that rests on what is known."""
    assert isinstance(settlement, AlreadyEnrolled | LimitExhausted | Rejected)  # noqa: S101 - of these kinds alone
    return replace(settlement, cached=True)
