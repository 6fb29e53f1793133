"""The parts of the simulated organisation: customers, promotions, and enrolments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

_JSON = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class OfferType(StrEnum):
    """`pointsOfferType`; only LOYALTY_EARNING can be enrolled into."""

    GENERIC = "GENERIC"
    LOYALTY = "LOYALTY"
    LOYALTY_EARNING = "LOYALTY_EARNING"


class Listing(StrEnum):
    """How long AVAILABLE_TO_ENROL lists a promotion for a customer."""

    UNTIL_LIMIT = "until-limit"
    """Listed after an enrolment too, until an issual limit is used up."""
    UNTIL_ENROLLED = "until-enrolled"
    """Gone while an enrolment is alive, and once a limit is used up."""
    ALWAYS = "always"
    """Listed even when its limit is used up: the client has to look at the restrictions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer and what identifies them; the identifiers hold within each of `sources`."""

    customer_id: int
    mobile: str | None = None
    email: str | None = None
    external_id: str | None = None
    cuid: str | None = None
    sources: tuple[str, ...] = ("INSTORE",)
    account_id: str | None = None
    """Of sources with several accounts: who asks for the customer has to name it."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    @classmethod
    def synthetic(cls, customer_id: int, source: str = "INSTORE") -> Customer:
        """Return the made-up customer of that id; the same id always has the same identifiers."""
        return cls(
            customer_id=customer_id,
            mobile=f"91{customer_id:010d}",
            email=f"customer{customer_id}@example.com",
            external_id=f"{customer_id:012d}",
            cuid=f"cuid-{customer_id}",
            sources=(source,),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionLimit:
    """One of `redemptionRestrictions`; `period_unit` (DAILY, ...) makes it PERIOD_BASED."""

    kpi: str
    max_limit: int
    limit_on: str = "CUSTOMER"
    period_unit: str | None = None

    __pydantic_config__: ClassVar[ConfigDict] = _JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A promotion and how the simulated API treats it.

    Limits: None lists no such restriction, -1 lists one that restricts nothing.
    """

    promotion_id: int
    program_id: int = 469
    name: str = "Enrol & issue"
    description: str = "Enrol and Issue"
    identifier: str | None = None
    offer_type: OfferType = OfferType.LOYALTY_EARNING
    starts: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    ends: datetime = datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)
    active: bool = True
    event_name: str = "TransactionAdd"
    source_type: str = "UI"
    metadata: tuple[tuple[str, str], ...] = ()
    org_id: int | None = None
    """Organisation it belongs to; None is the API user's own."""

    listing: Listing = Listing.UNTIL_LIMIT
    limit_per_customer: int | None = 10
    limit_per_promotion: int | None = None
    limit_per_event: int | None = None
    """Listed as an issual restriction without `currentCustomerUsage`; never restricts."""
    earn_limit: int | None = None
    redemptions: tuple[RedemptionLimit, ...] = (
        RedemptionLimit(kpi="NUMBER_OF_REDEMPTIONS_PER_EARN", max_limit=10),
    )
    points_used: str = "0"
    times_used: int = 0

    timelines: bool = True
    """False: `customerPromotionTimelines` is absent whatever happened."""
    enrolment_lasts: timedelta | None = None
    """Life of an enrolment; None lets it live as long as the promotion."""
    configuration_fault: bool = False
    """Listed, yet every issue answers 8890."""
    customer_ids: frozenset[int] | None = None
    """Only these customers have it; None: everyone."""
    one_in: int = 1
    """Only customers whose id is divisible by this have it."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    def is_for(self, customer_id: int) -> bool:
        """Whether the customer has this promotion at all."""
        named = self.customer_ids is None or customer_id in self.customer_ids
        return named and customer_id % self.one_in == 0

    def is_live(self, now: datetime) -> bool:
        """Whether it is active and within its dates."""
        return self.active and self.starts <= now <= self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Issual:
    """One of an enrolment's `issuedDetails`: what the customer earned under it."""

    issual_id: int
    at: datetime
    expires: datetime
    event_log_id: int
    redeemed_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """An applied enrolment, as the books keep it.

    `issual_id` is what the issue answered; `enrolment_id` shows in timelines only, and they differ.
    """

    customer_id: int
    promotion_id: int
    program_id: int
    enrolment_id: int
    event_log_id: int
    issual_id: int
    at: datetime
    expires: datetime
    visible_at: datetime
    """From when lookups show it."""
    idempotency_key: str | None = None
    by_issue: bool = True
    """False: set up by the test, or by another channel."""
    issued: tuple[Issual, ...] = ()
    revoked_at: datetime | None = None
    """From when it is gone for lookups and limits; only the books still have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A customer came into the audience of a promotion while it ran."""

    customer_id: int
    promotion_id: int
    at: datetime


class NotIssued(StrEnum):
    """Why an issue enrols nobody; the API answers 8890 to each, without saying which."""

    CONFIGURATION = "configuration"
    CUSTOMER_LIMIT = "customer-limit"
    PROMOTION_LIMIT = "promotion-limit"
