"""Finding out what became of a request, by reading the customer's promotions again."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.domain.answers import CustomerNotFound, Fault, Found, LookupAnswer, Refused
from worker.domain.evidence import Applied, Evidence, Finding, NoEvidence, compare, evidence_of
from worker.domain.faults import is_busy, is_ours
from worker.domain.limits import LimitReason, exhausted_limit
from worker.domain.promotions import Identifier, Restriction
from worker.domain.settlement import Subject
from worker.enrolment.lease import Lease, ensure_held
from worker.enrolment.ports import PromotionsApi
from worker.resilience.circuit import Call
from worker.resilience.retrying import Retrying
from worker.timing import Sleep


@dataclass(frozen=True, slots=True)
class Unread:
    """The customer's promotions could not be read; `waits` if that is no fault of the event."""

    waits: bool = False
    is_busy: bool = False
    """The API asks to try after some time."""
    request_id: str | None = None
    """What Capillary traces the last try by."""


class Readings:
    """Reads a customer's promotions without the status filter: a success may have made one vanish from it."""

    def __init__(
        self,
        api: PromotionsApi,
        retrying: Retrying,
        *,
        settle_seconds: float,
        timer: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        self._api = api
        self._retrying = retrying
        self._settle_seconds = settle_seconds
        self._timer = timer
        self._sleep = sleep

    async def find_out(
        self, customer: Identifier, subject: Subject, noted: Evidence, since: float, lease: Lease
    ) -> Finding | Unread:
        """Say whether an attempt, over or found at `since` on the timer, was applied.

        Evidence for it counts whenever it is read. Its absence counts only in a reading that began
        RECONCILE_SETTLE_SECONDS or more after `since`: waits as long. Raises Abandoned if the partition is
        lost meanwhile.
        """
        final_from = since + self._settle_seconds
        while True:
            final = self._timer() >= final_from
            began = self._timer()
            answer = await self._read(customer)
            if isinstance(answer, Found):
                seen = answer.customer.find(subject.program_id, subject.promotion_id)
                finding: Finding | Unread = compare(noted, seen)
                if seen is None:
                    finding = NoEvidence(answer.customer.request_id)
            else:
                finding = self._unread(answer, began)
            if final or isinstance(finding, Applied):
                return finding
            await self._wait_until(final_from, lease)

    async def note(
        self, customer: Identifier, subject: Subject, seconds: float, lease: Lease
    ) -> Evidence | Unread:
        """Return what a reading shows that begins in so many seconds, as what there is before a request."""
        await self._wait_until(self._timer() + seconds, lease)
        began = self._timer()
        answer = await self._read(customer)
        if not isinstance(answer, Found):
            return self._unread(answer, began)
        seen = answer.customer.find(subject.program_id, subject.promotion_id)
        return Evidence() if seen is None else evidence_of(seen)

    async def explain(self, customer: Identifier, subject: Subject) -> tuple[LimitReason, Restriction | None]:
        """Say which limit stands behind an 8890."""
        answer = await self._read(customer)
        seen = None
        if isinstance(answer, Found):
            seen = answer.customer.find(subject.program_id, subject.promotion_id)
        return exhausted_limit(seen)

    async def _wait_until(self, moment: float, lease: Lease) -> None:
        # An event loop may wake a sleeper a little early, and a reading before the time would be wasted.
        while (early := moment - self._timer()) > 0:
            await self._sleep(early)
        ensure_held(lease)

    def _unread(self, answer: CustomerNotFound | Refused | Fault, began: float) -> Unread:
        busy = is_busy(answer)
        waits = is_ours(answer) or (busy and not self._retrying.served_since(Call.LOOKUP, began))
        return Unread(waits, busy, answer.request_id)

    async def _read(self, customer: Identifier) -> LookupAnswer:
        answer, _ = await self._retrying.lookup(
            customer, lambda resend: self._api.lookup(customer, available_to_enrol=False, resend_count=resend)
        )
        return answer
