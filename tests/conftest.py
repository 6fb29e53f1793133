"""Fixtures for tests against a Kafka broker."""

from collections.abc import Iterator, Mapping

import pytest

from tests.support.kafka.brokers import (
    FencedKafka,
    SecuredKafka,
    TopicFactory,
    broker_or_skip,
    create_topic,
    delete_topics,
    make_certificates,
    unique,
)
from worker.demo.broker import Broker, BrokerSecurity
from worker.demo.processes import Household
from worker.demo.readiness import run_blocking


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """Give the broker of the whole run: the cluster named by KAFKA, else an Apache Kafka of our own."""
    with broker_or_skip() as broker:
        yield broker


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Give a broker of our own with a listener per security protocol; tests may kill and restart it."""
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    security = BrokerSecurity(
        users={"worker": 'pass "w\\ord'},
        certificate=certificates.server,
        authority=certificates.authority,
        client_certificates="required",
    )
    with broker_or_skip(security) as broker:
        yield SecuredKafka(broker, certificates, *next(iter(security.users.items())))


@pytest.fixture(scope="module")
def fenced_kafka() -> Iterator[FencedKafka]:
    """Give a broker where one account may do what ACLs allow, and the plain listener everything."""
    security = BrokerSecurity(users={"worker": "secret"}, acls=True)
    with Household() as household, broker_or_skip(security, household) as broker:
        yield FencedKafka(broker, *next(iter(security.users.items())), household.folder / "kafka.log")


@pytest.fixture
def topic(kafka: Broker) -> Iterator[TopicFactory]:
    """Give a function that creates topics of this test's own."""
    created: list[str] = []

    def create(stem: str = "topic", partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        name = unique(stem)
        run_blocking(create_topic(kafka.bootstrap_servers, name, partitions, config))
        created.append(name)
        return name

    yield create
    if created:
        run_blocking(delete_topics(kafka.bootstrap_servers, created))
