"""Writes a run's events to the activity topic, in their order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from aiokafka.errors import KafkaError

from tests.crash.events import Fed
from tests.crash.organisation import Notices
from tests.support.e2e.events import event
from tests.support.e2e.feeds import ActivityFeed, Message
from tests.support.e2e.lab import Stage
from topics.record import Position

_AT_ONCE: Final = 500
"""Events that are written at the same time: a window of time begins or ends between two such lots."""
_FEW: Final = 50


class Upstream:
    """What is written, and where and when."""

    def __init__(self, stage: Stage, notices: Notices) -> None:
        self._stage: Final = stage
        self.notices: Final = notices
        self.written: Final[list[datetime]] = []
        """When each lot of events was written."""
        self.positions: Final[list[tuple[Fed, Position]]] = []

    def write(self, events: Sequence[Fed]) -> None:
        """Write these events."""
        # A producer of its own: one that is idempotent cannot go on in a log that has lost its records.
        feed = self._stage.feed_of(self._stage.names.activity)
        for first in range(0, len(events), _AT_ONCE):
            self._write(feed, events[first : first + _AT_ONCE])

    def go_on(self, events: Sequence[Fed], settled: int, ahead: int) -> None:
        """Write more of the run's events until so many are ahead of what is settled; none without Kafka."""
        while (first := len(self.positions)) < len(events) and first - settled < ahead:
            try:
                self._write(self._stage.feed, events[first : first + _FEW])
            except (KafkaError, TimeoutError):
                return

    def _write(self, feed: ActivityFeed, lot: Sequence[Fed]) -> None:
        written = feed.send_all(
            Message(
                event(fed.event_id, {"customerId": fed.customer_id}),
                b"%d" % fed.customer_id,
                (("traceparent", fed.traceparent.encode()),),
            )
            for fed in lot
        )
        self.written.append(written[0].timestamp)
        self.positions.extend((fed, record.position) for fed, record in zip(lot, written, strict=True))
