"""What keeps a worker from its group for good is told, and ends it; what passes does not."""

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupLoadInProgressError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
)

from worker.kafka.errors import KafkaFailed
from worker.kafka.group_refusals import refusal_of
from worker.settings import SettingsError


def test_settings_that_only_the_brokers_know_to_be_bad() -> None:
    """They end the worker as any bad setting does, with the remedy."""
    session = refusal_of(InvalidSessionTimeoutError(), "ours", 5.0)
    assert isinstance(session, SettingsError)
    assert str(session).startswith(
        "ENROLMENT_KAFKA_SESSION_TIMEOUT_SECONDS is 5, which the brokers do not allow; "
    )
    group = refusal_of(InconsistentGroupProtocolError(), "theirs", 45.0)
    assert isinstance(group, SettingsError)
    assert str(group).startswith(
        "ENROLMENT_GROUP_ID is theirs, a consumer group of another kind of application"
    )


def test_a_right_that_is_missing_makes_it_give_up() -> None:
    """It is granted elsewhere, not set here."""
    refusal = refusal_of(GroupAuthorizationFailedError("ours"), "ours", 45.0)
    assert isinstance(refusal, KafkaFailed)
    assert "grant READ on it" in str(refusal)


def test_topics_that_may_not_be_read_are_named() -> None:
    """The client tells them one by one, or all together."""
    for error in (TopicAuthorizationFailedError("a"), TopicAuthorizationFailedError({"b", "a"})):
        refusal = refusal_of(error, "ours", 45.0)
        assert isinstance(refusal, KafkaFailed)
        assert str(refusal).startswith(f"topic {'a, b' if 'b' in error.args[0] else 'a'} may not be read: ")


def test_what_passes_is_waited_for() -> None:
    """A coordinator that loads, or is away."""
    for error in (GroupLoadInProgressError(), KafkaConnectionError()):
        assert refusal_of(error, "ours", 45.0) is None
