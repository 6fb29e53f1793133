"""The requests that each endpoint accepts, as its page has it; others are refused with the API's code.

Every reader raises Refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from worker.demo.simulator.catalogue import Status
from worker.demo.simulator.model import OfferType
from worker.demo.simulator.reading import (
    GENERIC,
    Refused,
    boolean,
    bounded,
    choice,
    date,
    issue_body,
    number,
    once,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from worker.demo.simulator.model import Customer, Promotion
    from worker.demo.simulator.reading import Given, Query
    from worker.demo.simulator.world import World

_MAX_LIMIT: Final = 100
_DEFAULT_LIMIT: Final = 10
_SOURCES: Final = frozenset(
    (
        "FACEBOOK",
        "WEB_ENGAGE",
        "INSTORE",
        "MARTJACK",
        "TMALL",
        "TAOBAO",
        "JD",
        "ECOMMERCE",
        "WEBSITE",
        "LINE",
    ),
)
_IDENTIFIERS_ISSUE: Final = {name: name for name in ("email", "mobile", "externalId", "id")}
_IDENTIFIERS_V2: Final = _IDENTIFIERS_ISSUE | {"cuid": "cuid"}
_IDENTIFIERS_V21: Final = {"mobile": "mobile", "id": "id", "email": "email", "externalid": "externalId"}
_PROMOTION_TYPES: Final = {
    "GENERIC": OfferType.GENERIC,
    "DIRECT_ISSUE": OfferType.LOYALTY,
    "ENROL_AND_ISSUE": OfferType.LOYALTY_EARNING,
}
_ACTIVITIES: Final = (
    *("CustomerRegistration", "CustomerUpdate", "GenericEvent", "NewBill", "PointsContributionToGroup"),
    *("PointsTransfer", "ReturnBill", "TargetCompleted", "TransactionAdd"),
)
_SCOPE_ORGS: Final = ("DATA-SCOPE-ORG", "DATA-SCOPE-ORGS")
SCOPE_HEADERS: Final = ("DATA-SCOPE", *_SCOPE_ORGS)
_WHO: Final = frozenset(("identifierName", "identifierValue", "source"))
_LOOKUP: Final = _WHO | {"accountId", "promotionStatusForCustomer", "limit", "offset"}
_LOOKUP_V2: Final = _LOOKUP | {"fetchAllUsage", "promotionType", "sourceType", "programs"}
_LOOKUP_V21: Final = _LOOKUP | {"includeAlternateCurrencyUsage"}
_ISSUE: Final = _WHO | {"type", "accountId"}
_LIST: Final = frozenset(
    ("limit", "offset", "program", "status", "activity", "startDate", "endDate", "promotionName"),
)


class CustomerStatus(StrEnum):
    """`promotionStatusForCustomer`."""

    AVAILABLE_TO_ENROL = "AVAILABLE_TO_ENROL"
    AVAILABLE_TO_EARN = "AVAILABLE_TO_EARN"
    AVAILABLE_TO_REDEEM = "AVAILABLE_TO_REDEEM"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A valid lookup; None filters nothing."""

    customer: Customer
    status: CustomerStatus | None
    limit: int
    offset: int
    orgs: frozenset[int]
    all_usage: bool = False
    offer_type: OfferType | None = None
    source_type: str | None = None
    programs: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A valid issue: who is to be enrolled into what."""

    customer: Customer
    promotion: Promotion


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A valid request for a page of the list; None filters nothing."""

    limit: int
    number: int
    program: int | None
    status: Status | None
    activity: str | None
    window: tuple[datetime, datetime] | None
    name: str | None


def customer_of(query: Mapping[str, str], world: World) -> Customer | None:
    """Find whom a request is about, however faulty the rest of it is."""
    name = query.get("identifierName", "")
    return world.customers.find(_IDENTIFIERS_V21.get(name, name), query.get("identifierValue", ""), "ALL")


def read_lookup_v2(query: Query, world: World) -> Lookup:
    """Read a v2 lookup; it shows the promotions of the user's own organisation."""
    given = once(query, _LOOKUP_V2)
    programs = None
    if "programs" in given:
        parts = given["programs"].split(",")
        programs = frozenset(number(part.strip(), GENERIC, "invalid programs") for part in parts)
    return Lookup(
        customer=_customer(given, world, _IDENTIFIERS_V2, _SOURCES | {"ALL"}),
        status=_status(given),
        limit=bounded(given, "limit", _DEFAULT_LIMIT, _MAX_LIMIT),
        offset=bounded(given, "offset", 0),
        orgs=frozenset({world.org_id}),
        all_usage=boolean(given, "fetchAllUsage"),
        offer_type=choice(given, "promotionType", _PROMOTION_TYPES),
        source_type=choice(given, "sourceType", {name: name for name in ("UI", "API", "CAMPAIGN")}),
        programs=programs,
    )


def read_lookup_v21(query: Query, headers: Given, world: World, connected: Iterable[int]) -> Lookup:
    """Read a v2.1 lookup; its headers say which of the connected organisations' promotions show."""
    orgs = _connected_orgs(headers, world, connected)
    given = once(query, _LOOKUP_V21)
    boolean(given, "includeAlternateCurrencyUsage")
    return Lookup(
        customer=_customer(given, world, _IDENTIFIERS_V21, _SOURCES | {"WECHAT", "ALL"}),
        status=_status(given),
        limit=bounded(given, "limit", _DEFAULT_LIMIT, _MAX_LIMIT),
        offset=bounded(given, "offset", 0),
        orgs=orgs,
    )


def read_issue(query: Query, content_type: str, body: bytes, world: World) -> Issue:
    """Read an issue; its promotion exists, is of that program, and can be enrolled into by its type."""
    if content_type != "application/json":
        raise Refused(GENERIC, "content type must be application/json", status=415)
    given = once(query, _ISSUE)
    if not all(given.get(name) for name in _WHO):
        raise Refused(11013, "identifierName, identifierValue, source can not be empty")
    if given.get("type", "CUSTOMER") != "CUSTOMER":
        raise Refused(1212, "invalid entity type")
    customer = _customer(given, world, _IDENTIFIERS_ISSUE, _SOURCES | {"MOBILE_APP"})
    program_id, promotion_id = issue_body(body)
    own = [one for one in world.promotions.values() if world.org_of(one) == world.org_id]
    if all(one.program_id != program_id for one in own):
        raise Refused(1101, "invalid programId passed")
    for promotion in own:
        if (promotion.promotion_id, promotion.program_id) == (promotion_id, program_id):
            if promotion.offer_type is OfferType.LOYALTY_EARNING:
                return Issue(customer=customer, promotion=promotion)
            break
    raise Refused(8874, "promotion id passed is invalid")


def read_page(query: Query, world: World, *, first_page: int) -> Page:
    """Read a request for a page of the list, whose first page has the given number."""
    given = once(query, _LIST)
    if not (given.get("limit") and given.get("offset")):
        raise Refused(4054, "Offset or limit missing")
    limit, page = bounded(given, "limit", 1, _MAX_LIMIT), bounded(given, "offset", first_page)
    if limit == 0 or page < first_page:
        raise Refused(GENERIC, "invalid limit or offset")
    program = number(given["program"], 2010, "invalid program id") if "program" in given else None
    if program is not None and all(one.program_id != program for one in world.promotions.values()):
        raise Refused(2010, "invalid program id")
    if ("startDate" in given) != ("endDate" in given):
        raise Refused(4053, "Start date or end date missing")
    activities: dict[str, str | None] = {name: name.upper() for name in _ACTIVITIES}
    return Page(
        limit=limit,
        number=page - first_page,
        program=program,
        status=choice(given, "status", {status.value: status for status in Status}),
        activity=choice(given, "activity", activities | {"ALL": None}),
        window=(date(given["startDate"]), date(given["endDate"])) if "startDate" in given else None,
        name=given.get("promotionName"),
    )


def _status(given: Given) -> CustomerStatus | None:
    return choice(given, "promotionStatusForCustomer", {status.value: status for status in CustomerStatus})


def _customer(given: Given, world: World, identifiers: Given, sources: frozenset[str]) -> Customer:
    name = identifiers.get(given.get("identifierName", ""))
    if name is None:
        raise Refused(8013, "Invalid identifier name")
    source = given.get("source", "")
    if source not in sources:
        raise Refused(8003, "Invalid source")
    customer = world.customers.find(name, given.get("identifierValue", ""), source)
    if customer is None or customer.account_id not in (None, given.get("accountId")):
        raise Refused(8015, "Customer not found for the given identifiers")
    if customer.customer_id in world.merged:
        raise Refused(8069, "merged customer")
    return customer


def _connected_orgs(headers: Given, world: World, connected: Iterable[int]) -> frozenset[int]:
    # The API's pages call the organisations by two names; who sends both must mean the same by them.
    scope, given = headers.get("DATA-SCOPE"), {headers[name] for name in _SCOPE_ORGS if name in headers}
    refused = (310144, "Connected orgs not set properly in headers")
    if len(given) != 1:
        raise Refused(*refused)
    named = {number(part.strip(), *refused) for part in given.pop().split(",")}
    if scope not in {"SELF", "OTHER", "ALL"} or not named <= {world.org_id, *connected}:
        raise Refused(*refused)
    if scope == "SELF":
        return frozenset({world.org_id})
    return frozenset(named - {world.org_id} if scope == "OTHER" else named)
