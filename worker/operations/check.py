"""`check`: settings, Kafka, the API and the collector, looked at as the worker would meet them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from worker.capillary.client import CapillaryClient, Sounding
from worker.capillary.dates import read_date
from worker.capillary.wire import Page
from worker.composition.from_settings import capillary_config
from worker.domain.answers import CustomerNotFound, Doubtful, Misconfigured, Refused, Throttled, Unsent
from worker.operations.findings import Finding, fault, ok, warning
from worker.operations.kafka_check import examine_kafka
from worker.operations.topic_fitness import Needs
from worker.settings import KafkaSettings, Settings, SettingsError, load_settings

_AS_EXACT_AS_TOLD: Final = timedelta(seconds=2)
_SKEW_NOTED: Final = timedelta(seconds=30)
_SKEW_HARMFUL: Final = timedelta(minutes=5)
_CONNECT_SECONDS: Final = 5.0
_OTLP_PORTS: Final = {"grpc": 4317, "http/protobuf": 4318}
_UNKNOWN_SOURCE: Final = 8003


async def examine(environ: Mapping[str, str]) -> AsyncIterator[Finding]:
    """Yield what is found, as it is found. Changes nothing; every wait is bounded; raises nothing."""
    try:
        settings = load_settings(environ)
    except SettingsError as error:
        for line in error.faults:
            text, _, remedy = line.partition("; ")
            yield fault(
                "settings", text, remedy or "correct it; `enrolment-worker run --help` lists them all"
            )
        kafka = _kafka_alone(environ)
        if kafka is not None:
            async for finding in examine_kafka(kafka, Needs(kafka.topic_names, kafka.ledger_retention_days)):
                yield finding
        return
    yield ok("settings", "read")
    yield judge_organisation(settings.org_id)
    needs = Needs(
        settings.topic_names,
        settings.ledger_retention_days,
        settings.retry_delays_seconds,
        dry_run=settings.dry_run,
    )
    async for finding in examine_kafka(settings, needs, settings.dry_run_ledger_group):
        yield finding
    async for finding in _examine_api(settings):
        yield finding
    yield await _examine_collector(environ)


def _kafka_alone(environ: Mapping[str, str]) -> KafkaSettings | None:
    try:
        return load_settings(environ, KafkaSettings)
    except SettingsError:
        return None


async def _examine_api(settings: Settings) -> AsyncIterator[Finding]:
    try:
        client = CapillaryClient(capillary_config(settings))
    except ValueError as error:
        yield fault("API", str(error), "correct the ENROLMENT_API_* settings, or SSL_CERT_FILE")
        return
    async with client:
        sounding = await client.sound_out()
    yield judge_answer(sounding)
    if sounding.date is not None:
        yield judge_clock(sounding)


def judge_organisation(org_id: int | None) -> Finding:
    """Judge whether it is said whose the credentials are."""
    if org_id is not None:
        return ok("organisation", f"{org_id}")
    return warning(
        "organisation",
        "ENROLMENT_ORG_ID is not set: the first event that names one decides which events are ours",
        "set it to the organisation that the credentials belong to",
    )


def judge_answer(sounding: Sounding) -> Finding:
    """Judge the API's answer to a read for a customer that there is not."""
    match sounding.answer:
        case Refused(errors) if any(error.code == _UNKNOWN_SOURCE for error in errors):
            return fault("API", f"refuses the source: {errors[0].message}", "correct ENROLMENT_API_SOURCE")
        case Page() | CustomerNotFound() | Refused():
            return ok("API", "answers, and takes the credentials")
        case Throttled():
            return warning(
                "API",
                "throttles: the budget of these credentials is used up",
                "wait, or ask for a larger one",
            )
        case Misconfigured(detail, request_id=traced):
            return fault(
                "API",
                detail + _traced(traced),
                "check ENROLMENT_API_USERNAME and _PASSWORD or _CLIENT_KEY and _CLIENT_SECRET, "
                "ENROLMENT_API_BASE_URL, and with v2.1 ENROLMENT_API_DATA_SCOPE and _ORGS",
            )
        case Unsent(kind, detail, request_id=traced):
            return fault(
                "API",
                f"cannot be reached: {kind} ({detail}){_traced(traced)}",
                "check ENROLMENT_API_BASE_URL and the way to it",
            )
        case Doubtful(kind, detail, request_id=traced):
            return fault(
                "API",
                f"gives no usable answer: {kind} ({detail}){_traced(traced)}",
                "check ENROLMENT_API_BASE_URL, ENROLMENT_API_TIMEOUT_SECONDS, and that the API is up",
            )


def _traced(request_id: str | None) -> str:
    return "" if request_id is None else f"; Capillary traces it by {request_id}"


def judge_clock(sounding: Sounding) -> Finding:
    """Compare our clock with the API's `Date`, which has whole seconds and is older than the answer."""
    theirs = read_date(sounding.date or "")
    if theirs is None:
        return warning("clock", "the API's Date header cannot be read", "compare the clock by other means")
    skew = sounding.at - theirs
    if abs(skew) <= _AS_EXACT_AS_TOLD:
        return ok("clock", "agrees with the API's")
    text = f"{abs(skew.total_seconds()):.0f} s {'ahead of' if skew > timedelta() else 'behind'} the API's"
    remedy = "synchronise this machine's clock (NTP): promotions begin and end by it"
    if abs(skew) > _SKEW_HARMFUL:
        return fault("clock", text, remedy)
    return warning("clock", text, remedy) if abs(skew) > _SKEW_NOTED else ok("clock", text)


async def _examine_collector(environ: Mapping[str, str]) -> Finding:
    """Connect to the collector of traces, if one is set; sends nothing."""
    name = "OTEL_EXPORTER_OTLP_ENDPOINT"
    endpoint = environ.get(name, "").strip()
    if not endpoint:
        return ok("tracing", f"off: {name} is not set")
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        return fault("tracing", f"{name} is not a URL", f"set {name} to http://host:4317, say")
    if port is None:
        protocol = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").strip()
        port = _OTLP_PORTS.get(protocol, 4318)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return warning(
            "tracing", f"nobody answers at {host}:{port}", f"correct {name}, or start the collector"
        )
    writer.close()
    return ok("tracing", f"{host}:{port} reached")
