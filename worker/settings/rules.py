"""Rules between settings. Each yields one line for every fault it finds."""

import ssl
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any, Final

from worker.domain.identity import Reenrol
from worker.settings.model import KafkaSettings, Settings
from worker.settings.naming import variable

Rule = Callable[[Any], Iterator[str]]

_RULES: Final[list[tuple[frozenset[str], Rule]]] = []


def broken_rules(draft: KafkaSettings, sound: frozenset[str]) -> Iterator[str]:
    """Yield the faults of a draft, by the rules that read nothing but its sound fields."""
    for reads, rule in _RULES:
        if reads <= sound:
            yield from rule(draft)


def _reads(*fields: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        _RULES.append((frozenset(fields), rule))
        return rule

    return register


@_reads("kafka_security_protocol", "kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
def _sasl_is_all_or_nothing(settings: KafkaSettings) -> Iterator[str]:
    protocol = settings.kafka_security_protocol
    for field in ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password"):
        given = getattr(settings, field) is not None
        if protocol.startswith("SASL") and not given:
            yield f"{variable(field)} is required with {variable('kafka_security_protocol')}={protocol}"
        if given and not protocol.startswith("SASL"):
            yield (
                f"{variable(field)} has no effect with {variable('kafka_security_protocol')}={protocol}; "
                "set that to SASL_SSL or SASL_PLAINTEXT, or leave this out"
            )


_SSL_FILES: Final = ("kafka_ssl_ca_file", "kafka_ssl_cert_file", "kafka_ssl_key_file")


@_reads("kafka_security_protocol", *_SSL_FILES)
def _files_need_ssl(settings: KafkaSettings) -> Iterator[str]:
    protocol = settings.kafka_security_protocol
    if protocol in ("SSL", "SASL_SSL"):
        return
    for field in _SSL_FILES:
        if getattr(settings, field) is not None:
            yield (
                f"{variable(field)} has no effect with {variable('kafka_security_protocol')}={protocol}; "
                "set that to SSL or SASL_SSL, or leave this out"
            )


@_reads("kafka_ssl_cert_file", "kafka_ssl_key_file")
def _certificate_and_key_together(settings: KafkaSettings) -> Iterator[str]:
    yield from _half_a_pair(settings, "kafka_ssl_cert_file", "kafka_ssl_key_file")


@_reads("kafka_ssl_ca_file")
def _authority_is_pem(settings: KafkaSettings) -> Iterator[str]:
    if settings.kafka_ssl_ca_file is not None:
        try:
            ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
        except OSError:
            yield f"{variable('kafka_ssl_ca_file')} names a file without PEM certificates"


@_reads("kafka_ssl_cert_file", "kafka_ssl_key_file")
def _certificate_fits_key(settings: KafkaSettings) -> Iterator[str]:
    certificate, key = settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file
    if certificate is not None and key is not None:
        try:
            # A password, and be it empty, keeps OpenSSL from asking the terminal for one.
            ssl.create_default_context().load_cert_chain(certificate, key, password="")
        except (OSError, ValueError):
            yield (
                f"{variable('kafka_ssl_cert_file')} and {variable('kafka_ssl_key_file')} must name a PEM "
                "certificate and its key, not encrypted"
            )


@_reads("activity_topic", "outcome_topic", "group_id")
def _topics_differ(settings: KafkaSettings) -> Iterator[str]:
    names = settings.topic_names
    derived = f"derived from {variable('activity_topic')}"
    roles = [
        (names.activity, variable("activity_topic")),
        *((retry, f"a retry topic {derived}") for retry in names.retries),
        (names.dead_letters, f"the dead-letter topic {derived}"),
        (names.outcomes, variable("outcome_topic")),
        (names.ledger, f"the ledger's changelog derived from {variable('group_id')}"),
    ]
    for (first, role), (second, other) in combinations(roles, 2):
        # Kafka refuses a topic whose name differs from another's only by '.' and '_'.
        if first.replace(".", "_") == second.replace(".", "_"):
            yield f'"{second}" is both {role} and {other}; give each topic a name of its own'


@_reads("api_username", "api_password", "api_client_key", "api_client_secret")
def _one_pair_of_credentials(settings: Settings) -> Iterator[str]:
    basic = (settings.api_username, settings.api_password)
    oauth = (settings.api_client_key, settings.api_client_secret)
    pairs = (
        f"{variable('api_username')} and {variable('api_password')} (Basic), or "
        f"{variable('api_client_key')} and {variable('api_client_secret')} (OAuth)"
    )
    if any(basic) and any(oauth):
        yield f"two kinds of credentials are given; keep either {pairs}"
    elif not any(basic) and not any(oauth):
        yield f"no credentials for the API are given; set either {pairs}"
    else:
        yield from _half_a_pair(settings, "api_username", "api_password")
        yield from _half_a_pair(settings, "api_client_key", "api_client_secret")


@_reads("api_username")
def _user_without_colon(settings: Settings) -> Iterator[str]:
    user = settings.api_username
    if user is not None and ":" in user.get_secret_value():
        yield f"{variable('api_username')} has a colon, which Basic credentials cannot carry (RFC 7617)"


@_reads("api_version", "api_data_scope", "api_data_scope_orgs")
def _scope_belongs_to_connected_organisations(settings: Settings) -> Iterator[str]:
    if settings.api_version != "v2.1":
        for field in ("api_data_scope", "api_data_scope_orgs"):
            if getattr(settings, field):
                yield (
                    f"{variable(field)} has no effect with {variable('api_version')}={settings.api_version}; "
                    "set that to v2.1, or leave this out"
                )
    elif settings.api_data_scope == "OTHER" and not settings.api_data_scope_orgs:
        yield f"{variable('api_data_scope_orgs')} is required with {variable('api_data_scope')}=OTHER"


@_reads("api_attribution_entity_type", "api_attribution_entity_code")
def _attribution_is_all_or_nothing(settings: Settings) -> Iterator[str]:
    yield from _half_a_pair(settings, "api_attribution_entity_type", "api_attribution_entity_code")


@_reads("catalogue_refresh_seconds", "api_data_scope")
def _catalogue_knows_one_organisation(settings: Settings) -> Iterator[str]:
    if settings.catalogue_refresh_seconds and settings.api_data_scope in ("OTHER", "ALL"):
        yield (
            f"{variable('catalogue_refresh_seconds')} cannot be used with "
            f"{variable('api_data_scope')}={settings.api_data_scope}: the promotion list shows the "
            "credentials' own organisation only; leave it out, or set the scope to SELF"
        )


@_reads("api_timeout_seconds", "kafka_session_timeout_seconds")
def _request_ends_within_the_session(settings: Settings) -> Iterator[str]:
    request, session = settings.api_timeout_seconds, settings.kafka_session_timeout_seconds
    if request >= session:
        yield (
            f"{variable('api_timeout_seconds')} is {request:g}; it must be below "
            f"{variable('kafka_session_timeout_seconds')} ({session:g}), or an enrolment "
            "could still be under way when another replica takes over"
        )


@_reads("retry_initial_seconds", "retry_max_seconds")
def _waits_grow(settings: Settings) -> Iterator[str]:
    initial, longest = settings.retry_initial_seconds, settings.retry_max_seconds
    if initial > longest:
        yield (
            f"{variable('retry_initial_seconds')} is {initial:g}; it must not be above "
            f"{variable('retry_max_seconds')} ({longest:g})"
        )


@_reads("promotion_ids", "excluded_promotion_ids")
def _something_is_left_to_enrol_into(settings: Settings) -> Iterator[str]:
    if settings.promotion_ids and settings.promotion_ids <= settings.excluded_promotion_ids:
        yield (
            f"{variable('excluded_promotion_ids')} excludes all of {variable('promotion_ids')}; "
            "take out of it what is to be enrolled into"
        )


@_reads("reenrol", "api_version")
def _expiry_needs_timelines(settings: Settings) -> Iterator[str]:
    if settings.reenrol is Reenrol.AFTER_EXPIRY and settings.api_version == "v2.1":
        yield (
            f"{variable('reenrol')}=after-expiry needs timelines, which {variable('api_version')}=v2.1 does "
            "not show; set it to once or every-event, or use v2"
        )


@_reads("dry_run", "group_id")
def _dry_run_has_its_group(settings: Settings) -> Iterator[str]:
    yield from _dry_run_needs(settings, "group_id", "a consumer group")


@_reads("dry_run", "outcome_topic")
def _dry_run_has_its_outcomes(settings: Settings) -> Iterator[str]:
    yield from _dry_run_needs(settings, "outcome_topic", "a topic for outcomes")


@_reads("dry_run", "dry_run_ledger_group")
def _ledger_group_belongs_to_dry_runs(settings: Settings) -> Iterator[str]:
    if settings.dry_run_ledger_group is not None and not settings.dry_run:
        yield f"{variable('dry_run_ledger_group')} has no effect without {variable('dry_run')}=true"


@_reads("group_id", "dry_run_ledger_group")
def _dry_run_is_not_its_own_model(settings: Settings) -> Iterator[str]:
    if settings.dry_run_ledger_group == settings.group_id:
        yield (
            f"{variable('dry_run_ledger_group')} and {variable('group_id')} are both {settings.group_id}; "
            "give the dry run a consumer group of its own"
        )


def _dry_run_needs(settings: Settings, field: str, what: str) -> Iterator[str]:
    if settings.dry_run and field not in settings.model_fields_set:
        yield f"{variable(field)} is required with {variable('dry_run')}=true; give it {what} of its own"


def _half_a_pair(settings: KafkaSettings, first: str, second: str) -> Iterator[str]:
    for given, missing in ((first, second), (second, first)):
        if getattr(settings, given) is not None and getattr(settings, missing) is None:
            yield f"{variable(missing)} is required with {variable(given)}"
