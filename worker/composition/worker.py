"""The composition root: where settings become a worker."""

import asyncio
import time
from contextlib import suppress
from typing import Final

import structlog

from topics.record import Record
from worker.capillary.client import CapillaryClient
from worker.composition.exposition import exposition
from worker.composition.from_settings import backlog_age, patience, rules
from worker.composition.parts import ApiAccess, catalogue_of, ledger_of, reach, resources_of
from worker.composition.start import Ground, Outset, outset, prepare
from worker.enrolment.admission import lane_of
from worker.enrolment.arrivals import wait_of
from worker.enrolment.backlog import Backlog
from worker.enrolment.catalogue import NoCatalogue
from worker.enrolment.checkpoints import Probe, nothing
from worker.enrolment.handler import Enrolments
from worker.enrolment.ports import NoLetters
from worker.enrolment.rules import Rules
from worker.kafka.partitioners import key_hashes_of
from worker.resilience.gate import ApiGate
from worker.settings import Settings
from worker.settings.deadlines import silence_seconds
from worker.signs import Heartbeat, Signs
from worker.stopping import STOP
from worker.stream.app import Base, Handler, Stream, build_base, connect
from worker.stream.health.head_watch import HeadWatch
from worker.stream.health.http_port import Probes
from worker.stream.health.log_watch import LogWatch
from worker.stream.health.partition_watch import PartitionWatch
from worker.stream.health.status import Lookout, Status
from worker.stream.health.watchdog import Pulse, Watch, Watchdog
from worker.stream.ledger.guard import LedgerWatch
from worker.stream.letter_proof import LetterProof
from worker.stream.member_note import MemberNote
from worker.stream.process import Background, Closing, serve
from worker.stream.publisher import KafkaPublisher
from worker.stream.replay_window import Replay
from worker.stream.state_folder import take_folder
from worker.telemetry.handling import observed
from worker.telemetry.metrics import Metrics
from worker.telemetry.spans import Spans
from worker.timepiece import Timepiece
from worker.timing import now, utc_now

log = structlog.get_logger(__name__)

_HEARING_SECONDS: Final = 3.0


def run_worker(
    settings: Settings,
    probe: Probe = nothing,
    replay: Replay | None = None,
    *,
    new_ledger: bool = False,
) -> int:
    """Run the worker until it is told to stop, or a replay is done; return the process's exit status.

    `probe` is told of each checkpoint; only tests pass one. `new_ledger` accepts that a ledger that is gone
    is forgotten. Raises KafkaFailed, with one line for the operator, if Kafka or its topics are not as
    needed, SettingsError if a setting turns out to be bad, FolderTaken if another process works with our
    STATE_DIR.
    """
    STOP.listen()
    note = MemberNote(take_folder(settings.state_dir), settings.group_id)
    with outset(settings, note) as at:
        ground = at.loop.run_until_complete(prepare(settings, replay, at, new_ledger=new_ledger))
        retries_rejected = replay is not None and replay.retry_rejected
        return _work(settings, at, ground, rules(settings, retry_rejected=retries_rejected), probe)


def _work(settings: Settings, at: Outset, ground: Ground, judged_by: Rules, probe: Probe) -> int:
    """Handle events until told to stop; return the process's exit status."""
    loop, metrics, heartbeat = at.loop, at.metrics, at.heartbeat
    names = settings.topic_names
    timepiece = Timepiece(utc_now, now, metrics)
    base = build_base(settings, ground.prepared.partitions, ground.copy, STOP, at.wait, at.note)
    metrics.reads(base.sources)
    ground.copy.watch_for_faults()
    api = reach(settings, base.pauses, metrics, timepiece, heartbeat)
    loop.run_until_complete(_hear_the_time(api.client))
    ledger = ledger_of(base, settings, ground.prepared.partitions, ground.followers, timepiece)
    catalogue = catalogue_of(settings, api.client, metrics, timepiece)
    spans, signs = Spans(), Signs()
    enrolments = Enrolments(
        judged_by,
        resources_of(settings, api, timepiece, probe),
        ledger=ledger,
        names=names,
        publisher=KafkaPublisher(base.connections, names, ground.prepared.largest, spans, timepiece),
        tracker=metrics,
        letters=NoLetters() if settings.dry_run else LetterProof(settings),
        key_hashes_of=key_hashes_of,
        lists=catalogue or NoCatalogue(),
    )
    handle = observed(
        enrolments.handle, settings.group_id, names.activity, metrics=metrics, spans=spans, signs=signs
    )
    stream = _connect(settings, base, handle, ground, gate=api.gate, timepiece=timepiece, metrics=metrics)
    status = Status(stream)
    heads = HeadWatch(
        status.heads,
        status.written_at,
        lambda: stream.flow.is_outage,
        clock=timepiece.now,
        timer=time.monotonic,
    )
    watch = Watch(patience(settings), silence_seconds(settings), time.monotonic)
    at.port.probes = Probes(
        not_live=watch.flaw,
        not_ready=status.not_ready,
        exposition=lambda accept: exposition(
            metrics, accept, stream=stream, status=status, heads=heads, ledger=ledger, gate=api.gate
        ),
    )
    ended = serve(
        stream,
        loop,
        STOP,
        Closing(at.port.close),
        Closing(api.client.aclose),
        *([Background(catalogue.keep)] if catalogue else []),
        Watchdog(watch, lambda: _pulse(base, status, api, heartbeat, signs), STOP.end),
        *_lookouts(settings, stream, status),
        heads,
        *ground.followers,
        *ground.replaying.services(status, STOP.finish),
    )
    return ground.replaying.ended(ended)


def _connect(
    settings: Settings,
    base: Base,
    handle: Handler,
    ground: Ground,
    *,
    gate: ApiGate,
    timepiece: Timepiece,
    metrics: Metrics,
) -> Stream:
    """Let the application hand records to the handler once they are due, and share the API's budget."""

    def wait_for(record: Record, seen_for: float) -> float:
        behind = ground.replaying.seconds_to_wait(record)
        now = timepiece.stamp_ms() / 1000
        return behind or wait_of(record, settings.topic_names, settings.retry_delays_seconds, now, seen_for)

    def assigned(partitions: int) -> None:
        gate.share(partitions / ground.prepared.partitions)

    age = backlog_age(settings)
    backlog = age and Backlog(settings.topic_names, rules(settings), age, lambda: timepiece.span().earliest)
    return connect(
        base,
        settings,
        handle,
        lane_of=lane_of,
        wait_of=wait_for,
        is_backlog=backlog.has if backlog else None,
        assigned=assigned,
        expired=metrics.expired,
    )


def _pulse(base: Base, status: Status, api: ApiAccess, heartbeat: Heartbeat, signs: Signs) -> Pulse:
    """Return what the watchdog judges by."""
    if base.wait.waiting is not None:
        # A start has its own time for that, and says so.
        heartbeat.beat()
        base.guards.membership.listens()
    if api.gate.is_held_back or api.circuits.is_open:
        # Whoever waits for the API's sake is not stuck.
        heartbeat.beat()
    return status.pulse(heartbeat.beats, signs.longest_silence())


def _lookouts(
    settings: Settings, stream: Stream, status: Status
) -> tuple[Lookout | LogWatch | PartitionWatch | LedgerWatch, ...]:
    """Return what looks out for records, logs, partitions and a ledger that are not what they were."""
    ledger = [] if settings.dry_run else [status.ledger_watch(settings.topic_names.ledger)]
    partitions = PartitionWatch(
        stream.base.guards.partitions,
        lambda: status.partition_count(settings.activity_topic),
        status.join_anew,
    )
    return Lookout(status), LogWatch(stream.positions, status.is_ready), partitions, *ledger


async def _hear_the_time(client: CapillaryClient) -> None:
    """Ask the API for its time before the first record is stamped; without an answer, go on without."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_HEARING_SECONDS):
            await client.serves()
