"""What is repeated, how often, and after which delay."""

import asyncio
from collections.abc import Callable

import pytest

from tests.support.use_case.fakes import FakeSleep, FakeTracker, retrying_with
from tests.support.use_case.values import found
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    Fault,
    FaultKind,
    Issued,
    LookupAnswer,
    Misconfigured,
    Notice,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.resilience.circuit import Call
from worker.resilience.retrying import RetryPolicy

FOUND = found()
ERRORS = (Notice(8015, "no such customer"),)
UNSENT = Unsent(FaultKind.NOT_CONNECTED, "refused")
DOUBTFUL = Doubtful(FaultKind.TIMEOUT, "slow")
THROTTLED = Throttled(None)
MISCONFIGURED = Misconfigured("HTTP 401")


class Bench:
    """A Retrying with recorded delays, a fixed jitter, and a call that answers as scripted."""

    def __init__(
        self, *answers: object, policy: RetryPolicy | None = None, jitter: float = 1.0, serves: bool = True
    ) -> None:
        self.answers = list(answers)
        self.resends: list[int] = []
        self.sleep = FakeSleep()
        self.tracker = FakeTracker()
        self.retrying = retrying_with(
            policy or RetryPolicy(), self.tracker, self.sleep, jitter=jitter, serves=serves
        )

    async def call(self, resend_count: int) -> object:
        self.resends.append(resend_count)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.mark.parametrize(
    "answer",
    [FOUND, CustomerNotFound(ERRORS), Refused(ERRORS), Issued(1, ()), NotIssued(())],
    ids=lambda answer: type(answer).__name__,
)
@pytest.mark.asyncio
async def test_an_answer_is_not_asked_for_twice(answer: object) -> None:
    """Whatever the API says about the event is returned at once, with one attempt."""
    for bench in (Bench(answer), Bench(answer)):
        assert await bench.retrying.lookup("a", bench.call) == (answer, 1)
        assert (bench.resends, bench.sleep.delays, bench.tracker.waits) == ([0], [], [])


@pytest.mark.parametrize("fault", [UNSENT, THROTTLED, MISCONFIGURED], ids=lambda f: type(f).__name__)
@pytest.mark.asyncio
async def test_a_call_that_reached_nobody_is_repeated_for_as_long_as_it_takes(fault: Fault) -> None:
    """An outage is waited out: neither lookup nor issue gives up on what says nothing about the event."""
    lookup = Bench(*[fault] * 60, FOUND)
    issue = Bench(*[fault] * 60, Issued(3, ()))

    assert await lookup.retrying.lookup("a", lookup.call) == (FOUND, 61)
    assert await issue.retrying.issue("a", issue.call) == (Issued(3, ()), 61)
    assert lookup.resends == issue.resends == list(range(61))
    assert len(lookup.sleep.delays) == 60


@pytest.mark.asyncio
async def test_an_unusable_answer_to_a_lookup_is_repeated_up_to_the_limit() -> None:
    """RETRY_MAX_ATTEMPTS unusable answers end it; what reached nobody in between does not count."""
    bench = Bench(DOUBTFUL, UNSENT, DOUBTFUL, THROTTLED, DOUBTFUL, policy=RetryPolicy(max_attempts=3))

    assert await bench.retrying.lookup("a", bench.call) == (DOUBTFUL, 5)
    assert bench.answers == []


@pytest.mark.asyncio
async def test_while_nobody_is_served_an_unusable_answer_is_repeated_further() -> None:
    """RETRY_MAX_ATTEMPTS is for events that fail alone: an API that serves nobody is waited for."""
    bench = Bench(*[DOUBTFUL] * 40, FOUND, policy=RetryPolicy(max_attempts=3), serves=False)

    assert await bench.retrying.lookup("a", bench.call) == (FOUND, 41)


@pytest.mark.parametrize(("others", "attempts"), [(True, 3), (False, 41)])
@pytest.mark.asyncio
async def test_a_fault_of_configuration_is_one_events_own_only_if_others_are_served(
    others: bool,  # noqa: FBT001 - a parameter of the test
    attempts: int,
) -> None:
    """That the API answers anything at all does not show that our credentials are good."""
    bench = Bench(*[MISCONFIGURED] * 40, FOUND, policy=RetryPolicy(max_attempts=3))

    async def call(resend: int) -> object:
        await bench.sleep(0.01)
        if others:
            bench.retrying._circuits[Call.LOOKUP].heard("another", FOUND)
        return await bench.call(resend)

    answer = MISCONFIGURED if others else FOUND
    assert await bench.retrying.lookup("a", call) == (answer, attempts)


@pytest.mark.asyncio
async def test_a_lookup_recovers_from_unusable_answers() -> None:
    """The last allowed attempt may still succeed."""
    bench = Bench(*[DOUBTFUL] * 4, FOUND)

    assert await bench.retrying.lookup("a", bench.call) == (FOUND, 5)


@pytest.mark.parametrize("before", [[], [UNSENT], [THROTTLED, MISCONFIGURED, UNSENT]])
@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.asyncio
async def test_a_doubtful_enrolment_is_never_repeated(before: list[Fault], kind: FaultKind) -> None:
    """Once a POST may have been applied, no second one leaves from here."""
    doubtful = Doubtful(kind, "?")
    bench = Bench(*before, doubtful, Issued(1, ()))

    assert await bench.retrying.issue("a", bench.call) == (doubtful, len(before) + 1)
    assert bench.answers == [Issued(1, ())]


@pytest.mark.asyncio
async def test_delays_grow_to_their_bound_and_jitter_is_full() -> None:
    """Delays are jitter times initial x 2^n, at most the maximum."""
    policy = RetryPolicy(initial_seconds=0.5, max_seconds=3.0)
    highest = Bench(*[UNSENT] * 5, FOUND, policy=policy)
    halved = Bench(*[UNSENT] * 5, FOUND, policy=policy, jitter=0.5)
    none = Bench(*[UNSENT] * 5, FOUND, policy=policy, jitter=0.0)

    for bench in (highest, halved, none):
        await bench.retrying.lookup("a", bench.call)

    assert highest.sleep.delays == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert halved.sleep.delays == [0.25, 0.5, 1.0, 1.5, 1.5]
    assert none.sleep.delays == [0.0] * 5


@pytest.mark.asyncio
async def test_delays_stay_finite_however_long_an_outage_lasts() -> None:
    """After thousands of attempts the delay is still the maximum, not an overflow."""
    bench = Bench(*[UNSENT] * 3000, FOUND)

    await bench.retrying.lookup("a", bench.call)

    assert bench.sleep.delays[-1] == 10.0


@pytest.mark.parametrize(
    ("retry_after", "jitter", "delay"),
    [(7.5, 1.0, 7.5), (0.1, 1.0, 0.2), (None, 1.0, 0.2), (None, 0.0, 0.0), (120.0, 0.0, 120.0)],
)
@pytest.mark.asyncio
async def test_throttling_waits_at_least_as_long_as_asked(
    retry_after: float | None, jitter: float, delay: float
) -> None:
    """Retry-After is a lower bound, also beyond the own maximum."""
    bench = Bench(Throttled(retry_after), FOUND, jitter=jitter)

    await bench.retrying.lookup("a", bench.call)

    assert bench.sleep.delays == [delay]


@pytest.mark.asyncio
async def test_each_wait_is_told_before_it_begins() -> None:
    """The tracker learns endpoint, fault, attempt and delay of every repetition, and of nothing else."""
    bench = Bench(UNSENT, THROTTLED, DOUBTFUL)

    await bench.retrying.issue("a", bench.call)

    assert bench.tracker.waits == [("issue", UNSENT, 1, 0.2), ("issue", THROTTLED, 2, 0.4)]


@pytest.mark.parametrize("raised", [RuntimeError("a bug"), asyncio.CancelledError()])
@pytest.mark.asyncio
async def test_what_is_no_answer_is_not_repeated(raised: BaseException) -> None:
    """Bugs and cancellation go through at once, as they are."""
    bench = Bench(UNSENT, raised, FOUND)

    with pytest.raises(type(raised)) as seen:
        await bench.retrying.lookup("a", bench.call)

    assert seen.value is raised
    assert bench.answers == [FOUND]


@pytest.mark.asyncio
async def test_calls_at_once_do_not_share_their_counts() -> None:
    """One Retrying serves all lanes: each call counts its own attempts."""
    sleep = FakeSleep()
    shared = retrying_with(RetryPolicy(max_attempts=2), FakeTracker(), sleep, jitter=0.5)

    async def doubted(_: int) -> LookupAnswer:
        await asyncio.sleep(0)
        return DOUBTFUL

    assert await asyncio.gather(*(shared.lookup("a", doubted) for _ in range(3))) == [(DOUBTFUL, 2)] * 3


class Weather:
    """Time, an API that serves others while it is up, and one event that is tried again and again."""

    def __init__(self, *, attempts: int = 3) -> None:
        self.sleep = FakeSleep()
        self.retrying = retrying_with(
            RetryPolicy(attempts, 1.0, 1.0), FakeTracker(), self.sleep, serves=False
        )
        self.others = self.retrying._circuits[Call.LOOKUP]

    async def tried(self, up: Callable[[int], bool], answers: Callable[[int], object]) -> tuple[object, int]:
        """Try until the event is given up or served; `up` says before which attempt others are served."""

        async def call(resend: int) -> object:
            await self.sleep(0.5)
            answer = answers(resend)
            if up(resend + 1):
                await self.sleep(0.1)
                self.others.heard("another", FOUND)
            return answer

        return await self.retrying.lookup("a", call)


@pytest.mark.asyncio
async def test_recovery_does_not_convict_who_failed_in_the_outage() -> None:
    """All attempts failed while nobody was served; others are, right after the last: it is tried again."""
    weather = Weather()

    tried = await weather.tried(lambda at: at >= 3, lambda at: FOUND if at >= 3 else DOUBTFUL)
    assert tried == (FOUND, 4)


@pytest.mark.asyncio
async def test_a_service_between_a_hiccup_and_an_outage_does_not_convict() -> None:
    """Somebody was served after the first failure, and nobody since: the outage is waited out."""
    weather = Weather()

    tried = await weather.tried(lambda at: at == 1 or at > 30, lambda at: FOUND if at > 30 else DOUBTFUL)
    assert tried == (FOUND, 32)


@pytest.mark.asyncio
async def test_who_fails_while_others_are_served_is_given_up() -> None:
    """After exactly RETRY_MAX_ATTEMPTS."""
    assert await Weather().tried(lambda _: True, lambda _: DOUBTFUL) == (DOUBTFUL, 3)
