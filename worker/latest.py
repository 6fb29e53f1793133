"""What came last, up to a number: for what may be forgotten, and must not grow."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

MOST_MOMENTS: Final = 5_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Latest(Generic[K, V]):
    """The entries that were put in last, up to a number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[K, V] = OrderedDict()

    def put(self, key: K, value: V) -> V | None:
        """Put an entry in; return what gave way to it."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        return self._entries.popitem(last=False)[1] if len(self._entries) > self._most else None

    def get(self, key: K) -> V | None:
        """Return an entry."""
        return self._entries.get(key)


class Moments(Generic[K]):
    """When something happened to somebody last, on a timer: in doubt later than it did."""

    def __init__(self, most: int = MOST_MOMENTS) -> None:
        self._at: Latest[K, float] = Latest(most)
        self._at_most = float("-inf")

    def put(self, key: K, at: float) -> None:
        """Note it."""
        gone = self._at.put(key, at)
        self._at_most = self._at_most if gone is None else max(self._at_most, gone)

    def is_since(self, key: K, began: float) -> bool:
        """Tell whether it happened since, or may have."""
        at = self._at.get(key)
        return (self._at_most if at is None else at) > began
