"""A real Apache Kafka: data, security, and what outlives a kill."""

import asyncio
import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.support.kafka.brokers import SecuredKafka, create_topic, unique
from worker.demo.broker import BrokerUnavailable, running_broker

pytestmark = pytest.mark.asyncio


async def test_a_group_goes_on_where_it_committed_after_the_broker_was_killed(
    secured_kafka: SecuredKafka,
) -> None:
    """Acknowledged records and committed offsets must survive a SIGKILL of the broker and its restart."""
    broker = secured_kafka.broker
    topic, group = unique("kept"), unique("group")
    await create_topic(broker.bootstrap_servers, topic, 2, {"cleanup.policy": "compact,delete"})
    await _produce(broker.bootstrap_servers, topic, b"before")
    assert await _consume(broker.bootstrap_servers, topic, group) == [b"before"]

    broker.kill()
    broker.restart()

    await _produce(broker.bootstrap_servers, topic, b"after")
    assert await _consume(broker.bootstrap_servers, topic, group) == [b"after"]
    assert broker.kind.startswith("apache-kafka 4.")
    assert "Kafka Server started" in broker.log_tail()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_the_account_logs_in_with_every_mechanism_in_clear_and_over_tls(
    secured_kafka: SecuredKafka, mechanism: str
) -> None:
    """Each SASL mechanism must work on both SASL listeners, which trust nobody with a wrong password."""
    account = {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": secured_kafka.user,
        "sasl_plain_password": secured_kafka.password,
    }
    clear = {"security_protocol": "SASL_PLAINTEXT", **account}
    tls = {"security_protocol": "SASL_SSL", "ssl_context": _context(secured_kafka), **account}
    topic = unique("sasl")
    await create_topic(secured_kafka.broker.bootstrap_servers, topic, 1, None)
    await _produce(secured_kafka.broker.listeners["SASL_PLAINTEXT"], topic, b"1", clear)
    await _produce(secured_kafka.broker.listeners["SASL_SSL"], topic, b"2", tls)
    with pytest.raises(KafkaError):
        await _produce(
            secured_kafka.broker.listeners["SASL_PLAINTEXT"],
            topic,
            b"3",
            {**clear, "sasl_plain_password": "wrong"},
        )


async def test_the_tls_listener_wants_a_certificate_of_the_client(secured_kafka: SecuredKafka) -> None:
    """A client with a certificate of the authority must be served, one without must not."""
    address, topic = secured_kafka.broker.listeners["SSL"], unique("tls")
    await create_topic(secured_kafka.broker.bootstrap_servers, topic, 1, None)
    known, unknown = _context(secured_kafka), _context(secured_kafka)
    known.load_cert_chain(
        secured_kafka.certificates.client_certificate, secured_kafka.certificates.client_key
    )
    await _produce(address, topic, b"1", {"security_protocol": "SSL", "ssl_context": known})
    with pytest.raises(KafkaError):
        await _produce(address, topic, b"2", {"security_protocol": "SSL", "ssl_context": unknown})


async def test_a_named_cluster_is_used_and_never_stopped(secured_kafka: SecuredKafka) -> None:
    """KAFKA must win over starting a broker, and what it names must not be ours to kill."""
    address = secured_kafka.broker.bootstrap_servers
    with running_broker(environ={"KAFKA": address}) as broker:
        assert (broker.kind, broker.bootstrap_servers) == ("existing", address)
        with pytest.raises(BrokerUnavailable):
            broker.kill()
    with pytest.raises(BrokerUnavailable), running_broker(environ={"KAFKA": "nowhere"}):
        pass


_WITHOUT_MAVEN_CENTRAL = """
from worker.demo.broker import BrokerUnavailable, running_broker

try:
    with running_broker(own=True):
        print("Apache Kafka")
except BrokerUnavailable as reason:
    print(reason)
with running_broker(own=True, allow_light=True) as broker:
    print(broker.kind)
    print(broker.fallback_reason)
"""


async def test_without_maven_central_only_the_demo_gets_a_light_broker(tmp_path: Path) -> None:
    """With nothing cached, tests must get one line of reason, the demo the light broker too."""
    nowhere = {"XDG_CACHE_HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WITHOUT_MAVEN_CENTRAL, env=os.environ | nowhere, stdout=asyncio.subprocess.PIPE
    )
    reason, kind, fallback_reason = (await run.communicate())[0].decode().splitlines()
    assert "Maven Central" in reason
    assert (kind, fallback_reason) == ("light broker", reason)


def _context(kafka: SecuredKafka) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=kafka.certificates.authority)


async def _produce(
    bootstrap_servers: str, topic: str, value: bytes, security: Mapping[str, Any] | None = None
) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        enable_idempotence=True,
        request_timeout_ms=5000,
        **(security or {}),
    )
    try:
        await producer.start()
        await producer.send_and_wait(topic, value, key=b"customer")
    finally:
        await producer.stop()


async def _consume(bootstrap_servers: str, topic: str, group: str) -> list[bytes]:
    """Read one batch as a member of the group and commit it."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
    )
    async with consumer:
        records = [await consumer.getone()]
        await consumer.commit()
    return [record.value for record in records]
