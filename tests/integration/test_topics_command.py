"""`enrolment-worker topics` against Kafka, and against none."""

import asyncio
import json
import socket
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from tests.support.kafka.brokers import SecuredKafka, delete_topics, unique
from worker.commands.main import program
from worker.demo.broker import Broker
from worker.demo.readiness import run_blocking
from worker.kafka.admin import TopicAdmin
from worker.kafka.errors import KafkaFailed
from worker.settings import KafkaSettings, load_settings


@pytest.fixture
def names(kafka: Broker) -> Iterator[dict[str, str]]:
    """Give settings with topics of this test's own; the topics go with the test."""
    group, activity, outcomes = unique("group"), unique("activity"), unique("outcomes")
    yield {
        "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ENROLMENT_GROUP_ID": group,
        "ENROLMENT_ACTIVITY_TOPIC": activity,
        "ENROLMENT_OUTCOME_TOPIC": outcomes,
        "ENROLMENT_TOPIC_PARTITIONS": "2",
    }
    derived = [f"{activity}-{suffix}" for suffix in ("retry-1", "retry-2", "retry-3", "dlt")]
    run_blocking(
        delete_topics(kafka.bootstrap_servers, [activity, outcomes, f"{group}-ledger-changelog", *derived])
    )


def invoke(*arguments: str, environ: dict[str, str]) -> Result:
    """Call the program in this process."""
    return CliRunner().invoke(program, arguments, env=environ, prog_name="enrolment-worker")


def test_missing_topics_are_created_once(names: dict[str, str]) -> None:
    """`create` creates all seven with their settings, and a second time alters nothing."""
    assert [topic["exists"] for topic in listed(names)] == [False] * 7
    created = invoke("topics", "create", environ=names)
    assert created.exit_code == 0, created.output
    assert [line.split()[0] for line in created.stdout.splitlines()] == ["created"] * 7

    again = invoke("topics", "create", environ={**names, "ENROLMENT_TOPIC_PARTITIONS": "5"})
    assert again.exit_code == 0
    assert [line.split()[0] for line in again.stdout.splitlines()] == ["exists"] * 7
    for topic in listed(names):
        assert (topic["exists"], topic["partitions"], topic["differences"]) == (True, 2, [])


def test_a_refusal_of_the_cluster_is_told(names: dict[str, str]) -> None:
    """More replicas than brokers: one line with the cluster's reason, exit status 1."""
    result = invoke("topics", "create", environ={**names, "ENROLMENT_TOPIC_REPLICATION_FACTOR": "30"})
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("enrolment-worker: not created: ")
    assert "replication factor" in result.stderr.lower()
    assert len(result.stderr.splitlines()) == 1


def listed(names: dict[str, str]) -> list[dict[str, object]]:
    """Return what `topics list --json` prints."""
    result = invoke("topics", "list", "--json", environ=names)
    assert result.exit_code == 0, result.output
    topics: list[dict[str, object]] = json.loads(result.stdout)
    return topics


def test_an_absent_kafka_costs_one_line() -> None:
    """Nobody listening: one line that names the address and the reason, exit status 1."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    result = invoke("topics", "list", environ={"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": address})
    assert result.exit_code == 1
    assert result.stderr.startswith(f"enrolment-worker: Kafka at {address} gave no answer: ")
    assert "Connection refused" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_mute_kafka_costs_bounded_time() -> None:
    """Somebody who accepts connections and says nothing is given up on."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        settings = load_settings({"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": address}, KafkaSettings)
        with pytest.raises(KafkaFailed, match=f"Kafka at {address} gave no answer: time-out"):
            asyncio.run(asyncio.wait_for(TopicAdmin(settings, patience=0.4).existing([]), timeout=5))


def test_security_settings_reach_the_cluster(secured_kafka: SecuredKafka) -> None:
    """SASL_SSL with SCRAM works with the right password; a wrong one is told as what it is."""
    environ = {
        "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": secured_kafka.broker.listeners["SASL_SSL"],
        "ENROLMENT_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "ENROLMENT_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "ENROLMENT_KAFKA_SASL_USERNAME": secured_kafka.user,
        "ENROLMENT_KAFKA_SASL_PASSWORD": secured_kafka.password,
        "ENROLMENT_KAFKA_SSL_CA_FILE": str(secured_kafka.certificates.authority),
        "ENROLMENT_KAFKA_SSL_CERT_FILE": str(secured_kafka.certificates.client_certificate),
        "ENROLMENT_KAFKA_SSL_KEY_FILE": str(secured_kafka.certificates.client_key),
    }
    result = invoke("topics", "list", environ=environ)
    assert result.exit_code == 0, result.output
    wrong = invoke("topics", "list", environ={**environ, "ENROLMENT_KAFKA_SASL_PASSWORD": "wrong"})
    assert wrong.exit_code == 1
    assert "uthentication" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1
