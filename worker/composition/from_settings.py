"""The meaning of settings: the values that the parts of a worker, and of its commands, are made with."""

from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.metadata import version

from pydantic import SecretStr

from worker.capillary.client import CapillaryClient
from worker.capillary.config import ApiVersion, Attribution, Basic, CapillaryConfig, OAuth
from worker.capillary.ports import Gate, RequestObserver
from worker.domain.plan import Policy
from worker.enrolment.rules import Rules
from worker.resilience.circuit import OutagePolicy
from worker.resilience.concurrency import ConcurrencyLimit
from worker.resilience.gate import ApiGate
from worker.resilience.pace import Pace
from worker.resilience.retrying import RetryPolicy
from worker.settings import Settings, SettingsError
from worker.settings.deadlines import rebalance_seconds


def patience(settings: Settings) -> float:
    """Return after how many seconds without progress a worker with work is stuck.

    An event makes progress at the latest when a request times out; all other waits for the API are counted
    down, and each step is progress.
    """
    return 60.0 + 2 * settings.api_timeout_seconds + rebalance_seconds(settings)


def rules(settings: Settings, *, retry_rejected: bool = False) -> Rules:
    """Return what the settings say about events and promotions."""
    return Rules(
        policy=Policy(
            org_id=settings.org_id,
            program_ids=settings.program_ids,
            promotion_ids=settings.promotion_ids,
            excluded_promotion_ids=settings.excluded_promotion_ids,
            reenrol=settings.reenrol,
            reenrol_after_revoke=settings.reenrol_after_revoke,
        ),
        triggers=frozenset(settings.trigger_events),
        max_event_age=timedelta(hours=settings.max_event_age_hours) if settings.max_event_age_hours else None,
        pii_key=_secret(settings.pii_key).encode() or None,
        dry_run=settings.dry_run,
        retry_rejected=retry_rejected,
        limit_cool_down=timedelta(seconds=settings.limit_cooldown_seconds),
        settle_seconds=settings.reconcile_settle_seconds,
        trust_seconds=settings.lookup_trust_seconds,
        always=frozenset(settings.lookup_always_events),
        default_source=settings.api_source,
        not_found_grace=timedelta(seconds=settings.not_found_grace_seconds)
        if settings.not_found_grace_seconds
        else None,
    )


def retry_policy(settings: Settings) -> RetryPolicy:
    """Return how often and how soon calls are repeated."""
    return RetryPolicy(
        settings.retry_max_attempts, settings.retry_initial_seconds, settings.retry_max_seconds
    )


def outage_policy(settings: Settings) -> OutagePolicy:
    """Return when the API counts as down, and how often to try then."""
    return OutagePolicy(settings.outage_threshold, settings.outage_probe_seconds)


def api_gate(settings: Settings) -> ApiGate:
    """Return the gate of all requests: as many at once as events, fewer once they take half of their time."""
    return ApiGate(
        ConcurrencyLimit(settings.max_in_flight, settings.api_timeout_seconds / 2),
        Pace(settings.api_requests_per_minute),
    )


def backlog_age(settings: Settings) -> timedelta | None:
    """Return the age beyond which events give way; None without a budget, when nobody has to wait."""
    seconds = settings.backlog_age_seconds if settings.api_requests_per_minute else 0
    return timedelta(seconds=seconds) if seconds else None


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
        program_ids=tuple(sorted(settings.program_ids)),
        default_source=settings.api_source,
        timeout_seconds=settings.api_timeout_seconds,
        idempotency_header=settings.api_idempotency_header,
        attribution=_attribution(settings),
        max_connections=settings.max_in_flight,
        user_agent=f"enrolment-worker/{version('enrolment-worker')}",
    )


def _attribution(settings: Settings) -> Attribution | None:
    entity_type, code = settings.api_attribution_entity_type, settings.api_attribution_entity_code
    return None if entity_type is None or code is None else Attribution(entity_type, code)


def capillary_client(
    settings: Settings,
    *,
    observer: RequestObserver | None = None,
    gate: Gate | None = None,
    date_heard: Callable[[datetime], None] | None = None,
) -> CapillaryClient:
    """Return the way to the API; `date_heard` is told the `Date` of each answer.

    Raises SettingsError if the certificates to trust cannot be read.
    """
    try:
        return CapillaryClient(
            capillary_config(settings), observer=observer, gate=gate, date_heard=date_heard
        )
    except ValueError as error:
        raise SettingsError((str(error),)) from None


def _secret(value: SecretStr | None) -> str:
    return "" if value is None else value.get_secret_value()
