"""Looks at the topics of a cluster and creates missing ones. Never alters a topic."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    for_code,
)

from topics.names import TopicSpec
from worker.kafka.bootstrap import reach_any
from worker.kafka.errors import code_passes, kind_of, one_line, reason_of
from worker.kafka.security import aiokafka_options
from worker.kafka.topic_identity import Identity, identity_of
from worker.settings import ConnectionSettings

POLL_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 20.0
_REMEDIES: Final = {
    InvalidReplicationFactorError.errno: "lower ENROLMENT_TOPIC_REPLICATION_FACTOR to the number of brokers",
    InvalidPartitionsError.errno: "set ENROLMENT_TOPIC_PARTITIONS to what the cluster allows",
}


@dataclass(frozen=True, slots=True)
class ExistingTopic:
    """A topic as the cluster has it. `config` is None if its settings may not be read."""

    partitions: int
    replication_factor: int
    config: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the cluster does not create a topic; `by_setting` when a setting of ours asks for too much.

    What `passes` may be otherwise in a moment.
    """

    text: str
    by_setting: bool = False
    passes: bool = False

    def __str__(self) -> str:
        return self.text


class TopicAdmin:
    """The topics of one cluster. Calls wait for Kafka, at most `patience` seconds, and raise KafkaFailed."""

    def __init__(self, settings: ConnectionSettings, patience: float = _PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._request_ms = round(patience * 500)
        self._options = aiokafka_options(settings)
        self._servers = ", ".join(settings.kafka_bootstrap_servers)

    async def existing(self, names: Iterable[str]) -> dict[str, ExistingTopic]:
        """Return those of the topics that exist and that we may see."""
        async with self._client() as client:
            # All topics: asking for one by name may create it.
            described = {topic["topic"]: topic["partitions"] for topic in await client.describe_topics()}
            found = [name for name in names if name in described]
            configs = await _configs(client, found) if found else {}
        return {
            name: ExistingTopic(
                partitions=len(described[name]),
                replication_factor=max((len(each["replicas"]) for each in described[name]), default=0),
                config=configs.get(name),
            )
            for name in found
        }

    async def identity(self, name: str) -> Identity | None:
        """Return the topic's identity, None if there is no such topic."""
        async with self._client() as client:
            return await identity_of(client._client, name)  # noqa: SLF001 - what its own methods ask

    async def create(self, specs: Iterable[TopicSpec]) -> dict[str, Refusal | None]:
        """Create the topics; return for each why it could not be, None if it now exists."""
        wanted = [
            NewTopic(spec.name, spec.partitions, spec.replication_factor, topic_configs=spec.config)
            for spec in specs
        ]
        async with self._client() as client:
            await controller_known(client)
            answer = await client.create_topics(wanted, timeout_ms=self._request_ms)
        fine = (NoError.errno, TopicAlreadyExistsError.errno)
        return {
            name: None if code in fine else _refusal(code, message or for_code(code).__name__)
            for name, code, message in answer.topic_errors
        }

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AIOKafkaAdminClient]:
        with _reasons() as reasons:
            client = AIOKafkaAdminClient(request_timeout_ms=self._request_ms, **self._options)
            reach_any(client._client)  # noqa: SLF001 - its way to the cluster
            try:
                async with asyncio.timeout(self._patience):
                    await client.start()
                    yield client
            except (KafkaError, OSError) as error:
                reason = reasons[-1] if reasons else reason_of(error)
                raise kind_of(error)(f"Kafka at {self._servers} gave no answer: {reason}") from None
            finally:
                await client.close()


async def controller_known(client: AIOKafkaAdminClient) -> None:
    """Return once the cluster names its controller, which one that has just started may not; waits for it.

    aiokafka fails without it, and with no error of Kafka's.
    """
    cluster = client._client  # noqa: SLF001 - as above
    while cluster.cluster.controller is None:
        await cluster.force_metadata_update()
        await asyncio.sleep(POLL_SECONDS)


def _refusal(code: int, text: str) -> Refusal:
    remedy, said = _REMEDIES.get(code), one_line(text)
    return Refusal(
        said if remedy is None else f"{said}; {remedy}",
        by_setting=remedy is not None,
        passes=code_passes(code),
    )


async def _configs(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    return {
        # Entries are (name, value, ...); what follows differs between versions of the protocol.
        name: {entry[0]: entry[1] for entry in entries}
        for answer in await client.describe_configs(asked)
        for code, _, _, name, entries in answer.resources
        if code == 0
    }


class _Reasons(logging.Handler):
    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        self._into.append(reason_of(cause) if isinstance(cause, Exception) else one_line(record.getMessage()))


@contextmanager
def _reasons() -> Iterator[list[str]]:
    """Collect what aiokafka logs: why it cannot connect is told there, and not by its exception."""
    logger, reasons = logging.getLogger("aiokafka"), list[str]()
    handler, propagate = _Reasons(reasons), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield reasons
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
