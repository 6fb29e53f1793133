"""The ledger's records and the group: none leaves in another membership than the one it was written in.

A process that is frozen with a record on its way would send it when it wakes up, behind what the partition's
next owner wrote. So whether we certainly are a member is asked once more when a request is about to go to the
socket. While that cannot be told the request waits; once the partitions are lost the process ends: what it
has on its way is void, and every moment is one at which it may be killed.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog

from worker.stream.delivery.membership import Membership
from worker.stream.exit_status import EXIT_STUCK

_LOOK_SECONDS: Final = 0.2

log = structlog.get_logger(__name__)


class NotCertain(Exception):  # noqa: N818 - reads as what happened
    """The coordinator was not heard of for too long: the same request may be sent in a moment."""


class SendFence:
    """Counts the ledger's records that Kafka has not acknowledged, and knows their membership."""

    def __init__(self, membership: Membership, end: Callable[[int], Any] = os._exit) -> None:
        """`end` ends the process at once."""
        self._membership = membership
        self._end = end
        self._open = 0
        self._generation = 0
        self._quiet = asyncio.Event()

    def opened(self) -> None:
        """Note a record that is about to be given to the producer."""
        if not self._open:
            self._generation = self._membership.generation
            self._quiet.clear()
        self._open += 1

    def closed(self) -> None:
        """Note that a record was acknowledged, or that it never will be."""
        self._open -= 1
        if not self._open:
            self._quiet.set()

    async def quiet(self, seconds: float) -> bool:
        """Wait until no record is under way, or those that are have become void; return whether none is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open and self._membership.holds(self._generation):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._quiet.wait(), _LOOK_SECONDS)
        return not self._open

    def check(self) -> None:
        """Raise NotCertain if the records must wait; end the process if they are void."""
        if not self._open:
            return
        if not self._membership.holds(self._generation):
            log.critical("partitions lost with ledger records on their way, asking for a restart")
            self._end(EXIT_STUCK)
        if not self._membership.is_fresh():
            raise NotCertain
