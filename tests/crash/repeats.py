"""Outcomes that were told once more, those apart that somebody asked for. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Json = Mapping[str, Any]
OPEN: Final = frozenset({"DEFERRED", "REJECTED", "DEAD_LETTERED"})
"""Outcomes of what may be asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asked for outcomes once more.

    `replays`: what each told, as a range of the outcomes in the order in which they were read; nobody else
    was at work. `redriven`: how often each event was sent back.
    """

    replays: Sequence[range] = ()
    redriven: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """How many outcomes there are, each once; and how many records repeat one."""

    once: int
    asked_for: int
    unasked: int

    @property
    def share(self) -> float:
        """Repeats that nobody asked for, for each outcome."""
        return self.unasked / self.once if self.once else 0.0

    def __str__(self) -> str:
        return f"{self.unasked}, {self.share:.1%} of those told once"


def count_repeats(outcomes: Sequence[Json], asked: Asked) -> Repeats:
    """Count the records that repeat an outcome, those apart that were asked for.

    A replay tells again whatever it handles. An event that was sent back, or that a replay has deferred, may
    tell once more, for each time, what it still had open; all else that is repeated nobody asked for.
    """
    told_by_replay = {index for span in asked.replays for index in span}
    deferred_by = defaultdict[str, set[range]](set)
    for span in asked.replays:
        for index in span:
            if outcomes[index]["outcome"] == "DEFERRED":
                deferred_by[_event_of(outcomes[index])].add(span)
    seen, excused, repeats = set[str](), Counter[str](), Counter[bool]()
    for index, outcome in enumerate(outcomes):
        name, event = outcome["outcomeId"], _event_of(outcome)
        if name not in seen:
            seen.add(name)
            continue
        is_asked = index in told_by_replay
        if not is_asked and outcome["outcome"] in OPEN:
            excused[name] += 1
            is_asked = excused[name] <= asked.redriven.get(event, 0) + len(deferred_by[event])
        repeats[is_asked] += 1
    return Repeats(once=len(seen), asked_for=repeats[True], unasked=repeats[False])


def _event_of(outcome: Json) -> str:
    return str(outcome["activity"]["eventId"])
