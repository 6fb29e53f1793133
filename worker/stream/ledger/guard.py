"""Ends a worker whose ledger topic is not the one any more that it began with, or lost its end.

What this process remembers, the next one would not know: each customer whom it then meets may be enrolled
once more. So it ends at once, loudly, and the next start goes on only if an operator accepts the loss.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from mode import Service

from worker.kafka.lost_ledger import REMEDY
from worker.kafka.topic_identity import Identity
from worker.stream.ledger.noted_end import NotedEnd

_LOOKS: Final = 3
"""In a row that find the same: a broker that has just started may know less than the others."""


log = structlog.get_logger(__name__)


class LedgerGuard:
    """Knows the identity of the ledger's topic that holds for this process, and whether it was lost."""

    def __init__(self, topic: str, identity: Identity, end: Callable[[str], object]) -> None:
        """`end` is called once, with a line for the operator: it has to let the process stop."""
        self._topic = topic
        self._identity = identity
        self._end = end
        self.is_lost = False

    def identified(self, found: Identity | None) -> None:
        """Judge by what the cluster says of the topic; None if it knows no such topic (`vanished`)."""
        if found is not None and found.is_another(self._identity):
            self._lose("was made anew under this worker")

    def vanished(self) -> None:
        """Note that the topic certainly is gone."""
        self._lose("was deleted under this worker")

    def cut(self, partition: int, held: int, offset: int) -> None:
        """Note that the partition was followed to an offset, and a lower one is free in it."""
        self._lose(
            f"was cut or made anew under this worker (partition {partition}: offset {held} was written, and "
            f"now it goes on at {offset})"
        )

    def noted(self, held: int | None) -> NotedEnd | None:
        """Return what to note beside a committed offset, with the ledger's partition held to there."""
        known = self._identity.topic
        return None if held is None or known is None else NotedEnd(known, held)

    def rests_on(self, noted: NotedEnd | None) -> int | None:
        """Return which offset this ledger must reach, None when the note tells nothing."""
        return None if noted is None or noted.topic_id != self._identity.topic else noted.offset

    def lost_its_end(self, partition: int, noted: int, end: int) -> None:
        """Note that the partition ends before what committed offsets rest on."""
        self._lose(
            f"has lost its end (partition {partition}: offset {noted} was acknowledged, it ends at {end}); "
            "what is left of it would mislead, so delete it before its loss is accepted"
        )

    def _lose(self, what: str) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._end(f"the ledger's topic {self._topic} {what}: {REMEDY}")


class LedgerWatch(Service):
    """Looks every few seconds whether the ledger's topic still is what it was."""

    def __init__(
        self,
        guard: LedgerGuard,
        is_ready: Callable[[], bool],
        identify: Callable[[], Awaitable[Identity | None]],
        held: Callable[[], Mapping[int, int]],
        ends: Callable[[], Awaitable[Mapping[int, int]]],
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        """`held` tells the last offset that each of our partitions was followed to, `ends` the next one."""
        self._guard = guard
        self._is_ready = is_ready
        self._identify = identify
        self._held = held
        self._ends = ends
        self._missing = 0
        self._short: dict[int, int] = {}
        super().__init__(**kwargs)

    @Service.timer(3.0)
    async def _look(self) -> None:
        if not self._is_ready():
            # A recovery looks for itself.
            return
        try:
            await self.look()
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("the ledger's topic could not be looked at", error=type(error).__name__)

    async def look(self) -> None:
        """Look once. Raises KafkaError when Kafka does not answer."""
        found = await self._identify()
        self._missing = self._missing + 1 if found is None else 0
        if self._missing >= _LOOKS:
            self._guard.vanished()
        self._guard.identified(found)
        if found is None or self._guard.is_lost or not self._held():
            return
        # In this order: what is held was acknowledged, so an end that is asked for afterwards lies behind it.
        held = self._held()
        ends = await self._ends()
        short = {number: end for number, end in ends.items() if number in held and end <= held[number]}
        self._short = {number: self._short.get(number, 0) + 1 for number in short}
        for number, looks in self._short.items():
            if looks >= _LOOKS:
                self._guard.cut(number, held[number], short[number])
