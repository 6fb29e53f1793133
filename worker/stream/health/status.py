"""Status of the running application: its partitions, how far behind it is, whether it gets on."""

from typing import Any, cast

from faust.types import TP
from mode import Service

from worker.kafka.topic_identity import Identity, identity_of
from worker.stream.app import WorkerApp
from worker.stream.delivery.partition import Partition
from worker.stream.driver.consumer import Consumer
from worker.stream.driver.producer import Producer
from worker.stream.driver.recovery import RebuildingTables
from worker.stream.health.watchdog import Pulse
from worker.stream.ledger.guard import LedgerWatch
from worker.stream.ledger.table import LedgerTable


def is_ready(app: WorkerApp) -> bool:
    """Whether partitions are assigned and the tables, if any, are rebuilt."""
    return bool(app.started and not app.should_stop and not app.rebalancing and app.tables.actives_ready)


def _ours(app: WorkerApp) -> list[TP]:
    """Return the partitions that are assigned and may be read."""
    return [tp for tp in app.consumer.assignment() if tp.topic in app.sources] if is_ready(app) else []


def pulse(app: WorkerApp, progress: int, event_seconds: float) -> Pulse:
    """Return what the watchdog judges by; `event_seconds` is the longest silence of an event in work."""
    recovery = cast("RebuildingTables", app.tables).recovery
    return Pulse(
        finished=app.lanes.finished,
        progress=progress,
        recovered=sum(offset or 0 for offset in recovery.active_offsets.values()),
        has_work=app.lanes.on_hand > 0 or (app.started and not is_ready(app)) or _unread(app),
        silent_seconds=app.membership.silent_seconds(),
        event_seconds=event_seconds,
        unattended=app.lanes.unattended,
    )


def partition_count(app: WorkerApp, topic: str) -> int | None:
    """Return how many partitions the topic has as far as the consumer knows, None before it knows."""
    return app.consumer.topic_partitions(topic) if app.started else None


async def join_anew(app: WorkerApp) -> None:
    """Ask the group for another assignment."""
    await cast("Consumer", app.consumer).thread.join_anew()


def ledger_watch(app: WorkerApp, topic: str) -> LedgerWatch:
    """Return what looks whether the ledger's topic still is what it was."""

    def ours() -> list[TP]:
        return [tp for tp in app.consumer.assignment() if tp.topic == topic and is_ready(app)]

    async def identify() -> Identity | None:
        client = cast("Producer", app.producer)._ensure_producer().client  # noqa: SLF001 - connected already
        return await identity_of(client, topic)

    def held() -> dict[int, int]:
        (table,) = app.tables.values()
        marks = {tp.partition: cast("LedgerTable", table).data.mark(tp.partition) for tp in ours()}
        return {number: mark.offset for number, mark in marks.items() if mark is not None}

    async def ends() -> dict[int, int]:
        return {tp.partition: end for tp, end in (await app.consumer.highwaters(*ours())).items()}

    def looks() -> bool:
        # A ledger that is gone may be what keeps an assignment from being taken up.
        return is_ready(app) or app.guard.is_apart

    return LedgerWatch(app.ledger_guard, looks, identify, held, ends)


def lags(app: WorkerApp) -> dict[Partition, int]:
    """Return, for each assigned partition of the topics, how many records are not yet committed."""
    consumer = cast("Consumer", app.consumer)
    return {(tp.topic, tp.partition): consumer.lag(tp) for tp in _ours(app)}


class Lookout(Service):
    """Looks every second whether records got lost on their way from the fetch to the lanes."""

    def __init__(self, app: WorkerApp, **kwargs: Any) -> None:  # noqa: ANN401 - mode's own
        self._app = app
        super().__init__(**kwargs)

    @Service.timer(1.0)
    async def _look(self) -> None:
        app = self._app
        if is_ready(app) and not app.lanes.blocked:
            partitions = [(tp.topic, tp.partition) for tp in _ours(app)]
            await app.rewinds.look([each for each in partitions if not app.holds.held(each)])


def _unread(app: WorkerApp) -> bool:
    consumer = cast("Consumer", app.consumer)
    partitions = {tp: (tp.topic, tp.partition) for tp in _ours(app)}
    return any(
        consumer.unread(tp) or app.rewinds.is_on_its_way(partition)
        for tp, partition in partitions.items()
        if not app.holds.held(partition)
    )
