"""The larger parts of a worker, as its settings want them."""

import asyncio
import time
from dataclasses import dataclass

from worker.capillary.client import CapillaryClient
from worker.composition.from_settings import (
    api_gate,
    backlog_age,
    capillary_client,
    outage_policy,
    retry_policy,
    rules,
)
from worker.enrolment.catalogue import Catalogue
from worker.enrolment.checkpoints import Probe
from worker.enrolment.inactive import RestingInactive
from worker.enrolment.ports import Stamps
from worker.enrolment.reconciliation import Readings
from worker.enrolment.resources import Resources
from worker.kafka.waiting import StartWait
from worker.ledger.read_only import NoLedger
from worker.resilience.circuit import Circuits
from worker.resilience.gate import ApiGate
from worker.resilience.retrying import Retrying
from worker.settings import Settings
from worker.signs import Heartbeat, count_down
from worker.stream.app import Base
from worker.stream.delivery.pauses import Pauses
from worker.stream.ledger.by_partition import FaustLedger
from worker.stream.ledger.follower import LedgerFollower, ensure_followable
from worker.stream.ledger.table import ledger_table
from worker.telemetry.metrics import Metrics
from worker.timepiece import Timepiece
from worker.timing import Sleep, now, utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAccess:
    """The way to the API: what each request passes, and what repeats it."""

    client: CapillaryClient
    gate: ApiGate
    circuits: Circuits
    retrying: Retrying
    wait: Sleep


def reach(
    settings: Settings, pauses: Pauses, metrics: Metrics, timepiece: Timepiece, heartbeat: Heartbeat
) -> ApiAccess:
    """Return the way to the API. Its circuits pause all partitions while the API is down."""
    gate = api_gate(settings)
    client = capillary_client(settings, observer=metrics, gate=gate, date_heard=timepiece.heard)

    async def turn(seconds: float) -> None:
        heartbeat.beat()
        await asyncio.sleep(seconds)

    async def wait(seconds: float) -> None:
        await count_down(seconds, turn)

    def outage_changed(is_outage: bool) -> None:  # noqa: FBT001 - the circuits' one word
        pauses.outage = is_outage
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
    return ApiAccess(client=client, gate=gate, circuits=circuits, retrying=retrying, wait=wait)


def resources_of(settings: Settings, api: ApiAccess, timepiece: Timepiece, probe: Probe) -> Resources:
    """Return what the use case works with."""
    readings = Readings(
        api.client,
        api.retrying,
        settle_seconds=settings.reconcile_settle_seconds,
        timer=time.monotonic,
        sleep=api.wait,
    )
    return Resources(
        api=RestingInactive(api.client, time.monotonic),
        readings=readings,
        retrying=api.retrying,
        clock=timepiece.now,
        machine=utc_now,
        timer=time.monotonic,
        sleep=asyncio.sleep,
        probe=probe,
        span=timepiece.span,
        backlog_age=backlog_age(settings),
    )


async def followers(settings: Settings, partitions: int, wait: StartWait) -> list[LedgerFollower]:
    """Return what follows another group's ledger, nothing if none is to be followed."""
    if settings.dry_run_ledger_group is None:
        return []
    await ensure_followable(settings, settings.dry_run_ledger_group)
    return [LedgerFollower(settings, settings.dry_run_ledger_group, partitions, wait)]


def ledger_of(
    base: Base,
    settings: Settings,
    partitions: int,
    follower: list[LedgerFollower],
    stamps: Stamps,
) -> FaustLedger | LedgerFollower | NoLedger:
    """Return the ledger that is kept; in a dry run the one that is followed, or none."""
    if settings.dry_run:
        return follower[0] if follower else NoLedger()
    connected = settings.api_version == "v2.1"
    connections, membership = base.connections, base.guards.membership

    return FaustLedger(
        ledger_table(base.app, partitions, base.ledger_guard, connections.owns),
        base.guards.fence,
        stamps,
        lambda: membership.generation,
        lambda: connections.raw_producer,
        connected=connected,
    )


def catalogue_of(
    settings: Settings, client: CapillaryClient, metrics: Metrics, timepiece: Timepiece
) -> Catalogue | None:
    """Return the promotion list, None if the settings want none."""
    if not settings.catalogue_refresh_seconds:
        return None
    return Catalogue(
        client,
        rules(settings).policy,
        metrics,
        refresh_seconds=settings.catalogue_refresh_seconds,
        timer=now,
        sleep=asyncio.sleep,
        clock=lambda: timepiece.span().earliest,
    )
