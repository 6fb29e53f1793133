"""What happens to the brokers of a cluster under load; a seed decides it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from random import Random
from typing import Final

_FIRST, _LAST = 0.03, 0.9
_KILLS_SHARE: Final = 0.5
_AWAY_SECONDS: Final = (3.0, 8.0)
_BOTH_AWAY_SECONDS: Final = (4.0, 14.0)
"""Up to more than twice a worker's session time-out."""
_FROZEN_SECONDS: Final = (5.0, 10.0)
"""Past a broker's session time-out: others lead what it led, of which it knows nothing when it goes on."""
_LAGGING_SECONDS: Final = (0.5, 2.0)
"""Below it: those that do not follow still count as in sync."""


class End(StrEnum):
    """How brokers come to stand still."""

    KILLED = "killed"
    STOPPED = "stopped"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Away:
    """These brokers end or freeze at the same time, and go on after so many seconds.

    With a worker's number, that one is killed while they are away, and starts again at once.
    """

    end: End
    brokers: tuple[int, ...]
    seconds: float
    worker: int | None = None


@dataclass(frozen=True, slots=True)
class NobodyFollows:
    """All others freeze for so many seconds, then this broker is killed, and they go on without it.

    What it alone had is lost.
    """

    leader: int
    others: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Rolling:
    """All brokers stop and start again, one after another in this order."""

    order: tuple[int, ...]


BrokerFault = Away | NobodyFollows | Rolling


def broker_faults(seed: int, count: int, brokers: int, workers: int) -> list[tuple[float, BrokerFault]]:
    """Return so many, each with the share of the run after which it comes; each kind before any comes again.

    Most brokers that are away at the same time: all but one.
    """
    random = Random(f"{seed}/brokers")  # noqa: S311 - repeatable, and no secret
    stretch = (_LAST - _FIRST) / max(1, count)
    kinds = islice(_kinds(random), count)
    return [
        (_FIRST + stretch * (number + random.random()), make(random, brokers, workers))
        for number, make in enumerate(kinds)
    ]


_Make = Callable[[Random, int, int], BrokerFault]


def _kinds(random: Random) -> Iterator[_Make]:
    """Give all kinds in an order by chance, again and again."""
    while True:
        yield from random.sample(_KINDS, len(_KINDS))


def _away(end: End, how_many: Callable[[int], int], seconds: tuple[float, float]) -> _Make:
    def make(random: Random, brokers: int, workers: int) -> Away:
        return Away(
            end,
            tuple(random.sample(range(brokers), how_many(brokers))),
            random.uniform(*seconds),
            random.randrange(workers) if random.random() < _KILLS_SHARE else None,
        )

    return make


def _nobody_follows(random: Random, brokers: int, _workers: int) -> NobodyFollows:
    leader, *others = random.sample(range(brokers), brokers)
    return NobodyFollows(leader, tuple(others), random.uniform(*_LAGGING_SECONDS))


def _rolling(random: Random, brokers: int, _workers: int) -> Rolling:
    return Rolling(tuple(random.sample(range(brokers), brokers)))


def _one(_brokers: int) -> int:
    return 1


def _all_but_one(brokers: int) -> int:
    return brokers - 1


_KINDS: Final[tuple[_Make, ...]] = (
    _away(End.KILLED, _one, _AWAY_SECONDS),
    _away(End.STOPPED, _one, _AWAY_SECONDS),
    _away(End.FROZEN, _one, _FROZEN_SECONDS),
    _away(End.KILLED, _all_but_one, _BOTH_AWAY_SECONDS),
    _away(End.STOPPED, _all_but_one, _BOTH_AWAY_SECONDS),
    _away(End.FROZEN, _all_but_one, _FROZEN_SECONDS),
    _nobody_follows,
    _rolling,
)


def takes_events(fault: BrokerFault) -> bool:
    """Whether events can be written all the time: one broker is away, and does not hold its clients up."""
    match fault:
        case Away(end, brokers):
            return len(brokers) == 1 and end is not End.FROZEN
        case NobodyFollows():
            return False
        case Rolling():
            return True


def named(fault: BrokerFault) -> str:
    """Name its kind."""
    match fault:
        case Away(end, brokers):
            return f"{len(brokers)} {end}"
        case NobodyFollows():
            return "leader killed whom nobody follows"
        case Rolling():
            return "rolling restart"
