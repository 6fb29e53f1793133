"""What was done to the workers and brokers of a run, and how it is told."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median


@dataclass(slots=True)
class Chronicle:
    """What was done."""

    in_flight_at_kill: list[int] = field(default_factory=list)
    named_kills: int = 0
    broker_restarts: int = 0
    """Of the only broker."""
    broker_faults: Counter[str] = field(default_factory=Counter)
    """In a cluster of several, by kind."""
    in_flight_at_fault: list[int] = field(default_factory=list)
    """How many events the workers had in flight then."""
    kills_without_brokers: int = 0
    """Of the kills at random moments, those while brokers were away."""
    waited_seconds: float = 0.0
    """The longest time that a broker event waited until all replicas were in sync."""
    freezes: int = 0
    guests: int = 0
    changes: int = 0
    """At Capillary."""
    redrives: int = 0
    replays: int = 0
    """With `--retry-rejected`, the one of all events at the end among them."""
    replays_killed: int = 0

    def lines(self) -> list[str]:
        """Return it, a line for each kind of thing."""
        moments = self.in_flight_at_kill
        kills = f"kills: {len(moments) + self.named_kills}, {self.named_kills} of them at named points"
        if moments:
            span = f"{min(moments)} to {max(moments)} events in flight (median {median(moments):g})"
            kills += f", {len(moments)} at random moments with {span}"
        return [
            kills,
            *self._brokers(),
            f"workers frozen past the session: {self.freezes}",
            f"workers that joined and left: {self.guests}",
            f"redrives of all dead letters: {self.redrives}",
            f"replays with --retry-rejected: {self.replays}, killed {self.replays_killed} times",
            f"changes at Capillary: {self.changes}",
        ]

    def _brokers(self) -> list[str]:
        if not self.broker_faults:
            return [f"broker restarts: {self.broker_restarts}"]
        kinds = ", ".join(f"{kind}: {count}" for kind, count in sorted(self.broker_faults.items()))
        moments = self.in_flight_at_fault
        return [
            f"broker events: {self.broker_faults.total()} ({kinds})",
            f"events in flight at them: {min(moments)} to {max(moments)} (median {median(moments):g})",
            f"workers killed while brokers were away: {self.kills_without_brokers}",
            f"broker events waited for replicas in sync: {self.waited_seconds:.1f} s at most",
        ]
