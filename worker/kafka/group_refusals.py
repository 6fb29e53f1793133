"""Final refusals that a member of the group meets: settings and rights that waiting does not mend."""

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    TopicAuthorizationFailedError,
)

from worker.kafka.errors import KafkaFailed
from worker.settings import SettingsError
from worker.settings.naming import variable


def refusal_of(error: Exception, group_id: str, session_seconds: float) -> SettingsError | KafkaFailed | None:
    """Return what to tell the operator of an error with which joining or reading ended, None to try on."""
    if isinstance(error, InvalidSessionTimeoutError):
        line = (
            f"{variable('kafka_session_timeout_seconds')} is {session_seconds:g}, which the brokers do not "
            "allow; set it within their group.min.session.timeout.ms and group.max.session.timeout.ms "
            "(6 to 1800 s unless they were changed)"
        )
        return SettingsError((line,))
    if isinstance(error, InconsistentGroupProtocolError):
        line = (
            f"{variable('group_id')} is {group_id}, a consumer group of another kind of application; "
            "choose a group of the worker's own"
        )
        return SettingsError((line,))
    if isinstance(error, GroupAuthorizationFailedError):
        return KafkaFailed(
            f"consumer group {group_id} may not be joined: grant READ on it; `enrolment-worker check` tells "
            "which rights are missing"
        )
    if isinstance(error, TopicAuthorizationFailedError):
        # One name, or all of them as one argument.
        topics = sorted(topic for told in error.args for topic in ([told] if isinstance(told, str) else told))
        return KafkaFailed(
            f"topic {', '.join(topics)} may not be read: grant READ on it; "
            "`enrolment-worker check` tells which rights are missing"
        )
    return None
