"""The start: what there is before Kafka answers, and what must be in place before events are handled."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version

import structlog

from worker.composition.parts import followers
from worker.kafka.waiting import StartWait
from worker.settings import Settings
from worker.signs import Heartbeat
from worker.stream.first_start import skip_what_is_there
from worker.stream.health.http_port import HttpPort, Probes, bind
from worker.stream.ledger.follower import LedgerFollower
from worker.stream.ledger.local_copy import LocalCopy, open_copy
from worker.stream.ledger.takeover import take_over
from worker.stream.member_note import MemberNote
from worker.stream.process import new_event_loop
from worker.stream.replay import Replaying
from worker.stream.replay_window import Replay
from worker.stream.startup import Prepared, prepare_topics
from worker.telemetry.metrics import Metrics
from worker.timing import utc_now

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outset:
    """What there is before Kafka answers."""

    loop: asyncio.AbstractEventLoop
    port: HttpPort
    wait: StartWait
    metrics: Metrics
    heartbeat: Heartbeat
    note: MemberNote


@contextmanager
def outset(settings: Settings, note: MemberNote) -> Iterator[Outset]:
    """Give what a start begins with; its port answers whenever the loop turns, until the block is left."""
    bound = bind(settings.http_host, settings.http_port)
    loop, heartbeat = new_event_loop(), Heartbeat()
    metrics = Metrics(frozenset(settings.trigger_events), beat=heartbeat.beat)
    wait = StartWait(seconds=settings.start_wait_seconds, servers=", ".join(settings.kafka_bootstrap_servers))
    port = HttpPort(bound, _while_it_starts(wait, metrics))
    loop.run_until_complete(port.open())
    try:
        yield Outset(loop=loop, port=port, wait=wait, metrics=metrics, heartbeat=heartbeat, note=note)
    finally:
        if not loop.is_closed():
            loop.run_until_complete(port.close())


def _while_it_starts(wait: StartWait, metrics: Metrics) -> Probes:
    """Return what the port answers before there is an application."""
    return Probes(
        not_live=lambda: None,
        not_ready=lambda: "starting" if wait.waiting is None else str(wait.waiting),
        exposition=metrics.exposition,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the worker stands on, once Kafka and the disk are as needed."""

    replaying: Replaying
    prepared: Prepared
    copy: LocalCopy
    followers: list[LedgerFollower]


async def prepare(settings: Settings, replay: Replay | None, at: Outset, *, new_ledger: bool) -> Ground:
    """Make or check topics and the local copy; set the offsets that the group begins from if they are new.

    Waits for Kafka at each step, which may be repeated.
    """
    wait = at.wait
    replaying = await wait.through(
        "find the replay's window", lambda: Replaying.begin(settings, replay, at.note)
    )
    new_ledger = new_ledger or (replay is not None and replay.without_ledger)
    prepared = await wait.through(
        "look at the topics", lambda: prepare_topics(settings, new_ledger=new_ledger)
    )
    retention = timedelta(days=settings.ledger_retention_days)
    copy = open_copy(settings.state_dir, settings.group_id, retention, utc_now())
    await wait.through(
        "take over the ledger",
        lambda: take_over(settings, copy, prepared.ledger, prepared.partitions, new_ledger=new_ledger),
    )
    following = await wait.through(
        "look at the ledger to follow", lambda: followers(settings, prepared.partitions, wait)
    )
    if settings.auto_offset_reset == "latest":
        await wait.through(
            "set where the group begins", lambda: skip_what_is_there(settings, prepared.partitions)
        )
    await wait.through("go to where the replay begins", replaying.rewind)
    log.info(
        "starting",
        version=version("enrolment-worker"),
        group=settings.group_id,
        topic=settings.activity_topic,
        partitions=prepared.partitions,
        dry_run=settings.dry_run,
    )
    return Ground(replaying=replaying, prepared=prepared, copy=copy, followers=following)
