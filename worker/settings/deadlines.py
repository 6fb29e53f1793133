"""How long things may take, by the settings."""

from typing import Final

from worker.settings import Settings

_FINISH_GRACE_SECONDS: Final = 10.0
"""What a rebalance may take beyond the drain: cancelled work unwinding, the last commit."""


def rebalance_seconds(settings: Settings) -> float:
    """Return how long the group waits for this member: the drain, and some to unwind and to join."""
    return settings.drain_seconds + _FINISH_GRACE_SECONDS + 25.0


def silence_seconds(settings: Settings) -> float:
    """Return after how many seconds without an answer of the coordinator a worker is stuck."""
    return 60.0 + settings.kafka_session_timeout_seconds + rebalance_seconds(settings)
