"""The simulated API over HTTP, asked by a plain client."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from datetime import timedelta

import aiohttp
import pytest

from tests.support.simulated_api import BASIC, BODY, ISSUE, LIST, LOOKUP, WHO, Bench, running_bench, timeline
from worker.demo.simulator import (
    KINDS,
    Endpoint,
    FaultRule,
    Promotion,
    RunningSimulator,
    SimulatorOptions,
    World,
    serve,
)

ATTRIBUTION = "X-CAP-API-ATTRIBUTION-ENTITY-"


@pytest.mark.asyncio
async def test_lookup_issue_lookup() -> None:
    """An issued enrolment shows in the next lookup and in the books, with the key that came with it."""
    async with running_bench() as bench:
        before = await bench.get(LOOKUP)
        issued = await bench.issue("key-1")
        after = await bench.get(LOOKUP)
        _, books = await bench.control("GET", "/enrolments?customerId=1")
        _, log = await bench.control("GET", "/requests?customerId=1")
    effect = {"programId": 469, "issualId": 1, "promotionId": 11, "type": "Points promotion"}
    assert issued == (200, {"warnings": [], "errors": [], "sideEffects": [effect]})
    assert (timeline(before[1]), [one["enrollmentId"] for one in timeline(after[1])]) == ([], [1580])
    assert [(one["idempotencyKey"], one["enrollmentId"]) for one in books["enrolments"]] == [("key-1", 1580)]
    assert [one["result"] for one in log["requests"]] == ["ok", "issued", "ok"]
    assert all("identifierValue" not in one["query"] for one in log["requests"])


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [200, 400])
async def test_errors_come_with_the_configured_status(status: int) -> None:
    """Error bodies have their endpoint's shape, under the configured status; 8890 is no error."""
    used_up = Promotion(promotion_id=11, configuration_fault=True)
    async with running_bench(SimulatorOptions(error_status=status), used_up) as bench:
        lookup = await bench.get(LOOKUP, WHO | {"identifierValue": "4"})
        invalid = await bench.issue(body={"programId": 469, "promotionId": 12})
        refused = await bench.issue()
    error = {"status": False, "code": 8015, "message": "Customer not found for the given identifiers"}
    assert lookup == (status, {"errors": [error]})
    error = {"status": False, "code": 8874, "message": "promotion id passed is invalid"}
    assert invalid == (status, {"warnings": [], "errors": [error]})
    assert (refused[0], refused[1]["warnings"][0]["code"], refused[1]["sideEffects"]) == (200, 8890, [])


@pytest.mark.asyncio
async def test_both_lookups_and_the_list() -> None:
    """v2 shows the own organisation, v2.1 also connected ones, the list has its own shape."""
    own, other = Promotion(promotion_id=11), Promotion(promotion_id=21, org_id=200)
    async with running_bench(SimulatorOptions(connected_org_ids=(200,)), own, other) as bench:
        _, v2 = await bench.get(LOOKUP)
        scope = {"DATA-SCOPE": "ALL", "DATA-SCOPE-ORG": "100,200"}
        _, v21 = await bench.get("/v2.1/customers/lookup/promotionData", headers=scope)
        _, refused = await bench.get("/v2.1/customers/lookup/promotionData")
        _, listed = await bench.get(LIST, {"limit": "5", "offset": "0"})
    assert [one["promotionId"] for one in v2["promotions"]] == [11]
    assert [(one["promotionId"], one["orgId"]) for one in v21["promotions"]] == [(11, 100), (21, 200)]
    assert refused["errors"][0]["code"] == 310144
    assert [one["id"] for one in listed["data"]] == [11]


@pytest.mark.asyncio
async def test_credentials_and_tokens() -> None:
    """Without credentials it is 401; a generated token passes until it expires."""
    async with running_bench() as bench:
        url = bench.simulator.api_url
        async with bench.client.get(url + LOOKUP, params=WHO) as answer:
            assert answer.status == 401
        keys = {"key": "simulator-key", "secret": "simulator-secret"}
        async with bench.client.post(url + "/v3/oauth/token/generate", json=keys) as answer:
            token = (await answer.json())["data"]["accessToken"]
        statuses = []
        for _ in range(2):
            headers = {"X-CAP-API-OAUTH-TOKEN": token}
            async with bench.client.get(url + LOOKUP, params=WHO, headers=headers) as answer:
                statuses.append(answer.status)
            bench.clock.now += timedelta(seconds=300)
    assert statuses == [200, 401]


@pytest.mark.asyncio
async def test_every_answer_is_traced_by_an_id_of_its_own() -> None:
    """Answers, errors, refused credentials and faults have one each, which the log of requests knows."""
    async with running_bench() as bench:
        bench.simulator.faults.replace(FaultRule(name="html_502", endpoint=Endpoint.ISSUE, count=1))
        seen = []
        for method, path, headers in (
            ("GET", LOOKUP, BASIC),
            ("GET", LOOKUP, {}),
            ("GET", LIST, BASIC),
            ("POST", ISSUE, BASIC),
            ("POST", ISSUE, BASIC),
            ("POST", "/v3/oauth/token/generate", {}),
        ):
            url, body = bench.simulator.api_url + path, BODY if method == "POST" else None
            async with bench.client.request(method, url, params=WHO, json=body, headers=headers) as answer:
                seen.append((answer.status, answer.headers["X-CAP-REQUEST-ID"]))
        logged = [record.request_id for record in bench.simulator.requests.log]
    assert [status for status, _ in seen] == [200, 401, 200, 502, 200, 401]
    assert [told for _, told in seen] == logged
    assert len(set(logged)) == 6
    assert all(re.fullmatch("[0-9a-f]{32}", told) for told in logged)


@pytest.mark.asyncio
async def test_attribution_is_whole_or_not_there() -> None:
    """Half an attribution is refused, with nothing done; a whole one is logged, as is the scope."""
    kind, code = {ATTRIBUTION + "TYPE": "TILL"}, {ATTRIBUTION + "CODE": "till.001"}
    whole = kind | code | {"DATA-SCOPE": "SELF", "DATA-SCOPE-ORG": "100", "DATA-SCOPE-ORGS": "100"}
    async with running_bench() as bench:
        answers = []
        for headers in (kind, code, whole, {}):
            url = bench.simulator.api_url + ISSUE
            async with bench.client.post(url, params=WHO, json=BODY, headers=BASIC | headers) as answer:
                body = await answer.json()
                answers.append([error["code"] for error in body["errors"]] or len(body["sideEffects"]))
        _, log = await bench.control("GET", "/requests")
        logged = [one["headers"] for one in log["requests"]]
        told = [one["requestId"] for one in log["requests"]]
    assert told == [record.request_id for record in bench.simulator.requests.log]
    assert answers == [[9999], [9999], 1, 1]
    assert logged == [kind, code, whole, {}]


_SEEN: dict[str, tuple[object, int]] = {
    "reset_before": (aiohttp.ClientOSError, 0),
    "reset_after_apply": (aiohttp.ClientOSError, 1),
    "timeout_before": (TimeoutError, 0),
    "timeout_after_apply": (TimeoutError, 1),
    "error_500": (500, 0),
    "error_500_after_apply": (500, 1),
    "error_503": (503, 0),
    "html_502": (502, 0),
    "html_502_after_apply": (502, 1),
    "html_200": ("text/html", 0),
    "garbage": ("garbage", 0),
    "garbage_after_apply": ("garbage", 1),
    "empty_answer": ("{}", 0),
    "empty_answer_after_apply": ("{}", 1),
    "throttle_429": (429, 0),
    "unauthorised_401": (401, 0),
    "forbidden_403": (403, 0),
    "redirect_302": (302, 0),
    "api_error": ("errors", 0),
    "api_warning": ("9999", 0),
    "html": (403, 0),
    "html_after_apply": (403, 1),
    "authorisation_503": (503, 0),
    "not_issued": ("8890", 0),
    "warned": ("9999", 1),
    "slow": ("issued", 1),
    "apply_late": (aiohttp.ClientOSError, 0),
    "timeout_apply_late": (TimeoutError, 0),
    "error_500_apply_late": (500, 0),
    "answer_then_apply_late": ("issued", 0),
}


async def _what_is_seen(bench: Bench) -> object:
    """Issue, and name what the client got to see."""
    try:
        async with bench.client.post(
            bench.simulator.api_url + ISSUE,
            params=WHO,
            json=BODY,
            headers=BASIC,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(0.2),
        ) as answer:
            if (answer.status, answer.content_type) != (200, "application/json"):
                return answer.content_type if answer.status == 200 else answer.status
            return _face(await answer.text())
    except TimeoutError:
        return TimeoutError
    except aiohttp.ClientOSError:
        return aiohttp.ClientOSError


def _face(text: str) -> str:
    try:
        body = json.loads(text)
    except ValueError:
        return "garbage"
    if not body:
        return "{}"
    if body["warnings"]:
        return str(body["warnings"][0]["code"])
    return "errors" if body["errors"] else "issued"


@pytest.mark.asyncio
async def test_every_fault_does_what_its_name_says() -> None:
    """Each fault shows its face to the client and leaves its trace in the world; the next request is well."""
    assert _SEEN.keys() == KINDS.keys()
    async with running_bench() as bench:
        for name, (seen, applied) in _SEEN.items():
            bench.simulator.simulation.world = World.with_customers(1, Promotion(promotion_id=11))
            rule = FaultRule(name=name, endpoint=Endpoint.ISSUE, count=1, seconds=30)
            bench.simulator.faults.replace(rule)
            assert await _what_is_seen(bench) == seen, name
            assert bench.applied == applied, name
            bench.clock.now += timedelta(seconds=30)
            assert bench.applied == int(applied or name.endswith("_late")), name
            assert (await bench.issue())[1]["sideEffects"], name
        assert bench.simulator.requests.overlap_count == 0


@pytest.mark.asyncio
async def test_a_late_application_keeps_the_issual_id_of_its_answer() -> None:
    """What was answered before it was applied is applied as answered, at its time, and shows only then."""
    async with running_bench() as bench:
        bench.simulator.faults.replace(FaultRule(name="answer_then_apply_late", seconds=5))
        _, answer = await bench.issue()
        bench.simulator.faults.replace()
        at = bench.clock.now + timedelta(seconds=5)
        assert timeline((await bench.get(LOOKUP))[1]) == []
        bench.clock.now += timedelta(seconds=6)
        assert len(timeline((await bench.get(LOOKUP))[1])) == 1
        (enrolment,) = bench.simulator.world.applied
    assert (enrolment.issual_id, enrolment.at) == (answer["sideEffects"][0]["issualId"], at)


@pytest.mark.asyncio
async def test_enrolments_may_show_late() -> None:
    """With showLateSeconds an applied enrolment is in the books at once, in lookups later."""
    async with running_bench() as bench:
        await bench.control("PATCH", "/settings", {"showLateSeconds": 5})
        await bench.issue()
        assert bench.applied == 1
        assert timeline((await bench.get(LOOKUP))[1]) == []
        bench.clock.now += timedelta(seconds=5)
        assert len(timeline((await bench.get(LOOKUP))[1])) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(("honoured", "enrolments", "other_payload"), [(False, 2, 200), (True, 1, 422)])
async def test_idempotency_keys(honoured: bool, enrolments: int, other_payload: int) -> None:  # noqa: FBT001 - a case's value
    """By default the key is recorded and ignored; honoured, it repeats its answer even when that was lost."""
    promotions = (Promotion(promotion_id=11), Promotion(promotion_id=12))
    async with running_bench(SimulatorOptions(honour_idempotency=honoured), *promotions) as bench:
        bench.simulator.faults.replace(FaultRule(name="error_500_after_apply", count=1))
        assert (await bench.issue())[0] == 500
        assert (await bench.issue())[1]["sideEffects"]
        assert bench.applied == enrolments
        assert (await bench.issue(body=BODY | {"promotionId": 12}))[0] == other_payload
        _, books = await bench.control("GET", "/enrolments")
    assert books["appliedTwice"] == ({} if honoured else {"k": 3})


@pytest.mark.asyncio
async def test_throttling_is_shared_and_ends() -> None:
    """Over the limit it is 429 with Retry-After, whoever asks; the next window is open again."""
    async with running_bench() as bench:
        await bench.control("PATCH", "/settings", {"requestsPerMinute": 2, "retryAfter": "seconds"})
        statuses = [(await bench.get(LOOKUP))[0], (await bench.issue())[0], (await bench.issue())[0]]
        bench.clock.now += timedelta(seconds=60)
        statuses.append((await bench.issue())[0])
    assert statuses == [200, 200, 429, 200]


@pytest.mark.asyncio
async def test_the_watch_sees_two_requests_for_one_customer_at_once() -> None:
    """Held-up requests for one customer are reported with both; latency passes on the given clock."""
    async with running_bench() as bench:
        bench.simulator.faults.replace(FaultRule(name="timeout_before", count=2))
        held = [asyncio.create_task(bench.issue(key)) for key in ("first", "second")]
        results = await asyncio.gather(*held, return_exceptions=True)
        _, watch = await bench.control("GET", "/watch")
        await bench.control("PATCH", "/settings", {"latency": "40s"})
        before = bench.clock.now
        assert (await bench.issue())[0] == 200
        waited = bench.clock.now - before
    assert [type(result) for result in results] == [TimeoutError, TimeoutError]
    assert (watch["overlapCount"], watch["mostAtOnce"]) == (1, 2)
    assert {watch["overlaps"][0][one]["idempotencyKey"] for one in ("earlier", "later")} == {
        "first",
        "second",
    }
    assert waited == timedelta(seconds=40)


@pytest.mark.asyncio
async def test_serve_runs_until_it_is_told_to_stop() -> None:
    """`serve` listens on the asked-for port, with the standard world, and ends on SIGTERM."""
    answers = list[tuple[int, int]]()

    async def ask(simulator: RunningSimulator) -> None:
        url = simulator.api_url + LOOKUP
        async with aiohttp.ClientSession() as client, client.get(url, params=WHO, headers=BASIC) as answer:
            answers.append((answer.status, len((await answer.json())["promotions"])))
        os.kill(os.getpid(), signal.SIGTERM)

    async with asyncio.TaskGroup() as group:
        await serve(
            SimulatorOptions(customers=5), started=lambda simulator: group.create_task(ask(simulator))
        )
    assert answers == [(200, 5)]
