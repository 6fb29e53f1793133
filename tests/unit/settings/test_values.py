"""Values of single settings: names, defaults, kinds, and what a wrong one is told."""

import pytest

from tests.support.unit.given_settings import LEAST, faults, load
from worker.domain.identity import Reenrol
from worker.settings import load_settings, reference

_SERVERS = "host:port,host:port, such as kafka-1:9092,kafka-2:9092"
_THREE_DELAYS = "three numbers of seconds from 0.001 to 604800, such as 30,300,1800"
_ENTITY_TYPE = "one of Capillary's names, such as TILL or STORE_CODE: letters, digits and '_', at most 100"
_ENTITY_CODE = "what an HTTP header can carry: printable ASCII, at most 200 characters"
_OWN_HEADER = "the name of an HTTP header of its own: letters, digits and hyphens, at most 100"


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
        "START_WAIT_SECONDS": "300",
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
        "API_ATTRIBUTION_ENTITY_TYPE": None,
        "API_ATTRIBUTION_ENTITY_CODE": None,
        "MAX_IN_FLIGHT": "256",
        "BACKLOG_AGE_SECONDS": "300",
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
        "LOOKUP_TRUST_SECONDS": "0",
        "LOOKUP_ALWAYS_EVENTS": "customerAdded,customerUpdated",
        "REENROL_AFTER_REVOKE": "false",
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
        ("API_TIMEOUT_SECONDS", "ten", "a number of seconds from 0.001 to 604800"),
        ("API_TIMEOUT_SECONDS", "nan", "a number of seconds from 0.001 to 604800"),
        ("API_REQUESTS_PER_MINUTE", "-5", "a whole number up to 10000000, 0 for no limit"),
        ("API_IDEMPOTENCY_HEADER", "Key: x", _OWN_HEADER),
        ("API_IDEMPOTENCY_HEADER", "Authorization", _OWN_HEADER),
        ("API_IDEMPOTENCY_HEADER", "content-length", _OWN_HEADER),
        ("API_IDEMPOTENCY_HEADER", "Clé", _OWN_HEADER),
        ("API_ATTRIBUTION_ENTITY_TYPE", "STORE CODE", _ENTITY_TYPE),
        ("API_ATTRIBUTION_ENTITY_TYPE", "TILL:", _ENTITY_TYPE),
        ("API_ATTRIBUTION_ENTITY_TYPE", "T" * 101, _ENTITY_TYPE),
        ("API_ATTRIBUTION_ENTITY_CODE", "Zürich", _ENTITY_CODE),
        ("API_ATTRIBUTION_ENTITY_CODE", "a" * 201, _ENTITY_CODE),
        ("API_REQUESTS_PER_MINUTE", "9" * 30, "a whole number up to 10000000, 0 for no limit"),
        ("ORG_ID", "9" * 30, "the number of an organisation"),
        ("PROMOTION_IDS", "1," + "9" * 30, "numbers, such as 17,18"),
        ("OUTAGE_PROBE_SECONDS", "1e-300", "a number of seconds from 0.001 to 604800"),
        ("DRAIN_SECONDS", "1e400", "a number of seconds from 0.001 to 604800"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka..1:9092", _SERVERS),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:٩٠٩٢", _SERVERS),
        ("HTTP_HOST", "a..b", "a host name or address to listen on"),
        ("HTTP_HOST", "::g", "a host name or address to listen on"),
        ("MAX_IN_FLIGHT", "1.5", "a whole number from 1 to 100000"),
        ("BACKLOG_AGE_SECONDS", "-1", "a number of seconds from 0 to 604800"),
        ("RETRY_DELAYS_SECONDS", "30,300", _THREE_DELAYS),
        ("RETRY_DELAYS_SECONDS", "30,300,0", _THREE_DELAYS),
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
    "url",
    [
        *("ftp://x", "x", "https://", "https://h:0", "https://[::1", "https://h/#part", "http://h/a b"),
        *(
            "http://.",
            "http://a..b",
            "http://%00",
            f"http://{'a' * 64}.de",
            "http://münchen.de",
            "http://h/é",
        ),
    ],
)
def test_the_base_url_is_an_address(url: str) -> None:
    """The base URL is http or https, with a host and nothing after the path."""
    assert faults({**LEAST, "API_BASE_URL": url}) == (
        (
            f'ENROLMENT_API_BASE_URL is "{url}"; it must be an http or https address without credentials or '
            "query, such as https://eu.api.capillarytech.com"
        ),
    )


def test_whatever_the_value_its_fault_is_one_line() -> None:
    """Nothing in it breaks the line or a terminal, and a long one is cut."""
    (fault,) = faults({**LEAST, "ORG_ID": "1\r\n\x1b[2J" + "9" * 5000})
    assert fault.startswith(r'ENROLMENT_ORG_ID is "1\r\n\x1b[2J999')
    assert fault.endswith('..." (5007 characters); it must be the number of an organisation')
    assert fault.isprintable()
    assert len(fault) < 400


@pytest.mark.parametrize("url", ["https://till:s3cr3t@eu.example.com", "https://eu.example.com?token=s3cr3t"])
def test_secrets_in_addresses_are_not_repeated(url: str) -> None:
    """An address that holds a secret is refused without being shown."""
    (fault,) = faults({**LEAST, "API_BASE_URL": url})
    assert fault.startswith("ENROLMENT_API_BASE_URL is not shown here; it must be an http")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\tb", "a\x7fb"])
def test_nothing_breaks_out_of_a_header(value: str) -> None:
    """A code that could end its header, or add another, is refused in a line that it cannot break either."""
    (line,) = faults({**LEAST, "API_ATTRIBUTION_ENTITY_TYPE": "TILL", "API_ATTRIBUTION_ENTITY_CODE": value})
    assert line.endswith(f"; it must be {_ENTITY_CODE}")
    assert line.isprintable()


def test_a_store_may_be_named_in_words() -> None:
    """Names of stores have blanks between their words, and codes have dots and slashes."""
    for code in ("High Street, no. 1", "till/001.a", "7"):
        given = {**LEAST, "API_ATTRIBUTION_ENTITY_TYPE": "STORE_NAME", "API_ATTRIBUTION_ENTITY_CODE": code}
        assert load(given).api_attribution_entity_code == code
