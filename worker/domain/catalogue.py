"""The organisation's own list of promotions, and whether a lookup can find anything to enrol into.

The list knows no customers. It can only rule out, and only when it is certain: what it leaves open is
looked up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from worker.domain.plan import Policy
from worker.domain.promotions import ENROL_AND_ISSUE
from worker.domain.times import Span, moved

_LIVE: Final = "LIVE"
_NOT_LIVE: Final = frozenset({"COMPLETED", "UPCOMING", "INACTIVE"})
_TIME_ZONES: Final = timedelta(hours=14)
"""The list's sample writes midnight as `T00:00Z`, the lookup's samples as `T18:30:00.000Z`: its times
may be local ones. No clock on earth is further off than this."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """How long what a promotion gave is good for, e.g. ISSUAL_PROMOTION_EXPIRY_BASED_ON, CUSTOM, 5 days."""

    name: str
    basis: str
    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPromotion:
    """One promotion as the list has it; None and empty texts were not told, or could not be read."""

    promotion_id: int
    program_id: int | None
    name: str
    status: str
    offer_type: str
    starts_at: datetime | None
    ends_at: datetime | None
    capped: bool | None
    """Whether reward currencies are capped; None without a fixed-window calendar."""
    expiries: tuple[Expiry, ...] = ()


def may_enrol_into(promotion: ListedPromotion, policy: Policy) -> bool:
    """Tell whether a lookup might list it as one to enrol into, by everything but the time."""
    return (
        promotion.offer_type in ("", ENROL_AND_ISSUE)
        and promotion.status not in _NOT_LIVE
        and policy.allows(promotion.program_id, promotion.promotion_id)
    )


def may_be_open(promotion: ListedPromotion, now: Span) -> bool:
    """Tell whether its window may hold the time, in whatever time zone the list writes."""
    return (promotion.starts_at is None or moved(promotion.starts_at, -_TIME_ZONES) <= now.latest) and (
        promotion.ends_at is None or now.earliest <= moved(promotion.ends_at, _TIME_ZONES)
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete reading of the list that still holds: what on it may be enrolled into by us."""

    candidates: tuple[ListedPromotion, ...]
    came_back: Mapping[int, datetime] = field(default_factory=dict)
    """When a reading began that had a promotion again that the one before did not have."""

    @classmethod
    def of(cls, promotions: Iterable[ListedPromotion], policy: Policy) -> "Listing":
        """Keep of a reading what may be enrolled into by us."""
        return cls(tuple(each for each in promotions if may_enrol_into(each, policy)))

    def rules_out(self, now: Span) -> bool:
        """Tell whether a lookup certainly finds nothing to enrol into."""
        return not any(may_be_open(each, now) for each in self.candidates)

    def may_be_live(self, now: Span) -> set[int]:
        """Return what may be live by now."""
        return {each.promotion_id for each in self.candidates if may_be_open(each, now)}

    def has_back(self, since: datetime) -> bool:
        """Tell whether a promotion was off the list since, as it is while it is not active."""
        return any(at > since for at in self.came_back.values())

    def certainly_live(self, now: Span) -> tuple[int, ...]:
        """Return what certainly is live already, in order: a lookup from now on shows it, or never will."""
        return tuple(sorted({each.promotion_id for each in self.candidates if _is_live(each, now)}))


@dataclass(frozen=True, slots=True)
class Unread:
    """The list should be read, and no reading holds."""


@dataclass(frozen=True, slots=True)
class NotAsked:
    """The operator wants no list."""


def _is_live(promotion: ListedPromotion, now: Span) -> bool:
    """Whether it has begun: by its status, which the API counts, else by its window in any time zone."""
    starts_at = promotion.starts_at
    if promotion.status == _LIVE:
        return starts_at is None or moved(starts_at, -_TIME_ZONES) <= now.earliest
    return promotion.status == "" and (starts_at is None or moved(starts_at, _TIME_ZONES) <= now.earliest)
