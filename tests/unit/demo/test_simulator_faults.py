"""Faults, pace, credentials and kept answers of the simulated API, without a port."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from worker.demo.simulator.auth import TOKEN_HEADER, Credentials, Doorman
from worker.demo.simulator.faults import KINDS, Endpoint, FaultPlan, FaultRule, RetryAfter
from worker.demo.simulator.idempotency import KeptAnswers
from worker.demo.simulator.options import SimulatorOptions
from worker.demo.simulator.pace import Latency, Throttle
from worker.demo.simulator.responses import Answer, throttled

_NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)


def _rng(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - repeatable, and no secret


def _second(seconds: float) -> datetime:
    return _NOW + timedelta(seconds=seconds)


def _struck(plan: FaultPlan, *, times: int = 1) -> list[str | None]:
    rules = (plan.pick(Endpoint.ISSUE, 1, 11)[0] for _ in range(times))
    return [rule.name if rule else None for rule in rules]


def test_a_rule_strikes_as_often_as_it_is_told() -> None:
    """A count of three means the next three; then the next rule has its turn."""
    plan = FaultPlan(_rng(1), [FaultRule(name="error_500", count=3), FaultRule(name="garbage", count=1)])
    assert _struck(plan, times=5) == ["error_500"] * 3 + ["garbage", None]
    assert [fired for _, fired in plan.rules] == [3, 1]


def test_a_rate_is_a_share_that_the_seed_repeats() -> None:
    """A tenth strikes about a tenth of the requests, the same ones for the same seed."""
    runs = [_struck(FaultPlan(_rng(7), [FaultRule(name="garbage", rate=0.1)]), times=1000) for _ in range(2)]
    assert 70 < runs[0].count("garbage") < 130
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "rule",
    [
        FaultRule(name="garbage", endpoint=Endpoint.LOOKUP),
        FaultRule(name="garbage", customer_ids=frozenset({2})),
        FaultRule(name="garbage", promotion_ids=frozenset({12})),
        FaultRule(name="garbage", rate=0),
    ],
)
def test_a_rule_strikes_only_what_it_names(rule: FaultRule) -> None:
    """Endpoint, customers and promotions each narrow a rule."""
    assert _struck(FaultPlan(_rng(1), [rule])) == [None]


def test_tokens_are_struck_only_by_name() -> None:
    """A rule without an endpoint leaves the token endpoint alone."""
    plan = FaultPlan(_rng(1), [FaultRule(name="garbage")])
    assert plan.pick(Endpoint.TOKEN) == (None, 0)
    plan.replace(FaultRule(name="garbage", endpoint=Endpoint.TOKEN))
    assert plan.pick(Endpoint.TOKEN)[0] is not None


def test_slow_lets_another_fault_follow() -> None:
    """Slowness adds up and does not keep other faults from striking."""
    plan = FaultPlan(_rng(1), [FaultRule(name="slow", seconds=2), FaultRule(name="slow", seconds=1)])
    assert plan.pick(Endpoint.ISSUE) == (None, 3)
    plan.add(FaultRule(name="garbage"))
    assert plan.pick(Endpoint.ISSUE) == (FaultRule(name="garbage"), 3)


def test_rules_as_text() -> None:
    """The text form names fault, endpoint and values; everything but the name has a default."""
    assert FaultRule.parse("garbage") == FaultRule(name="garbage")
    assert FaultRule.parse("throttle_429@issue:rate=0.5,count=3,seconds=2,retry_after=date") == FaultRule(
        name="throttle_429",
        endpoint=Endpoint.ISSUE,
        rate=0.5,
        count=3,
        seconds=2,
        retry_after=RetryAfter.DATE,
    )


@pytest.mark.parametrize(
    "text", ["", "no_such", "garbage@nowhere", "garbage:rate=2", "garbage:speed=1", "garbage:rate"]
)
def test_unreadable_rules(text: str) -> None:
    """A text that names no fault, endpoint or value is refused."""
    with pytest.raises(ValueError, match=r"."):
        FaultRule.parse(text)


def test_every_kind_and_option_is_explained() -> None:
    """Help texts exist for a help page to show."""
    assert all(kind.help for kind in KINDS.values())
    assert all(SimulatorOptions.help_of(name) for name in SimulatorOptions.__dataclass_fields__)


@pytest.mark.parametrize(
    ("text", "mean", "least", "most"),
    [
        ("100ms", 0.1, 0.1, 0.1),
        ("0ms", 0, 0, 0),
        ("50ms..0.2s", 0.125, 0.05, 0.2),
        ("exp:80ms", 0.08, 0, 0.8),
        ("lognormal:80", 0.08, 0, 0.8),
    ],
)
def test_latencies(text: str, mean: float, least: float, most: float) -> None:
    """Each distribution keeps to its mean and bounds."""
    latency, rng = Latency.parse(text), _rng(3)
    drawn = [latency.sample(rng) for _ in range(4000)]
    assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.06)
    assert least <= min(drawn)
    assert max(drawn) <= most


@pytest.mark.parametrize("text", ["", "fast", "5m", "200ms..50ms", "exp:", "-1ms"])
def test_unreadable_latencies(text: str) -> None:
    """A text that is no distribution is refused."""
    with pytest.raises(ValueError, match="latency"):
        Latency.parse(text)


def test_throttle_counts_per_window() -> None:
    """The request over the limit is told when the next window opens, and passes then."""
    throttle = Throttle(2, timedelta(seconds=60))
    assert [throttle.refused_until(_second(at)) for at in (0, 10, 20, 60)] == [None, None, _second(60), None]


@pytest.mark.parametrize(
    ("style", "header"),
    [
        (RetryAfter.SECONDS, {"Retry-After": "3"}),
        (RetryAfter.DATE, {"Retry-After": "Sat, 31 Jan 2026 10:00:03 GMT"}),
        (RetryAfter.NONE, {}),
    ],
)
def test_retry_after_never_asks_to_come_too_early(style: RetryAfter, header: dict[str, str]) -> None:
    """Both forms round up to whole seconds."""
    assert throttled(_NOW, _second(2.4), style).headers == header


def _doorman(*, username: str = "user", client_key: str = "key") -> Doorman:
    return Doorman(
        Credentials(
            username=username,
            password="pässword",  # noqa: S106 - a test's
            client_key=client_key,
            client_secret="secret",  # noqa: S106 - a test's
            token_lasts=timedelta(seconds=300),
            token_ends=timedelta(seconds=300),
        ),
    )


def test_basic_credentials() -> None:
    """User and password pass; nothing, another scheme and another password do not."""
    doorman = _doorman()
    assert doorman.admits({"Authorization": "Basic dXNlcjpww6Rzc3dvcmQ="}, _NOW)
    for refused in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic dXNlcjpwYXNz"}):
        assert not doorman.admits(refused, _NOW)
    assert not _doorman(username="").admits({"Authorization": "Basic OnDDpHNzd29yZA=="}, _NOW)
    assert _doorman(username="", client_key="").admits({}, _NOW)


def test_tokens_expire_and_can_be_revoked() -> None:
    """A token passes until its time is over or it is revoked; each one given is counted."""
    doorman, body = _doorman(), json.dumps({"key": "key", "secret": "secret"}).encode()
    tokens = []
    for _ in range(2):
        answer = doorman.give_token(body, _NOW)
        assert answer is not None
        data = answer["data"]
        assert isinstance(data, dict)
        assert data["ttlSeconds"] == 300
        tokens.append({TOKEN_HEADER: data["accessToken"]})
    assert tokens[0] != tokens[1]
    assert doorman.admits(tokens[0], _second(299))
    assert not doorman.admits(tokens[0], _second(300))
    assert doorman.revoke() == 2
    assert not doorman.admits(tokens[1], _NOW)
    assert doorman.tokens_given == 2


@pytest.mark.parametrize("body", [b"", b"[]", b'{"key": "key", "secret": "wrong"}', b'{"key": "key"}'])
def test_no_token_for_wrong_secrets(body: bytes) -> None:
    """Key and secret must both be right."""
    assert _doorman().give_token(body, _NOW) is None


def test_kept_answers() -> None:
    """A key is in progress until answered; its answer repeats; another payload never gets it."""
    kept, answer = KeptAnswers(), Answer(result="issued", body={})
    assert kept.claim("key", "payload") is None
    assert [getattr(kept.claim("key", payload), "status", None) for payload in ("payload", "other")] == [
        409,
        422,
    ]
    kept.keep("key", answer)
    kept.release("key")
    assert kept.claim("key", "payload") is None
    assert kept.answer("key") is answer
    kept.claim("second", "payload")
    kept.release("second")
    assert kept.claim("second", "other") is None
