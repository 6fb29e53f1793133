"""Outcomes that were told once more, those apart that somebody asked for. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Json = Mapping[str, Any]
OPEN: Final = frozenset({"DEFERRED", "REJECTED", "DEAD_LETTERED"})
"""Outcomes of what may be asked for again."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay: what it told, as a range of the outcomes in the order in which they were read.

    Nobody else was at work. In these partitions it leaves the group at that offset, which is not the one from
    before, at the latest when it was killed in between: what had been handled behind it is handled once more.
    """

    told: range
    set_back: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asked for outcomes once more: replays, and redrives of so many times an event."""

    replays: Sequence[Replayed] = ()
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

    A replay tells again whatever it handles, and lets the group tell again, once, what it has set it back
    before. An event that was sent back, or that a replay has deferred, may tell once more, for each time,
    what it still had open. All else that is repeated nobody asked for.
    """
    told_by_replay = {index for replay in asked.replays for index in replay.told}
    reopened = Counter(asked.redriven)
    for replay in asked.replays:
        told = [outcomes[index] for index in replay.told]
        reopened.update({_event_of(one) for one in told if one["outcome"] == "DEFERRED"})
    first, excused, repeats = dict[str, int](), Counter[tuple[str, int | None]](), Counter[bool]()

    def excuses(name: str, of: int | None, most: int) -> bool:
        excused[name, of] += 1
        return excused[name, of] <= most

    for index, outcome in enumerate(outcomes):
        name = outcome["outcomeId"]
        if name not in first:
            first[name] = index
            continue
        repeats[
            index in told_by_replay
            or (outcome["outcome"] in OPEN and excuses(name, None, reopened[_event_of(outcome)]))
            or any(
                excuses(name, number, 1)
                for number, replay in enumerate(asked.replays)
                if first[name] < replay.told.stop <= index and _is_set_back(outcome, replay.set_back)
            )
        ] += 1
    return Repeats(once=len(first), asked_for=repeats[True], unasked=repeats[False])


def _event_of(outcome: Json) -> str:
    return str(outcome["activity"]["eventId"])


def _is_set_back(outcome: Json, positions: Mapping[int, int]) -> bool:
    at = outcome["activity"]
    return bool(positions) and at["offset"] >= positions.get(at["partition"], at["offset"] + 1)
