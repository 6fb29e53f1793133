"""Status of the running stream: its partitions, how far behind it is, whether it gets on."""

from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP
from mode import Service

from worker.kafka.topic_identity import Identity, identity_of
from worker.stream.app import Stream
from worker.stream.delivery.partition import Partition
from worker.stream.driver.consumer import Standing
from worker.stream.health.head_watch import ON_HAND, TRANSACTION, UNREAD, Head
from worker.stream.health.watchdog import Pulse
from worker.stream.ledger.guard import LedgerWatch

log = structlog.get_logger(__name__)


class Status:
    """What can be told of a stream from outside."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._app, self._flow = stream.base.app, stream.flow
        self._tables, self._connections = stream.base.tables, stream.base.connections

    def is_ready(self) -> bool:
        """Whether partitions are assigned and the tables, if any, are rebuilt."""
        return self.not_ready() is None

    def not_ready(self) -> str | None:
        """Return why it is not ready, in one line."""
        app, base = self._app, self._stream.base
        if app.should_stop:
            return "stopping"
        if app.started and not app.rebalancing and app.tables.actives_ready:
            return None
        if base.wait.waiting is not None:
            return str(base.wait.waiting)
        if base.guards.membership.generation < 0:
            return "waiting for a place in the consumer group"
        if app.rebalancing and not self._tables.recovery.in_recovery:
            return "waiting for partitions, which the consumer group shares out"
        return "the ledger is being rebuilt"

    def pulse(self, progress: int, event_seconds: float) -> Pulse:
        """Return what the watchdog judges by; `event_seconds` is the longest silence of an event in work."""
        is_on_its_way = self._app.started and not self.is_ready()
        return Pulse(
            finished=self._flow.finished,
            progress=progress,
            recovered=sum(offset or 0 for offset in self._tables.recovery.active_offsets.values()),
            has_work=self._flow.on_hand > 0 or is_on_its_way or self._unread(),
            silent_seconds=self._stream.base.guards.membership.silent_seconds(),
            event_seconds=event_seconds,
            unattended=self._flow.unattended,
        )

    def partition_count(self, topic: str) -> int | None:
        """Return how many partitions the topic has as far as the consumer knows, None before it knows."""
        return self._connections.consumer.topic_partitions(topic) if self._app.started else None

    async def join_anew(self) -> None:
        """Ask the group for another assignment."""
        await self._connections.thread.join_anew()

    def heads(self) -> dict[Partition, Head]:
        """Return how far each partition that is ours is done, of those whose log is known."""
        return {
            (tp.topic, tp.partition): self._head(tp, standing)
            for tp in self._ours()
            if (standing := self._connections.consumer.standing(tp)) is not None
        }

    async def written_at(self, partition: Partition, offset: int) -> int | None:
        """Return when the first record from an offset on was written, in ms; None if there is none."""
        return await self._connections.thread.written_at(TP(*partition), offset)

    def is_past(self, topic: str, ends: Mapping[int, int]) -> bool:
        """Whether everything before these ends was handled, in every partition of the topic."""
        flow = self._flow
        if not self.is_ready() or flow.is_outage or flow.on_hand:
            return False
        for number, end in ends.items():
            partition = (topic, number)
            position = self._connections.thread.position_of(TP(*partition))
            if position is None or position < end:
                return False
            if flow.is_on_its_way(partition) and not flow.is_paused(partition):
                return False
        return True

    async def look(self) -> None:
        """Look once whether records got lost on their way from the fetch to the lanes."""
        if self.is_ready():
            await self._flow.look([(tp.topic, tp.partition) for tp in self._ours()])

    def ledger_watch(self, topic: str) -> LedgerWatch:
        """Return what looks whether the ledger's topic still is what it was."""
        connections, base = self._connections, self._stream.base

        def ours() -> list[TP]:
            return [tp for tp in connections.consumer.assignment() if tp.topic == topic and self.is_ready()]

        async def identify() -> Identity | None:
            return await identity_of(connections.raw_producer.client, topic)

        def held() -> dict[int, int]:
            found = {tp.partition: base.tables.held(tp.partition) for tp in ours()}
            return {number: offset for number, offset in found.items() if offset is not None}

        async def ends() -> dict[int, int]:
            return {tp.partition: end for tp, end in (await connections.consumer.highwaters(*ours())).items()}

        def looks() -> bool:
            # A ledger that is gone may be what keeps an assignment from being taken up.
            return self.is_ready() or base.guards.partitions.is_apart

        return LedgerWatch(base.ledger_guard, looks, identify, held, ends)

    def _head(self, tp: TP, standing: Standing) -> Head:
        flow, partition = self._flow, (tp.topic, tp.partition)
        first = flow.first(partition)
        is_unread = flow.is_on_its_way(partition) or self._connections.consumer.unread(tp)
        return Head(
            done=standing.done,
            lag=standing.lag,
            offset=standing.done if first is None else first.offset,
            written_ms=None if first is None or first.timestamp_ms <= 0 else first.timestamp_ms,
            is_due=not flow.waits_until_due(partition),
            waits_for=ON_HAND if first is not None else UNREAD if is_unread else TRANSACTION,
        )

    def _ours(self) -> list[TP]:
        """Return the partitions that are assigned and may be read."""
        assigned = self._connections.consumer.assignment() if self.is_ready() else ()
        return [tp for tp in assigned if tp.topic in self._flow.sources]

    def _unread(self) -> bool:
        consumer, flow = self._connections.consumer, self._flow
        partitions = {tp: (tp.topic, tp.partition) for tp in self._ours()}
        return any(
            consumer.unread(tp) or flow.is_on_its_way(partition)
            for tp, partition in partitions.items()
            if not flow.is_paused(partition)
        )


class Lookout(Service):
    """Looks every second whether records got lost on their way from the fetch to the lanes."""

    def __init__(self, status: Status, **kwargs: Any) -> None:  # noqa: ANN401 - mode's own
        self._status = status
        super().__init__(**kwargs)

    @Service.timer(1.0)
    async def _look(self) -> None:
        try:
            await self._status.look()
        except KafkaError as error:
            log.debug("records could not be looked for", error=type(error).__name__)
