"""How ledger entries are written down: keys, and JSON values.

A value is `{"lane":[murmur2,crc32],"entry":{...}}`: beside the entry two hashes of the activity record's key,
by which the entry's partition can be told under another partition count. The key itself, which may name a
person, is not kept; a record without a key has none. Beside a result stands which opening of its promotion
it is of (`"opening":1`, after one reopening), and whether it was reopened since (`"reopened":true`).

The format outlives a release: entries are read back for as long as the retention says. A change to it keeps
reading what is there; and since what is read here may have been written by a later release, which some
replicas run already or which was gone back from, unknown fields are passed over.
"""

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Final, Generic, TypeVar, assert_never

from pydantic import TypeAdapter

from topics.outcome import Outcome
from worker.domain.ledger import Standing
from worker.domain.memory import Memory, Name
from worker.domain.settlement import Subject
from worker.ledger.entries import (
    EventPlan,
    KeyHashes,
    LedgerEntry,
    MemoryEntry,
    NameEntry,
    OrganisationEntry,
    PlanEntry,
    Result,
    ResultEntry,
    StandingEntry,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Envelope(Generic[T]):
    entry: T
    lane: KeyHashes | None = None
    opening: int = 0
    reopened: bool = False


_MEMORY: Final = b"memory/"


def plan_key(event_id: str) -> bytes:
    """Return the key of an event's plan."""
    return f"plan/{event_id}".encode()


def result_key(event_id: str, subject: Subject) -> bytes:
    """Return the key of the result of one promotion of an event."""
    return f"result/{subject.program_id}/{subject.promotion_id}/{event_id}".encode()


def standing_key(customer_id: int, subject: Subject) -> bytes:
    """Return the key of what is known of a customer in a promotion."""
    return f"standing/{subject.org_id}/{customer_id}/{subject.program_id}/{subject.promotion_id}".encode()


def memory_key(customer_id: int) -> bytes:
    """Return the key of what is remembered of a customer."""
    return b"%b%d" % (_MEMORY, customer_id)


def name_key(name_hash: str) -> bytes:
    """Return the key of whom a name was found to mean."""
    return f"name/{name_hash}".encode()


def customer_of_memory(key: bytes) -> int | None:
    """Return of whom an entry is the memory; None for the key of anything else."""
    number = key.removeprefix(_MEMORY)
    return int(number) if number != key and number.isdigit() else None


_ORGANISATION: Final = b"organisation/"


def organisation_key(partition: int) -> bytes:
    """Return the key of the organisation that a partition has learnt; a store may hold many partitions."""
    return _ORGANISATION + b"%d" % partition


def is_organisation_key(key: bytes) -> bool:
    """Tell whether an entry is the organisation that a partition has learnt."""
    return key.startswith(_ORGANISATION)


@dataclass(frozen=True, slots=True)
class _Learnt:
    org_id: int


@dataclass(frozen=True, slots=True)
class StandingKey:
    """Whose standing in which promotion an entry is."""

    org_id: int
    customer_id: int
    program_id: int
    promotion_id: int


def read_standing_key(key: bytes) -> StandingKey | None:
    """Read the key of a standing back; None for the key of anything else."""
    kind, *numbers = key.split(b"/")
    if kind != b"standing" or len(numbers) != len(fields(StandingKey)):
        return None
    return StandingKey(*map(int, numbers)) if all(map(bytes.isdigit, numbers)) else None


def write(entry: LedgerEntry, key_hashes: KeyHashes | None) -> tuple[bytes, bytes]:
    """Return an entry's key and value; `key_hashes`: of the record that led to it, None without a key."""
    more = b""
    match entry:
        case PlanEntry(event_id, plan):
            key = plan_key(event_id)
            body = _adapter(EventPlan).dump_json(plan, exclude_defaults=True, exclude={"key_hashes"})
        case ResultEntry(event_id, subject, result):
            key, body = result_key(event_id, subject), result.outcome.to_json()
            more += b'"opening":%d,' % result.opening if result.opening else b""
            more += b'"reopened":true,' if result.reopened else b""
        case StandingEntry(customer_id, subject, standing):
            key = standing_key(customer_id, subject)
            body = _adapter(Standing).dump_json(standing, exclude_defaults=True)
        case MemoryEntry(customer_id, memory):
            key = memory_key(customer_id)
            body = _adapter(Memory).dump_json(memory, exclude_defaults=True)
        case NameEntry(name_hash, name):
            key, body = name_key(name_hash), _adapter(Name).dump_json(name, exclude_defaults=True)
        case OrganisationEntry(partition, org_id):
            # It belongs to the whole partition, and to no record's key.
            key, body, key_hashes = organisation_key(partition), b'{"org_id":%d}' % org_id, None
        case _:
            assert_never(entry)
    if key_hashes is None:
        return key, b'{%b"entry":%b}' % (more, body)
    return key, b'{"lane":[%d,%d],%b"entry":%b}' % (*key_hashes, more, body)


def read_plan(value: bytes) -> EventPlan:
    """Read a plan back. Raises ValueError, as the others do, for anything that `write` did not write."""
    envelope = _read(value, EventPlan)
    return replace(envelope.entry, key_hashes=envelope.lane)


def read_result(value: bytes) -> Result:
    """Read a result back."""
    envelope = _read(value, Outcome)
    return Result(envelope.entry, envelope.opening, envelope.reopened)


def read_standing(value: bytes) -> Standing:
    """Read a standing back."""
    return _read(value, Standing).entry


def read_memory(value: bytes) -> Memory:
    """Read what is remembered of a customer back."""
    return _read(value, Memory).entry


def read_name(value: bytes) -> Name:
    """Read whom a name was found to mean back."""
    return _read(value, Name).entry


def read_organisation(value: bytes) -> int:
    """Read a learnt organisation back."""
    return _read(value, _Learnt).entry.org_id


def read_key_hashes(value: bytes) -> KeyHashes | None:
    """Read of any entry where it belongs, None if the record that led to it had no key."""
    envelope: _Envelope[object] = _adapter(_Envelope[object]).validate_json(value)
    return envelope.lane


def _read(value: bytes, kind: type[T]) -> _Envelope[T]:
    # Ignored is what a later release may have added: it must be possible to go back to this one.
    envelope: _Envelope[T] = _adapter(_Envelope[kind]).validate_json(value, extra="ignore")  # type: ignore[valid-type]  # a generic's parameter at run time
    return envelope


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a type, or a generic of one
    return TypeAdapter(kind)
