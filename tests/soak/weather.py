"""What the API is like, one phase after another."""

from dataclasses import dataclass
from typing import Any, Final

LOST: Final = ("reset_after_apply", "error_500_after_apply", "timeout_after_apply", "reset_before")


@dataclass(frozen=True, slots=True)
class Weather:
    """A phase: how long, with which settings of the simulator, and which faults of every request."""

    name: str
    seconds: float
    settings: dict[str, Any]
    faults: tuple[dict[str, Any], ...] = ()


def _is_down(name: str = "error_503") -> tuple[dict[str, Any], ...]:
    return ({"name": name},)


def _errors(*codes: int, endpoint: str | None = None) -> tuple[dict[str, Any], ...]:
    """Return faults by which a fifth of the requests is answered with each of these codes."""
    where = {"endpoint": endpoint} if endpoint else {}
    return tuple({"name": "api_error", "code": code, "rate": 0.2} | where for code in codes)


_UP: Final[dict[str, Any]] = {"latency": "20ms..60ms", "requestsPerMinute": 0}
_FLAPPING: Final = tuple(
    phase
    for fault in ("error_503", "reset_before", "html_502", "error_503", "forbidden_403", "html_200")
    for phase in (Weather("down", 4.0, _UP, _is_down(fault)), Weather("up again", 6.0, _UP))
)
FORECAST: Final = (
    Weather("up", 70.0, _UP),
    Weather("slow", 40.0, _UP | {"latency": "1500ms..2500ms"}),
    Weather("throttling", 40.0, _UP | {"requestsPerMinute": 100, "throttleWindowSeconds": 5}),
    Weather(
        "losing answers", 30.0, _UP, tuple({"name": name, "endpoint": "issue", "rate": 0.05} for name in LOST)
    ),
    Weather("busy with other actions", 25.0, _UP, _errors(521, 461)),
    Weather("refusing", 15.0, _UP, _errors(8874, endpoint="issue")),
    Weather("down", 40.0, _UP, _is_down()),
    *_FLAPPING,
    Weather("up", 20.0, _UP),
)
"""Nearly six minutes."""
