"""Asks no more for a promotion that the API called inactive: it is that for every customer."""

from collections.abc import Callable
from typing import Final

from worker.domain.answers import IssueAnswer, LookupAnswer, Notice, Refused
from worker.domain.faults import INACTIVE_CODE, is_inactive
from worker.domain.priority import Priority
from worker.domain.promotions import Identifier
from worker.enrolment.ports import PromotionsApi

REST_SECONDS: Final = 120.0
"""How long the answer is trusted: an operator who activates a promotion need not wait long."""

_MOST: Final = 10_000
# Without the message that one customer got: it may name that customer.
_RESTS: Final = Refused((Notice(INACTIVE_CODE, "promotion inactive"),), unsent=True, cached=True)


class RestingInactive:
    """Implements `PromotionsApi` upon another one: gives the same answer for a while, without asking.

    `timer` counts seconds and only grows.
    """

    def __init__(self, api: PromotionsApi, timer: Callable[[], float]) -> None:
        self._api = api
        self._timer = timer
        self._resting: dict[tuple[int, int], float] = {}

    async def lookup(
        self,
        identifier: Identifier,
        *,
        available_to_enrol: bool = True,
        resend_count: int = 0,
        priority: Priority = Priority.LIVE,
    ) -> LookupAnswer:
        """Pass the call on."""
        return await self._api.lookup(
            identifier,
            available_to_enrol=available_to_enrol,
            resend_count=resend_count,
            priority=priority,
        )

    async def issue(
        self,
        identifier: Identifier,
        program_id: int,
        promotion_id: int,
        idempotency_key: str,
        *,
        resend_count: int = 0,
        may_send: Callable[[], bool] = lambda: True,
    ) -> IssueAnswer:
        """Pass the call on, unless the promotion rests."""
        promotion = program_id, promotion_id
        if self._rests(promotion):
            return _RESTS
        answer = await self._api.issue(
            identifier,
            program_id,
            promotion_id,
            idempotency_key,
            resend_count=resend_count,
            may_send=may_send,
        )
        if is_inactive(answer) and len(self._resting) < _MOST:
            self._resting[promotion] = self._timer() + REST_SECONDS
        return answer

    async def serves(self) -> bool:
        """Pass the call on."""
        return await self._api.serves()

    def _rests(self, promotion: tuple[int, int]) -> bool:
        until = self._resting.get(promotion)
        if until is not None and self._timer() >= until:
            del self._resting[promotion]
        return promotion in self._resting
