"""The event notifications that Capillary would send for what changes; nothing is sent anywhere."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never
from uuid import NAMESPACE_URL, uuid5

from worker.demo.simulator.changes import CustomerPut, Enrolled, Merged, PromotionPut, Revoked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.demo.simulator.changes import Change
    from worker.demo.simulator.model import Customer, Promotion
    from worker.demo.simulator.shapes import Json

_Told: TypeAlias = tuple[str, int, "Json"]
"""Event name, the id of whom or what it is about, and `data`."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification, numbered in the order of the changes; of a merge `customer_id` is the survivor."""

    number: int
    customer_id: int | None
    event: Json


@dataclass(frozen=True, slots=True)
class _Noted:
    number: int
    at: datetime
    org_id: int
    change: Change


class Notifications:
    """The last `size` notifications."""

    def __init__(self, org_id: int, size: int, clock: Callable[[], datetime]) -> None:
        self._org_id: Final = org_id
        self._clock: Final = clock
        self._log: Final[deque[_Noted]] = deque(maxlen=size)
        self._numbers: Final = count(1)

    def note(self, change: Change) -> None:
        """Keep what there is to tell of a change."""
        self._log.append(_Noted(next(self._numbers), self._time_of(change), self._org_id, change))

    def after(self, number: int) -> Iterator[Notification]:
        """Yield those that are kept and came after the one of that number, in order."""
        return (_notification(one) for one in self._log if one.number > number)

    def clear(self) -> None:
        """Forget all; numbers go on."""
        self._log.clear()

    def _time_of(self, change: Change) -> datetime:
        match change:
            case Enrolled():
                return change.enrolment.at
            case Revoked():
                return change.enrolment.revoked_at or self._clock()
            case _:
                return self._clock()


def _notification(noted: _Noted) -> Notification:
    name, about, data = _told(noted.change)
    millis = round(noted.at.timestamp() * 1000)
    stem = f"notification/{noted.org_id}/{name}/{about}/{noted.number}/{millis}"
    event: Json = {
        "eventName": name,
        "eventId": str(uuid5(NAMESPACE_URL, stem)),
        "orgId": noted.org_id,
        "refId": f"{noted.org_id}_{about}",
        "apiRequestId": str(uuid5(NAMESPACE_URL, f"{stem}/request")),
        "createdAt": millis,
        "data": data,
    }
    return Notification(noted.number, None if isinstance(noted.change, PromotionPut) else about, event)


def _told(change: Change) -> _Told:
    match change:
        case PromotionPut(promotion, is_new):
            name = "promotionCreated" if is_new else "promotionUpdated"
            return name, promotion.promotion_id, _promotion(promotion)
        case CustomerPut(customer, is_new):
            name = "customerAdded" if is_new else "customerUpdated"
            return name, customer.customer_id, {"customerIdentifiers": _identifiers(customer)}
        case Enrolled(customer):
            return "promotionIssued", customer.customer_id, _issued(change, "issualId")
        case Revoked(customer):
            return "revokeIssuedPromotion", customer.customer_id, _issued(change, "revokedIssualId")
        case Merged(survivor, victim):
            return (
                "loyaltyCustomerMerge",
                survivor.customer_id,
                {
                    "survivorCustomerIdentifiers": _identifiers(survivor),
                    "victimCustomerIdentifiers": _identifiers(victim),
                },
            )
        case _:
            assert_never(change)


def _promotion(promotion: Promotion) -> Json:
    return {
        "promotionId": promotion.promotion_id,
        "loyaltyProgramId": promotion.program_id,
        "promotionName": promotion.name,
        "promotionStartDate": round(promotion.starts.timestamp() * 1000),
        "promotionEndDate": round(promotion.ends.timestamp() * 1000),
        "status": "ACTIVE" if promotion.active else "INACTIVE",
        "type": promotion.offer_type.value,
        "sourceType": promotion.source_type,
    }


def _issued(change: Enrolled | Revoked, issual: str) -> Json:
    promotion, enrolment = change.promotion, change.enrolment
    limits = {"CUSTOMER": promotion.limit_per_customer, "PROMOTION": promotion.limit_per_promotion}
    return {
        "customerIdentifiers": _identifiers(change.customer),
        "promotionId": promotion.promotion_id,
        "loyaltyProgramId": promotion.program_id,
        issual: enrolment.issual_id,
        "promotionIssuedDate": _date(enrolment.at),
        "promotionIssuedExpiryDate": _date(enrolment.expires),
        "issueRestrictions": [
            {"limitOn": on, "kpi": "NUMBER_OF_ISSUALS", "maxLimit": limit}
            for on, limit in limits.items()
            if limit is not None
        ],
    }


def _identifiers(customer: Customer) -> Json:
    """Name a customer in each source; only that of INSTORE is flat."""
    named = {"mobile": customer.mobile, "email": customer.email, "externalId": customer.external_id}
    known = {name: value for name, value in named.items() if value is not None}
    typed = [{"identifierType": name, "identifierValue": value} for name, value in known.items()]
    account: Json = {} if customer.account_id is None else {"accountId": customer.account_id}
    shown: Json = {"customerId": customer.customer_id}
    if not known:
        return shown
    for source in customer.sources:
        accounts: Json = {"accounts": [account | {"identifiers": typed}]}
        shown[source.lower()] = known if source == "INSTORE" else accounts
    return shown


def _date(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
