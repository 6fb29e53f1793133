"""Finds the customer of an event, also one that was merged into another."""

from collections.abc import Callable
from typing import Final

from worker.domain.answers import CustomerNotFound, LookupAnswer, Refused
from worker.domain.faults import is_merged, names_of_survivor
from worker.domain.priority import Priority
from worker.domain.promotions import Identifier
from worker.enrolment.admission import Admitted
from worker.enrolment.resources import Resources

_MOST_NAMES: Final = 4
"""By which a merged customer is looked for."""


async def look_up(
    resources: Resources, event: Admitted, is_waited_for: Callable[[], bool]
) -> tuple[LookupAnswer, int]:
    """Return what a lookup of the customer comes to, and after how many attempts.

    An attempt is as urgent as the event is young, or as the one that waits for it.
    One that was merged into another is looked for by what the answer or the event names, until a name finds
    somebody. If none does, the answer is that it was merged.
    """
    attempts, merged = 0, None
    names, asked = [event.identifier, *event.others], set[Identifier]()
    while True:
        who = names.pop(0)
        asked.add(who)
        answer, more = await resources.retrying.lookup(
            who,
            lambda resend, who=who: resources.api.lookup(  # type: ignore[misc]  # bound
                who,
                resend_count=resend,
                priority=Priority.LIVE if is_waited_for() else resources.priority(event.happened),
            ),
        )
        attempts += more
        if is_merged(answer):
            merged = answer
        elif merged is None or not _found_nobody(answer):
            return answer, attempts
        names = [name for name in (*names_of_survivor(answer), *names) if name not in asked]
        if not names or len(asked) == _MOST_NAMES:
            return merged, attempts


def _found_nobody(answer: LookupAnswer) -> bool:
    return isinstance(answer, CustomerNotFound) or (isinstance(answer, Refused) and answer.unsent)
