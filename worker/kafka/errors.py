"""Kafka's refusals, in words for an operator."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError


class KafkaFailed(Exception):  # noqa: N818 - reads as the sentence that it is
    """Kafka cannot be reached, or refused; the message is one line, for the operator."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise what the client raises as KafkaFailed."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise KafkaFailed(f"{what}: {type(error).__name__} {error}".strip()) from error
