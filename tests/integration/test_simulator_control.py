"""The control port of the simulated API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.simulated_api import BASIC, LOOKUP, WHO, Bench, running_bench, timeline
from worker.demo.simulator import KINDS, FaultRule, Promotion, SimulatorOptions


@pytest.mark.asyncio
async def test_the_control_port_loads_worlds_and_faults() -> None:
    """Worlds, customers in bulk, earlier enrolments and faults come in as JSON; a reset forgets."""
    promotion = {
        "promotionId": 31,
        "listing": "until-enrolled",
        "limitPerCustomer": 1,
        "enrolmentLasts": "P5D",
    }
    earlier = {"customerId": 1, "promotionId": 31, "at": "2026-01-30T10:00:00Z", "earned": 1}
    async with running_bench() as bench:
        world = {"customers": {"count": 2}, "promotions": [promotion], "enrolments": [earlier]}
        assert (await bench.control("PUT", "/world", world))[1]["applied"] == 1
        (shown,) = timeline((await bench.get(LOOKUP))[1])
        assert shown["enrollmentExpiryDate"] == "2026-02-04T10:00:00.000Z"
        assert (await bench.control("POST", "/customers", {"count": 100_000}))[1]["customers"] == 100_002
        status, faults = await bench.control(
            "PUT", "/faults", [{"name": "error_503", "customerIds": [100_002]}]
        )
        assert (status, faults["rules"][0]["fired"], faults["kinds"].keys()) == (200, 0, KINDS.keys())
        assert (await bench.get(LOOKUP))[0] == 200
        url = bench.simulator.api_url + LOOKUP
        query = WHO | {"identifierValue": "100002"}
        async with bench.client.get(url, params=query, headers=BASIC) as answer:
            assert answer.status == 503
        _, stats = await bench.control("GET", "/stats")
        assert stats["counts"] == {"lookup": {"ok": 2, "fault:error_503": 1}}
        assert (await bench.control("POST", "/reset"))[1]["applied"] == 0
        assert (await bench.control("GET", "/faults"))[1]["rules"] == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/faults", [{"name": "no_such"}]),
        ("PUT", "/world", {"promotion": []}),
        ("PATCH", "/settings", {"latency": "fast"}),
        ("POST", "/enrolments", [{"customerId": 1, "promotionId": 99, "at": "2026-01-30T10:00:00Z"}]),
        ("GET", "/enrolments?customerId=x", None),
        ("POST", "/revocations", [{"customerId": 1, "promotionId": 11}]),
        ("POST", "/merges", {"survivorId": 1, "victimId": 1}),
        ("POST", "/audiences", {"promotionId": 11, "customerIds": [1]}),
        ("GET", "/notifications?after=x", None),
    ],
)
async def test_the_control_port_refuses_what_it_cannot_read(method: str, path: str, body: object) -> None:
    """Unknown names, fields and values are 400 with a reason."""
    async with running_bench() as bench:
        status, answer = await bench.control(method, path, body)
    assert status == 400
    assert answer["error"]


@pytest.mark.asyncio
async def test_a_revocation() -> None:
    """Lookups do not show the enrolment any more; the books do, and say since when."""
    async with running_bench() as bench:
        issued = [(await bench.issue(key))[1]["sideEffects"][0]["issualId"] for key in ("a", "b")]
        first = {"customerId": 1, "promotionId": 11, "issualId": issued[0]}
        assert (await bench.control("POST", "/revocations", [first]))[0] == 200
        assert [one["enrollmentId"] for one in timeline((await bench.get(LOOKUP))[1])] == [1581]
        _, books = await bench.control("GET", "/enrolments")
    assert [(one["idempotencyKey"], one["revokedAt"]) for one in books["enrolments"]] == [
        ("a", "2026-01-31T10:00:00.000+00:00"),
        ("b", None),
    ]


@pytest.mark.asyncio
async def test_a_merge() -> None:
    """The victim is told to be merged, the survivor goes on."""
    async with running_bench() as bench:
        await bench.control("POST", "/merges", {"survivorId": 1, "victimId": 2})
        _, victim = await bench.get(LOOKUP, WHO | {"identifierValue": "2"})
        _, survivor = await bench.get(LOOKUP)
    assert victim["errors"] == [{"status": False, "code": 8069, "message": "merged customer"}]
    assert survivor["customerId"] == 1


@pytest.mark.asyncio
async def test_an_audience() -> None:
    """Who is let in sees the promotion; the books say since when."""
    async with running_bench(None, Promotion(promotion_id=11, customer_ids=frozenset())) as bench:
        assert (await bench.get(LOOKUP))[1]["promotions"] == []
        await bench.control("POST", "/audiences", {"promotionId": 11, "customerIds": [1]})
        assert [one["promotionId"] for one in (await bench.get(LOOKUP))[1]["promotions"]] == [11]
        _, books = await bench.control("GET", "/audiences")
    opened = {"customerId": 1, "promotionId": 11, "at": "2026-01-31T10:00:00.000+00:00"}
    assert books == {"audiences": [opened]}


async def _notified(bench: Bench, query: str = "") -> list[tuple[Any, ...]]:
    _, answer = await bench.control("GET", f"/notifications{query}")
    return [(one["number"], one["customerId"], one["event"]["eventName"]) for one in answer["notifications"]]


@pytest.mark.asyncio
async def test_notifications_are_read_from_where_one_was() -> None:
    """In order, behind a number, the last of them if asked; a new world is no change, a reset forgets."""
    async with running_bench() as bench:
        await bench.issue()
        earlier = {"customerId": 2, "promotionId": 11, "at": "2026-01-30T10:00:00Z"}
        await bench.control("POST", "/enrolments", [earlier])
        await bench.control("POST", "/customers", {"count": 1})
        await bench.control("POST", "/promotions", [{"promotionId": 12}])
        told = [
            (1, 1, "promotionIssued"),
            (2, 2, "promotionIssued"),
            (3, 4, "customerAdded"),
            (4, None, "promotionCreated"),
        ]
        assert await _notified(bench) == told
        assert await _notified(bench, "?after=2") == told[2:]
        assert await _notified(bench, "?after=1&last=1") == told[3:]
        before = bench.simulator.world
        await bench.control("PUT", "/world", {"promotions": [{"promotionId": 11}], "enrolments": [earlier]})
        before.put_promotion(Promotion(promotion_id=13))
        assert await _notified(bench) == told
        await bench.control("POST", "/reset")
        assert await _notified(bench) == []
        await bench.control("POST", "/enrolments", [earlier])
        assert await _notified(bench) == [(5, 2, "promotionIssued")]


@pytest.mark.asyncio
async def test_a_late_application_is_notified_when_it_happens() -> None:
    """Not with the answer that came before it."""
    async with running_bench(SimulatorOptions(notification_log_size=1)) as bench:
        bench.simulator.faults.replace(FaultRule(name="answer_then_apply_late", seconds=5))
        _, issued = await bench.issue()
        assert await _notified(bench) == []
        await bench.clock.sleep(9)
        _, answer = await bench.control("GET", "/notifications")
    (one,) = answer["notifications"]
    assert one["event"]["createdAt"] == 1769853605000
    assert one["event"]["data"]["issualId"] == issued["sideEffects"][0]["issualId"]
