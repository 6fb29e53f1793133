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

        try:
            await self.wait.through(f"connect {what}", attempt, is_over)
        except ToldToStop:
            return False
        except (KafkaFailed, SettingsError) as error:
            self.refuse(error)
            while not is_over():  # noqa: ASYNC110 - of another thread, maybe
                await asyncio.sleep(_LOOK_SECONDS)
            return False
        return True
