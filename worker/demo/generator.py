"""Generated activity: what upstream systems might publish, the good, the odd and the broken."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from topics.dead_letter import DeadLetterReason
from topics.record import Headers
from worker.demo.scenario import ORG_ID, OTHER_ORG_ID
from worker.demo.shapes import SHAPES, Happening, plain
from worker.demo.simulator import Customer

_NOT_TRIGGERS: Final = ("pointsIssued", "customerUpdated", "transactionReturned")
_FIRST_UNKNOWN_ID: Final = 900_000_001
_BETWEEN_EVENTS: Final = timedelta(milliseconds=10)


@dataclass(frozen=True, slots=True)
class Handled:
    """The event leads to a lookup of this customer, and to outcomes about them."""

    customer_id: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody has the event's identifier: CUSTOMER_NOT_FOUND."""


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """Nothing can be done with the record: DEAD_LETTERED, and a dead letter of the same bytes."""

    reason: DeadLetterReason


@dataclass(frozen=True, slots=True)
class PassedOver:
    """No trigger, or a tombstone: no outcome."""


Fate = Handled | Unknown | DeadLettered | PassedOver


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A record to produce and what must become of it."""

    key: bytes = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    kind: str
    """What a person would call it: the shape, or what is wrong with it."""
    fate: Fate
    event_id: str | None = None
    """The identity that its outcomes carry; None: where its record lies."""


class Generator:
    """Draws events. The same arguments give the same events, byte for byte."""

    def __init__(self, customers: int, seed: int, started: datetime) -> None:
        self._customers = customers
        self._random = Random(seed)  # noqa: S311 - repeatable, and no secret
        self._now = started
        self._seen: set[int] = set()
        self._unknown_id = _FIRST_UNKNOWN_ID
        self._rare: Final[tuple[tuple[int, Callable[[], Event]], ...]] = (
            (25, self._unknown),
            (30, self._not_a_trigger),
            (6, self._tombstone),
            (6, self._not_json),
            (4, self._not_text),
            (4, self._empty),
            (4, self._not_an_object),
            (5, self._no_identifier),
            (4, self._other_organisation),
        )
        """Events per thousand, at least one of each in a run of fifty or more."""

    def events(self, count: int) -> Iterator[Event]:
        """Yield so many events, the odd ones strewn between the ordinary."""
        least = 1 if count >= 50 else 0  # noqa: PLR2004 - see _rare
        odd = [make for share, make in self._rare for _ in range(max(least, count * share // 1000))]
        makers = odd + [self._ordinary] * (count - len(odd))
        self._random.shuffle(makers)
        for make in makers:
            self._now += _BETWEEN_EVENTS
            yield make()

    def _ordinary(self) -> Event:
        customer_id = self._random.randint(1, self._customers)
        name = "transactionAdded" if customer_id in self._seen else "customerAdded"
        self._seen.add(customer_id)
        return self._published(customer_id, name, Handled(customer_id))

    def _unknown(self) -> Event:
        self._unknown_id += 1
        return self._published(self._unknown_id, "transactionAdded", Unknown())

    def _not_a_trigger(self) -> Event:
        customer_id = self._random.randint(1, self._customers)
        return self._published(customer_id, self._random.choice(_NOT_TRIGGERS), PassedOver())

    def _tombstone(self) -> Event:
        return Event(key=self._some_key(), value=None, headers=(), kind="tombstone", fate=PassedOver())

    def _not_json(self) -> Event:
        value, headers = plain(self._happening("transactionAdded", self._names(1)))
        cut = self._random.randrange(1, len(value))
        return self._bad(value[:cut], "not JSON", headers)

    def _not_text(self) -> Event:
        headers = (("upstream", b"\xff\x00"), ("upstream", b"twice"))
        return self._bad(b"\x00\xff\xfe" + self._random.randbytes(32), "not text", headers)

    def _empty(self) -> Event:
        return self._bad(b"", "empty")

    def _not_an_object(self) -> Event:
        return self._bad(b'["transactionAdded", 7]', "not an object")

    def _no_identifier(self) -> Event:
        what = self._happening("transactionAdded", {})
        value, headers = plain(what)
        fate = DeadLettered(DeadLetterReason.NO_IDENTIFIER)
        return Event(
            key=self._some_key(),
            value=value,
            headers=headers,
            kind="no identifier",
            fate=fate,
            event_id=what.event_id,
        )

    def _other_organisation(self) -> Event:
        what = self._happening("transactionAdded", self._names(1), OTHER_ORG_ID)
        value, headers = plain(what)
        fate = DeadLettered(DeadLetterReason.OTHER_ORGANISATION)
        return Event(
            key=self._some_key(),
            value=value,
            headers=headers,
            kind="other organisation",
            fate=fate,
            event_id=what.event_id,
        )

    def _bad(self, value: bytes, kind: str, headers: Headers = ()) -> Event:
        return Event(
            key=self._some_key(),
            value=value,
            headers=headers,
            kind=kind,
            fate=DeadLettered(DeadLetterReason.MALFORMED_EVENT),
        )

    def _published(self, customer_id: int, name: str, fate: Fate) -> Event:
        shape = self._random.choice(tuple(SHAPES))
        what = self._happening(name, self._names(customer_id))
        value, headers = SHAPES[shape](what)
        return Event(
            key=_key(customer_id), value=value, headers=headers, kind=shape, fate=fate, event_id=what.event_id
        )

    def _happening(self, name: str, customer: dict[str, Any], org_id: int = ORG_ID) -> Happening:
        event_id = str(UUID(int=self._random.getrandbits(128), version=4))
        details = {"amount": self._random.randint(100, 99_900) / 100, "billNumber": event_id[-8:]}
        return Happening(
            event_id=event_id, name=name, org_id=org_id, at=self._now, customer=customer, details=details
        )

    def _names(self, customer_id: int) -> dict[str, Any]:
        """Name the customer by one of the identifiers, or by mobile and e-mail address together."""
        who = Customer.synthetic(customer_id)
        ways: tuple[dict[str, Any], ...] = (
            {"customerId": customer_id},
            {"mobile": who.mobile},
            {"email": who.email},
            {"externalId": who.external_id},
            {"mobile": who.mobile, "email": who.email},
        )
        return self._random.choice(ways)

    def _some_key(self) -> bytes:
        """Bad records come between a customer's good ones."""
        return _key(self._random.randint(1, self._customers))


def _key(customer_id: int) -> bytes:
    return str(customer_id).encode()
