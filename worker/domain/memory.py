"""What is remembered of a customer: what a lookup showed, or that it found nobody."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.answers import Notice
from worker.domain.catalogue import Listing, NotAsked, Unread
from worker.domain.promotions import (
    ENROL_AND_ISSUE,
    CustomerPromotions,
    Promotion,
    Restriction,
    TimelineEntry,
)
from worker.domain.times import EARLIEST, Span, is_within, moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A promotion that a lookup listed, as far as it says something against an enrolment, or for one."""

    promotion_id: int
    program_id: int
    name: str = ""
    org_id: int | None = None
    active: bool = True
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    used_up: tuple[Restriction, ...] = ()

    @classmethod
    def of(cls, promotion: Promotion) -> "Offer":
        """Keep of a promotion what counts."""
        return cls(
            promotion_id=promotion.promotion_id,
            program_id=promotion.program_id,
            name=promotion.name,
            org_id=promotion.org_id,
            active=promotion.active,
            starts_at=promotion.starts_at,
            ends_at=promotion.ends_at,
            timeline=promotion.timeline or (),
            used_up=tuple(each for each in promotion.issual_restrictions if each.used_up),
        )

    def as_promotion(self) -> Promotion:
        """Return the promotion, without what did not count."""
        return Promotion(
            promotion_id=self.promotion_id,
            program_id=self.program_id,
            name=self.name,
            offer_type=ENROL_AND_ISSUE,
            active=self.active,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            issual_restrictions=self.used_up,
            timeline=self.timeline,
            org_id=self.org_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a complete lookup showed."""

    read_at: datetime
    """When it began, for certain not later."""
    offers: tuple[Offer, ...]
    live: tuple[int, ...] | None = None
    """Promotions that the list which held then said were live; None if none held."""
    programs: tuple[int, ...] = ()
    """Programs that alone were asked for; none for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nobody:
    """The API knows no such customer."""

    read_at: datetime
    errors: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a customer; and until when nothing that was read of them counts any more."""

    seen: Shown | Nobody | None = None
    forgotten_at: datetime | None = None

    @property
    def valid(self) -> Shown | Nobody | None:
        """What was read after the customer was forgotten last."""
        seen, since = self.seen, self.forgotten_at
        return None if seen is None or (since is not None and seen.read_at <= since) else seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """Whom a lookup found under a name; no customer stands for nobody, with the API's words."""

    read_at: datetime
    customer_id: int | None = None
    errors: tuple[Notice, ...] = ()

    def holds(self, trust: timedelta, now: Span, forgotten_at: datetime | None) -> bool:
        """Whether it still tells who is meant: names move from one customer to another."""
        is_since = forgotten_at is None or self.read_at > forgotten_at
        return is_since and is_within(self.read_at, trust, now.latest)


def shown(
    customer: CustomerPromotions,
    listing: Listing | Unread | NotAsked,
    now: Span,
    *,
    programs: Collection[int] = (),
    forgotten_at: datetime | None = None,
) -> Shown:
    """Return what to remember of a lookup of these programs that began now, after the customer was forgotten.

    Whatever the clocks say: who tells that something changed is heard after it did.
    """
    since = EARLIEST if forgotten_at is None else moved(forgotten_at, timedelta.resolution)
    offers = (each for each in customer.promotions if each.offer_type == ENROL_AND_ISSUE)
    live = listing.certainly_live(now) if isinstance(listing, Listing) else None
    return Shown(
        read_at=max(now.earliest, since),
        offers=tuple(map(Offer.of, offers)),
        live=live,
        programs=tuple(sorted(programs)),
    )
