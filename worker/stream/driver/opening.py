"""How the application connects, as a part of the start: it waits for a Kafka that goes away again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from worker.kafka.errors import KafkaFailed, translated
from worker.kafka.waiting import StartWait, ToldToStop
from worker.settings import SettingsError
from worker.stream.member_note import MemberNote

_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Opening:
    """How a connection is opened; `refuse` hears why it cannot be, and has the process stop."""

    wait: StartWait
    refuse: Callable[[Exception], object]
    note: MemberNote
    """Who we are in the group that is joined."""
    join_seconds: float
    """How long getting a place in the group may take, whatever the start's time: others may drain first."""

    async def of(
        self,
        what: str,
        connect: Callable[[], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
        is_over: Callable[[], bool],
    ) -> bool:
        """Connect, and return whether that was done before it `is_over`, because the process stops.

        `close` lets go of what a failed attempt to connect has left. Any thread's loop may call it.
        """

        async def attempt() -> None:
            try:
                with translated(f"Kafka at {self.wait.servers}"):
                    await connect()
            except BaseException:
                await close()
                raise

        return await self._through(self.wait.through(f"connect {what}", attempt, is_over), is_over)

    async def first_place(self, has_place: Callable[[], bool], is_over: Callable[[], bool]) -> None:
        """Return once there is a place in the group, or the process stops; says what it waits for."""

        async def attempt() -> None:
            while not has_place():  # noqa: ASYNC110 - it is a state, which tells nobody
                await asyncio.sleep(_LOOK_SECONDS)

        step, silence = "get a place in the consumer group", "its coordinator has given none yet"
        wait = self.wait.through(step, attempt, is_over, silence=silence, at_least=self.join_seconds)
        await self._through(wait, is_over)

    async def _through(self, wait: Awaitable[None], is_over: Callable[[], bool]) -> bool:
        try:
            await wait
        except ToldToStop:
            return False
        except (KafkaFailed, SettingsError) as error:
            self.refuse(error)
            while not is_over():  # noqa: ASYNC110 - of another thread, maybe
                await asyncio.sleep(_LOOK_SECONDS)
            return False
        return True
