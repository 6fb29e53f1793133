"""The composition root: where settings become a worker."""

import asyncio
from datetime import timedelta
from importlib.metadata import version

from pydantic import SecretStr

from topics.record import Record
from worker.capillary.client import CapillaryClient
from worker.capillary.config import ApiVersion, Basic, CapillaryConfig, OAuth
from worker.domain.plan import Policy
from worker.enrolment import Enrolments
from worker.intake import Rules, lane_of
from worker.retrying import Retrying, RetryPolicy
from worker.settings import Settings
from worker.stream.app import build_app, consume, is_ready, lags
from worker.stream.http_port import HttpPort, Probes
from worker.stream.process import Closing, new_event_loop, serve
from worker.stream.publisher import KafkaPublisher
from worker.stream.startup import prepare_topics
from worker.telemetry.metrics import Metrics
from worker.telemetry.tracing import processing


def run_worker(settings: Settings) -> int:
    """Run the worker until it is told to stop; return the process's exit status.

    Raises KafkaFailed, with one line for the operator, where Kafka or its topics are not as needed.
    """
    loop = new_event_loop()
    loop.run_until_complete(prepare_topics(settings))
    metrics = Metrics(frozenset(settings.trigger_events))
    app = build_app(settings)
    client = CapillaryClient(capillary_config(settings), observer=metrics)
    publisher = KafkaPublisher(
        app, settings.outcome_topic, settings.topic_names.dead_letters, settings.group_id
    )
    retry_policy = RetryPolicy(
        settings.retry_max_attempts, settings.retry_initial_seconds, settings.retry_max_seconds
    )
    enrolments = Enrolments(
        rules(settings),
        group_id=settings.group_id,
        api=client,
        publisher=publisher,
        tracker=metrics,
        retrying=Retrying(retry_policy, metrics, asyncio.sleep),
    )

    async def handle(record: Record) -> None:
        with processing(record, settings.group_id), metrics.duration.time():
            await enrolments.handle(record)

    consume(app, settings, handle, lane_of)
    metrics.in_flight.set_function(lambda: app.lanes.in_flight)

    def exposition() -> bytes:
        for partition, lag in lags(app, settings.activity_topic).items():
            metrics.lag.labels(settings.activity_topic, str(partition)).set(lag)
        return metrics.exposition()

    probes = Probes(live=lambda: not app.should_stop, ready=lambda: is_ready(app), exposition=exposition)
    return serve(app, loop, HttpPort(settings.http_host, settings.http_port, probes), Closing(client.aclose))


def rules(settings: Settings) -> Rules:
    """Return what the settings say about events and promotions."""
    return Rules(
        policy=Policy(
            org_id=settings.org_id,
            program_ids=settings.program_ids,
            promotion_ids=settings.promotion_ids,
            excluded_promotion_ids=settings.excluded_promotion_ids,
            reenrol=settings.reenrol,
        ),
        triggers=frozenset(settings.trigger_events),
        max_event_age=timedelta(hours=settings.max_event_age_hours) if settings.max_event_age_hours else None,
        pii_key=_secret(settings.pii_key).encode() or None,
        dry_run=settings.dry_run,
    )


def capillary_config(settings: Settings) -> CapillaryConfig:
    """Return how to reach the API. Connections are bounded by the events in flight."""
    credentials: Basic | OAuth
    if settings.api_username is not None:
        credentials = Basic(_secret(settings.api_username), _secret(settings.api_password))
    else:
        credentials = OAuth(_secret(settings.api_client_key), _secret(settings.api_client_secret))
    return CapillaryConfig(
        base_url=settings.api_base_url,
        credentials=credentials,
        api_version=ApiVersion(settings.api_version),
        data_scope=settings.api_data_scope,
        data_scope_orgs=settings.api_data_scope_orgs,
        default_source=settings.api_source,
        timeout_seconds=settings.api_timeout_seconds,
        idempotency_header=settings.api_idempotency_header,
        max_connections=settings.max_in_flight,
        user_agent=f"enrolment-worker/{version('enrolment-worker')}",
    )


def _secret(value: SecretStr | None) -> str:
    return "" if value is None else value.get_secret_value()
