"""How long a start waits for Kafka, what for, and what it says meanwhile."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from tests.support.unit.virtual_time import run_in_virtual_time
from worker.kafka.errors import KafkaAway, KafkaFailed, KafkaTooSmall, KafkaUnsure
from worker.kafka.waiting import StartWait, ToldToStop
from worker.settings import SettingsError

_AWAY = KafkaAway("Connection refused")


class Kafka:
    """Fails with each of these in turn, then answers; each attempt takes some seconds."""

    def __init__(self, *failures: Exception, takes: float = 0.0) -> None:
        self.failures = list(failures)
        self.asked = 0
        self._takes = takes

    async def answer(self) -> str:
        """Answer, or fail."""
        self.asked += 1
        await asyncio.sleep(self._takes)
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def _begin(seconds: float) -> StartWait:
    return StartWait(seconds=seconds, servers="kafka:9092", timer=asyncio.get_running_loop().time)


def _outcome(
    seconds: float, kafka: Kafka, is_told: Callable[[], bool] = lambda: False
) -> tuple[object, float]:
    """Return what a start of one step comes to, and after how many seconds."""

    async def run() -> tuple[object, float]:
        wait, ends = _begin(seconds), asyncio.get_running_loop().time
        try:
            return await wait.through("look", kafka.answer, is_told), ends()
        except (KafkaFailed, SettingsError, ToldToStop) as error:
            return error, ends()
        finally:
            assert wait.waiting is None

    return run_in_virtual_time(run())


def test_what_passes_is_waited_for() -> None:
    """Kafka may come up late."""
    result, after = _outcome(300, Kafka(*[_AWAY] * 15))
    assert result == "answer"
    assert 15 <= after <= 18


def test_what_no_waiting_mends_ends_at_once() -> None:
    """An operator is told soonest so."""
    kafka = Kafka(KafkaFailed("wrong password"))
    result, after = _outcome(300, kafka)
    assert (str(result), after, kafka.asked) == ("wrong password", 0.0, 1)
    first_away = Kafka(_AWAY, KafkaFailed("wrong password"))
    assert str(_outcome(300, first_away)[0]) == "wrong password"


def test_it_ends_with_what_it_waited_for_and_how_long() -> None:
    """With the last reason."""
    result, after = _outcome(20, Kafka(KafkaAway("other"), *[_AWAY] * 99))
    assert isinstance(result, KafkaFailed)
    assert str(result) == "waited 20 s for Kafka, to look: Connection refused"
    assert 20 <= after < 21


def test_a_setting_that_asks_for_too_much_is_bad_when_the_cluster_does_not_grow() -> None:
    """For which brokers that come up have less time; an outage before them does not count."""
    too_small = KafkaTooSmall("one broker; lower it")
    result, after = _outcome(300, Kafka(*[_AWAY] * 50, *[too_small] * 99))
    assert isinstance(result, SettingsError)
    assert str(result).endswith("for Kafka, to look: one broker; lower it")
    assert 70 <= after < 77
    assert _outcome(300, Kafka(*[too_small] * 15))[0] == "answer"


def test_without_waiting_each_step_is_tried_once() -> None:
    """What ENROLMENT_START_WAIT_SECONDS=0 promises, however long an attempt takes."""
    kafka = Kafka(_AWAY, takes=25)
    result, after = _outcome(0, kafka)
    assert (str(result), kafka.asked) == ("Connection refused", 1)
    assert 25 <= after < 26


def test_an_attempt_that_hangs_ends_when_the_time_is_over() -> None:
    """A server may take a connection and say nothing."""
    result, after = _outcome(30, Kafka(takes=9_999))
    assert str(result).endswith("for Kafka, to look: Kafka at kafka:9092 gives no answer")
    assert 30 <= after < 31


def test_what_a_cluster_that_has_just_started_may_say_is_believed_the_third_time() -> None:
    """In a row: an outage in between says nothing of it."""
    missing = KafkaUnsure("topic x does not exist")
    result, after = _outcome(300, Kafka(*[missing] * 3))
    assert (result, 2 <= after < 3) == (missing, True)
    assert _outcome(300, Kafka(missing, missing))[0] == "answer"
    assert _outcome(300, Kafka(missing, missing, _AWAY, missing, missing))[0] == "answer"


def test_a_stop_ends_the_wait_and_lets_the_attempt_go() -> None:
    """Also while an attempt hangs."""
    kafka = Kafka(takes=9_999)
    asked: list[int] = []

    def is_told() -> bool:
        asked.append(1)
        return len(asked) > 5

    result, after = _outcome(300, kafka, is_told)
    assert isinstance(result, ToldToStop)
    assert after < 1


def test_the_steps_share_one_time() -> None:
    """What one has waited the next does not have."""

    async def run() -> None:
        wait = _begin(30)
        await wait.through("look", Kafka(*[_AWAY] * 20).answer)
        with pytest.raises(KafkaFailed, match=r"waited 30 s .* to join"):
            await wait.through("join", Kafka(*[_AWAY] * 20).answer)

    run_in_virtual_time(run())


def test_time_that_is_spent_while_kafka_answers_is_not_waited() -> None:
    """A step may be long by itself."""

    async def run() -> float:
        wait = _begin(30)
        for _ in range(10):
            await wait.through("look", Kafka(takes=9).answer)
        return wait.spent

    assert run_in_virtual_time(run()) == 0


def test_it_says_every_ten_seconds_what_it_waits_for() -> None:
    """And once that it goes on."""
    with capture_logs() as lines:
        _outcome(300, Kafka(*[_AWAY] * 34))
    waits = [line for line in lines if line["event"] == "the start waits for Kafka"]
    assert [round(line["waited_seconds"], -1) for line in waits] == [0, 10, 20, 30]
    assert [round(line["left_seconds"], -1) for line in waits] == [300, 290, 280, 270]
    assert {(line["servers"], line["step"], line["why"]) for line in waits} == {
        ("kafka:9092", "look", "Connection refused")
    }
    assert lines[-1]["event"] == "Kafka answers, the start goes on"


def test_what_it_waits_for_can_be_read_meanwhile() -> None:
    """In one line, for the readiness probe."""

    async def run() -> str:
        wait = _begin(30)
        task = asyncio.create_task(wait.through("look", Kafka(*[_AWAY] * 5).answer))
        await asyncio.sleep(3)
        told = str(wait.waiting)
        await task
        return told

    assert run_in_virtual_time(run()) == "waiting for Kafka, to look: Connection refused"


def test_a_step_may_have_a_time_of_its_own_and_say_what_is_wrong() -> None:
    """If that is longer than what the start has left."""

    async def run() -> float:
        wait = _begin(5)
        silent = wait.through("join", Kafka(takes=9_999).answer, silence="no place yet", at_least=60)
        with pytest.raises(KafkaFailed, match="waited 60 s for Kafka, to join: no place yet"):
            await silent
        return asyncio.get_running_loop().time()

    assert 60 <= run_in_virtual_time(run()) < 61
