"""Handlers of deliveries that a state machine lets run and end."""

import asyncio
from dataclasses import dataclass

from topics.record import Record


@dataclass(slots=True, eq=False)
class Running:
    """A handler at work, of an assignment that may be over, and that may refuse to be cancelled."""

    record: Record
    end: asyncio.Future[None]
    is_stubborn: bool = False
    is_zombie: bool = False

    async def ended(self) -> None:
        """Return once `end` is done; raise CancelledError when cancelled, unless it is stubborn."""
        while not self.end.done():
            try:
                await asyncio.shield(self.end)
            except asyncio.CancelledError:
                if not self.is_stubborn:
                    raise
