"""The state of the simulated organisation; no I/O, and every method that depends on time is told it."""

from __future__ import annotations

import heapq
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

from worker.demo.simulator.changes import CustomerPut, Enrolled, Merged, PromotionPut, Revoked
from worker.demo.simulator.enrolments import Enrolments
from worker.demo.simulator.model import (
    Customer,
    Enrolment,
    Listing,
    NotIssued,
    OfferType,
    Opening,
    Promotion,
)
from worker.demo.simulator.population import Population

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from worker.demo.simulator.changes import Change

DEFAULT_ORG_ID: Final = 100


class World:
    """Customers, promotions and enrolments of one organisation (and of those connected to it).

    Promotions are listed in the order they were put in. `applied` holds every enrolment in the order
    of application, revoked ones too; it is the truth that a worker's outcomes are reconciled with.
    `observer` is told each change, in order, from when it is set: what a world begins with is none.
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
        self.merged: Final[dict[int, int]] = {}
        """Customers that were merged into another, and into whom."""
        self.opened: Final[list[Opening]] = []
        self.observer: Callable[[Change], object] | None = None
        self._enrolments: Final = Enrolments()
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
        before = self.promotions.get(promotion.promotion_id)
        self.promotions[promotion.promotion_id] = promotion
        if promotion != before:
            self._tell(PromotionPut(promotion, is_new=before is None))

    def open_for(self, promotion_id: int, customer_ids: Iterable[int], *, at: datetime) -> None:
        """Let customers into a promotion's audience; nobody is told of it.

        Raises ValueError for a promotion that is not there, or that has everyone for its audience.
        """
        promotion = self._promotion(promotion_id)
        if promotion.customer_ids is None:
            raise ValueError(f"promotion {promotion_id} is everyone's")
        more = sorted(set(customer_ids) - promotion.customer_ids)
        self.promotions[promotion_id] = replace(promotion, customer_ids=promotion.customer_ids.union(more))
        self.opened.extend(Opening(customer_id=who, promotion_id=promotion_id, at=at) for who in more)

    def put_customer(self, customer: Customer) -> None:
        """Add a customer, or replace the one of that id."""
        is_new = self.customers.of_id(customer.customer_id) is None
        self.customers.add(customer)
        self._tell(CustomerPut(customer, is_new))

    def put_customers(self, number: int, *, first_id: int | None = None, source: str = "INSTORE") -> None:
        """Add synthetic customers, as `Population.add_many` does."""
        added = self.customers.add_many(number, first_id=first_id, source=source)
        if self.observer is not None:
            for customer_id in added:
                self._tell(CustomerPut(Customer.synthetic(customer_id, source), is_new=True))

    def merge(self, survivor_id: int, victim_id: int) -> None:
        """Merge a customer into another: who asks for the victim is told so. Enrolments stay where they are.

        Raises ValueError if they are one, or one of them is not there or merged already.
        """
        if survivor_id == victim_id:
            raise ValueError("survivor and victim are one customer")
        survivor, victim = self._customer(survivor_id), self._customer(victim_id)
        self.merged[victim_id] = survivor_id
        self._tell(Merged(survivor, victim))

    @property
    def applied(self) -> Sequence[Enrolment]:
        """Every enrolment in the order of application."""
        return self._enrolments.applied

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
        held = self._enrolments.held(customer_id, promotion_id)
        return [enrolment for enrolment in held if enrolment.visible_at <= now]

    def promotion_count(self, promotion_id: int) -> int:
        """Count the enrolments in a promotion, all customers together."""
        return self._enrolments.count(promotion_id)

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
        held = self._enrolments.held(customer_id, promotion.promotion_id)
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
        draft = self._enrolments.draft(customer_id, promotion, now, issual_id)
        return self._apply(replace(draft, visible_at=now + show_late, idempotency_key=idempotency_key))

    def enrol_elsewhere(
        self, customer_id: int, promotion_id: int, *, at: datetime, earned: int = 0
    ) -> Enrolment:
        """Enrol past every limit, as another channel did, with `earned` issuals under the enrolment.

        Raises ValueError for a promotion that is not there.
        """
        draft = self._enrolments.draft(customer_id, self._promotion(promotion_id), at)
        issued = tuple(self._enrolments.earn(draft) for _ in range(earned))
        return self._apply(replace(draft, by_issue=False, issued=issued))

    def revoke(
        self, customer_id: int, promotion_id: int, *, at: datetime, issual_id: int | None = None
    ) -> Enrolment:
        """Take back a customer's last enrolment, or that of this issual id, and return it as revoked.

        Raises ValueError if there is none.
        """
        held = [
            one
            for one in self._enrolments.held(customer_id, promotion_id)
            if issual_id in {None, one.issual_id}
        ]
        if not held:
            raise ValueError(f"customer {customer_id} has no such enrolment in promotion {promotion_id}")
        revoked = self._enrolments.revoke(held[-1], at)
        self._tell(Revoked(*self._parties(revoked), revoked))
        return revoked

    def next_issual_id(self) -> int:
        """Take the next issual id; one that is answered before its enrolment is applied keeps it."""
        return self._enrolments.next_issual_id()

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
        if _reached(promotion.limit_per_promotion, self._enrolments.count(promotion.promotion_id)):
            return NotIssued.PROMOTION_LIMIT
        return None

    def _apply(self, enrolment: Enrolment) -> Enrolment:
        self._enrolments.apply(enrolment)
        self._tell(Enrolled(*self._parties(enrolment), enrolment))
        return enrolment

    def _parties(self, enrolment: Enrolment) -> tuple[Customer, Promotion]:
        customer = self.customers.of_id(enrolment.customer_id) or Customer(customer_id=enrolment.customer_id)
        return customer, self.promotions[enrolment.promotion_id]

    def _tell(self, change: Change) -> None:
        if self.observer is not None:
            self.observer(change)

    def _promotion(self, promotion_id: int) -> Promotion:
        if promotion_id not in self.promotions:
            raise ValueError(f"no promotion {promotion_id}")
        return self.promotions[promotion_id]

    def _customer(self, customer_id: int) -> Customer:
        customer = self.customers.of_id(customer_id)
        if customer is None or customer_id in self.merged:
            raise ValueError(f"no customer {customer_id}, or merged already")
        return customer


def _reached(limit: int | None, usage: int) -> bool:
    return limit is not None and limit > 0 and usage >= limit
