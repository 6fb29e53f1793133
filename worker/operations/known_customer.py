"""What a ledger remembers of a customer, and whether an event now would ask the API. Pure.

The decision is the worker's own: `recall`, partition by partition, as each remembers for itself.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from topics.origin import Origin
from topics.outcome import Outcome
from worker.domain.answers import CatalogueRead, Fault
from worker.domain.catalogue import Listing, NotAsked, Unread
from worker.domain.identity import organisation
from worker.domain.known import Ask, Known, Trust, recall
from worker.domain.ledger import Standing
from worker.domain.memory import Memory, Nobody, Offer
from worker.domain.plan import Policy
from worker.domain.settlement import NothingAvailable, PassedOver, Subject
from worker.domain.times import Span, moved
from worker.enrolment.outcomes import tell
from worker.enrolment.rules import Rules
from worker.ledger import format as ledger_format
from worker.operations.explanation import NO_EVENT, ledger_of

NOTHING_TRUSTED: Final = "nothing is trusted: ENROLMENT_LOOKUP_TRUST_SECONDS is 0"
DRY_RUN: Final = "a dry run always asks"
_ORDINARY: Final = ""
"""The name of an event that stands for all that do not always ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What one partition remembers of the customer, and what an event that comes there now leads to."""

    partition: int | None
    """None if no partition remembers anything."""
    memory: Memory
    trusted_until: datetime | None
    """When an event asks at the latest, whatever else is told. None if it asks now, and
    if the list leaves nothing to ask for."""
    outcomes: tuple[Outcome, ...]
    """What an event leads to; empty if it asks."""
    why: str | None
    """Why it asks, None if it does not."""

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The promotions that were listed."""
        seen = self.memory.seen
        return () if seen is None or isinstance(seen, Nobody) else seen.offers

    @property
    def read_at(self) -> datetime | None:
        """Since when it is known."""
        return None if self.memory.seen is None else self.memory.seen.read_at


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """What is remembered of a customer, partition by partition, and how far that is trusted."""

    trust: Trust
    partitions: tuple[Remembered, ...]
    elsewhere: Remembered
    """Of a partition that remembers nothing."""

    @property
    def latest(self) -> Remembered:
        """What was read last, which is where the customer's events come."""
        read = [each for each in self.partitions if each.read_at is not None]
        return max(read, key=_read_at, default=next(iter(self.partitions), self.elsewhere))


def memories(entries: Mapping[int, Mapping[bytes, bytes]], customer_id: int) -> dict[int, Memory]:
    """Return what each partition remembers of the customer. Raises ValueError if it cannot be read."""
    key = ledger_format.memory_key(customer_id)
    return {
        partition: ledger_format.read_memory(here[key])
        for partition, here in sorted(entries.items())
        if key in here
    }


def listing_of(
    answer: CatalogueRead | Fault, policy: Policy, *, is_asked: bool
) -> Listing | Unread | NotAsked:
    """Return the promotion list as a worker that `is_asked` to read it would have it now."""
    if not is_asked:
        return NotAsked()
    if not isinstance(answer, CatalogueRead):
        return Unread()
    return Listing.of(answer.promotions, policy)


def known_customer(
    entries: Mapping[int, Mapping[bytes, bytes]],
    customer_id: int,
    rules: Rules,
    *,
    listing: Listing | Unread | NotAsked,
    learnt_org: int | None,
    now: Span,
    connected: bool = False,
) -> KnownCustomer:
    """Return what the partitions remember, and what an event of an ordinary name would do.

    It names the customer by the id. Raises ValueError if an entry cannot be read.
    """

    def remembered(partition: int | None, memory: Memory) -> Remembered:
        here = {} if partition is None else entries[partition]
        standing = partial(ledger_of(here, connected=connected).standing, customer_id)
        said_at = partial(
            recall,
            memory,
            rules.trust,
            event_name=_ORDINARY,
            listing=listing,
            standing=standing,
            learnt_org=learnt_org,
        )
        recalled = said_at(now=now)
        said = _said(recalled, rules, listing, now)
        turns = _turns(memory, rules.trust, learnt_org, standing)
        return Remembered(
            partition=partition,
            memory=memory,
            trusted_until=_first_that_asks(said_at, turns, now) if said is recalled else None,
            outcomes=()
            if isinstance(said, str)
            else tuple(tell(origin, each, now.latest) for each in said.settlements),
            why=said if isinstance(said, str) else None,
        )

    origin = Origin(activity=NO_EVENT, org_id=learnt_org, customer_id=customer_id)
    here = memories(entries, customer_id)
    return KnownCustomer(
        rules.trust,
        tuple(remembered(partition, memory) for partition, memory in here.items()),
        remembered(None, Memory()),
    )


def _said(said: Known | Ask, rules: Rules, listing: Listing | Unread | NotAsked, now: Span) -> Known | str:
    """Return what an event leads to, or why it asks; the list and the settings go before what is known."""
    if isinstance(listing, Listing) and listing.rules_out(now):
        return Known((NothingAvailable(PassedOver.CATALOGUE),))
    if rules.dry_run:
        return DRY_RUN
    if rules.trust_seconds <= 0:
        return NOTHING_TRUSTED
    return said if isinstance(said, Known) else said.why.value


def _first_that_asks(
    said_at: Callable[..., Known | Ask], turns: Iterator[datetime], now: Span
) -> datetime | None:
    ahead = sorted(turn for turn in turns if turn > now.latest)
    return next((turn for turn in ahead if isinstance(said_at(now=Span.at(turn)), Ask)), None)


def _turns(
    memory: Memory, trust: Trust, learnt_org: int | None, standing: Callable[[Subject], Standing]
) -> Iterator[datetime]:
    """Yield the times at which what is remembered may count no more."""
    seen = memory.valid
    if seen is None:
        return
    yield moved(seen.read_at, trust.length_of(seen))
    if isinstance(seen, Nobody):
        return
    yield moved(seen.read_at, trust.cool_down)
    for offer in seen.offers:
        yield from (end.expires_at for end in offer.timeline if end.expires_at is not None)
        if offer.starts_at is not None:
            yield offer.starts_at
        promotion = offer.as_promotion()
        org_id = organisation(promotion.org_id, trust.policy.org_id, learnt_org)
        limit = standing(Subject.of(promotion, org_id)).limit
        if limit is not None:
            yield moved(limit.since, trust.cool_down)


def _read_at(remembered: Remembered) -> datetime:
    assert remembered.read_at is not None  # noqa: S101 - of those alone
    return remembered.read_at
