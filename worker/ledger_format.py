"""How ledger entries are written down: keys, and JSON values.

The format outlives a release: entries are read back for as long as the retention says. A change to it keeps
reading what is there.
"""

from functools import cache
from typing import Any, assert_never

from pydantic import TypeAdapter

from topics.outcome import Outcome
from worker.domain.ledger import Standing
from worker.domain.settlement import Subject
from worker.plans import EventPlan, LedgerEntry, PlanEntry, ResultEntry, StandingEntry


def plan_key(event_id: str) -> bytes:
    """Return the key of an event's plan."""
    return f"plan/{event_id}".encode()


def result_key(event_id: str, subject: Subject) -> bytes:
    """Return the key of the result of one promotion of an event."""
    return f"result/{subject.program_id}/{subject.promotion_id}/{event_id}".encode()


def standing_key(customer_id: int, subject: Subject) -> bytes:
    """Return the key of what is known of a customer in a promotion."""
    return f"standing/{subject.org_id}/{customer_id}/{subject.program_id}/{subject.promotion_id}".encode()


def write(entry: LedgerEntry) -> tuple[bytes, bytes]:
    """Return an entry's key and value."""
    match entry:
        case PlanEntry(event_id, plan):
            return plan_key(event_id), _adapter(EventPlan).dump_json(plan, exclude_none=True)
        case ResultEntry(event_id, subject, outcome):
            return result_key(event_id, subject), outcome.to_json()
        case StandingEntry(customer_id, subject, standing):
            return standing_key(customer_id, subject), _adapter(Standing).dump_json(
                standing, exclude_none=True
            )
        case _:
            assert_never(entry)


def read_plan(value: bytes) -> EventPlan:
    """Read a plan back. Raises ValueError for anything that `write` did not write."""
    plan: EventPlan = _adapter(EventPlan).validate_json(value)
    return plan


def read_result(value: bytes) -> Outcome:
    """Read a result back."""
    return Outcome.model_validate_json(value)


def read_standing(value: bytes) -> Standing:
    """Read a standing back."""
    standing: Standing = _adapter(Standing).validate_json(value)
    return standing


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
