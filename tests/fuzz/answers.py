"""Answers of the API made worse: whatever it says, none may raise, and none may name a customer."""

import json
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from tests.fuzz.mutations import mutated
from tests.support.unit.judgements import MOBILE, check_answer
from topics.record import Headers, Position, Record
from worker.capillary.reply import Reply
from worker.domain.identity import Reenrol
from worker.domain.plan import Policy
from worker.enrolment.rules import Rules

_SAMPLES: Final = Path(__file__).parents[1] / "fixtures" / "capillary"
_STATUSES: Final = (
    *(200, 200, 200, 201, 202, 204, 206, 302, 307, 400, 401, 403, 404, 408, 409, 413, 422, 425, 429),
    *(431, 451, 461, 499, 500, 502, 503, 504, 520, 521, 524, 599, 999),
)
_CODES: Final = (
    *(8890, 8015, 8013, 8003, 310144, 11013, 1212, 8874, 1101, 4054, 521, 461, 8065, 8089, 8121, 8892),
    *(8101, 8102, 8069, 91009, 503, 9_999),
)
_TIMES: Final = (
    datetime(2026, 1, 31, 10, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
)
_RULES: Final = tuple(Rules(policy=Policy(reenrol=reenrol)) for reenrol in Reenrol)
_HEADERS: Final[Headers] = (
    ("retry-after", b"3"),
    ("date", b"Sat, 31 Jan 2026 10:00:00 GMT"),
    ("content-type", b"application/json"),
    ("x-cap-request-id", b"7f3c"),
)


def _bodies() -> list[bytes]:
    notices = [{"status": False, "code": code, "message": f"{MOBILE} try later"} for code in _CODES]
    made: list[object] = [
        *({"errors": [notice]} for notice in notices),
        *({"warnings": [notice], "errors": [], "sideEffects": []} for notice in notices),
        {"data": {"accessToken": "abc.def", "ttlSeconds": 300}, "errors": None},
        {
            "data": [
                {
                    "id": 57099,
                    "programId": 469,
                    "promotionStatus": "LIVE",
                    "pointsOfferType": "LOYALTY_EARNING",
                    "startDate": "2024-04-04T00:00Z",
                    "endDate": "9999-12-31T23:59Z",
                }
            ],
            "pageDetails": {"totalEntries": 1},
            "status": {"code": 200, "message": "OK"},
        },
    ]
    samples = [sample.read_bytes() for sample in sorted(_SAMPLES.glob("*.json"))]
    return [*samples, *(json.dumps(body).encode() for body in made), b"<html>Bad Gateway</html>", b""]


class Answers:
    """The answers of one run, and what they were taken for as those of an enrolment."""

    def __init__(self) -> None:
        self._shapes = [
            Record(position=Position("answer", 0, 0), timestamp_ms=0, key=None, value=body, headers=_HEADERS)
            for body in _bodies()
        ]
        self.results = Counter[str]()

    def check(self, dice: random.Random) -> None:
        """Make one answer worse and see what becomes of it."""
        answer = mutated(dice, dice.choice(self._shapes), self._shapes)
        headers = httpx.Headers([(name.encode(), value or b"") for name, value in answer.headers])
        reply = Reply(dice.choice(_STATUSES), headers, answer.value or b"")
        try:
            result = check_answer(reply, dice.choice(_TIMES), dice.choice(_RULES))
        except Exception as error:
            error.add_note(f"status={reply.status}\nheaders={answer.headers!r}\nbody={answer.value!r}")
            raise
        self.results[f"answer: {result}"] += 1
