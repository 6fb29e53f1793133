"""`enrolment-worker check` against Kafka with access rules, and against a simulated API."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.e2e.lab import CREDENTIALS
from tests.support.kafka.acls import DESCRIBE, GROUP, READ, TOPIC, WRITE, allow
from tests.support.kafka.brokers import SecuredKafka, delete_topics, unique
from tests.support.loop_thread import LoopThread
from tests.support.waiting import wait_until
from topics.names import TopicNames
from worker.commands.main import program
from worker.demo.simulator import SimulatorOptions, World, running_simulator
from worker.kafka.admin import TopicAdmin
from worker.settings import KafkaSettings, load_settings


def check(environ: dict[str, str]) -> tuple[Result, dict[str, dict[str, Any]]]:
    """Run `check --json`; return its result and its findings by subject."""
    result = CliRunner().invoke(program, ["check", "--json"], env=environ)
    findings = {each["subject"]: each for each in json.loads(result.stdout)["findings"]}
    assert result.stderr == ""
    return result, findings


def not_ok(findings: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the levels of what is not as it should be."""
    return {subject: each["level"] for subject, each in findings.items() if each["level"] != "ok"}


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """Give the address of a simulated API."""
    with LoopThread() as loop:
        running, leave = loop.enter(running_simulator(SimulatorOptions(), world=World()))
        yield running.api_url
        leave()


@pytest.fixture
def environ(secured_kafka: SecuredKafka, api: str) -> Iterator[dict[str, str]]:
    """Give settings of a worker that logs in, with topics of its own that exist."""
    stem, plain = unique("check"), secured_kafka.broker.listeners["PLAINTEXT"]
    names = {
        "ENROLMENT_ACTIVITY_TOPIC": f"{stem}-activity",
        "ENROLMENT_OUTCOME_TOPIC": f"{stem}-outcomes",
        "ENROLMENT_GROUP_ID": stem,
        "ENROLMENT_TOPIC_PARTITIONS": "2",
    }
    created = CliRunner().invoke(
        program, ["topics", "create"], env={**names, "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": plain}
    )
    assert created.exit_code == 0, created.output
    yield names | {
        "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": secured_kafka.broker.listeners["SASL_PLAINTEXT"],
        "ENROLMENT_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "ENROLMENT_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        "ENROLMENT_KAFKA_SASL_USERNAME": secured_kafka.user,
        "ENROLMENT_KAFKA_SASL_PASSWORD": secured_kafka.password,
        "ENROLMENT_API_BASE_URL": api,
        "ENROLMENT_ORG_ID": "100",
        **{f"ENROLMENT_{name}": value for name, value in CREDENTIALS.items()},
    }
    topics = TopicNames(f"{stem}-activity", f"{stem}-outcomes", stem)
    ours = [topics.activity, *topics.retries, topics.dead_letters, topics.outcomes, topics.ledger]
    asyncio.run(delete_topics(plain, ours))


def test_all_is_well(environ: dict[str, str]) -> None:
    """With everything in place each line must be ok, the exit status 0, and nothing left behind."""
    result, findings = check(environ)
    assert not_ok(findings) == {}
    assert result.exit_code == 0, result.stdout
    assert {"settings", "Kafka login", "API", "clock", "tracing", "rights of a producer"} <= findings.keys()
    plain = CliRunner().invoke(program, ["check"], env=environ)
    assert plain.exit_code == 0
    assert all(line.startswith("ok ") for line in plain.stdout.splitlines())


def test_missing_rights_are_named(environ: dict[str, str], secured_kafka: SecuredKafka) -> None:
    """Each right that is missing must be a fault that names it, also where its topic is not even seen."""
    plain, user = secured_kafka.broker.listeners["PLAINTEXT"], secured_kafka.user
    activity, outcomes = environ["ENROLMENT_ACTIVITY_TOPIC"], environ["ENROLMENT_OUTCOME_TOPIC"]
    group, ledger = environ["ENROLMENT_GROUP_ID"], f"{environ['ENROLMENT_GROUP_ID']}-ledger-changelog"

    async def rules() -> None:
        await allow(plain, TOPIC, activity, "somebody", READ)
        await allow(plain, TOPIC, outcomes, user, READ, DESCRIBE)
        await allow(plain, TOPIC, ledger, user, WRITE)
        await allow(plain, GROUP, group, user, DESCRIBE)

    asyncio.run(rules())
    last = f"rights on group {group}"
    wait_until(lambda: last in not_ok(check(environ)[1]), "the broker has heard of the last rule")
    result, findings = check(environ)
    assert result.exit_code == 1
    assert not_ok(findings) == {
        f"topic {activity}": "fault",
        f"rights on {activity}": "fault",
        f"topic {outcomes}": "warning",  # DescribeConfigs
        f"rights on {outcomes}": "fault",
        f"topic {ledger}": "warning",
        f"rights on {ledger}": "fault",
        f"rights on group {group}": "fault",
    }
    assert findings[f"rights on {activity}"]["text"] == "not allowed: Read"
    assert findings[f"rights on {outcomes}"]["text"] == "not allowed: Write"
    assert findings[f"rights on {ledger}"]["text"] == "not allowed: Read"
    assert findings[f"rights on group {group}"]["remedy"] == "allow Read (ACL)"


def test_nothing_is_written(environ: dict[str, str]) -> None:
    """Trying must leave no topic, no record and no group behind."""
    fresh = environ | {"ENROLMENT_OUTCOME_TOPIC": unique("never-made"), "ENROLMENT_GROUP_ID": unique("never")}
    result, findings = check(fresh)
    assert result.exit_code == 0, result.stdout
    outcomes = fresh["ENROLMENT_OUTCOME_TOPIC"]
    assert findings[f"topic {outcomes}"]["level"] == "warning"
    assert findings[f"creating {outcomes}"]["level"] == "ok"
    settings = load_settings({k: v for k, v in fresh.items() if "_API_" not in k}, KafkaSettings)
    assert asyncio.run(TopicAdmin(settings).existing([outcomes])) == {}


def test_what_users_get_wrong(environ: dict[str, str]) -> None:
    """A wrong password, a closed port and a broken setting must cost a line each and no traceback."""
    _, wrong = check(environ | {"ENROLMENT_KAFKA_SASL_PASSWORD": "wrong", "ENROLMENT_API_PASSWORD": "wrong"})
    assert not_ok(wrong) == {"Kafka login": "fault", "API": "fault"}
    assert "uthentication" in wrong["Kafka login"]["text"]
    assert "401" in wrong["API"]["text"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = f"127.0.0.1:{free.getsockname()[1]}"
    _, away = check(
        environ
        | {"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": closed, "ENROLMENT_API_BASE_URL": f"http://{closed}"}
        | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://secret@{closed}"}
    )
    assert not_ok(away) == {f"Kafka {closed}": "fault", "API": "fault", "tracing": "warning"}
    assert "secret" not in str(away)
    _, one_of_two = check(
        environ
        | {
            "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": f"{environ['ENROLMENT_KAFKA_BOOTSTRAP_SERVERS']},{closed}",
            "ENROLMENT_API_TIMEOUT_SECONDS": "fast",
        }
    )
    assert not_ok(one_of_two) == {"settings": "fault", f"Kafka {closed}": "warning"}
