"""The bodies of the promotion list, read tolerantly.

Its table and its sample disagree on where restrictions and `cappingStatus` are: both places are read.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AliasChoices, AliasPath, BeforeValidator, Field, ValidationError

from worker.capillary.wire import Id, Json, Lenient, Long, Several, Time, Wire, listed
from worker.domain.answers import Traced
from worker.domain.catalogue import Expiry, ListedPromotion

_RESTRICTIONS = "promotionRestrictions"


class _WireExpiry(Wire):
    name: Lenient[str] = None
    type: Lenient[str] = None
    value: Lenient[Id] = None

    def to_domain(self) -> Expiry:
        return Expiry(self.name or "", (self.type or "").upper(), self.value)


class _WireListed(Wire):
    id: Id
    program_id: Lenient[Id] = None
    name: Lenient[str] = None
    promotion_status: Lenient[str] = None
    points_offer_type: Lenient[str] = None
    start_date: Lenient[Time] = None
    end_date: Lenient[Time] = None
    capping_status: Lenient[bool] = Field(
        None, validation_alias=AliasChoices(AliasPath(_RESTRICTIONS, "cappingStatus"), "cappingStatus")
    )
    expiries: Lenient[Several[_WireExpiry]] = Field(
        None,
        validation_alias=AliasChoices(
            AliasPath(_RESTRICTIONS, "restrictions", "expiryRestrictions"),
            AliasPath(_RESTRICTIONS, "expiryRestrictions"),
        ),
    )

    def to_domain(self) -> ListedPromotion:
        return ListedPromotion(
            promotion_id=self.id,
            program_id=self.program_id,
            name=self.name or "",
            status=(self.promotion_status or "").upper(),
            offer_type=(self.points_offer_type or "").upper(),
            starts_at=self.start_date,
            ends_at=self.end_date,
            capped=self.capping_status,
            expiries=tuple(expiry.to_domain() for expiry in self.expiries or ()),
        )


class _WireStatus(Wire):
    code: Lenient[Long] = None
    message: Lenient[str] = None


class _WirePageDetails(Wire):
    total_entries: Lenient[Id] = None


class _WireListPage(Wire):
    data: Annotated[list[_WireListed], BeforeValidator(listed)]
    page_details: _WirePageDetails


class _WireEnvelope(Wire):
    status: Lenient[_WireStatus] = None


@dataclass(frozen=True, slots=True)
class ListPage(Traced):
    """One page of the list, and how many entries there are on all pages."""

    promotions: tuple[ListedPromotion, ...]
    total: int


def read_list_page(body: Json) -> ListPage | None:
    """Read one page; None if it is none: no total, or an entry without a usable id."""
    try:
        page = _WireListPage.model_validate(body)
    except ValidationError:
        return None
    total = page.page_details.total_entries
    return None if total is None else ListPage(tuple(entry.to_domain() for entry in page.data), total)


def read_status(body: Json) -> tuple[int, str] | None:
    """Read code and message of the body's own `status`, None if it has no code."""
    try:
        status = _WireEnvelope.model_validate(body).status
    except ValidationError:
        return None
    return None if status is None or status.code is None else (status.code, status.message or "")
