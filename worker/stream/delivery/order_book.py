"""Which offsets of a partition were delivered, which are finished, and up to where a commit is safe."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Entry:
    """One delivered offset of an order book."""

    offset: int
    timestamp_ms: int = 0
    finished: bool = False


class OrderBook:
    """The delivered offsets of one partition under one assignment, in delivery order.

    Offsets rise, with gaps where the log has them (transaction markers, compaction). The watermark is
    the offset after the longest finished prefix: committing it never passes unfinished work.
    """

    __slots__ = ("_behind", "_entries", "_last", "_runs", "_watermark")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._last = -1
        self._watermark: int | None = None
        self._behind = 0
        """How many entries are finished behind one that is not."""
        self._runs: tuple[range, ...] | None = ()
        """They, as last told; None if that has changed."""

    def __len__(self) -> int:
        """Return how many entries stand between the watermark and the last delivery."""
        return len(self._entries)

    @property
    def watermark(self) -> int | None:
        """The offset to commit, None before anything was delivered.

        Before anything is finished it is the first delivery's own: a group that starts at the end of its
        topics must not start there again after a crash, behind what it had been given.
        """
        return self._watermark

    @property
    def first(self) -> Entry | None:
        """The first delivery that is not finished, None while there is none."""
        return self._entries[0] if self._entries else None

    @property
    def last(self) -> int | None:
        """The offset delivered last, None before the first."""
        return None if self._last < 0 else self._last

    @property
    def finished(self) -> tuple[range, ...]:
        """The offsets that are finished behind the watermark, in order: they alone, no gap among them.

        Goes through all entries, but only if any were finished since it was asked last.
        """
        if self._runs is None:
            self._runs = tuple(self._find_finished()) if self._behind else ()
        return self._runs

    def has(self, offset: int) -> bool:
        """Whether the offset was delivered already, or lies before one that was."""
        return offset <= self._last

    def deliver(self, offset: int, timestamp_ms: int = 0) -> Entry:
        """Append an offset, larger than all before it; return the entry to finish later."""
        if self.has(offset):
            raise ValueError(f"offset {offset} delivered after {self._last}")
        if self._watermark is None:
            self._watermark = offset
        self._last = offset
        entry = Entry(offset, timestamp_ms)
        self._entries.append(entry)
        return entry

    def pass_to(self, offset: int) -> None:
        """Move the watermark up to there over what holds no record, if nothing is unfinished."""
        if not self._entries:
            self._watermark = offset if self._watermark is None else max(self._watermark, offset)

    def finish(self, entry: Entry) -> None:
        """Mark the entry and move the watermark over what is now a finished prefix."""
        if entry.finished:
            return
        entry.finished = True
        self._behind += 1
        self._runs = None
        while self._entries and self._entries[0].finished:
            self._watermark = self._entries.popleft().offset + 1
            self._behind -= 1

    def _find_finished(self) -> Iterator[range]:
        start = stop = 0
        for entry in self._entries:
            if entry.finished and entry.offset == stop:
                stop += 1
                continue
            if stop > start:
                yield range(start, stop)
            start, stop = entry.offset, entry.offset + entry.finished
        if stop > start:
            yield range(start, stop)
