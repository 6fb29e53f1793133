"""The organisation's answers to valid requests; they read the world, and only an issue changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from worker.demo.simulator.catalogue import list_answer, status_of
from worker.demo.simulator.model import OfferType
from worker.demo.simulator.queries import CustomerStatus
from worker.demo.simulator.shapes import Naming, lookup_answer, promotion_v2, promotion_v21

if TYPE_CHECKING:
    from datetime import datetime

    from worker.demo.simulator.model import Promotion
    from worker.demo.simulator.queries import Lookup, Page
    from worker.demo.simulator.shapes import Json
    from worker.demo.simulator.world import World


def answer_lookup_v2(lookup: Lookup, world: World, now: datetime) -> Json:
    """Answer a v2 lookup with the asked-for slice of what it lists."""
    chosen = _chosen(lookup, world, now)
    customer_id = lookup.customer.customer_id
    shown = [
        promotion_v2(
            promotion,
            world.enrolments(customer_id, promotion.promotion_id, now),
            promotion_count=world.promotion_count(promotion.promotion_id),
            all_usage=lookup.all_usage,
        )
        for promotion in chosen[lookup.offset : lookup.offset + lookup.limit]
    ]
    return lookup_answer(customer_id, shown, total=len(chosen), limit=lookup.limit, offset=lookup.offset)


def answer_lookup_v21(lookup: Lookup, world: World, now: datetime, naming: Naming) -> Json:
    """Answer a v2.1 lookup with the asked-for slice of what it lists."""
    chosen = _chosen(lookup, world, now)
    customer_id = lookup.customer.customer_id
    shown = [
        promotion_v21(
            promotion,
            world.enrolments(customer_id, promotion.promotion_id, now),
            promotion_count=world.promotion_count(promotion.promotion_id),
            org_id=world.org_of(promotion),
            naming=naming,
        )
        for promotion in chosen[lookup.offset : lookup.offset + lookup.limit]
    ]
    return lookup_answer(customer_id, shown, total=len(chosen), limit=lookup.limit, offset=lookup.offset)


def answer_page(page: Page, world: World, now: datetime, *, first_page: int) -> Json:
    """Answer a request for a page of the user's own organisation's promotions."""
    chosen = [
        promotion
        for promotion in world.promotions.values()
        if world.org_of(promotion) == world.org_id
        and (page.program is None or promotion.program_id == page.program)
        and (page.status is None or status_of(promotion, now) is page.status)
        and (page.activity is None or promotion.event_name.upper() == page.activity)
        and (page.name is None or promotion.name == page.name)
        and (page.window is None or (promotion.starts <= page.window[1] and page.window[0] <= promotion.ends))
    ]
    start = page.number * page.limit
    return list_answer(
        chosen[start : start + page.limit],
        now,
        total=len(chosen),
        page=page.number + first_page,
        size=page.limit,
    )


def _chosen(lookup: Lookup, world: World, now: datetime) -> list[Promotion]:
    return [
        promotion
        for promotion in world.promotions_of(lookup.customer.customer_id)
        if world.org_of(promotion) in lookup.orgs
        and (lookup.offer_type is None or promotion.offer_type is lookup.offer_type)
        and (lookup.source_type is None or promotion.source_type == lookup.source_type)
        and (lookup.programs is None or promotion.program_id in lookup.programs)
        and _has_status(lookup, promotion, world, now)
    ]


def _has_status(lookup: Lookup, promotion: Promotion, world: World, now: datetime) -> bool:
    customer_id = lookup.customer.customer_id
    match lookup.status:
        case None:
            return True
        case CustomerStatus.EXPIRED:
            return promotion.ends < now
        case CustomerStatus.AVAILABLE_TO_ENROL:
            return world.can_enrol(customer_id, promotion, now)
        case CustomerStatus.AVAILABLE_TO_EARN:
            return promotion.is_live(now) and _can_earn(customer_id, promotion, world, now)
        case CustomerStatus.AVAILABLE_TO_REDEEM:
            if not promotion.is_live(now):
                return False
            enrolments = world.enrolments(customer_id, promotion.promotion_id, now)
            earned = any(now < issual.expires for one in enrolments for issual in one.issued)
            return promotion.offer_type is OfferType.GENERIC or earned
        case _:
            assert_never(lookup.status)


def _can_earn(customer_id: int, promotion: Promotion, world: World, now: datetime) -> bool:
    match promotion.offer_type:
        case OfferType.GENERIC:
            return False
        case OfferType.LOYALTY:
            return True
        case OfferType.LOYALTY_EARNING:
            enrolments = world.enrolments(customer_id, promotion.promotion_id, now)
            return any(now < enrolment.expires for enrolment in enrolments)
        case _:
            assert_never(promotion.offer_type)
