"""Whose turn it is, by priority, and so that nobody starves."""

from collections.abc import Collection
from typing import Final

from worker.domain.priority import Priority

_OTHERS: Final = 9
"""Turns of others that go by, at most, until one comes to those who wait: a tenth is theirs."""
_KEPT: Final = (Priority.LIVE, Priority.BACKLOG)
"""Those who would starve without it."""


class Turns:
    """Gives turns by priority; of ten in a row LIVE gets one if it waits all along, and so does BACKLOG."""

    def __init__(self) -> None:
        self._left = dict.fromkeys(_KEPT, _OTHERS)
        """How many turns of others each of them can still let go by."""

    def next(self, waiting: Collection[Priority]) -> Priority:
        """Return whose turn it is among those who wait, at least one; note that it is taken."""
        kept = sorted((each for each in _KEPT if each in waiting), key=self._left.__getitem__)
        # The n-th of them can wait for the turns of those before it, and for no other one.
        is_due = any(self._left[each] <= place for place, each in enumerate(kept))
        taken = kept[0] if is_due else min(waiting)
        for each in _KEPT:
            # Who does not wait lets nothing go by.
            is_passed_by = each in waiting and each is not taken
            self._left[each] = self._left[each] - 1 if is_passed_by else _OTHERS
        return taken
