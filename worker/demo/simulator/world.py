"""The state of the simulated organisation; no I/O, and every method that depends on time is told it."""

from __future__ import annotations

import heapq
from collections import defaultdict
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

from worker.demo.simulator.model import Enrolment, Issual, Listing, NotIssued, OfferType, Promotion
from worker.demo.simulator.population import Population

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from worker.demo.simulator.model import Customer

DEFAULT_ORG_ID: Final = 100
_FIRST_ENROLMENT_ID: Final = 1580
_FIRST_EVENT_LOG_ID: Final = 12_413_589
_NO_ENROLMENTS: Final[Sequence[Enrolment]] = ()


class World:
    """Customers, promotions and enrolments of one organisation (and of those connected to it).

    Promotions are listed in the order they were put in. `applied` holds every enrolment in the order
    of application; it is the truth that a worker's outcomes are reconciled with.
    """

    def __init__(
        self,
        promotions: Iterable[Promotion] = (),
        customers: Iterable[Customer] = (),
        *,
        org_id: int = DEFAULT_ORG_ID,
    ) -> None:
        self.org_id: Final = org_id
        self.customers = Population()
        self.promotions: Final[dict[int, Promotion]] = {}
        self.applied: Final[list[Enrolment]] = []
        self._of: Final[dict[tuple[int, int], list[Enrolment]]] = {}
        self._count: Final[defaultdict[int, int]] = defaultdict(int)
        self._enrolment_ids: Final = count(_FIRST_ENROLMENT_ID)
        self._event_log_ids: Final = count(_FIRST_EVENT_LOG_ID)
        self._issual_ids: Final = count(1)
        self._due: Final[list[tuple[datetime, int, Callable[[datetime], None]]]] = []
        self._tie: Final = count()
        for customer in customers:
            self.customers.add(customer)
        for promotion in promotions:
            self.put_promotion(promotion)

    @classmethod
    def with_customers(cls, number: int, *promotions: Promotion, org_id: int = DEFAULT_ORG_ID) -> World:
        """Build a world of synthetic customers 1 to `number` that have these promotions."""
        world = cls(promotions, org_id=org_id)
        world.customers.add_many(number)
        return world

    def put_promotion(self, promotion: Promotion) -> None:
        """Add a promotion, or replace the one of that id in its place."""
        self.promotions[promotion.promotion_id] = promotion

    def without_history(self) -> World:
        """Return a world of the same customers and promotions in which nothing has happened yet."""
        fresh = World(self.promotions.values(), org_id=self.org_id)
        fresh.customers = self.customers
        return fresh

    def org_of(self, promotion: Promotion) -> int:
        """Return the organisation that a promotion belongs to."""
        return self.org_id if promotion.org_id is None else promotion.org_id

    def enrolments(self, customer_id: int, promotion_id: int, now: datetime) -> list[Enrolment]:
        """Return the enrolments that a lookup shows at `now`, oldest first."""
        held = self._of.get((customer_id, promotion_id), _NO_ENROLMENTS)
        return [enrolment for enrolment in held if enrolment.visible_at <= now]

    def promotion_count(self, promotion_id: int) -> int:
        """Count the enrolments applied to a promotion, all customers together."""
        return self._count[promotion_id]

    def promotions_of(self, customer_id: int) -> Iterator[Promotion]:
        """Yield every promotion that the customer has, whatever its dates and standing."""
        return (promotion for promotion in self.promotions.values() if promotion.is_for(customer_id))

    def can_enrol(self, customer_id: int, promotion: Promotion, now: datetime) -> bool:
        """Whether AVAILABLE_TO_ENROL lists the promotion, as its `listing` has it."""
        if promotion.offer_type is not OfferType.LOYALTY_EARNING or not promotion.is_live(now):
            return False
        if promotion.listing is Listing.ALWAYS:
            return True
        shown = self.enrolments(customer_id, promotion.promotion_id, now)
        if promotion.listing is Listing.UNTIL_ENROLLED and any(now < one.expires for one in shown):
            return False
        return self._used_up(promotion, len(shown)) is None

    def refusal(self, customer_id: int, promotion: Promotion, now: datetime) -> NotIssued | None:
        """Say why an issue would enrol nobody at `now`; None: it would enrol."""
        if promotion.configuration_fault or not promotion.is_live(now) or not promotion.is_for(customer_id):
            return NotIssued.CONFIGURATION
        held = self._of.get((customer_id, promotion.promotion_id), _NO_ENROLMENTS)
        return self._used_up(promotion, len(held))

    def issue(
        self,
        customer_id: int,
        promotion: Promotion,
        *,
        now: datetime,
        show_late: timedelta = timedelta(0),
        idempotency_key: str | None = None,
        issual_id: int | None = None,
    ) -> Enrolment | NotIssued:
        """Enrol a customer unless a limit or the configuration forbids it.

        It never looks at the key: sending twice enrols twice, if the limits allow.
        """
        refusal = self.refusal(customer_id, promotion, now)
        if refusal is not None:
            return refusal
        return self._apply(
            Enrolment(
                customer_id=customer_id,
                promotion_id=promotion.promotion_id,
                program_id=promotion.program_id,
                enrolment_id=next(self._enrolment_ids),
                event_log_id=next(self._event_log_ids),
                issual_id=self.next_issual_id() if issual_id is None else issual_id,
                at=now,
                expires=_expiry(promotion, now),
                visible_at=now + show_late,
                idempotency_key=idempotency_key,
            ),
        )

    def enrol_elsewhere(
        self, customer_id: int, promotion_id: int, *, at: datetime, earned: int = 0
    ) -> Enrolment:
        """Enrol past every limit, as another channel did, with `earned` issuals under the enrolment."""
        promotion = self.promotions[promotion_id]
        expires = _expiry(promotion, at)
        issued = tuple(
            Issual(
                issual_id=self.next_issual_id(),
                at=at,
                expires=expires,
                event_log_id=next(self._event_log_ids),
            )
            for _ in range(earned)
        )
        return self._apply(
            Enrolment(
                customer_id=customer_id,
                promotion_id=promotion_id,
                program_id=promotion.program_id,
                enrolment_id=next(self._enrolment_ids),
                event_log_id=next(self._event_log_ids),
                issual_id=self.next_issual_id(),
                at=at,
                expires=expires,
                visible_at=at,
                by_issue=False,
                issued=issued,
            ),
        )

    def next_issual_id(self) -> int:
        """Take the next issual id; one that is answered before its enrolment is applied keeps it."""
        return next(self._issual_ids)

    def later(self, due: datetime, action: Callable[[datetime], None]) -> None:
        """Keep an action until the first `advance` at or after `due`; it is told `due`."""
        heapq.heappush(self._due, (due, next(self._tie), action))

    def advance(self, now: datetime) -> None:
        """Carry out what is due, in order. Whoever reads or changes the world calls it first."""
        while self._due and self._due[0][0] <= now:
            due, _, action = heapq.heappop(self._due)
            action(due)

    def _used_up(self, promotion: Promotion, usage: int) -> NotIssued | None:
        if _reached(promotion.limit_per_customer, usage):
            return NotIssued.CUSTOMER_LIMIT
        if _reached(promotion.limit_per_promotion, self._count[promotion.promotion_id]):
            return NotIssued.PROMOTION_LIMIT
        return None

    def _apply(self, enrolment: Enrolment) -> Enrolment:
        self.applied.append(enrolment)
        self._of.setdefault((enrolment.customer_id, enrolment.promotion_id), []).append(enrolment)
        self._count[enrolment.promotion_id] += 1
        return enrolment


def _reached(limit: int | None, usage: int) -> bool:
    return limit is not None and limit > 0 and usage >= limit


def _expiry(promotion: Promotion, at: datetime) -> datetime:
    if promotion.enrolment_lasts is None:
        return promotion.ends
    return min(promotion.ends, at + promotion.enrolment_lasts)
