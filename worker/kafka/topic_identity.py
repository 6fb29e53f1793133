"""Which topic a name stands for: Kafka gives each topic an id when it is made, and never to another one."""

from dataclasses import dataclass

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    NodeNotReadyError,
    NoError,
    UnknownTopicOrPartitionError,
    for_code,
)

from worker.kafka.topic_ids import UNKNOWN_QUESTION, TopicMetadata


@dataclass(frozen=True, slots=True)
class Identity:
    """Of a topic: the cluster's id and the topic's; None for what the cluster does not tell."""

    cluster: str | None = None
    topic: str | None = None

    def is_another(self, other: "Identity") -> bool:
        """Whether they certainly are two topics: what one of them does not tell decides nothing."""
        pairs = ((self.cluster, other.cluster), (self.topic, other.topic))
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)

    def __str__(self) -> str:
        return f"{self.cluster or '-'} {self.topic or '-'}"

    @classmethod
    def read(cls, text: str) -> "Identity":
        """Read back what `str` wrote; raises ValueError for anything else."""
        cluster, topic = (None if word == "-" else word for word in text.split())
        return cls(cluster, topic)


async def identity_of(client: AIOKafkaClient, name: str) -> Identity | None:
    """Ask a broker for a topic's identity, None when it knows no such topic. Never creates one.

    Raises KafkaError when it does not answer, or may not tell.
    """
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    try:
        answer = await client.send(node, TopicMetadata([name]))
    except UNKNOWN_QUESTION:
        # Brokers before Kafka 2.8, and some that are not Apache's.
        return Identity()
    ((code, _, topic_id, *_),) = answer.topics
    if code == UnknownTopicOrPartitionError.errno:
        return None
    if code != NoError.errno:
        raise for_code(code)(name)
    return Identity(answer.cluster_id, topic_id or None)
