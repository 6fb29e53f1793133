"""The record by which the worker forgets a customer."""

import json
from datetime import timedelta

import pytest

from tests.support.use_case.values import CUSTOMER, NOW, record
from topics.activity import Activity, read_activity
from topics.feedback import CustomerChanged
from worker.domain.memory import Memory, Shown
from worker.enrolment.admission import Told, admit
from worker.enrolment.rules import Rules
from worker.operations.forgetting import forget_event


def test_the_event_is_read_as_one_that_forgets() -> None:
    """It must be a plain event, of the customer alone, and an id of its own each time."""
    value, another = (forget_event(CUSTOMER, [], NOW) for _ in range(2))
    said = json.loads(value)
    assert said.pop("eventId") != json.loads(another)["eventId"]
    assert said == {
        "eventName": "enrolmentForget",
        "occurredAt": "2026-01-31T10:00:00Z",
        "customer": {"customerId": CUSTOMER},
    }
    read = read_activity(record(value))
    assert isinstance(read, Activity)
    assert (read.feedback, read.customer.names) == (
        CustomerChanged(),
        (("customerId", str(CUSTOMER), None, None),),
    )


@pytest.mark.parametrize("ahead", [-5, 0, 7])
def test_it_is_never_older_than_what_is_to_be_forgotten(ahead: int) -> None:
    """A command on a machine whose clock is behind must forget as well: an older event forgets nothing."""
    read_at = NOW + timedelta(seconds=ahead, microseconds=1)
    value = forget_event(CUSTOMER, [Memory(), Memory(Shown(read_at=read_at, offers=()))], NOW)
    told = admit(record(value), Rules(trust_seconds=1.0), NOW)
    assert isinstance(told, Told)
    assert told.happened == max(NOW, read_at)


@pytest.mark.parametrize(("trust_seconds", "dry_run", "heeds"), [(0.0, False, True), (600.0, True, False)])
def test_who_heeds_it(trust_seconds: float, *, dry_run: bool, heeds: bool) -> None:
    """A worker that trusts nothing now must heed it too, one on a dry run not; it never is a trigger."""
    rules = Rules(trust_seconds=trust_seconds, dry_run=dry_run, triggers=frozenset({"*"}))
    assert isinstance(admit(record(forget_event(CUSTOMER, [], NOW)), rules, NOW), Told) is heeds
