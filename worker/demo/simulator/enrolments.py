"""The enrolments of a world: all that were ever applied, and those that still hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final

from worker.demo.simulator.model import Enrolment, Issual

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.demo.simulator.model import Promotion

_FIRST_ENROLMENT_ID: Final = 1580
_FIRST_EVENT_LOG_ID: Final = 12_413_589
_NONE: Final[Sequence[Enrolment]] = ()


class Enrolments:
    """Enrolments by customer and promotion; `applied` has every one in the order of application."""

    def __init__(self) -> None:
        self.applied: Final[list[Enrolment]] = []
        self._held: Final[dict[tuple[int, int], list[Enrolment]]] = {}
        self._count: Final[defaultdict[int, int]] = defaultdict(int)
        self._ids: Final = count(_FIRST_ENROLMENT_ID)
        self._event_log_ids: Final = count(_FIRST_EVENT_LOG_ID)
        self._issual_ids: Final = count(1)

    def next_issual_id(self) -> int:
        """Take the next issual id."""
        return next(self._issual_ids)

    def held(self, customer_id: int, promotion_id: int) -> Sequence[Enrolment]:
        """Return those of a customer that are not revoked, oldest first."""
        return self._held.get((customer_id, promotion_id), _NONE)

    def count(self, promotion_id: int) -> int:
        """Count those of a promotion that are not revoked, all customers together."""
        return self._count[promotion_id]

    def draft(
        self, customer_id: int, promotion: Promotion, at: datetime, issual_id: int | None = None
    ) -> Enrolment:
        """Return one that is not applied yet, shown from `at` on; without an issual id it takes the next."""
        return Enrolment(
            customer_id=customer_id,
            promotion_id=promotion.promotion_id,
            program_id=promotion.program_id,
            enrolment_id=next(self._ids),
            event_log_id=next(self._event_log_ids),
            issual_id=self.next_issual_id() if issual_id is None else issual_id,
            at=at,
            expires=_expiry(promotion, at),
            visible_at=at,
        )

    def earn(self, under: Enrolment) -> Issual:
        """Return a new issual under that enrolment, of its time."""
        return Issual(
            issual_id=self.next_issual_id(),
            at=under.at,
            expires=under.expires,
            event_log_id=next(self._event_log_ids),
        )

    def apply(self, enrolment: Enrolment) -> None:
        """Add one."""
        self.applied.append(enrolment)
        self._held.setdefault((enrolment.customer_id, enrolment.promotion_id), []).append(enrolment)
        self._count[enrolment.promotion_id] += 1

    def revoke(self, enrolment: Enrolment, at: datetime) -> Enrolment:
        """Let one that is held be gone, and return it as `applied` has it from now on."""
        revoked = replace(enrolment, revoked_at=at)
        self._held[enrolment.customer_id, enrolment.promotion_id].remove(enrolment)
        self._count[enrolment.promotion_id] -= 1
        self.applied[self.applied.index(enrolment)] = revoked
        return revoked


def _expiry(promotion: Promotion, at: datetime) -> datetime:
    if promotion.enrolment_lasts is None:
        return promotion.ends
    return min(promotion.ends, at + promotion.enrolment_lasts)
