"""Kafka's refusals, in words for an operator, and whether they may pass by themselves."""

import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from aiokafka.errors import (
    BrokerNotAvailableError,
    InvalidReplicationFactorError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    ReplicaNotAvailableError,
    UnknownError,
    for_code,
)

_QUOTA_EXCEEDED: Final = 89
_PASSING: Final = (
    BrokerNotAvailableError,
    # While brokers come up there are fewer than later.
    InvalidReplicationFactorError,
    KafkaTimeoutError,
    ReplicaNotAvailableError,
    UnknownError,
)
"""Beyond those that the protocol calls retriable, which aiokafka knows."""
BROKEN_OFF: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors that a broker causes that goes away; the others come from what both sides have been given."""


class KafkaFailed(Exception):  # noqa: N818 - reads as the sentence that it is
    """Kafka cannot be reached, or refused; the message is one line, for the operator.

    Waiting mends nothing of it, unless it is of one of the kinds below.
    """


class KafkaAway(KafkaFailed):
    """Kafka gives no answer, or is not whole yet: that may pass by itself."""


class KafkaTooSmall(KafkaAway):
    """A setting asks for more than the cluster has yet. If that stays so, the setting is bad."""


class KafkaUnsure(KafkaFailed):
    """What a cluster that has just started may answer too, although it is not so."""


class Unreached(KafkaConnectionError):  # type: ignore[misc] # noqa: N818 - aiokafka ships no types
    """None of the servers named answers; for each its address and why."""

    def __init__(self, failures: Sequence[tuple[str, BaseException]]) -> None:
        self.failures = tuple(failures)
        whys = {server: reason_of(error) for server, error in failures}
        same = set(whys.values())
        text = same.pop() if len(same) == 1 else "; ".join(f"{at}: {why}" for at, why in whys.items())
        super().__init__(text)
        self._text = text

    def __str__(self) -> str:
        return self._text


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise what the client raises as KafkaFailed, of the kind that it is."""
    try:
        yield
    except (KafkaError, OSError) as error:
        name = "" if isinstance(error, Unreached) else f"{type(error).__name__} "
        raise kind_of(error)(f"{what}: {name}{error}".strip()) from error


def kind_of(error: BaseException) -> type[KafkaFailed]:
    """Return what to raise in its place."""
    return KafkaAway if passes(error) else KafkaFailed


def passes(error: BaseException) -> bool:
    """Whether an error may pass by itself; if one server says that it does not, it does not."""
    if isinstance(error, Unreached):
        return all(passes(each) for _, each in error.failures)
    if isinstance(error, ssl.SSLError):
        return isinstance(error, BROKEN_OFF)
    if isinstance(error, KafkaConnectionError) and isinstance(error.__cause__, ssl.SSLError):
        return passes(error.__cause__)
    if isinstance(error, KafkaError):
        return error.retriable or isinstance(error, _PASSING)
    return isinstance(error, OSError)


def code_passes(code: int) -> bool:
    """Whether what a code of Kafka's stands for may pass by itself."""
    return code == _QUOTA_EXCEEDED or passes(for_code(code)())


def reason_of(error: BaseException) -> str:
    """Return why, in one line."""
    cause = error.__cause__ if isinstance(error, KafkaConnectionError) else None
    if isinstance(cause, ssl.SSLError):
        return reason_of(cause)
    if isinstance(error, TimeoutError) and not str(error):
        return "time-out"
    number = error.errno if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    if number is not None and number > 0:
        # asyncio's own text repeats the address.
        return os.strerror(number)
    return one_line(str(error)) or type(error).__name__


def one_line(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())
