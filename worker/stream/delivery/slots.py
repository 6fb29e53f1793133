"""Who is worked on next: so many at once, live work first, a backlog within its share."""

import math
from collections import OrderedDict
from typing import Final

_MOST: Final = 1 / 2
"""Of the slots may be held by a backlog: so many are at hand for live work when it comes."""
_LEAST: Final = 1 / 10
"""Of the slots are for a backlog, as long as it waits."""


class Slots:
    """A number of slots, and the keys that wait for one, each once, in two lines.

    A single slot is given in the order of waiting alone.
    """

    def __init__(self, number: int) -> None:
        self._number = self._free = number
        self._most, self._least = math.floor(number * _MOST), math.ceil(number * _LEAST)
        self._of_backlog = 0
        self._live: OrderedDict[bytes, None] = OrderedDict()
        self._backlog: OrderedDict[bytes, None] = OrderedDict()

    def wait(self, key: bytes, *, is_backlog: bool) -> None:
        """Let the key wait at the end of its line; one that was a backlog's and is live changes lines."""
        if is_backlog and self._number > 1:
            if key not in self._live:
                self._backlog.setdefault(key)
        else:
            self._backlog.pop(key, None)
            self._live.setdefault(key)

    def next(self) -> tuple[bytes, bool] | None:
        """Give a slot to a key that waits: return it, and whether as a backlog's; None if there is none."""
        if not self._free:
            return None
        is_backlog = self._may_backlog() and (not self._live or self._of_backlog < self._least)
        if not is_backlog and not self._live:
            return None
        key, _ = (self._backlog if is_backlog else self._live).popitem(last=False)
        self._free -= 1
        self._of_backlog += is_backlog
        return key, is_backlog

    def give_back(self, *, is_backlog: bool) -> None:
        """Free a slot that `next` gave."""
        self._free += 1
        self._of_backlog -= is_backlog

    def waits_for_one(self, key: bytes) -> bool:
        """Whether the key waits, and no slot that it may have is free."""
        if key in self._live:
            return not self._free
        return key in self._backlog and not (self._free and self._of_backlog < self._most)

    def clear(self) -> None:
        """Let nobody wait any more; who has a slot keeps it."""
        self._live.clear()
        self._backlog.clear()

    def _may_backlog(self) -> bool:
        return bool(self._backlog) and self._of_backlog < self._most
