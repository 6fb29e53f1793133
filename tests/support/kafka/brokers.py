"""A broker for tests, and what they need beside it: certificates, names, topics."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import pytest
import trustme
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from cryptography.hazmat.primitives import serialization as pem

from worker.demo.broker import Broker, BrokerSecurity, BrokerUnavailable, running_broker
from worker.demo.processes import Household
from worker.kafka.admin import controller_known

REPLICAS: Final = 3
"""Of each topic, if there are as many brokers."""
T = TypeVar("T")


class TopicFactory(Protocol):
    """Creates a topic with a name of its own and returns the name; the topic goes with the test."""

    def __call__(
        self, stem: str = "topic", partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: `authority` signed `server` (key and chain of 127.0.0.1) and the client's pair."""

    authority: Path
    server: Path
    client_certificate: Path
    client_key: Path


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """A broker with a listener per security protocol and one account."""

    broker: Broker
    certificates: Certificates
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class FencedKafka:
    """A broker with ACLs and one account without rights; `log` tells each right that is asked for."""

    broker: Broker
    user: str
    password: str
    log: Path


def make_certificates(folder: Path) -> Certificates:
    """Write a certificate authority and a certificate each for the broker and for a client."""
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1", "localhost"), authority.issue_cert("worker.test")
    made = Certificates(
        folder / "ca.pem", folder / "server.pem", folder / "client.pem", folder / "client-key.pem"
    )
    authority.cert_pem.write_to_path(made.authority)
    made.server.write_bytes(_pkcs8(server) + _chain(server))
    made.client_certificate.write_bytes(_chain(client))
    made.client_key.write_bytes(_pkcs8(client))
    return made


def unique(stem: str) -> str:
    """Return a name that no other test uses."""
    return f"{stem}-{uuid.uuid4().hex[:8]}"


async def create_topic(
    bootstrap_servers: str, name: str, partitions: int, config: Mapping[str, str] | None
) -> None:
    """Create a topic, with a replica on each of at most three brokers; raises what the broker answers."""
    async with _Admin(bootstrap_servers) as admin:
        brokers = (await admin.describe_cluster())["brokers"]
        replicas = min(REPLICAS, len(brokers))
        await admin.create_topics([NewTopic(name, partitions, replicas, topic_configs=dict(config or {}))])


async def delete_topics(bootstrap_servers: str, names: list[str]) -> None:
    """Delete topics; missing ones are passed over."""
    async with _Admin(bootstrap_servers) as admin:
        await admin.delete_topics(names)


class _Admin:
    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers

    async def __aenter__(self) -> AIOKafkaAdminClient:
        self._client = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap_servers)
        await self._client.start()
        await controller_known(self._client)
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


def _pkcs8(certificate: trustme.LeafCert) -> bytes:
    """Return the private key in the only PEM form that Kafka reads."""
    key = pem.load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    return key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())


def _chain(certificate: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems)


@contextmanager
def broker_or_skip(
    security: BrokerSecurity | None = None, household: Household | None = None, *, own: bool = False
) -> Iterator[Broker]:
    """Give a broker, with `own` one to kill; see `kafka_or_skip`."""
    with kafka_or_skip(running_broker(own=own, security=security, household=household)) as broker:
        yield broker


@contextmanager
def kafka_or_skip(kafka: AbstractContextManager[T]) -> Iterator[T]:
    """Give what it gives. Skip if there is no Kafka, or fail if CI or REQUIRE_BROKER is set."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(kafka)
        except BrokerUnavailable as reason:
            if os.environ.get("REQUIRE_BROKER") == "1" or os.environ.get("CI") == "true":
                pytest.fail(f"no Kafka broker: {reason}", pytrace=False)
            pytest.skip(f"no Kafka broker: {reason}")
        yield started
