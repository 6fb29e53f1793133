"""Which worker has which partitions of the activity topic, as their logs tell."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_ASSIGNED: Final = '"partitions assigned"'


@dataclass(frozen=True, slots=True, order=True)
class Assigned:
    """A worker took partitions up; `time` as the log has it."""

    time: str
    worker: int
    partitions: tuple[int, ...]


def assignments(logs: Sequence[str]) -> list[Assigned]:
    """Return what the logs, one of each worker, tell, in the order of time."""
    return sorted(each for worker, text in enumerate(logs) for each in _of(worker, text))


def _of(worker: int, text: str) -> Iterator[Assigned]:
    for line in text.splitlines():
        if _ASSIGNED in line:
            said = json.loads(line)
            yield Assigned(said["time"], worker, tuple(said["partitions"]))


def owners(told: Iterable[Assigned]) -> dict[int, int]:
    """Return which worker has each partition, after all of these."""
    found: dict[int, int] = {}
    for each in told:
        found |= dict.fromkeys(each.partitions, each.worker)
    return found


def moves(before: Mapping[int, int], told: Iterable[Assigned]) -> int:
    """Return how often a partition went from one worker to another."""
    now, moved = dict(before), 0
    for each in told:
        moved += sum(now.get(partition) != each.worker for partition in each.partitions)
        now |= dict.fromkeys(each.partitions, each.worker)
    return moved
