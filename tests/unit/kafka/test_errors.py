"""Which failures of Kafka may pass by themselves."""

import socket
import ssl

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    InvalidReplicationFactorError,
    KafkaConnectionError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    NotControllerError,
    NotEnoughReplicasError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from worker.kafka.errors import KafkaAway, KafkaFailed, Unreached, passes, translated

_REFUSED = ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9092)")


def _closed_by(cause: Exception) -> KafkaConnectionError:
    error = KafkaConnectionError("closed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        _REFUSED,
        TimeoutError(),
        ConnectionResetError(104, "reset"),
        socket.gaierror(-2, "Name or service not known"),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
        _closed_by(ssl.SSLEOFError(8, "EOF occurred in violation of protocol")),
        _closed_by(EOFError()),
        GroupCoordinatorNotAvailableError(),
        InvalidReplicationFactorError(),
        KafkaTimeoutError(),
        LeaderNotAvailableError(),
        NodeNotReadyError(),
        NotControllerError(),
        NotEnoughReplicasError(),
        Unreached([("a:1", _REFUSED), ("b:1", TimeoutError())]),
    ],
    ids=repr,
)
def test_what_may_pass(error: Exception) -> None:
    """Brokers go and come, and take a while to be whole."""
    assert passes(error)
    with pytest.raises(KafkaAway), translated("topic"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        ssl.SSLCertVerificationError(1, "certificate verify failed"),
        _closed_by(ssl.SSLError(1, "tlsv13 alert certificate required")),
        SaslAuthenticationFailed("wrong"),
        UnsupportedSaslMechanismError("PLAIN"),
        ClusterAuthorizationFailedError(),
        GroupAuthorizationFailedError(),
        TopicAuthorizationFailedError(),
        Unreached([("a:1", _REFUSED), ("b:1", SaslAuthenticationFailed("wrong"))]),
    ],
    ids=repr,
)
def test_what_does_not(error: Exception) -> None:
    """Credentials, certificates and rights are an operator's affair; one server that says so is enough."""
    assert not passes(error)
    with pytest.raises(KafkaFailed) as failed, translated("topic"):
        raise error
    assert type(failed.value) is KafkaFailed


def test_each_server_is_told_with_its_reason() -> None:
    """Once, when they have the same."""
    assert str(Unreached([("a:1", _REFUSED), ("b:1", TimeoutError())])) == (
        "a:1: Connection refused; b:1: time-out"
    )
    assert str(Unreached([("a:1", _REFUSED), ("b:1", _REFUSED)])) == "Connection refused"
