"""Settings: what is accepted, what each mistake is told, and that secrets stay secret."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from worker.domain.identity import Reenrol
from worker.settings import (
    KafkaSettings,
    Settings,
    SettingsError,
    load_settings,
    not_yet_effective,
    reference,
)

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092"}
BASIC = {"API_USERNAME": "till", "API_PASSWORD": "s3cr3t-password"}
OAUTH = {"API_CLIENT_KEY": "s3cr3t-key", "API_CLIENT_SECRET": "s3cr3t-secret"}
LEAST = {**KAFKA, "API_BASE_URL": "https://eu.example.com", **BASIC}
SASL = {
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "worker",
    "KAFKA_SASL_PASSWORD": "s3cr3t",
}


def load(settings: Mapping[str, str]) -> Settings:
    """Load settings given without their prefix."""
    return load_settings({f"ENROLMENT_{name}": value for name, value in settings.items()})


def faults(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the faults of settings given without their prefix."""
    with pytest.raises(SettingsError) as caught:
        load(settings)
    return caught.value.faults


def without(*names: str) -> dict[str, str]:
    """Return the least settings but these."""
    return {name: value for name, value in LEAST.items() if name not in names}


def case(settings: dict[str, str], *expected: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return settings with the lines they must be told."""
    return settings, expected


def test_contract_names_and_defaults() -> None:
    """Names and defaults are those of the contract."""
    defaults = {
        setting.name.removeprefix("ENROLMENT_"): "required" if setting.required else setting.default
        for group in reference()
        for setting in group.settings
    }
    assert defaults == {
        "KAFKA_BOOTSTRAP_SERVERS": "required",
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "KAFKA_SASL_MECHANISM": None,
        "KAFKA_SASL_USERNAME": None,
        "KAFKA_SASL_PASSWORD": None,
        "KAFKA_SSL_CA_FILE": None,
        "KAFKA_SSL_CERT_FILE": None,
        "KAFKA_SSL_KEY_FILE": None,
        "GROUP_ID": "enrolment-worker",
        "AUTO_OFFSET_RESET": "earliest",
        "MAX_EVENT_AGE_HOURS": "0",
        "KAFKA_SESSION_TIMEOUT_SECONDS": "45",
        "ORG_ID": None,
        "ACTIVITY_TOPIC": "customer-activity",
        "OUTCOME_TOPIC": "enrolment-outcomes",
        "TOPIC_PARTITIONS": "8",
        "TOPIC_REPLICATION_FACTOR": "1",
        "API_BASE_URL": "required",
        "API_VERSION": "v2",
        "API_DATA_SCOPE": None,
        "API_DATA_SCOPE_ORGS": None,
        "API_USERNAME": None,
        "API_PASSWORD": None,
        "API_CLIENT_KEY": None,
        "API_CLIENT_SECRET": None,
        "API_SOURCE": "INSTORE",
        "API_TIMEOUT_SECONDS": "10",
        "API_REQUESTS_PER_MINUTE": "0",
        "API_IDEMPOTENCY_HEADER": "Idempotency-Key",
        "MAX_IN_FLIGHT": "256",
        "RETRY_MAX_ATTEMPTS": "5",
        "RETRY_INITIAL_SECONDS": "0.2",
        "RETRY_MAX_SECONDS": "10",
        "RETRY_DELAYS_SECONDS": "30,300,1800",
        "RECONCILE_SETTLE_SECONDS": "5",
        "NOT_FOUND_GRACE_SECONDS": "0",
        "OUTAGE_THRESHOLD": "10",
        "OUTAGE_PROBE_SECONDS": "5",
        "REENROL": "once",
        "TRIGGER_EVENTS": "transactionAdded,customerAdded",
        "PROGRAM_IDS": None,
        "PROMOTION_IDS": None,
        "EXCLUDED_PROMOTION_IDS": None,
        "LIMIT_COOLDOWN_SECONDS": "3600",
        "CATALOGUE_REFRESH_SECONDS": "0",
        "DRY_RUN": "false",
        "DRY_RUN_LEDGER_GROUP": None,
        "STATE_DIR": ".state",
        "LEDGER_STORE": "rocksdb",
        "LEDGER_RETENTION_DAYS": "400",
        "DRAIN_SECONDS": "25",
        "HTTP_HOST": "0.0.0.0",  # noqa: S104 - the contract's default
        "HTTP_PORT": "6066",
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "json",
        "PII_KEY": None,
    }


def test_defaults_satisfy_their_own_rules() -> None:
    """Every default, written as text, is accepted and means the same."""
    texts = {
        setting.name: setting.default
        for group in reference()
        for setting in group.settings
        if setting.default is not None
    }
    least = {f"ENROLMENT_{name}": value for name, value in LEAST.items()}
    assert load_settings({**texts, **least}) == load(LEAST)


def test_every_kind_of_value_is_read() -> None:
    """Lists, numbers, switches and addresses arrive with their types; blanks around them do not matter."""
    settings = load(
        {
            **LEAST,
            "KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092, [::1]:9093",
            "API_BASE_URL": " http://127.0.0.1:8080/capillary/ ",
            "RETRY_DELAYS_SECONDS": "1,2.5,3",
            "PROMOTION_IDS": "17, 18",
            "TRIGGER_EVENTS": "*",
            "ORG_ID": "1800",
            "DRY_RUN": "True",
            "GROUP_ID": "dry",
            "OUTCOME_TOPIC": "dry-outcomes",
            "REENROL": "after-expiry",
        }
    )
    assert settings.kafka_bootstrap_servers == ("kafka-1:9092", "[::1]:9093")
    assert settings.api_base_url == "http://127.0.0.1:8080/capillary"
    assert settings.retry_delays_seconds == (1.0, 2.5, 3.0)
    assert settings.promotion_ids == {17, 18}
    assert settings.trigger_events == ("*",)
    assert settings.org_id == 1800
    assert settings.dry_run is True
    assert settings.reenrol is Reenrol.AFTER_EXPIRY


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka-1", "host:port,host:port, such as kafka-1:9092,kafka-2:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:0", "host:port,host:port, such as kafka-1:9092,kafka-2:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", ",", "host:port,host:port, such as kafka-1:9092,kafka-2:9092"),
        ("KAFKA_SECURITY_PROTOCOL", "ssl", "one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI", "one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        ("KAFKA_SSL_CA_FILE", "/nowhere/ca.pem", "the path of a file that this process can read"),
        ("KAFKA_SESSION_TIMEOUT_SECONDS", "0", "a number of seconds from 1 to 1800"),
        ("GROUP_ID", "our group", "a Kafka name: letters, digits, '.', '_' and '-', at most 232 characters"),
        ("ACTIVITY_TOPIC", "..", "a Kafka name: letters, digits, '.', '_' and '-', at most 232 characters"),
        (
            "OUTCOME_TOPIC",
            "x" * 233,
            "a Kafka name: letters, digits, '.', '_' and '-', at most 232 characters",
        ),
        ("AUTO_OFFSET_RESET", "none", "one of earliest, latest"),
        ("TOPIC_PARTITIONS", "0", "a whole number from 1 to 100000"),
        ("TOPIC_REPLICATION_FACTOR", "-1", "a whole number from 1 to 32767"),
        ("MAX_EVENT_AGE_HOURS", "-1", "a number of hours, 0 for off"),
        ("ORG_ID", "acme", "the number of an organisation"),
        ("API_VERSION", "v3", "one of v2, v2.1"),
        ("API_DATA_SCOPE", "self", "one of SELF, OTHER, ALL"),
        ("API_DATA_SCOPE_ORGS", "acme", "numbers of organisations, such as 1800,1801"),
        ("API_TIMEOUT_SECONDS", "ten", "a number of seconds above 0 and at most 604800"),
        ("API_TIMEOUT_SECONDS", "nan", "a number of seconds above 0 and at most 604800"),
        ("API_REQUESTS_PER_MINUTE", "-5", "a whole number, 0 for no limit"),
        ("API_IDEMPOTENCY_HEADER", "Key: x", "the name of an HTTP header: letters, digits and hyphens"),
        ("MAX_IN_FLIGHT", "1.5", "a whole number from 1 to 100000"),
        ("RETRY_DELAYS_SECONDS", "30,300", "three numbers of seconds above 0, such as 30,300,1800"),
        ("RETRY_DELAYS_SECONDS", "30,300,0", "three numbers of seconds above 0, such as 30,300,1800"),
        ("RECONCILE_SETTLE_SECONDS", "-1", "a number of seconds from 0 to 604800"),
        ("REENROL", "always", "one of once, after-expiry, every-event"),
        ("TRIGGER_EVENTS", "*,a", "event names, such as transactionAdded,customerAdded, or * alone for all"),
        ("PROGRAM_IDS", "1,two", "numbers, such as 17,18"),
        ("DRY_RUN", "yes", "true or false"),
        ("DRY_RUN", "1", "true or false"),
        ("LEDGER_STORE", "disk", "one of rocksdb, memory"),
        ("LEDGER_RETENTION_DAYS", "0", "a whole number of days from 1 to 36500"),
        ("HTTP_PORT", "70000", "a port from 1 to 65535"),
        ("LOG_LEVEL", "debug", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("LOG_FORMAT", "text", "one of json, console"),
    ],
)
def test_a_wrong_value_is_told_with_what_it_must_be(name: str, value: str, expected: str) -> None:
    """A wrong value costs one line: the variable, the value, the remedy."""
    assert faults({**LEAST, name: value}) == (f'ENROLMENT_{name} is "{value}"; it must be {expected}',)


@pytest.mark.parametrize("source", ["ALL", "MOBILE_APP", "instore"])
def test_the_source_is_one_that_both_endpoints_know(source: str) -> None:
    """A source of only one of lookup and issue is refused."""
    (fault,) = faults({**LEAST, "API_SOURCE": source})
    assert fault.startswith(f'ENROLMENT_API_SOURCE is "{source}"; it must be one of FACEBOOK, ')


@pytest.mark.parametrize(
    "url", ["ftp://x", "x", "https://", "https://h:0", "https://[::1", "https://h/#part", "http://h/a b"]
)
def test_the_base_url_is_an_address(url: str) -> None:
    """The base URL is http or https, with a host and nothing after the path."""
    assert faults({**LEAST, "API_BASE_URL": url}) == (
        f'ENROLMENT_API_BASE_URL is "{url}"; it must be an http or https address without credentials or query, '
        "such as https://eu.api.capillarytech.com",
    )


@pytest.mark.parametrize("url", ["https://till:s3cr3t@eu.example.com", "https://eu.example.com?token=s3cr3t"])
def test_secrets_in_addresses_are_not_repeated(url: str) -> None:
    """An address that holds a secret is refused without being shown."""
    (fault,) = faults({**LEAST, "API_BASE_URL": url})
    assert fault.startswith("ENROLMENT_API_BASE_URL is not shown here; it must be an http")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        case(
            without("KAFKA_BOOTSTRAP_SERVERS"),
            "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS is required; set it to host:port,host:port, such as "
            "kafka-1:9092,kafka-2:9092",
        ),
        case(
            {**LEAST, "API_BASE_URL": " "},
            "ENROLMENT_API_BASE_URL is required; set it to an http or https address without credentials or "
            "query, such as https://eu.api.capillarytech.com",
        ),
        case(
            {**LEAST, **SASL},
            *(
                f"ENROLMENT_{name} has no effect with ENROLMENT_KAFKA_SECURITY_PROTOCOL=PLAINTEXT; set that to "
                "SASL_SSL or SASL_PLAINTEXT, or leave this out"
                for name in SASL
            ),
        ),
        case(
            {**LEAST, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
            *(
                f"ENROLMENT_{name} is required with ENROLMENT_KAFKA_SECURITY_PROTOCOL=SASL_SSL"
                for name in SASL
            ),
        ),
        case(
            without("API_USERNAME", "API_PASSWORD"),
            "no credentials for the API are given; set either ENROLMENT_API_USERNAME and ENROLMENT_API_PASSWORD "
            "(Basic), or ENROLMENT_API_CLIENT_KEY and ENROLMENT_API_CLIENT_SECRET (OAuth)",
        ),
        case(
            {**LEAST, **OAUTH},
            "two kinds of credentials are given; keep either ENROLMENT_API_USERNAME and ENROLMENT_API_PASSWORD "
            "(Basic), or ENROLMENT_API_CLIENT_KEY and ENROLMENT_API_CLIENT_SECRET (OAuth)",
        ),
        case(without("API_PASSWORD"), "ENROLMENT_API_PASSWORD is required with ENROLMENT_API_USERNAME"),
        case(
            {**without("API_USERNAME", "API_PASSWORD"), "API_CLIENT_SECRET": "s3cr3t"},
            "ENROLMENT_API_CLIENT_KEY is required with ENROLMENT_API_CLIENT_SECRET",
        ),
        case(
            {**LEAST, "API_USERNAME": "s3cr3t:user"},
            "ENROLMENT_API_USERNAME has a colon, which Basic credentials cannot carry (RFC 7617)",
        ),
        case(
            {**LEAST, "API_DATA_SCOPE": "SELF"},
            "ENROLMENT_API_DATA_SCOPE has no effect with ENROLMENT_API_VERSION=v2; set that to v2.1, or leave "
            "this out",
        ),
        case(
            {**LEAST, "API_VERSION": "v2.1", "API_DATA_SCOPE": "OTHER"},
            "ENROLMENT_API_DATA_SCOPE_ORGS is required with ENROLMENT_API_DATA_SCOPE=OTHER",
        ),
        case(
            {**LEAST, "API_VERSION": "v2.1", "REENROL": "after-expiry"},
            "ENROLMENT_REENROL=after-expiry needs timelines, which ENROLMENT_API_VERSION=v2.1 does not show; "
            "set it to once or every-event, or use v2",
        ),
        case(
            {**LEAST, "API_TIMEOUT_SECONDS": "45"},
            "ENROLMENT_API_TIMEOUT_SECONDS is 45; it must be below ENROLMENT_KAFKA_SESSION_TIMEOUT_SECONDS "
            "(45), or an enrolment could still be under way when another replica takes over",
        ),
        case(
            {**LEAST, "RETRY_INITIAL_SECONDS": "11"},
            "ENROLMENT_RETRY_INITIAL_SECONDS is 11; it must not be above ENROLMENT_RETRY_MAX_SECONDS (10)",
        ),
        case(
            {**LEAST, "PROMOTION_IDS": "1,2", "EXCLUDED_PROMOTION_IDS": "1,2,3"},
            "ENROLMENT_EXCLUDED_PROMOTION_IDS excludes all of ENROLMENT_PROMOTION_IDS; take out of it what is "
            "to be enrolled into",
        ),
        case(
            {**LEAST, "DRY_RUN": "true"},
            "ENROLMENT_GROUP_ID is required with ENROLMENT_DRY_RUN=true; give it a consumer group of its own",
            "ENROLMENT_OUTCOME_TOPIC is required with ENROLMENT_DRY_RUN=true; give it a topic for outcomes of "
            "its own",
        ),
        case(
            {**LEAST, "DRY_RUN_LEDGER_GROUP": "other"},
            "ENROLMENT_DRY_RUN_LEDGER_GROUP has no effect without ENROLMENT_DRY_RUN=true",
        ),
        case(
            {**LEAST, "OUTCOME_TOPIC": "customer-activity-dlt"},
            '"customer-activity-dlt" is both the dead-letter topic derived from ENROLMENT_ACTIVITY_TOPIC and '
            "ENROLMENT_OUTCOME_TOPIC; give each topic a name of its own",
        ),
        case(
            {**LEAST, "ACTIVITY_TOPIC": "a.b", "OUTCOME_TOPIC": "a_b"},
            '"a_b" is both ENROLMENT_ACTIVITY_TOPIC and ENROLMENT_OUTCOME_TOPIC; give each topic a name of its '
            "own",
        ),
        case(
            {**LEAST, "GROUPID": "x"},
            "ENROLMENT_GROUPID is not a setting; did you mean ENROLMENT_GROUP_ID?",
        ),
        case(
            {**LEAST, "API_PASSWORD_FIEL": "x"},
            "ENROLMENT_API_PASSWORD_FIEL is not a setting; did you mean ENROLMENT_API_PASSWORD_FILE?",
        ),
        case(
            {**LEAST, "HTTP_PORT": "tcp://10.0.0.1:80"},
            'ENROLMENT_HTTP_PORT is "tcp://10.0.0.1:80", as Kubernetes sets it for a Service of that name '
            "(enableServiceLinks: false stops it); it must be a port from 1 to 65535",
        ),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, str], expected: tuple[str, ...]) -> None:
    """Every broken rule costs one line that names the variables and the remedy."""
    assert faults(settings) == expected


def test_all_faults_are_told_at_once() -> None:
    """Unknown names, wrong values, missing values and broken rules come in one go."""
    found = faults({"NAME": "x", "HTTP_PORT": "0", "REENROL": "after-expiry", "API_VERSION": "v2.1", **OAUTH})
    assert [fault.split(" ")[0].split("=")[0] for fault in found] == [
        "ENROLMENT_NAME",
        "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS",
        "ENROLMENT_API_BASE_URL",
        "ENROLMENT_HTTP_PORT",
        "ENROLMENT_REENROL",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "PORT",
        "WORKER_SERVICE_HOST",
        "WORKER_SERVICE_PORT",
        "WORKER_SERVICE_PORT_HTTP",
        "WORKER_PORT",
        "WORKER_PORT_6066_TCP_ADDR",
    ],
)
def test_what_kubernetes_injects_is_ignored(name: str) -> None:
    """Variables of a Service whose name begins like ours are no faults, nor is anything without our prefix."""
    injected = {f"ENROLMENT_{name}": "tcp://10.0.0.1:6066", "PATH": "/bin"}
    least = {f"ENROLMENT_{known}": value for known, value in LEAST.items()}
    assert load_settings({**injected, **least}) == load(LEAST)


def test_an_empty_variable_is_not_given() -> None:
    """Empty variables, as charts and compose files produce them, leave the defaults."""
    names = [setting.name for group in reference() for setting in group.settings]
    empty = dict.fromkeys(names, "") | {f"ENROLMENT_{name}": value for name, value in LEAST.items()}
    assert load_settings(empty) == load(LEAST)
    assert len(faults({**LEAST, "DRY_RUN": "true", "GROUP_ID": "", "OUTCOME_TOPIC": ""})) == 2


def test_a_secret_may_come_as_a_file(tmp_path: Path) -> None:
    """The file's content counts, without the newline at its end."""
    file = tmp_path / "password"
    for content in ("s3cr3t", "s3cr3t\n", "s3cr3t\r\n"):
        file.write_bytes(content.encode())
        password = load({**without("API_PASSWORD"), "API_PASSWORD_FILE": str(file)}).api_password
        assert password is not None
        assert password.get_secret_value() == "s3cr3t"


def test_faults_of_secret_files(tmp_path: Path) -> None:
    """A secret given twice, a missing file, an empty one and a binary one are told, none of them shown."""
    empty, binary, missing = tmp_path / "empty", tmp_path / "binary", tmp_path / "missing"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    assert faults({**LEAST, "API_PASSWORD_FILE": str(empty)}) == (
        "ENROLMENT_API_PASSWORD and ENROLMENT_API_PASSWORD_FILE are both given; keep one of them",
    )
    for file, text in (
        (empty, "is empty; write the secret into it"),
        (binary, "is not UTF-8 text; write the secret alone into it"),
        (missing, "cannot be read (No such file or directory); correct its path or permissions"),
    ):
        assert faults({**LEAST, "PII_KEY_FILE": str(file)}) == (
            f"ENROLMENT_PII_KEY_FILE names {file}, which {text}",
        )


def test_tls_files_are_tried(tmp_path: Path) -> None:
    """Files that hold no certificate, or a certificate without its key, are faults at start."""
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    tls = {**LEAST, "KAFKA_SECURITY_PROTOCOL": "SSL"}
    assert faults({**tls, "KAFKA_SSL_CA_FILE": str(text)}) == (
        "ENROLMENT_KAFKA_SSL_CA_FILE names a file without PEM certificates",
    )
    assert faults({**tls, "KAFKA_SSL_CERT_FILE": str(text)}) == (
        "ENROLMENT_KAFKA_SSL_KEY_FILE is required with ENROLMENT_KAFKA_SSL_CERT_FILE",
    )
    assert faults({**tls, "KAFKA_SSL_CERT_FILE": str(text), "KAFKA_SSL_KEY_FILE": str(text)}) == (
        "ENROLMENT_KAFKA_SSL_CERT_FILE and ENROLMENT_KAFKA_SSL_KEY_FILE must name a PEM certificate and its "
        "key, not encrypted",
    )
    assert faults({**LEAST, "KAFKA_SSL_KEY_FILE": str(text), "KAFKA_SSL_CERT_FILE": str(text)})[:2] == tuple(
        f"ENROLMENT_{name} has no effect with ENROLMENT_KAFKA_SECURITY_PROTOCOL=PLAINTEXT; set that to SSL or "
        "SASL_SSL, or leave this out"
        for name in ("KAFKA_SSL_CERT_FILE", "KAFKA_SSL_KEY_FILE")
    )


def test_no_secret_is_ever_shown() -> None:
    """Neither settings nor their faults show a secret's value."""
    secrets = {**BASIC, **SASL, **OAUTH, "PII_KEY": "s3cr3t-pii"}
    assert "s3cr3t" not in "\n".join(faults({**KAFKA, **secrets, "PII_KEY_FILE": "/x"}))
    settings = load({**LEAST, **SASL, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "PII_KEY": "s3cr3t-pii"})
    assert "s3cr3t" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_topics_need_nothing_of_the_api() -> None:
    """The settings of Kafka stand alone: neither missing nor wrong settings of the API matter, typos do."""
    assert (
        load_settings(
            {"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": "k:1", "ENROLMENT_API_VERSION": "v9"}, KafkaSettings
        ).topic_names.dead_letters
        == "customer-activity-dlt"
    )
    with pytest.raises(SettingsError, match="did you mean ENROLMENT_GROUP_ID"):
        load_settings({"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": "k:1", "ENROLMENT_GROUP": "x"}, KafkaSettings)


def test_settings_without_effect_are_told() -> None:
    """Each setting that this release does not act on is named once it is changed, and only then."""
    assert not_yet_effective(load({**LEAST, "OUTAGE_THRESHOLD": "10"})) == ()
    changed = {"OUTAGE_THRESHOLD": "11", "RETRY_DELAYS_SECONDS": "1,2,3", "MAX_IN_FLIGHT": "9"}
    assert not_yet_effective(load({**LEAST, **changed})) == (
        "ENROLMENT_RETRY_DELAYS_SECONDS is set, and this release does not act on it yet",
        "ENROLMENT_OUTAGE_THRESHOLD is set, and this release does not act on it yet",
    )
