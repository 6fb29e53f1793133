"""Known customers in tests: their events, Capillary's notifications of them, and what is told."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from tests.support.use_case.honest_api import HonestApi, Shop
from tests.support.use_case.values import CUSTOMER, NOW, PROGRAM, event, record
from topics.outcome import Outcome
from topics.record import Record
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    FaultKind,
    LookupAnswer,
    Notice,
    NotIssued,
)
from worker.domain.promotions import Identifier
from worker.enrolment.rules import Rules

TRUSTING: Final = Rules(trust_seconds=600.0, pii_key=b"pepper")

LIMIT: Final = NotIssued((Notice(8890, "not issued"),))

LOST: Final = Doubtful(FaultKind.TIMEOUT, "slow")

NOT_FOUND: Final = CustomerNotFound((Notice(8015, "customer not found"),))

MOBILE: Final = "919845012345"


def happening(event_id: str, **more: Any) -> Record:  # noqa: ANN401 - fields of the event
    """Return an event of the customer, by id unless it is said otherwise."""
    key = more.pop("key", b"customer")
    return record(event(eventId=event_id, customer={"customerId": CUSTOMER}, **more), key=key)


def notification(name: str, *, at: float = 0.0, **data: Any) -> Record:  # noqa: ANN401 - JSON
    """Return one of Capillary's notifications about the customer, of so many seconds after NOW."""
    who = {"customerId": CUSTOMER, "instore": {"mobile": MOBILE}}
    body = {
        "eventName": name,
        "createdAt": round((NOW.timestamp() + at) * 1000),
        "data": {"customerIdentifiers": who, "promotionId": 1, "loyaltyProgramId": PROGRAM} | data,
    }
    return record(body)


async def told(shop: Shop, *sources: str | Record) -> list[Outcome]:
    """Handle each in turn, each in a process of its own; return what was told."""
    before = len(shop.told)
    for source in sources:
        shop.wait(1)
        await shop.handle(source)
    return shop.told[before:]


def names(outcomes: Sequence[Outcome]) -> list[tuple[str, bool | None]]:
    """Return the outcomes by name, and whether each rests on what was known."""
    return [(one.outcome.value, one.cached) for one in outcomes]


class SlowApi(HonestApi):
    """An API in front of which a lookup waits, and what happens meanwhile."""

    meanwhile: Any = None

    async def lookup(self, identifier: Identifier, **more: Any) -> LookupAnswer:  # noqa: ANN401 - the port's
        answer = await super().lookup(identifier, **more)
        for _ in range(9):
            await asyncio.sleep(0)
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            self.sleep.delays.append(1.0)
            await happens()
        return answer
