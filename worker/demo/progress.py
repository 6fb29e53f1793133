"""How far a demo has come: what the live view shows."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from topics.outcome import OutcomeName
from topics.record import Position

_WINDOW_SECONDS = 2.0
_BARS = 60


@dataclass(slots=True, kw_only=True)
class Progress:
    """Filled by the story, read by the view. Times are seconds since the first event was produced."""

    total: int
    elapsed: float = 0.0
    produced: int = 0
    handled: int = 0
    in_flight: int = 0
    lag: int = 0
    retries: int = 0
    outcomes: Counter[OutcomeName] = field(default_factory=Counter)
    answered: set[Position] = field(default_factory=set)
    """Events that have an outcome."""
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=_BARS))
    """Events per second, a figure for each look."""
    _seen: set[str] = field(default_factory=set)
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def rate(self) -> float:
        """Events per second over the last two seconds."""
        return self.rates[-1] if self.rates else 0.0

    def count(self, outcomes: Iterable[tuple[str, OutcomeName, Position]]) -> None:
        """Count outcomes (id, name, the event's place) that are new."""
        for outcome_id, name, place in outcomes:
            self.answered.add(place)
            if outcome_id not in self._seen:
                self._seen.add(outcome_id)
                self.outcomes[name] += 1

    def look(self, elapsed: float, handled: int, in_flight: int, retries: int) -> None:
        """Note the worker's figures at a time."""
        self.elapsed, self.handled, self.in_flight, self.retries = elapsed, handled, in_flight, retries
        self._marks.append((elapsed, handled))
        while len(self._marks) > 2 and elapsed - self._marks[1][0] >= _WINDOW_SECONDS:  # noqa: PLR2004 - two make a rate
            self._marks.popleft()
        began, before = self._marks[0]
        self.rates.append((handled - before) / (elapsed - began) if elapsed > began else 0.0)
