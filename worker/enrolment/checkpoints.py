"""The moments between two durable steps, named so that tests can stop the process exactly there.

Nothing in the worker acts on them: the composition root passes a probe that does nothing, and only test code
passes another.
"""

from collections.abc import Callable
from enum import StrEnum


class Checkpoint(StrEnum):
    """A moment at which the process may die, between what precedes it and what follows."""

    PLANNED = "planned"
    """The plan and the attempt are in the ledger; the request has not left."""
    ANSWERED = "answered"
    """The API answered; the ledger does not know."""
    RECORDED = "recorded"
    """The result is in the ledger; its outcome is not written."""
    TOLD = "told"
    """The outcome is written; the offset is not committed."""


Probe = Callable[[Checkpoint], None]


def nothing(_: Checkpoint) -> None:
    """Pass the moment over."""
