"""Ends a worker whose topics got another number of partitions than the activity topic had at the start.

Keys then lead to other partitions than the ledger entries of their customers lie on, and an entry that is not
found is a customer enrolled twice.

An assignment that keeps partitions apart from their ledger shows as much only if a topic's count is another.
Else whoever made it knew less than all of the cluster's topics, as after a broker's restart: nothing of it is
handled, and a new one is asked for.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from mode import Service

from worker.stream.delivery.partition_guard import PartitionGuard

log = structlog.get_logger(__name__)


class PartitionWatch(Service):
    """Looks every second at what the consumer knows of the cluster; asks the cluster nothing.

    Has the group joined anew after an assignment that was not taken up.
    """

    def __init__(
        self,
        guard: PartitionGuard,
        count: Callable[[], int | None],
        join_anew: Callable[[], Awaitable[None]],
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        self._guard = guard
        self._count = count
        self._join_anew = join_anew
        super().__init__(**kwargs)

    @Service.timer(1.0)
    async def _look(self) -> None:
        await self.look()

    async def look(self) -> None:
        """Look once."""
        self._guard.counted(self._count())
        if self._guard.asks_for_another():
            await self._join_anew()
