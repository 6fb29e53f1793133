"""The Faust application: one agent that hands each delivery to its lane."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, cast

import faust
import structlog
from faust.events import Event
from faust.streams import Stream
from faust.types import TP, StreamT
from mode import CrashingSupervisor

from topics.record import LARGEST_MS, Position, Record
from worker.enrolment.delivery import Delivery
from worker.enrolment.ports import LedgerFailed, StampRefused
from worker.kafka import raw_batches
from worker.kafka.partitioners import choose_partition
from worker.kafka.security import aiokafka_options
from worker.kafka.sizes import LARGEST_REQUEST_BYTES
from worker.kafka.topic_identity import Identity
from worker.settings import Settings
from worker.settings.deadlines import rebalance_seconds
from worker.stopping import Stop
from worker.stream.delivery.fetch_order import Trail
from worker.stream.delivery.lanes import Bounds, Lanes
from worker.stream.delivery.membership import Lease, Membership
from worker.stream.delivery.partition import Partition
from worker.stream.delivery.partition_guard import PartitionGuard
from worker.stream.delivery.pauses import Holds
from worker.stream.delivery.rewinds import Rewinds
from worker.stream.delivery.send_fence import LedgerFence
from worker.stream.driver import consumer
from worker.stream.driver.buffer import Buffer
from worker.stream.driver.consumer import Consumer
from worker.stream.driver.credentials import faust_credentials
from worker.stream.driver.log_watch import Positions
from worker.stream.driver.recovery import RebuildingTables
from worker.stream.ledger.guard import LedgerGuard
from worker.stream.ledger.local_copy import LocalCopy
from worker.stream.ledger.noted_end import NotedEnd
from worker.stream.ledger.store import FAILED
from worker.stream.ledger.table import NAME as LEDGER
from worker.stream.ledger.table import LedgerTable

_WEEK_SECONDS: Final = 7 * 86_400.0
_METADATA_MAX_AGE_MS: Final = 10_000
_BUFFERED: Final = 256
"""Records between the consumer and the lanes, which have the larger share; `Buffer` bounds their bytes."""

log = structlog.get_logger(__name__)

Handler = Callable[[Delivery], Awaitable[None]]


class GaveUp(Exception):  # noqa: N818 - reads as what happened
    """The process ends because an event could not be brought to its end."""


_LOOP_CLOSED: Final = repr(RuntimeError("Event loop is closed"))


class ToldWhy(GaveUp):
    """The same, once a line has told why and what to do: where it was raised is nobody's matter."""


def _tells_more(line: logging.LogRecord) -> bool:
    """Tell whether a line of the framework says more than was said.

    A thread that crashed with the application has closed its loop; to stop it is no error.
    """
    given = line.args if isinstance(line.args, tuple) else ()
    return not any(isinstance(each, ToldWhy) or repr(each) == _LOOP_CLOSED for each in given)


for _name in (__name__, consumer.__name__):
    logging.getLogger(_name).addFilter(_tells_more)


class WorkerApp(faust.App):
    """Faust's application with the lanes that its consumer commits by."""

    lanes: Lanes
    membership: Membership
    fence: LedgerFence
    sources: frozenset[str]
    """The topics whose records are handled: activity, and its retries unless nothing may be written."""
    trail: Trail
    holds: Holds
    rewinds: Rewinds
    positions: Positions
    guard: PartitionGuard
    ledger_guard: LedgerGuard
    drain_seconds: float
    aiokafka_options: dict[str, Any]
    drained: asyncio.Event
    """Set once the process, told to stop, has drained."""
    stop_process: Stop
    refusal: Exception | None = None
    """Why the process cannot go on: a setting or a right that turned out to be wrong."""

    def FlowControlQueue(  # noqa: N802 - Faust's name
        self, maxsize: int | None = None, *, clear_on_resume: bool = False
    ) -> Buffer:
        """Return what holds an agent's records until it takes them."""
        return Buffer(maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume)

    def refuse(self, refusal: Exception) -> None:
        """Stop, for a fault that an operator must correct; from any thread. The first one counts."""
        if self.refusal is None:
            self.refusal = refusal
            self.stop_process.finish()

    def commit_text(self, tp: TP) -> str:
        """Return what stands beside a committed offset: the log that it is of, and how far the ledger was."""
        log_mark = self.positions.leaders.mark((tp.topic, tp.partition))
        noted = self.ledger_guard.noted(self._held(tp.partition))
        return f"{log_mark}" if noted is None else f"{log_mark} {noted}"

    async def noted_ends(self, partitions: Collection[int]) -> dict[int, int]:
        """Return up to which offset of the ledger's partitions the group's committed offsets rest on."""
        sources = [TP(topic, number) for topic in self.sources for number in partitions]
        found = await cast("Consumer", self.consumer).thread.committed_with_marks(sources)
        ends: dict[int, int] = {}
        for tp, (_, text) in found.items():
            offset = self.ledger_guard.rests_on(NotedEnd.read(text))
            if offset is not None:
                ends[tp.partition] = max(offset, ends.get(tp.partition, offset))
        return ends

    def _held(self, partition: int) -> int | None:
        store = cast("LedgerTable", self.tables[LEDGER]).data if LEDGER in self.tables else None
        mark = store.mark(partition) if store is not None and store.is_open(partition) else None
        return None if mark is None else mark.offset

    async def on_stop(self) -> None:
        """Stop, and let a rebalance that waits for the drain go on in any case."""
        await super().on_stop()
        self.drained.set()

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drain; in a process that is stopping, wait for the drain that goes on already.

        Faust would close the consumer under it.
        """
        if self.should_stop:
            await self.drained.wait()
            return
        await super()._on_partitions_revoked(revoked)

    def _on_rebalance_when_stopped(self) -> None:
        """Close nothing: the process stops, and its last commit may be under way."""


def build_app(settings: Settings, partitions: int, copy: LocalCopy, stop: Stop) -> WorkerApp:
    """Build the application for so many activity partitions; nothing connects before it is started.

    The ledger's local copy has been opened, and tells of which topic it is. `stop` is the process's.
    """
    consumer.install()
    valid_seconds = settings.kafka_session_timeout_seconds - settings.api_timeout_seconds
    app = WorkerApp(
        settings.group_id,
        broker=[f"{consumer.SCHEME}://{server}" for server in settings.kafka_bootstrap_servers],
        broker_credentials=faust_credentials(settings),
        datadir=copy.folder,
        store=f"{settings.ledger_store}://",
        Table=LedgerTable,
        TableManager=RebuildingTables,
        # Where a group begins and what a lost offset means is ours to say, see `first_start`, `log_watch`.
        consumer_auto_offset_reset="none",
        broker_session_timeout=settings.kafka_session_timeout_seconds,
        broker_heartbeat_interval=min(3.0, valid_seconds / 3, settings.kafka_session_timeout_seconds / 4),
        broker_request_timeout=max(90.0, settings.kafka_session_timeout_seconds + 10),
        # An event may wait out an outage of days; liveness is judged by progress, not by polls.
        broker_max_poll_interval=_WEEK_SECONDS,
        broker_max_poll_records=1000,
        broker_rebalance_timeout=rebalance_seconds(settings),
        broker_commit_interval=1.0,
        # How soon a changed partition count is seen.
        consumer_metadata_max_age_ms=_METADATA_MAX_AGE_MS,
        stream_wait_empty=True,
        stream_buffer_maxsize=_BUFFERED,
        producer_linger=0.005,
        producer_request_timeout=60.0,
        producer_partitioner=choose_partition,
        producer_max_request_size=LARGEST_REQUEST_BYTES,
        processing_guarantee="at_least_once",
        # Topics are made by `topics create`, with settings that Faust's declarations would not give them.
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        autodiscover=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.guard = PartitionGuard(
        settings.topic_names, partitions, keeps_ledger=not settings.dry_run, end=stop.finish
    )
    app.stop_process = stop
    app.drain_seconds = settings.drain_seconds
    app.drained = asyncio.Event()
    names = settings.topic_names
    app.sources = frozenset({names.activity} if settings.dry_run else {names.activity, *names.retries})
    app.trail = Trail(app.sources)
    app.holds = Holds()
    app.rewinds = _rewinds(app)
    app.positions = Positions(app)
    raw_batches.install([names.activity, *names.retries], app.positions.leaders.read)
    app.aiokafka_options = aiokafka_options(settings)
    app.membership = Membership(valid_seconds)
    app.ledger_guard = _ledger_guard(app, names.ledger, copy)
    app.fence = LedgerFence(app.membership, stop.end)
    return app


def _ledger_guard(app: WorkerApp, topic: str, copy: LocalCopy) -> LedgerGuard:
    def end(line: str) -> None:
        copy.lost(line)
        # What is under way would rest on a ledger that is gone.
        app.membership.give_up()
        app.guard.refuse(line)

    return LedgerGuard(topic, copy.origin or Identity(), end)


def consume(
    app: WorkerApp,
    settings: Settings,
    handle: Handler,
    *,
    lane_of: Callable[[Record], bytes],
    wait_of: Callable[[Record, float], float],
    assigned: Callable[[int], None],
) -> None:
    """Let the application hand every activity record and every retry to the handler, in order per lane.

    `wait_of` says in how many seconds a record is due that we have known for so many; `assigned` hears how
    many activity partitions are ours.
    """

    async def crash(error: Exception) -> None:
        await _give_up(app, error)

    app.lanes = Lanes(handle, lane_of, Bounds(in_flight=settings.max_in_flight), crash)
    raw: dict[str, Any] = {
        "key_type": bytes,
        "value_type": bytes,
        "key_serializer": "raw",
        "value_serializer": "raw",
    }
    source = app.topic(*sorted(app.sources), allow_empty=True, **raw)

    @app.on_partitions_assigned.connect
    async def on_assigned(*arguments: Any, **_: Any) -> None:  # noqa: ANN401 - a signal's receiver
        ours = sorted(tp.partition for tp in arguments[-1] if tp.topic == settings.activity_topic)
        assigned(len(ours))
        log.info("partitions assigned", topic=settings.activity_topic, partitions=ours)

    # Faust's own strategy replaces an agent that failed, and forgets what it had in hand.
    @app.agent(source, name="activity", supervisor_strategy=CrashingSupervisor)
    async def activity(stream: StreamT[Any]) -> None:
        async for event in cast("Stream[bytes]", stream).noack().events():
            partition, offset = (event.message.topic, event.message.partition), event.message.offset
            if not _current(app, event) or not await app.rewinds.takes(partition, offset):
                continue
            record = _record(event)
            seconds = wait_of(record, app.holds.seen_for(partition, offset))
            if seconds > 0:
                app.holds.hold(partition, seconds)
                await app.rewinds.go_back(partition, offset)
            else:
                await app.lanes.submit(Delivery(record, Lease(app.membership, event.message.generation_id)))


async def _give_up(app: WorkerApp, error: Exception) -> None:
    """End the process for a handler's fault, unless it is told to end already."""
    fault = type(error).__name__
    reason = GaveUp(fault)
    if isinstance(error, LedgerFailed):
        app.guard.refuse(FAILED)
    elif isinstance(error, StampRefused):
        log.critical(
            "giving up: Kafka refuses records as stamped too far ahead of its clock "
            "(message.timestamp.after.max.ms); synchronise this machine's clock (NTP), nothing is lost"
        )
        reason = ToldWhy(fault)
    elif not app.guard.refused:
        log.error("giving up: an event could not be brought to its end", error=fault)
    await cast("Consumer", app.consumer).commit_finished()
    app.membership.give_up()
    if not app.guard.refused:
        # Faust writes out what it is given; an exception's text may hold what the record held.
        await app.crash(reason)


def _current(app: WorkerApp, event: Event) -> bool:
    """Whether the event was delivered under the assignment that holds now; others will come again."""
    if app.guard.refused:
        return False
    return bool(app.flow_control.is_active() and event.message.generation_id == app.consumer_generation_id)


def _rewinds(app: WorkerApp) -> Rewinds:
    async def seek(partition: Partition, offset: int) -> None:
        await app.consumer.seek(TP(*partition), offset)

    async def beginning(partition: Partition) -> int:
        tp = TP(*partition)
        return (await app.consumer.earliest_offsets(tp))[tp]

    def taken(partition: Partition) -> int | None:
        return app.lanes.delivered(partition)

    return Rewinds(app.trail, taken, seek, beginning)


def _record(event: Event) -> Record:
    message = event.message
    return Record(
        position=Position(message.topic, message.partition, message.offset),
        # Seconds in floating point round the largest up, beyond what Kafka can hold.
        timestamp_ms=min(round((message.timestamp or 0.0) * 1000), LARGEST_MS),
        key=message.key,
        value=message.value,
        headers=tuple(cast("list[tuple[str, bytes]]", message.headers or [])),
    )
