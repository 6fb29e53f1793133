"""What changes at Capillary while workers trust what they know of customers; a seed decides it."""

from dataclasses import dataclass
from random import Random
from typing import Final

AUDIENCES: Final = (100, 101)
"""Numbers of promotions that are there from the beginning, and open to nobody at first."""
_TIMED: Final = (200, 201, 202)
_TIMES_LET_IN: Final = 4
_LET_IN_SHARE: Final = 0.08
_ELSEWHERE_SHARE: Final = 0.04
_REVOCATIONS: Final = 3
_REVOKED_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class LetIn:
    """Customers come into the audience of a promotion, unannounced."""

    number: int
    customers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """A promotion is made that goes live soon; before it does, another channel enrols some customers."""

    number: int
    elsewhere: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class End:
    """A promotion that began comes to its end."""

    number: int


@dataclass(frozen=True, slots=True)
class Revoke:
    """This share of the enrolments that the workers have told of is revoked, chosen by the number."""

    number: int
    share: float


Change = LetIn | Begin | End | Revoke


def changes(seed: int, customers: int, *, revokes: bool = True) -> list[tuple[float, Change]]:
    """Return the changes, each with the share of the run after which it comes.

    Where a customer may have several enrolments in a promotion, none must be revoked: the workers would take
    the others for it.
    """
    random = Random(f"{seed}/changes")  # noqa: S311 - repeatable, and no secret
    everybody = range(1, customers + 1)

    def some(share: float) -> tuple[int, ...]:
        return tuple(sorted(random.sample(everybody, max(1, round(share * customers)))))

    due: list[tuple[float, Change]] = [
        (random.uniform(0.1, 0.7), LetIn(number, some(_LET_IN_SHARE)))
        for number in AUDIENCES
        for _ in range(_TIMES_LET_IN)
    ]
    for number in _TIMED:
        begins = random.uniform(0.1, 0.5)
        due.append((begins, Begin(number, some(_ELSEWHERE_SHARE))))
        # One of them goes on.
        if number != _TIMED[-1]:
            due.append((begins + random.uniform(0.15, 0.3), End(number)))
    due += [
        (random.uniform(0.2, 0.8), Revoke(number, random.uniform(0.5, 2) * _REVOKED_SHARE))
        for number in range(_REVOCATIONS if revokes else 0)
    ]
    return sorted(due, key=lambda one: one[0])
