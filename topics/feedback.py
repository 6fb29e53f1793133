"""What Capillary's own notifications say about promotions and customers (page "Event notifications").

They come on the activity topic like everything else, in any of its shapes. What is needed is read tolerantly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from topics.fields import Fields, first_id

PROMOTION_EVENTS: Final = frozenset(
    {"promotionCreated", "promotionUpdated", "promotionIssued", "revokeIssuedPromotion"}
)
MERGE_EVENT: Final = "loyaltyCustomerMerge"
FORGET_EVENT: Final = "enrolmentForget"
"""Our own, which `explain --forget` writes: what is known of the customer is to be forgotten."""
CUSTOMER_EVENTS: Final = frozenset({"customerAdded", "customerUpdated"})
TELLING_EVENTS: Final = PROMOTION_EVENTS | {MERGE_EVENT, FORGET_EVENT}
"""What they tell is all that they are about: they lead to no outcome, whatever the triggers are."""
FEEDBACK_EVENTS: Final = TELLING_EVENTS | CUSTOMER_EVENTS
_ISSUAL_IDS: Final = ("revokedIssualId", "issualId")
_PROGRAM_IDS: Final = ("loyaltyProgramId", "programId")


@dataclass(frozen=True, slots=True)
class ListChanged:
    """A promotion was made or changed: the organisation's list is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionIssued:
    """The customer was enrolled into a promotion, by whomever."""

    promotion_id: int
    program_id: int
    issual_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRevoked:
    """An enrolment of the customer was taken back."""

    promotion_id: int
    program_id: int
    issual_id: int | None


@dataclass(frozen=True, slots=True)
class CustomerChanged:
    """What is known of the customer is out of date."""


@dataclass(frozen=True, slots=True)
class CustomersMerged:
    """What is known of these customers is out of date: one was merged into the other."""

    customer_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A notification that lacks what it is about; `message` names the field, never a value."""

    message: str


Feedback = ListChanged | PromotionIssued | PromotionRevoked | CustomerChanged | CustomersMerged | Unusable


def read_feedback(event_name: str, data: Fields) -> Feedback | None:
    """Read what a notification says, None if events of that name say nothing of the kind; never raises."""
    match event_name:
        case "promotionCreated" | "promotionUpdated":
            return ListChanged()
        case "promotionIssued" | "revokeIssuedPromotion":
            return _of_enrolment(event_name, data)
        case "customerAdded" | "customerUpdated" | "enrolmentForget":
            return CustomerChanged()
        case "loyaltyCustomerMerge":
            ids = tuple(_merged(data))
            return CustomersMerged(ids) if ids else Unusable("survivorCustomerIdentifiers: no customerId")
        case _:
            return None


def _of_enrolment(event_name: str, data: Fields) -> PromotionIssued | PromotionRevoked | Unusable:
    promotion_id = first_id(data.get("promotionId"))
    program_id = first_id(*map(data.get, _PROGRAM_IDS))
    if promotion_id is None or program_id is None:
        missing = "promotionId" if promotion_id is None else "loyaltyProgramId"
        return Unusable(f"{missing}: missing or no id")
    kind = PromotionIssued if event_name == "promotionIssued" else PromotionRevoked
    issual_id = first_id(*map(data.get, _ISSUAL_IDS))
    return kind(promotion_id=promotion_id, program_id=program_id, issual_id=issual_id)


def _merged(data: Fields) -> Iterator[int]:
    for role in ("survivorCustomerIdentifiers", "victimCustomerIdentifiers"):
        for place in data.each(role):
            customer_id = first_id(place.get("customerId"))
            if customer_id is not None:
                yield customer_id
