"""Kafka's answers to a record of ours, in the words of the ports."""

from typing import Final

from aiokafka.errors import InvalidTimestampError
from aiokafka.structs import RecordMetadata

from worker.enrolment.ports import PublishFailed, StampRefused, Stamps

_LOG_APPEND_TIME: Final = 1


def acknowledged(record: RecordMetadata, stamps: Stamps) -> None:
    """Hear Kafka's time, if the record's topic has it stamped by Kafka."""
    if record.timestamp_type == _LOG_APPEND_TIME and record.timestamp is not None:
        stamps.appended(record.timestamp)


def refused(what: str, error: BaseException) -> PublishFailed:
    """Return what to raise for a record that Kafka did not acknowledge."""
    kind = StampRefused if isinstance(error, InvalidTimestampError) else PublishFailed
    return kind(f"{what}: {type(error).__name__}")
