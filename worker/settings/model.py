"""The settings themselves: one frozen model, in the groups that the help shows.

A field's name is the variable's, in lower case and without the prefix. Rules between
fields are in `rules`.
"""

from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from topics.names import TopicNames
from worker.domain.identity import Reenrol
from worker.settings import kinds


class _Group(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, defer_build=True
    )
    title: ClassVar[str]


class ConnectionSettings(_Group):
    """How to reach Kafka, and as which consumer group."""

    title: ClassVar[str] = "Kafka"
    kafka_bootstrap_servers: kinds.Servers = Field(description="brokers to start from, host:port,host:port")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="with SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_sasl_username: SecretStr | None = Field(None, description="with SASL: who we are")
    kafka_sasl_password: SecretStr | None = Field(None, description="with SASL: our password")
    kafka_ssl_ca_file: kinds.OptionalFile = Field(
        None, description="with SSL: PEM of the authority that signed the brokers; else the system's"
    )
    kafka_ssl_cert_file: kinds.OptionalFile = Field(None, description="with SSL: PEM of our certificate")
    kafka_ssl_key_file: kinds.OptionalFile = Field(
        None, description="with SSL: PEM of our certificate's key, not encrypted"
    )
    kafka_session_timeout_seconds: kinds.SessionSeconds = Field(
        45.0, description="silence after which the group takes a replica for dead"
    )
    start_wait_seconds: kinds.SecondsOrZero = Field(
        300.0, description="how long a start waits for Kafka while it is away, 0 to try once"
    )
    group_id: kinds.TopicName = Field(
        "enrolment-worker", description="consumer group, and prefix of the ledger's changelog topic"
    )
    auto_offset_reset: Literal["earliest", "latest"] = Field(
        "earliest",
        description="where a group without offsets starts: earliest, or latest (loses what came meanwhile)",
    )


class TopicSettings(_Group):
    """Which topics, and how those are made that `topics create` creates."""

    title: ClassVar[str] = "Topics"
    activity_topic: kinds.TopicName = Field(
        "customer-activity",
        description="what it reads; retries are <it>-retry-1 to -3, dead letters <it>-dlt",
    )
    outcome_topic: kinds.TopicName = Field("enrolment-outcomes", description="where it says what came of it")
    topic_partitions: kinds.Count = Field(8, description="partitions of a topic that it creates")
    topic_replication_factor: kinds.Replicas = Field(1, description="replicas of a topic that it creates")
    ledger_retention_days: kinds.Days = Field(400, description="how long enrolments are remembered")


class LogSettings(_Group):
    """How it logs, to standard error."""

    title: ClassVar[str] = "Logs"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL"
    )
    log_format: Literal["json", "console"] = Field("json", description="json, or console for people")


class ApiSettings(_Group):
    """How to reach the Capillary API. Exactly one pair of credentials is needed."""

    title: ClassVar[str] = "Capillary API"
    api_base_url: kinds.BaseUrl = Field(description="e.g. https://eu.api.capillarytech.com")
    api_version: Literal["v2", "v2.1"] = Field("v2", description="v2, or v2.1 for connected organisations")
    api_data_scope: Literal["SELF", "OTHER", "ALL"] | None = Field(
        None, description="v2.1: whose data, SELF, OTHER or ALL (the API takes none for SELF)"
    )
    api_data_scope_orgs: kinds.OrganisationIds = Field(
        (), description="v2.1: the organisations of the scope; OTHER needs them"
    )
    api_username: SecretStr | None = Field(None, description="Basic: user")
    api_password: SecretStr | None = Field(None, description="Basic: password")
    api_client_key: SecretStr | None = Field(None, description="OAuth: key")
    api_client_secret: SecretStr | None = Field(None, description="OAuth: secret")
    api_source: kinds.Source = Field("INSTORE", description="source of events that name none")
    api_timeout_seconds: kinds.Seconds = Field(10.0, description="limit of a whole request")
    api_requests_per_minute: kinds.Budget = Field(0, description="budget of the whole group, 0 for none")
    api_idempotency_header: kinds.HeaderName = Field(
        "Idempotency-Key", description="header that carries the idempotency key"
    )
    api_attribution_entity_type: kinds.EntityType = Field(
        None, description="what writes are booked to, e.g. TILL, STORE_CODE or STORE_EXTERNAL_ID"
    )
    api_attribution_entity_code: kinds.EntityCode = Field(
        None, description="which till or store of that type; the one needs the other"
    )


class EnrolmentSettings(_Group):
    """Who is enrolled into what, and when."""

    title: ClassVar[str] = "Enrolment"
    org_id: kinds.OrganisationId = Field(
        None,
        description="organisation of the credentials, else the first that an event names; "
        "events of another one are dead letters",
    )
    trigger_events: kinds.Events = Field(
        ("transactionAdded", "customerAdded"), description="events that lead to a lookup, * for all"
    )
    max_event_age_hours: kinds.Hours = Field(0.0, description="older events are not acted on, 0 for off")
    reenrol: Reenrol = Field(Reenrol.ONCE, description="once, after-expiry or every-event")
    program_ids: kinds.Ids = Field(frozenset(), description="only these programs; none for all")
    promotion_ids: kinds.Ids = Field(frozenset(), description="only these promotions; none for all")
    excluded_promotion_ids: kinds.Ids = Field(frozenset(), description="never these promotions")
    limit_cooldown_seconds: kinds.SecondsOrZero = Field(
        3600.0, description="how long an 8890 is trusted without asking again"
    )
    catalogue_refresh_seconds: kinds.SecondsOrZero = Field(
        0.0,
        description="how often to read the promotion list that saves lookups, 0 for off",
    )
    lookup_trust_seconds: kinds.SecondsOrZero = Field(
        0.0, description="how long what a lookup showed of a customer is trusted, 0 for off"
    )
    lookup_always_events: kinds.Names = Field(
        ("customerAdded", "customerUpdated"),
        description="events that are looked up whatever is known, and make it forgotten",
    )
    reenrol_after_revoke: kinds.Flag = Field(
        default=False, description="whether once may enrol again after Capillary took an enrolment back"
    )
    dry_run: kinds.Flag = Field(
        default=False, description="decide and never enrol; needs GROUP_ID and OUTCOME_TOPIC of its own"
    )
    dry_run_ledger_group: kinds.OptionalGroup = Field(
        None, description="dry run: the group whose ledger it reads, and decides by"
    )
    pii_key: SecretStr | None = Field(
        None, description="key of the keyed hash for identifiers; without it they are left out"
    )


class RetrySettings(_Group):
    """How much at once, and what is tried again."""

    title: ClassVar[str] = "Load, retries and outages"
    max_in_flight: kinds.Count = Field(256, description="events being worked on, per replica")
    backlog_age_seconds: kinds.SecondsOrZero = Field(
        300.0,
        description="under a budget, events older than this give way to younger ones (a tenth of the budget "
        "stays theirs), 0 for off",
    )
    retry_max_attempts: kinds.Count = Field(5, description="tries of a request in place")
    retry_initial_seconds: kinds.Seconds = Field(0.2, description="longest wait before the second try")
    retry_max_seconds: kinds.Seconds = Field(10.0, description="longest wait before any try")
    retry_delays_seconds: kinds.Delays = Field((30.0, 300.0, 1800.0), description="delay of each retry topic")
    reconcile_settle_seconds: kinds.SecondsOrZero = Field(
        5.0,
        description="how long the API may take to apply a request and show it in a lookup",
    )
    not_found_grace_seconds: kinds.SecondsOrZero = Field(
        0.0, description="age within which an unknown customer is tried again"
    )
    outage_threshold: kinds.Count = Field(10, description="failures in a row that mean: the API is down")
    outage_probe_seconds: kinds.Seconds = Field(5.0, description="how often to try while it is down")


class ProcessSettings(_Group):
    """The process: its disk, its port, its end."""

    title: ClassVar[str] = "Process"
    state_dir: kinds.Folder = Field(Path(".state"), description="folder of local state")
    ledger_store: Literal["rocksdb", "memory"] = Field("rocksdb", description="rocksdb or memory")
    drain_seconds: kinds.Seconds = Field(
        25.0, description="time to finish work in flight on SIGTERM and on rebalance"
    )
    http_host: kinds.Host = Field("0.0.0.0", description="address of health and metrics")  # noqa: S104 - probes come from outside
    http_port: kinds.Port = Field(6066, description="port of health and metrics")


class KafkaSettings(TopicSettings, ConnectionSettings):
    """What a command needs that works on Kafka alone."""

    @property
    def topic_names(self) -> TopicNames:
        """Every topic's name."""
        return TopicNames(activity=self.activity_topic, outcomes=self.outcome_topic, group_id=self.group_id)


class Settings(LogSettings, ProcessSettings, RetrySettings, EnrolmentSettings, ApiSettings, KafkaSettings):
    """Every setting of the worker. `load_settings` makes one, and also checks the rules between fields."""


GROUPS: Final = (
    ConnectionSettings,
    TopicSettings,
    ApiSettings,
    EnrolmentSettings,
    RetrySettings,
    ProcessSettings,
    LogSettings,
)
"""In the order of the help; together they have the fields of `Settings`."""
