"""A customer's promotions as the API tells them, in the domain's words."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

ENROL_AND_ISSUE = "LOYALTY_EARNING"
"""`pointsOfferType` of the only kind of promotion a customer can be enrolled into."""


class IdentifierName(StrEnum):
    """Names under which the lookup finds a customer, strongest first."""

    CUSTOMER_ID = "id"
    EXTERNAL_ID = "externalId"
    MOBILE = "mobile"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Identifier:
    """One way to name a customer. The value is personal and stays out of every repr."""

    name: IdentifierName
    value: str = field(repr=False)
    source: str | None = None
    """Upper-cased name of the source that the identifier came from, e.g. INSTORE; None if unknown."""
    account: str | None = field(default=None, repr=False)
    """Account of that source, None if it has only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A limit, on issuals (enrolments) if not said otherwise, and how much of it is used.

    A limit of None, -1 or 0 sets none; a usage of None was not told.
    """

    kpi: str
    limit_on: str
    max_limit: Decimal | None
    usage: Decimal | None
    periodic: bool = False
    """Its usage is that of a moving window: it falls again."""

    @property
    def used_up(self) -> bool:
        """Whether the API's own figures say that no further enrolment is possible."""
        return (
            self.max_limit is not None
            and self.max_limit > 0
            and self.usage is not None
            and self.usage >= self.max_limit
        )


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One enrolment that the customer has, or had until it expired."""

    enrolment_id: int
    enrolled_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One promotion as a lookup shows it to one customer. Times are aware; None is an open end."""

    promotion_id: int
    program_id: int
    name: str
    offer_type: str
    active: bool
    starts_at: datetime | None
    ends_at: datetime | None
    issual_restrictions: tuple[Restriction, ...]
    timeline: tuple[TimelineEntry, ...] | None
    """The customer's enrolments; None if the answer has no timeline at all (v2.1, GENERIC)."""
    org_id: int | None = None
    earn_restrictions: tuple[Restriction, ...] = ()
    redemption_restrictions: tuple[Restriction, ...] = ()
    """Like the earn restrictions these bind the customer later, and never an enrolment."""
    request_id: str | None = field(default=None, compare=False)
    """What Capillary traces the request by whose answer showed it; None if that is not known."""


@dataclass(frozen=True, slots=True)
class CustomerPromotions:
    """All pages of one lookup, each promotion once, in the API's order."""

    customer_id: int
    promotions: tuple[Promotion, ...]
    request_id: str | None = field(default=None, compare=False)
    """What Capillary traces the request of the last page by; None if that is not known."""

    def find(self, program_id: int, promotion_id: int) -> Promotion | None:
        """Return the named promotion, None if this reading does not show it."""
        return next(
            (p for p in self.promotions if (p.program_id, p.promotion_id) == (program_id, promotion_id)), None
        )
