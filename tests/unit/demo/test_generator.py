"""What the demo's generator publishes is what it says it is."""

from datetime import UTC, datetime

from topics.record import Position, Record
from worker.demo.generator import DeadLettered, Event, Generator, Handled, PassedOver, Unknown
from worker.demo.scenario import ORG_ID
from worker.demo.shapes import SHAPES
from worker.demo.simulator import World
from worker.domain.plan import Policy
from worker.enrolment.admission import Admitted, PassOver, Unusable, admit
from worker.enrolment.rules import Rules

_NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
_CUSTOMERS = 40
_RULES = Rules(policy=Policy(org_id=ORG_ID))
_LOOKUP_NAMES = {"customerId": "id"}


def _events(count: int, seed: int = 0) -> list[Event]:
    return list(Generator(_CUSTOMERS, seed, _NOW).events(count))


def test_each_event_has_the_fate_that_the_worker_gives_it() -> None:
    """The worker's own intake must agree with every expectation, and find the customer who is meant."""
    world = World.with_customers(_CUSTOMERS)
    for offset, event in enumerate(_events(1000)):
        record = Record(
            position=Position("activity", 0, offset),
            timestamp_ms=0,
            key=event.key,
            value=event.value,
            headers=event.headers,
        )
        admission = admit(record, _RULES, _NOW)
        identity = event.event_id or str(record.position)
        match event.fate:
            case Handled() | Unknown():
                assert isinstance(admission, Admitted), event
                who = admission.identifier
                found = world.customers.find(str(who.name), who.value, who.source or "INSTORE")
                expected = event.fate.customer_id if isinstance(event.fate, Handled) else None
                assert (found.customer_id if found else None) == expected, event
                assert admission.origin.activity.event_id == identity, event
            case DeadLettered(reason):
                assert isinstance(admission, Unusable), event
                assert (admission.reason, admission.origin.activity.event_id) == (reason, identity), event
            case PassedOver():
                assert isinstance(admission, PassOver), event


def test_a_small_run_has_everything() -> None:
    """Sixty events must hold every shape, every kind of bad record, unknown customers and no-triggers."""
    events = _events(60)
    kinds = {event.kind for event in events}
    bad = {
        "not JSON",
        "not text",
        "empty",
        "not an object",
        "no identifier",
        "other organisation",
        "tombstone",
    }
    assert len(events) == 60
    assert kinds == bad | set(SHAPES)
    assert {type(event.fate) for event in events} == {Handled, Unknown, DeadLettered, PassedOver}


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Runs with one seed must be equal, and with another different."""
    assert _events(200, seed=7) == _events(200, seed=7)
    assert _events(200, seed=7) != _events(200, seed=8)


def test_a_customer_has_one_key() -> None:
    """All events of a customer must carry the same key, and customers different ones."""
    keys: dict[int, set[bytes]] = {}
    for event in _events(1000):
        if isinstance(event.fate, Handled):
            keys.setdefault(event.fate.customer_id, set()).add(event.key)
    assert all(len(found) == 1 for found in keys.values())
    assert len(set().union(*keys.values())) == len(keys)
