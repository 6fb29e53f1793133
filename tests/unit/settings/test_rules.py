"""Rules between settings: each broken one is told in a line of its own."""

from pathlib import Path

import pytest

from tests.support.unit.given_settings import LEAST, OAUTH, SASL, faults, without


def case(settings: dict[str, str], *expected: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return settings with the lines they must be told."""
    return settings, expected


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
                f"ENROLMENT_{name} has no effect with ENROLMENT_KAFKA_SECURITY_PROTOCOL=PLAINTEXT; set that "
                "to SASL_SSL or SASL_PLAINTEXT, or leave this out"
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
            "no credentials for the API are given; set either ENROLMENT_API_USERNAME and "
            "ENROLMENT_API_PASSWORD (Basic), or ENROLMENT_API_CLIENT_KEY and "
            "ENROLMENT_API_CLIENT_SECRET (OAuth)",
        ),
        case(
            {**LEAST, **OAUTH},
            "two kinds of credentials are given; keep either ENROLMENT_API_USERNAME and "
            "ENROLMENT_API_PASSWORD (Basic), or ENROLMENT_API_CLIENT_KEY and "
            "ENROLMENT_API_CLIENT_SECRET (OAuth)",
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
            {**LEAST, "API_ATTRIBUTION_ENTITY_TYPE": "TILL"},
            "ENROLMENT_API_ATTRIBUTION_ENTITY_CODE is required with ENROLMENT_API_ATTRIBUTION_ENTITY_TYPE",
        ),
        case(
            {**LEAST, "API_ATTRIBUTION_ENTITY_CODE": "till.001"},
            "ENROLMENT_API_ATTRIBUTION_ENTITY_TYPE is required with ENROLMENT_API_ATTRIBUTION_ENTITY_CODE",
        ),
        case(
            {**LEAST, "API_DATA_SCOPE": "SELF"},
            "ENROLMENT_API_DATA_SCOPE has no effect with ENROLMENT_API_VERSION=v2; set that to v2.1, or "
            "leave this out",
        ),
        case(
            {**LEAST, "API_VERSION": "v2.1", "API_DATA_SCOPE": "OTHER"},
            "ENROLMENT_API_DATA_SCOPE_ORGS is required with ENROLMENT_API_DATA_SCOPE=OTHER",
        ),
        *(
            case(
                {**LEAST, "API_VERSION": "v2.1", "API_DATA_SCOPE": scope, "API_DATA_SCOPE_ORGS": "1"}
                | {"CATALOGUE_REFRESH_SECONDS": "300"},
                f"ENROLMENT_CATALOGUE_REFRESH_SECONDS cannot be used with ENROLMENT_API_DATA_SCOPE={scope}: "
                "the promotion list shows the credentials' own organisation only; leave it out, or set the "
                "scope to SELF",
            )
            for scope in ("OTHER", "ALL")
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
            "ENROLMENT_EXCLUDED_PROMOTION_IDS excludes all of ENROLMENT_PROMOTION_IDS; take out of it what "
            "is to be enrolled into",
        ),
        case(
            {**LEAST, "DRY_RUN": "true"},
            "ENROLMENT_GROUP_ID is required with ENROLMENT_DRY_RUN=true; give it a consumer group of its own",
            "ENROLMENT_OUTCOME_TOPIC is required with ENROLMENT_DRY_RUN=true; give it a topic for outcomes "
            "of its own",
        ),
        case(
            {**LEAST, "DRY_RUN_LEDGER_GROUP": "other"},
            "ENROLMENT_DRY_RUN_LEDGER_GROUP has no effect without ENROLMENT_DRY_RUN=true",
        ),
        case(
            {**LEAST, "DRY_RUN": "true", "GROUP_ID": "g", "OUTCOME_TOPIC": "o", "DRY_RUN_LEDGER_GROUP": "g"},
            "ENROLMENT_DRY_RUN_LEDGER_GROUP and ENROLMENT_GROUP_ID are both g; "
            "give the dry run a consumer group of its own",
        ),
        case(
            {**LEAST, "OUTCOME_TOPIC": "customer-activity-dlt"},
            '"customer-activity-dlt" is both the dead-letter topic derived from ENROLMENT_ACTIVITY_TOPIC and '
            "ENROLMENT_OUTCOME_TOPIC; give each topic a name of its own",
        ),
        case(
            {**LEAST, "ACTIVITY_TOPIC": "a.b", "OUTCOME_TOPIC": "a_b"},
            '"a_b" is both ENROLMENT_ACTIVITY_TOPIC and ENROLMENT_OUTCOME_TOPIC; give each topic a name of '
            "its own",
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
        (
            "ENROLMENT_KAFKA_SSL_CERT_FILE and ENROLMENT_KAFKA_SSL_KEY_FILE must name a PEM certificate and "
            "its key, not encrypted"
        ),
    )
    assert faults({**LEAST, "KAFKA_SSL_KEY_FILE": str(text), "KAFKA_SSL_CERT_FILE": str(text)})[:2] == tuple(
        f"ENROLMENT_{name} has no effect with ENROLMENT_KAFKA_SECURITY_PROTOCOL=PLAINTEXT; set that to SSL "
        "or SASL_SSL, or leave this out"
        for name in ("KAFKA_SSL_CERT_FILE", "KAFKA_SSL_KEY_FILE")
    )


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
