"""The API's bodies, read tolerantly: the pages contradict their own samples, and fields come and go.

Only what the worker uses is declared; everything else is ignored. A detail that cannot be read is as if
absent, except when guessing could enrol someone twice or into something else: ids and timelines.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Final, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    OnErrorOmit,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from worker.domain.answers import Traced
from worker.domain.promotions import Promotion, Restriction, TimelineEntry

T = TypeVar("T")
Json = Mapping[str, object]

LONGEST_LIST: Final = 10_000
"""Entries of a list of the API that are looked at."""

LONGEST_TEXT: Final = 512
"""Characters of a name or a message of the API that are kept."""


def _none_if_unusable(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    if value is None:
        return None
    try:
        return handler(value)
    except ValidationError:
        return None


def listed(value: object) -> object:
    """Fields documented as an object are arrays in the samples; null and an empty object are nothing.

    A list that is longer than any real one is none: to look at millions of entries would take half a minute,
    in which the process does nothing else.
    """
    if value is None or value == {}:
        return []
    if isinstance(value, list) and len(value) > LONGEST_LIST:
        raise ValueError("more entries than an answer has")
    return [value] if isinstance(value, dict) else value


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def cut(text: str) -> str:
    """Return the text; if it is too long, its beginning and a mark: outcomes and log lines stay bounded."""
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


Lenient = Annotated[T | None, WrapValidator(_none_if_unusable)]
Several = Annotated[list[OnErrorOmit[T]], BeforeValidator(listed)]
Long = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Id = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[Decimal, Field(ge=-(2**63), lt=2**63)]
Time = Annotated[datetime, AfterValidator(_aware)]


class Wire(BaseModel):
    """Reads the API's spelling of names; texts lose their blanks."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        coerce_numbers_to_str=True,
        str_strip_whitespace=True,
        frozen=True,
    )


class WireNotice(Wire):
    """An entry of `errors` or `warnings`; without a usable code it is none of the API's."""

    code: Long
    message: Lenient[str] = None


class WireSideEffect(Wire):
    """An entry of `sideEffects`: what an issue applied."""

    program_id: Lenient[Id] = None
    promotion_id: Lenient[Id] = None
    issual_id: Lenient[Id] = None


class _WireSurvivor(Wire):
    survivor_id: Annotated[
        Lenient[Id],
        Field(
            validation_alias=AliasChoices(
                "survivorCustomerId", AliasPath("survivorCustomerIdentifiers", "customerId")
            )
        ),
    ] = None


class _WireRestriction(Wire):
    kpi: Lenient[str] = None
    limit_on: Lenient[str] = None
    max_limit: Lenient[Amount] = None
    current_customer_usage: Lenient[Amount] = None
    type: Lenient[str] = None

    def to_domain(self) -> Restriction:
        return Restriction(
            kpi=cut(self.kpi or ""),
            limit_on=cut((self.limit_on or "").upper()),
            max_limit=self.max_limit,
            usage=self.current_customer_usage,
            periodic=(self.type or "").upper() == "PERIOD_BASED",
        )


class _WireRestrictions(Wire):
    issual_restrictions: Lenient[Several[_WireRestriction]] = None
    earn_restrictions: Lenient[Several[_WireRestriction]] = None
    redemption_restrictions: Lenient[Several[_WireRestriction]] = None


class _WireTimelineEntry(Wire):
    enrollment_id: Id
    enrollment_date: Lenient[Time] = None
    enrollment_expiry_date: Lenient[Time] = None

    def to_domain(self) -> TimelineEntry:
        return TimelineEntry(self.enrollment_id, self.enrollment_date, self.enrollment_expiry_date)


class _WirePromotion(Wire):
    promotion_id: Id
    program_id: Id
    promotion_name: Lenient[str] = None
    points_offer_type: Lenient[str] = None
    active: Lenient[bool] = None
    start_date: Lenient[Time] = None
    end_date: Lenient[Time] = None
    promotion_restriction: Lenient[_WireRestrictions] = None
    # An entry that cannot be read may be the evidence of an enrolment: it is never left out.
    customer_promotion_timelines: Annotated[list[_WireTimelineEntry], BeforeValidator(listed)] | None = None
    org_id: Annotated[Lenient[Id], Field(validation_alias=AliasChoices("orgId", "orgID"))] = None

    def to_domain(self, request_id: str | None) -> Promotion:
        restrictions = self.promotion_restriction or _WireRestrictions()
        timeline = self.customer_promotion_timelines
        return Promotion(
            promotion_id=self.promotion_id,
            program_id=self.program_id,
            name=cut(self.promotion_name or ""),
            offer_type=cut((self.points_offer_type or "").upper()),
            active=self.active is not False,
            starts_at=self.start_date,
            ends_at=self.end_date,
            issual_restrictions=_restrictions(restrictions.issual_restrictions),
            timeline=None if timeline is None else tuple(entry.to_domain() for entry in timeline),
            org_id=self.org_id,
            earn_restrictions=_restrictions(restrictions.earn_restrictions),
            redemption_restrictions=_restrictions(restrictions.redemption_restrictions),
            request_id=request_id,
        )


def _restrictions(listed: list[_WireRestriction] | None) -> tuple[Restriction, ...]:
    return tuple(each.to_domain() for each in listed or ())


class _WirePageDetails(Wire):
    page_size: Lenient[Id] = None
    total_entries: Lenient[Id] = None


class _WirePage(Wire):
    customer_id: Id
    page_details: Lenient[_WirePageDetails] = None
    promotions: Annotated[list[_WirePromotion], BeforeValidator(listed)] | None = None


@dataclass(frozen=True, slots=True)
class Page(Traced):
    """One page of a lookup. `total` and `page_size` are what the server claims, None if it does not."""

    customer_id: int
    promotions: tuple[Promotion, ...]
    total: int | None
    page_size: int | None


LONGEST_TTL_SECONDS: Final = 30 * 86400.0
"""That a token is held for; Capillary gives none for longer."""


class _WireToken(Wire):
    # Goes into a header as it is.
    access_token: Annotated[str, Field(min_length=1, pattern=r"^[!-~]+$")]
    ttl_seconds: Lenient[Annotated[float, Field(gt=0)]] = None


@dataclass(frozen=True, slots=True)
class TokenGrant(Traced):
    """A token as handed out; `ttl_seconds` is None if the answer does not tell."""

    access_token: str
    ttl_seconds: float | None

    def __repr__(self) -> str:
        return f"TokenGrant(ttl_seconds={self.ttl_seconds})"


_NOTICES: TypeAdapter[list[WireNotice]] = TypeAdapter(Several[WireNotice])
_SIDE_EFFECTS: TypeAdapter[list[WireSideEffect]] = TypeAdapter(Several[WireSideEffect])


def parse_object(body: bytes) -> Json | None:
    """Return the body's JSON object, None if it is anything else; raw control characters are accepted."""
    try:
        parsed = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def read_notices(value: object) -> tuple[WireNotice, ...]:
    """Read `errors` or `warnings`: absent, null, an object or a list; what has no usable code is left out."""
    try:
        return tuple(_NOTICES.validate_python(value))
    except ValidationError:
        return ()


def read_side_effects(value: object) -> tuple[WireSideEffect, ...]:
    """Read `sideEffects` likewise; entries that name nothing are left out, they prove nothing."""
    try:
        effects = _SIDE_EFFECTS.validate_python(value)
    except ValidationError:
        return ()
    return tuple(effect for effect in effects if effect != WireSideEffect())


def read_survivor(body: Json) -> int | None:
    """Read whom a merged customer was merged into, if the body or one of its errors tells."""
    errors = listed(body.get("errors"))
    for part in (body, *(errors if isinstance(errors, list) else ())):
        try:
            survivor = _WireSurvivor.model_validate(part).survivor_id
        except ValidationError:
            continue
        if survivor is not None:
            return survivor
    return None


def read_page(body: Json, request_id: str | None = None) -> Page | None:
    """Read one page of a lookup, of the answer that Capillary traces by this id.

    None if it is none: no customer id, no promotions (unless it says that there are 0), a promotion
    without usable ids, a timeline entry without a usable id.
    """
    try:
        page = _WirePage.model_validate(body)
    except ValidationError:
        return None
    details = page.page_details or _WirePageDetails()
    if page.promotions is None and details.total_entries != 0:
        return None
    promotions = tuple(promotion.to_domain(request_id) for promotion in page.promotions or ())
    return Page(page.customer_id, promotions, details.total_entries, details.page_size, request_id=request_id)


def read_token(body: Json) -> TokenGrant | None:
    """Read the token endpoint's `data`; None if it holds no token."""
    try:
        token = _WireToken.model_validate(body.get("data"))
    except ValidationError:
        return None
    ttl = token.ttl_seconds
    return TokenGrant(token.access_token, None if ttl is None else min(ttl, LONGEST_TTL_SECONDS))
