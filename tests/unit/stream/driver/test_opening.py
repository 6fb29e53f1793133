"""How the application connects and gets its place in the group, as a part of the start."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

from tests.support.unit.virtual_time import run_in_virtual_time
from worker.kafka.waiting import StartWait
from worker.stream.driver.opening import Opening
from worker.stream.member_note import MemberNote


class Start:
    """A start whose connection fails in these ways, and then is there."""

    def __init__(self, *failures: Exception, seconds: float = 300.0) -> None:
        self.failures = list(failures)
        self.log: list[str] = []
        self.refused: list[Exception] = []
        self.is_over = False
        self.place_at = float("inf")
        loop = asyncio.get_running_loop()
        self.wait = StartWait(seconds=seconds, servers="kafka:9092", timer=loop.time)
        self._opening = Opening(self.wait, self._refuse, cast("MemberNote", None), join_seconds=60.0)
        self._timer = loop.time

    async def opened(self) -> bool:
        """Open a connection."""
        return await self._opening.of("the consumer", self._connect, self._close, lambda: self.is_over)

    async def placed(self) -> None:
        """Get a place in the group."""
        await self._opening.first_place(lambda: self._timer() >= self.place_at, lambda: self.is_over)

    async def _connect(self) -> None:
        self.log.append("connect")
        if self.failures:
            raise self.failures.pop(0)

    async def _close(self) -> None:
        self.log.append("close")

    def _refuse(self, error: Exception) -> None:
        self.refused.append(error)
        asyncio.get_running_loop().call_later(1.0, self._end)

    def _end(self) -> None:
        self.is_over = True


def _run(steps: Coroutine[Any, Any, None]) -> None:
    run_in_virtual_time(steps)


def test_what_a_failed_attempt_has_left_is_let_go_of_before_the_next() -> None:
    """Kafka went away after the preparations, and is back."""

    async def steps() -> None:
        start = Start(KafkaConnectionError("away"), OSError(111, "refused"))
        assert await start.opened()
        assert start.log == ["connect", "close", "connect", "close", "connect"]
        assert start.refused == []

    _run(steps())


def test_what_no_waiting_mends_has_the_process_stop() -> None:
    """With one line; nothing is raised into the framework, which would write out a traceback."""

    async def steps() -> None:
        start = Start(SaslAuthenticationFailed("wrong"))
        assert not await start.opened()
        (error,) = start.refused
        assert str(error).startswith("Kafka at kafka:9092: SaslAuthenticationFailed")
        assert start.log == ["connect", "close"]

    _run(steps())


def test_a_stop_ends_it_without_a_word() -> None:
    """Nobody is refused who was told to stop."""

    async def steps() -> None:
        start = Start(*[KafkaConnectionError("away")] * 99)
        opening = asyncio.create_task(start.opened())
        await asyncio.sleep(5.5)
        start.is_over = True
        assert not await opening
        assert start.refused == []

    _run(steps())


def test_a_place_in_the_group_is_waited_for_too() -> None:
    """Its coordinator may not be elected yet; the probe can tell, and the watchdog spares who waits."""

    async def steps() -> None:
        start = Start()
        start.place_at = 250.0
        placing = asyncio.create_task(start.placed())
        await asyncio.sleep(200)
        assert str(start.wait.waiting) == (
            "waiting for Kafka, to get a place in the consumer group: its coordinator has given none yet"
        )
        await placing
        assert (start.wait.waiting, start.refused) == (None, [])

    _run(steps())


def test_no_place_within_the_time_ends_the_start() -> None:
    """But not before others had their time to drain."""

    async def steps() -> None:
        start = Start(seconds=5.0)
        await start.placed()
        (error,) = start.refused
        assert str(error).startswith("waited 60 s for Kafka, to get a place in the consumer group: ")

    _run(steps())
