"""Lets Capillary's side of a run change, and hands on what it would notify of that."""

import heapq
import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final, Protocol, assert_never

from aiokafka.errors import KafkaError

from tests.crash.api import Api
from tests.crash.changes import AUDIENCES, Begin, Change, End, LetIn, Revoke
from tests.crash.owed import Json, Window
from tests.support.e2e.feeds import Message

_LEAD: Final = timedelta(seconds=4)
"""How long a promotion is there before it goes live."""
_PAUSE_SECONDS: Final = 0.3
_LATE_SHARE: Final = 0.1
_LATEST_SECONDS: Final = 8.0
_TWICE_SHARE: Final = 0.05


class Organisation:
    """Promotions that go live, end and have audiences, another channel, and revocations."""

    def __init__(self, api: Api, seed: int) -> None:
        self._api: Final = api
        self._seed: Final = seed
        self._begun: Final[dict[int, datetime]] = {}
        self._ended: Final[dict[int, datetime]] = {}

    def announce(self) -> None:
        """Make the promotions that have an audience; nobody is in it yet."""
        for number in AUDIENCES:
            self._api.offer(number, customerIds=[])

    def let(self, change: Change, told: Iterable[Json]) -> str:
        """Let it happen, and say what; `told` are outcomes, by which enrolments are chosen to be revoked."""
        match change:
            case LetIn(number, customers):
                body = {"promotionId": self._api.promotion_id(number), "customerIds": customers}
                self._api.send("POST", "/audiences", body)
                return f"promotion {number} is opened for {len(customers)} customers"
            case Begin():
                return self._begin(change)
            case End(number):
                now = datetime.now(UTC)
                promotion_id = self._put(number, self._begun[self._api.promotion_id(number)], now)
                self._ended[promotion_id] = now
                return f"promotion {number} ends"
            case Revoke():
                return self._revoke(change, told)
            case _:
                assert_never(change)

    def windows(self) -> list[Window]:
        """Return what was open to whom."""
        alone = [
            Window(
                promotion_id=one["promotionId"],
                customer_id=one["customerId"],
                since=datetime.fromisoformat(one["at"]),
            )
            for one in self._api.get("/audiences")["audiences"]
        ]
        everyones = [
            Window(promotion_id=promotion_id, since=since, until=self._ended.get(promotion_id))
            for promotion_id, since in self._begun.items()
        ]
        return alone + everyones

    def _begin(self, change: Begin) -> str:
        now = datetime.now(UTC)
        # The list tells whole seconds.
        since = (now + _LEAD).replace(microsecond=0)
        promotion_id = self._put(change.number, since)
        self._begun[promotion_id] = since
        at = now.isoformat()
        earlier = [{"customerId": who, "promotionId": promotion_id, "at": at} for who in change.elsewhere]
        self._api.send("POST", "/enrolments", earlier)
        elsewhere = f"{len(earlier)} customers are enrolled elsewhere"
        return f"promotion {change.number} will go live, {elsewhere}"

    def _put(self, number: int, since: datetime, until: datetime | None = None) -> int:
        dates = {"starts": since.isoformat()} | ({"ends": until.isoformat()} if until is not None else {})
        return self._api.offer(number, timelines=True, **dates)

    def _revoke(self, change: Revoke, told: Iterable[Json]) -> str:
        """Only what is told is chosen: of it the workers know for good that it was done."""
        keys = {one["idempotencyKey"] for one in told if one["outcome"] == "ENROLLED"}
        chosen = [
            {name: one[name] for name in ("customerId", "promotionId", "issualId")}
            for one in self._api.get("/enrolments")["enrolments"]
            if one["revokedAt"] is None and one["idempotencyKey"] in keys
        ]
        random = Random(f"{self._seed}/revoke/{change.number}")  # noqa: S311 - repeatable, and no secret
        revoked = random.sample(chosen, round(change.share * len(chosen)))
        self._api.send("POST", "/revocations", revoked)
        return f"{len(revoked)} enrolments are revoked"


class _Feed(Protocol):
    def send_all(self, messages: Iterable[Message]) -> Any:  # noqa: ANN401 - what it returns does not matter
        """Produce records to the activity topic."""


class Notices:
    """Hands the simulator's notifications on to the activity topic, some late and some twice.

    The key is that of the customer's events, for a promotion its own.
    """

    def __init__(self, api: Api, feed: _Feed, seed: int) -> None:
        self._api: Final = api
        self._feed: Final = feed
        self._random: Final = Random(f"{seed}/notices")  # noqa: S311 - repeatable, and no secret
        self._waiting: Final[list[tuple[float, int, Message]]] = []
        self._tie: Final = count()
        self._last = 0
        self._asked_at = 0.0
        self.handed_on = 0

    def hand_on(self, now: float | None = None) -> None:
        """Write what is due; nothing is lost while Kafka does not take it. `now` in seconds."""
        now = time.monotonic() if now is None else now
        if now - self._asked_at < _PAUSE_SECONDS:
            return
        self._asked_at = now
        for one in self._api.get(f"/notifications?after={self._last}")["notifications"]:
            self._last = one["number"]
            for _ in range(2 if self._random.random() < _TWICE_SHARE else 1):
                late = self._random.uniform(0, _LATEST_SECONDS) if self._random.random() < _LATE_SHARE else 0
                heapq.heappush(self._waiting, (now + late, next(self._tie), _message(one)))
        due = []
        while self._waiting and self._waiting[0][0] <= now:
            due.append(heapq.heappop(self._waiting))
        try:
            self._feed.send_all(message for _, _, message in due)
        except (KafkaError, TimeoutError):
            for each in due:
                heapq.heappush(self._waiting, each)
            return
        self.handed_on += len(due)


def _message(notification: Json) -> Message:
    event, customer_id = notification["event"], notification["customerId"]
    about = event["data"]["promotionId"] if customer_id is None else customer_id
    return Message(json.dumps(event).encode(), b"%d" % about)
