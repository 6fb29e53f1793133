"""The running stream: Faust's application with its guards, and one agent that feeds the flow."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from faust.events import Event
from faust.streams import Stream as FaustStream
from faust.types import StreamT
from mode import CrashingSupervisor

from topics.record import LARGEST_MS, Position, Record
from worker.enrolment.delivery import Delivery
from worker.kafka import raw_batches
from worker.kafka.partitioners import choose_partition
from worker.kafka.security import aiokafka_options
from worker.kafka.sizes import LARGEST_REQUEST_BYTES
from worker.kafka.topic_identity import Identity
from worker.kafka.waiting import StartWait
from worker.settings import Settings
from worker.settings.deadlines import rebalance_seconds, silence_seconds
from worker.stopping import Stop
from worker.stream.delivery.flow import Flow, Guards, IsBacklog, WaitOf
from worker.stream.delivery.inherited import Inherited
from worker.stream.delivery.lanes import Lanes
from worker.stream.delivery.leaders import Leaders
from worker.stream.delivery.membership import Lease, Membership
from worker.stream.delivery.partition_guard import PartitionGuard
from worker.stream.delivery.pauses import Pauses
from worker.stream.delivery.room import Bounds
from worker.stream.delivery.send_fence import SendFence
from worker.stream.driver.application import WorkerApp
from worker.stream.driver.commit_notes import commit_text_of, noted_ends
from worker.stream.driver.connections import Connections
from worker.stream.driver.credentials import faust_credentials
from worker.stream.driver.opening import Opening
from worker.stream.driver.positions import Positions
from worker.stream.driver.recovery import Reading, RebuildingTables
from worker.stream.driver.transport import Transport
from worker.stream.giving_up import give_up
from worker.stream.ledger.guard import LedgerGuard
from worker.stream.ledger.local_copy import LocalCopy
from worker.stream.member_note import MemberNote
from worker.stream.refusal import Refusal

_WEEK_SECONDS: Final = 7 * 86_400.0
_METADATA_MAX_AGE_MS: Final = 10_000
_HEARTBEAT_SECONDS: Final = 0.5
_BUFFERED: Final = 256
"""Records between the consumer and the lanes, which have the larger share; `Buffer` bounds their bytes."""

log = structlog.get_logger(__name__)

Handler = Callable[[Delivery], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a handler's parts stand on: the application, and what must hold before anything is done."""

    app: WorkerApp
    tables: RebuildingTables
    connections: Connections
    sources: frozenset[str]
    """The topics whose records are handled: activity, and its retries unless nothing may be written."""
    guards: Guards
    ledger_guard: LedgerGuard
    pauses: Pauses
    leaders: Leaders
    refusal: Refusal
    wait: StartWait
    """For Kafka, while the application connects."""
    note: MemberNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The application with its flow, ready to be started."""

    base: Base
    flow: Flow
    positions: Positions


def build_base(
    settings: Settings, partitions: int, copy: LocalCopy, stop: Stop, wait: StartWait, note: MemberNote
) -> Base:
    """Build the application for so many activity partitions; nothing connects before it is started.

    The ledger's local copy has been opened, and tells of which topic it is. `stop` is the process's, `wait`
    the start's; `note` keeps who the process is in the group.
    """
    names = settings.topic_names
    sources = frozenset({names.activity} if settings.dry_run else {names.activity, *names.retries})
    app, leaders = _application(settings, copy), Leaders()
    raw_batches.install([names.activity, *names.retries], leaders.read)
    connections = Connections(app)
    membership = Membership(_valid_seconds(settings))
    guards = Guards(
        membership=membership,
        fence=SendFence(membership, stop.end),
        partitions=PartitionGuard(names, partitions, keeps_ledger=not settings.dry_run, end=stop.finish),
    )
    ledger_guard = _ledger_guard(guards, names.ledger, copy)
    reading = Reading(
        options=aiokafka_options(settings),
        guard=ledger_guard,
        noted_ends=lambda numbers: noted_ends(connections.thread, sources, numbers, ledger_guard),
        refuse=guards.partitions.refuse,
    )
    app.tables = tables = RebuildingTables(app, reading, beacon=app.beacon)
    return Base(
        app=app,
        tables=tables,
        connections=connections,
        sources=sources,
        guards=guards,
        ledger_guard=ledger_guard,
        pauses=Pauses(),
        leaders=leaders,
        refusal=Refusal(stop.finish),
        wait=wait,
        note=note,
    )


def _valid_seconds(settings: Settings) -> float:
    return settings.kafka_session_timeout_seconds - settings.api_timeout_seconds


def _application(settings: Settings, copy: LocalCopy) -> WorkerApp:
    session, valid = settings.kafka_session_timeout_seconds, _valid_seconds(settings)
    return WorkerApp(
        settings.group_id,
        broker=[f"kafka://{server}" for server in settings.kafka_bootstrap_servers],
        broker_credentials=faust_credentials(settings),
        datadir=copy.folder,
        store=f"{settings.ledger_store}://",
        # Where a group begins and what a lost offset means is ours to say, see `first_start`, `log_watch`.
        consumer_auto_offset_reset="none",
        broker_session_timeout=session,
        # With it a member learns that the group assigns anew, and all wait for the last to know.
        broker_heartbeat_interval=min(_HEARTBEAT_SECONDS, valid / 3, session / 4),
        broker_request_timeout=max(90.0, session + 10),
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


def _ledger_guard(guards: Guards, topic: str, copy: LocalCopy) -> LedgerGuard:
    def end(line: str) -> None:
        copy.lost(line)
        # What is under way would rest on a ledger that is gone.
        guards.membership.give_up()
        guards.partitions.refuse(line)

    return LedgerGuard(topic, copy.origin or Identity(), end)


def connect(  # noqa: PLR0913 - what is to be known of records
    base: Base,
    settings: Settings,
    handle: Handler,
    *,
    lane_of: Callable[[Record], bytes],
    wait_of: WaitOf,
    is_backlog: IsBacklog | None,
    assigned: Callable[[int], None],
    expired: Callable[[str, int], object],
) -> Stream:
    """Let the application hand every activity record and every retry to the handler, in order per lane.

    What `is_backlog` gives way to other records. `assigned` hears how many activity partitions are ours,
    `expired` how many records of a topic were deleted before they were read.
    """

    async def crash(error: Exception) -> None:
        await give_up(base.app, base.connections, base.guards, error)

    lanes = Lanes(handle, lane_of, Bounds(in_flight=settings.max_in_flight), crash)
    flow = Flow(
        base.sources,
        lanes,
        base.connections,
        wait_of,
        guards=base.guards,
        pauses=base.pauses,
        inherited=Inherited(base.leaders),
        drain_seconds=settings.drain_seconds,
        is_backlog=is_backlog,
    )
    text_of = commit_text_of(base.ledger_guard, base.tables.held)
    positions = Positions(flow, base.leaders, lambda: base.connections.consumer, expired, text_of)
    opening = Opening(base.wait, base.refusal.refuse, base.note, silence_seconds(settings))
    base.app.connect(flow, Transport(base.app, flow, positions, text_of, opening))
    _read(base, flow, settings.activity_topic, assigned)
    return Stream(base=base, flow=flow, positions=positions)


def _read(base: Base, flow: Flow, activity_topic: str, assigned: Callable[[int], None]) -> None:
    """Declare the agent that hands what the application reads to the flow."""
    app, membership = base.app, base.guards.membership
    raw: dict[str, Any] = {
        "key_type": bytes,
        "value_type": bytes,
        "key_serializer": "raw",
        "value_serializer": "raw",
    }
    source = app.topic(*sorted(base.sources), allow_empty=True, **raw)

    @app.on_partitions_assigned.connect
    async def on_assigned(*arguments: Any, **_: Any) -> None:  # noqa: ANN401 - a signal's receiver
        ours = sorted(tp.partition for tp in arguments[-1] if tp.topic == activity_topic)
        assigned(len(ours))
        log.info("partitions assigned", topic=activity_topic, partitions=ours)

    # Faust's own strategy replaces an agent that failed, and forgets what it had in hand.
    @app.agent(source, name="activity", supervisor_strategy=CrashingSupervisor)
    async def activity(stream: StreamT[Any]) -> None:
        async for event in cast("FaustStream[bytes]", stream).noack().events():
            if _is_current(app, event):
                lease = Lease(membership, event.message.generation_id)
                await flow.take(Delivery(_record(event), lease, time.monotonic()))


def _is_current(app: WorkerApp, event: Event) -> bool:
    """Whether the event was delivered under the assignment that holds now; others will come again."""
    return bool(app.flow_control.is_active() and event.message.generation_id == app.consumer_generation_id)


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
