"""The worker against WireMock: whatever breaks between it and the API, each event ends in one enrolment."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import pytest

from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.tools.wiremock import (
    ISSUE,
    LOOKUP,
    TOKEN,
    WireMock,
    html_answer,
    json_answer,
    running_wiremock,
)
from tests.support.waiting import wait_until

_PROGRAM, _PROMOTION = 469, 57099
_BROKEN: Final[dict[str, dict[str, object]]] = {
    "reset": {"fault": "CONNECTION_RESET_BY_PEER"},
    "empty": {"fault": "EMPTY_RESPONSE"},
    "malformed": {"fault": "MALFORMED_RESPONSE_CHUNK"},
    "random": {"fault": "RANDOM_DATA_THEN_CLOSE"},
    "slow": json_answer({}, fixedDelayMilliseconds=3000),
    "trickled": json_answer({}, chunkedDribbleDelay={"numberOfChunks": 10, "totalDuration": 5000}),
    "no body": {"status": 200},
    "HTML 200": html_answer(200),
    "HTML 502": html_answer(502),
    "500": json_answer({"errors": [{"code": 500, "message": "oops"}]}, 500),
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "429 by date": {"status": 429, "headers": {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}},
}

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class _Api:
    """WireMock as the API, from a thread of its own."""

    lab: Lab
    url: str
    wiremock: WireMock

    def answers(self, name: str, request: Mapping[str, object], *responses: Mapping[str, object]) -> None:
        """Answer so, in turn."""
        self.lab.loop.run(self.wiremock.answers_in_turn(name, request, responses))

    def received(self, request: Mapping[str, object]) -> list[dict[str, Any]]:
        """Return the requests like this one."""
        return self.lab.loop.run(self.wiremock.received(request))


@pytest.fixture(scope="module")
def api(lab: Lab) -> Iterator[_Api]:
    """Give a WireMock of this module's own."""

    @asynccontextmanager
    async def wiremock(url: str) -> AsyncIterator[WireMock]:
        async with aiohttp.ClientSession() as admin:
            yield WireMock(url, admin)

    with running_wiremock() as url:
        connected, leave = lab.loop.enter(wiremock(url))
        yield _Api(lab, url, connected)
        leave()


@pytest.fixture
def stage(lab: Lab, api: _Api) -> Iterator[Stage]:
    """Give a stage whose API is a WireMock without stubs."""
    lab.loop.run(api.wiremock.reset())
    with lab.stage(api.url) as stage:
        yield stage


def test_broken_answers(api: _Api, stage: Stage) -> None:
    """Broken lookups are repeated; a broken issue is looked into, and repeated under the same key."""
    faults = {
        f"{where} {name}": (where, answer)
        for where in ("lookup", "issue")
        for name, answer in _BROKEN.items()
    }
    for customer, (name, (where, fault)) in enumerate(faults.items(), start=1):
        times = 3 if name == "lookup 500" else 1
        broken = [fault] * times
        api.answers(
            f"{name}-l", _of(LOOKUP, customer), *(broken if where == "lookup" else []), _found(customer)
        )
        api.answers(f"{name}-i", _of(ISSUE, customer), *(broken if where == "issue" else []), _issued())
    worker = stage.worker(API_TIMEOUT_SECONDS="2", RETRY_MAX_ATTEMPTS="6", **CREDENTIALS)
    worker.wait_ready()
    stage.feed.send_all(
        Message(event(name, {"customerId": customer}), b"%d" % customer)
        for customer, name in enumerate(faults, start=1)
    )
    stage.wait_for_outcomes(faults, seconds=90)
    for customer, (name, (where, _)) in enumerate(faults.items(), start=1):
        (outcome,) = stage.outcomes.of(name)
        assert (name, outcome.name) == (name, "ENROLLED")
        posts = api.received(_of(ISSUE, customer))
        assert (name, len(posts)) == (name, 2 if where == "issue" else 1)
        key = f'"{enrolment_key(0, customer, _PROGRAM, _PROMOTION)}"'
        assert {post["headers"]["idempotency-key"] for post in posts} == {key}
        assert len(api.received(_of(LOOKUP, customer))) >= (2 if where == "lookup" else 1)
    assert stage.dead_letters.read() == []
    assert worker.poll() is None


def test_expired_token(api: _Api, stage: Stage) -> None:
    """A token that the API has dropped is renewed, and the event that met it is enrolled once."""
    api.answers("tokens", TOKEN, _token("old"), _token("new"))
    api.answers("lookup", _of(LOOKUP, 1), _found(1))
    api.answers("issue-old", _of(ISSUE, 1) | _with_token("old"), {"status": 401})
    api.answers("issue-new", _of(ISSUE, 1) | _with_token("new"), _issued())
    stage.worker(API_CLIENT_KEY="key", API_CLIENT_SECRET="secret").wait_ready()  # noqa: S106 - guards nothing
    stage.feed.send(event("one", {"customerId": 1}), b"1")
    stage.wait_for_outcomes(["one"])
    assert [one.name for one in stage.outcomes.of("one")] == ["ENROLLED"]
    assert (len(api.received(TOKEN)), len(api.received(ISSUE))) == (2, 2)


@pytest.mark.parametrize(
    ("credentials", "refused", "allowed"),
    [
        (CREDENTIALS, html_answer(401), None),
        ({"API_CLIENT_KEY": "k", "API_CLIENT_SECRET": "s"}, json_answer({"errors": [{"code": 1}]}, 401), "t"),
    ],
    ids=["basic", "oauth"],
)
def test_wrong_credentials_are_waited_out(
    api: _Api,
    stage: Stage,
    credentials: dict[str, str],
    refused: dict[str, object],
    allowed: str | None,
) -> None:
    """Nothing is dead-lettered because a password was rotated: once it is right, the event is enrolled."""
    gate = LOOKUP if allowed is None else TOKEN
    api.answers("refused", gate, refused)
    worker = stage.worker(OUTAGE_PROBE_SECONDS="1", **credentials)
    worker.wait_ready()
    stage.feed.send(event("one", {"customerId": 1}), b"1")
    wait_until(lambda: len(api.received(gate)) >= 4, "it asked again and again", evidence=worker.tail)
    assert stage.outcomes.read() == []
    api.answers("lookup", _of(LOOKUP, 1), _found(1))
    api.answers("issue", _of(ISSUE, 1), _issued())
    if allowed is not None:
        api.answers("token", TOKEN, _token(allowed))
    stage.wait_for_outcomes(["one"])
    assert [one.name for one in stage.outcomes.of("one")] == ["ENROLLED"]
    assert stage.dead_letters.read() == []
    assert len(api.received(ISSUE)) == 1


def _of(request: Mapping[str, object], customer: int) -> dict[str, object]:
    return {**request, "queryParameters": {"identifierValue": {"equalTo": str(customer)}}}


def _with_token(token: str) -> dict[str, object]:
    return {"headers": {"X-CAP-API-OAUTH-TOKEN": {"equalTo": token}}}


def _token(token: str) -> dict[str, object]:
    return json_answer({"data": {"accessToken": token, "ttlSeconds": 300}})


def _found(customer: int) -> dict[str, object]:
    promotion = {
        "promotionId": _PROMOTION,
        "programId": _PROGRAM,
        "promotionName": "Ten off",
        "pointsOfferType": "LOYALTY_EARNING",
        "active": True,
        "customerPromotionTimelines": [],
    }
    details = {"pageSize": 100, "totalEntries": 1}
    return json_answer({"customerId": customer, "pageDetails": details, "promotions": [promotion]})


def _issued() -> dict[str, object]:
    effect = {"programId": _PROGRAM, "promotionId": _PROMOTION, "issualId": 3}
    return json_answer({"sideEffects": [effect], "warnings": [], "errors": []})
