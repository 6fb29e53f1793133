"""How the demo is started."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """Options of one demo."""

    keep: bool = False
    """Leave everything running when the events are done, until Ctrl-C."""
    light: bool = False
    """Take the light broker, even if Apache Kafka can be had."""
    events: int = 1000
    customers: int = 300
    seed: int = 0
    """Of everything that is drawn by chance: the same seed gives the same events."""
