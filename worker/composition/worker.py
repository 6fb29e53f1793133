"""The composition root: where settings become a worker."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Final

import structlog

from topics.record import Record
from worker.capillary.client import CapillaryClient
from worker.composition.from_settings import (
    api_gate,
    capillary_client,
    outage_policy,
    patience,
    retry_policy,
    rules,
    silence,
)
from worker.enrolment.admission import lane_of
from worker.enrolment.arrivals import wait_of
from worker.enrolment.catalogue import Catalogue, nothing_ruled_out
from worker.enrolment.checkpoints import Probe, nothing
from worker.enrolment.handler import Enrolments
from worker.enrolment.inactive import RestingInactive
from worker.enrolment.ports import NoLetters, Stamps
from worker.enrolment.reconciliation import Readings
from worker.enrolment.resources import Resources
from worker.kafka.partitioners import lane_of_key
from worker.ledger.read_only import NoLedger
from worker.resilience.circuit import Circuits
from worker.resilience.gate import ApiGate
from worker.resilience.retrying import Retrying
from worker.settings import Settings
from worker.signs import Signs, count_down
from worker.stopping import STOP
from worker.stream.app import WorkerApp, build_app, consume
from worker.stream.driver.log_watch import LogWatch
from worker.stream.first_start import skip_what_is_there
from worker.stream.health.http_port import HttpPort, Probes, bind
from worker.stream.health.partition_watch import PartitionWatch
from worker.stream.health.status import (
    Lookout,
    is_ready,
    join_anew,
    lags,
    ledger_watch,
    partition_count,
    pulse,
)
from worker.stream.health.watchdog import Pulse, Watch, Watchdog
from worker.stream.ledger.follower import LedgerFollower, ensure_followable
from worker.stream.ledger.local_copy import open_copy
from worker.stream.ledger.table import FaustLedger, ledger_table
from worker.stream.ledger.takeover import take_over
from worker.stream.letter_proof import LetterProof
from worker.stream.process import Background, Closing, new_event_loop, serve
from worker.stream.publisher import KafkaPublisher
from worker.stream.replay import Replaying
from worker.stream.replay_window import Replay
from worker.stream.startup import Prepared, prepare_topics
from worker.telemetry.handling import observed
from worker.telemetry.metrics import Metrics
from worker.telemetry.spans import Spans
from worker.timepiece import Timepiece
from worker.timing import Sleep, now, utc_now

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
    is forgotten. Raises KafkaFailed, with one line for the operator, where Kafka or its topics are not as
    needed, SettingsError where a setting turns out to be bad, FolderTaken where another process works with
    our STATE_DIR.
    """
    STOP.listen()
    port = bind(settings.http_host, settings.http_port)
    loop = new_event_loop()
    replaying = loop.run_until_complete(Replaying.begin(settings, replay))
    new_ledger = new_ledger or (replay is not None and replay.without_ledger)
    prepared = loop.run_until_complete(prepare_topics(settings, new_ledger=new_ledger))
    retention = timedelta(days=settings.ledger_retention_days)
    copy = open_copy(settings.state_dir, settings.group_id, retention, utc_now())
    loop.run_until_complete(
        take_over(settings, copy, prepared.ledger, prepared.partitions, new_ledger=new_ledger)
    )
    follower = loop.run_until_complete(_follower(settings, prepared.partitions))
    loop.run_until_complete(_begin(settings, prepared, replaying))
    log.info(
        "starting",
        version=version("enrolment-worker"),
        group=settings.group_id,
        topic=settings.activity_topic,
        partitions=prepared.partitions,
        dry_run=settings.dry_run,
    )
    metrics = Metrics(frozenset(settings.trigger_events))
    timepiece = Timepiece(utc_now, now, metrics)
    app = build_app(settings, prepared.partitions, copy, STOP)
    metrics.reads(app.sources)
    app.positions.expired = metrics.expired
    copy.watch_for_faults()
    api = _reach(settings, metrics, app, timepiece)
    loop.run_until_complete(_hear_the_time(api.client))
    ledger = _ledger(app, settings, prepared.partitions, follower, timepiece)
    resources = Resources(
        api=RestingInactive(api.client, time.monotonic),
        readings=Readings(
            api.client,
            api.retrying,
            settle_seconds=settings.reconcile_settle_seconds,
            timer=time.monotonic,
            sleep=api.wait,
        ),
        retrying=api.retrying,
        clock=timepiece.now,
        machine=utc_now,
        timer=time.monotonic,
        sleep=asyncio.sleep,
        probe=probe,
        span=timepiece.span,
    )
    catalogue = _catalogue(settings, api.client, metrics)
    signs = Signs()
    names = settings.topic_names
    spans = Spans()
    publisher = KafkaPublisher(app, names, prepared.largest, spans, timepiece)
    enrolments = Enrolments(
        rules(settings, retry_rejected=replay is not None and replay.retry_rejected),
        resources,
        ledger=ledger,
        names=names,
        publisher=publisher,
        tracker=metrics,
        letters=NoLetters() if settings.dry_run else LetterProof(settings),
        lane_of=lane_of_key,
        ruled_out=catalogue.rules_out if catalogue else nothing_ruled_out,
    )

    handle = observed(
        enrolments.handle,
        group_id=settings.group_id,
        activity_topic=names.activity,
        metrics=metrics,
        spans=spans,
        signs=signs,
    )

    def wait_for(record: Record, seen_for: float) -> float:
        behind = replaying.seconds_to_wait(record)
        now = timepiece.stamp_ms() / 1000
        return behind or wait_of(record, names, settings.retry_delays_seconds, now, seen_for)

    def assigned(partitions: int) -> None:
        api.gate.share(partitions / prepared.partitions)

    def taken() -> Pulse:
        # Whoever waits for the API's sake is not stuck.
        metrics.progress += api.gate.is_held_back or api.circuits.is_open
        return pulse(app, metrics.progress, signs.longest_silence())

    consume(app, settings, handle, lane_of=lane_of, wait_of=wait_for, assigned=assigned)
    watch = Watch(patience(settings), silence(settings), time.monotonic)
    probes = Probes(
        live=lambda: watch.live,
        ready=lambda: is_ready(app),
        exposition=lambda accept: exposition(app, metrics, ledger, api.gate, accept),
    )
    status = serve(
        app,
        loop,
        STOP,
        HttpPort(port, probes, app.refuse),
        Closing(api.client.aclose),
        *([Background(catalogue.keep)] if catalogue else []),
        Watchdog(watch, taken, STOP.end),
        Lookout(app),
        LogWatch(app.positions, lambda: is_ready(app)),
        PartitionWatch(
            app.guard, lambda: partition_count(app, settings.activity_topic), lambda: join_anew(app)
        ),
        *([] if settings.dry_run else [ledger_watch(app, names.ledger)]),
        *follower,
        *replaying.services(app, STOP.finish),
    )
    return replaying.ended(status)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Api:
    client: CapillaryClient
    gate: ApiGate
    circuits: Circuits
    retrying: Retrying
    wait: Sleep


def _reach(settings: Settings, metrics: Metrics, app: WorkerApp, timepiece: Timepiece) -> _Api:
    """Return the way to the API: what each request passes, and what repeats it."""
    gate = api_gate(settings)
    client = capillary_client(settings, observer=metrics, gate=gate, date_heard=timepiece.heard)

    async def turn(seconds: float) -> None:
        metrics.progress += 1
        await asyncio.sleep(seconds)

    async def wait(seconds: float) -> None:
        await count_down(seconds, turn)

    def outage_changed(is_outage: bool) -> None:  # noqa: FBT001 - the circuits' one word
        app.holds.outage = is_outage
        if not is_outage:
            gate.begin_again()

    circuits = Circuits(
        outage_policy(settings),
        tracker=metrics,
        sleep=wait,
        timer=time.monotonic,
        serves=client.serves,
        changed=outage_changed,
    )
    retrying = Retrying(retry_policy(settings), circuits, metrics, wait, time.monotonic)
    return _Api(client=client, gate=gate, circuits=circuits, retrying=retrying, wait=wait)


async def _hear_the_time(client: CapillaryClient) -> None:
    """Ask the API for its time before the first record is stamped; without an answer, go on without."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_HEARING_SECONDS):
            await client.serves()


def exposition(
    app: WorkerApp,
    metrics: Metrics,
    ledger: FaustLedger | LedgerFollower | NoLedger,
    gate: ApiGate,
    accept: str,
) -> tuple[bytes, str]:
    """Return the metrics as they are now, and their media type."""
    metrics.api_limit.set(gate.limit)
    metrics.api_pace.set(gate.requests_per_second)
    metrics.api_waiting.set(gate.waiting)
    metrics.in_flight.set(app.lanes.in_flight)
    metrics.ledger_entries.set(ledger.entries())
    # Not what was left behind by partitions that another replica has now.
    metrics.lag.clear()
    for (topic, partition), lag in lags(app).items():
        metrics.lag.labels(topic, str(partition)).set(lag)
    return metrics.exposition(accept)


async def _begin(settings: Settings, prepared: Prepared, replaying: Replaying) -> None:
    """Set the offsets that the group begins from, where they are not those that it committed last."""
    if settings.auto_offset_reset == "latest":
        await skip_what_is_there(settings, prepared.partitions)
    await replaying.rewind()


async def _follower(settings: Settings, partitions: int) -> list[LedgerFollower]:
    """Return what follows another group's ledger, nothing where none is to be followed."""
    if settings.dry_run_ledger_group is None:
        return []
    await ensure_followable(settings, settings.dry_run_ledger_group)
    return [LedgerFollower(settings, settings.dry_run_ledger_group, partitions)]


def _ledger(
    app: WorkerApp,
    settings: Settings,
    partitions: int,
    follower: list[LedgerFollower],
    stamps: Stamps,
) -> FaustLedger | LedgerFollower | NoLedger:
    if settings.dry_run:
        return follower[0] if follower else NoLedger()
    connected = settings.api_version == "v2.1"
    return FaustLedger(
        ledger_table(app, partitions),
        app.fence,
        stamps,
        lambda: app.membership.generation,
        connected=connected,
    )


def _catalogue(settings: Settings, client: CapillaryClient, metrics: Metrics) -> Catalogue | None:
    if not settings.catalogue_refresh_seconds:
        return None
    return Catalogue(
        client,
        rules(settings).policy,
        metrics,
        refresh_seconds=settings.catalogue_refresh_seconds,
        timer=now,
        sleep=asyncio.sleep,
    )
