"""The bodies that the control port takes, and the views that it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from worker.demo.simulator.faults import FaultRule, RetryAfter
from worker.demo.simulator.model import Customer, Enrolment, Promotion

if TYPE_CHECKING:
    from datetime import datetime

    from worker.demo.simulator.books import Overlap, RequestRecord
    from worker.demo.simulator.model import Opening
    from worker.demo.simulator.notifications import Notification
    from worker.demo.simulator.shapes import Json
    from worker.demo.simulator.world import World


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True)


class ManyCustomers(_Body):
    """Synthetic customers with consecutive ids, by default after the highest so far."""

    count: int = Field(ge=0, le=1_000_000)
    first_id: int | None = Field(default=None, ge=0)
    source: str = "INSTORE"


class EarlierEnrolment(_Body):
    """An enrolment that did not come through the API; `earned` issuals under it."""

    customer_id: int
    promotion_id: int
    at: AwareDatetime
    earned: int = Field(default=0, ge=0)


class Revocation(_Body):
    """The end of a customer's last enrolment, or of that of an issual id."""

    customer_id: int
    promotion_id: int
    issual_id: int | None = None


class Merge(_Body):
    """Two customers that become one."""

    survivor_id: int
    victim_id: int


class Audience(_Body):
    """Customers whom a promotion is opened for."""

    promotion_id: int
    customer_ids: tuple[int, ...]


class WorldBody(_Body):
    """A whole world."""

    customers: ManyCustomers | tuple[Customer, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    enrolments: tuple[EarlierEnrolment, ...] = ()


class SettingsBody(_Body):
    """Changes of settings; what is absent stays."""

    latency: str | None = None
    requests_per_minute: int | None = Field(default=None, ge=0)
    throttle_window_seconds: float = Field(default=60, gt=0)
    retry_after: RetryAfter | None = None
    error_status: int | None = Field(default=None, ge=200, le=599)
    honour_idempotency: bool | None = None
    show_late_seconds: float | None = Field(default=None, ge=0)


CUSTOMERS: Final[TypeAdapter[ManyCustomers | tuple[Customer, ...]]] = TypeAdapter(
    ManyCustomers | tuple[Customer, ...],
)
PROMOTIONS: Final = TypeAdapter(tuple[Promotion, ...])
ENROLMENTS: Final = TypeAdapter(tuple[EarlierEnrolment, ...])
REVOCATIONS: Final = TypeAdapter(tuple[Revocation, ...])
RULES: Final = TypeAdapter(tuple[FaultRule, ...])
_RULE: Final = TypeAdapter(FaultRule)


def add_customers(world: World, given: ManyCustomers | tuple[Customer, ...]) -> None:
    """Add customers to a world."""
    if isinstance(given, ManyCustomers):
        world.put_customers(given.count, first_id=given.first_id, source=given.source)
        return
    for customer in given:
        world.put_customer(customer)


def add_enrolments(world: World, given: tuple[EarlierEnrolment, ...]) -> None:
    """Add enrolments to a world. Raises ValueError for a promotion that it does not have."""
    for one in given:
        world.enrol_elsewhere(one.customer_id, one.promotion_id, at=one.at, earned=one.earned)


def rule_view(rule: FaultRule, fired: int) -> Json:
    """Show a fault rule and how often it has struck."""
    shown: Json = _RULE.dump_python(rule, mode="json", by_alias=True)
    return shown | {"fired": fired}


def enrolment_view(enrolment: Enrolment) -> Json:
    """Show an applied enrolment."""
    return {
        "customerId": enrolment.customer_id,
        "promotionId": enrolment.promotion_id,
        "programId": enrolment.program_id,
        "enrollmentId": enrolment.enrolment_id,
        "issualId": enrolment.issual_id,
        "idempotencyKey": enrolment.idempotency_key,
        "at": _text(enrolment.at),
        "visibleAt": _text(enrolment.visible_at),
        "byIssue": enrolment.by_issue,
        "revokedAt": None if enrolment.revoked_at is None else _text(enrolment.revoked_at),
    }


def opening_view(opening: Opening) -> Json:
    """Show that a customer came into an audience."""
    return {
        "customerId": opening.customer_id,
        "promotionId": opening.promotion_id,
        "at": _text(opening.at),
    }


def notification_view(notification: Notification) -> Json:
    """Show a notification, and whom it is about."""
    return {
        "number": notification.number,
        "customerId": notification.customer_id,
        "event": notification.event,
    }


def record_view(record: RequestRecord) -> Json:
    """Show a logged request."""
    return {
        "number": record.number,
        "at": _text(record.at),
        "endpoint": record.endpoint.value,
        "path": record.path,
        "customerId": record.customer_id,
        "promotionId": record.promotion_id,
        "idempotencyKey": record.idempotency_key,
        "traceparent": record.traceparent,
        "requestId": record.request_id,
        "headers": record.headers,
        "query": record.query,
        "status": record.status,
        "result": record.result,
    }


def overlap_view(overlap: Overlap) -> Json:
    """Show two requests that were in work for one customer at once."""
    return {
        "customerId": overlap.customer_id,
        "earlier": record_view(overlap.earlier),
        "later": record_view(overlap.later),
    }


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
