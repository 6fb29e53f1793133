"""Positions in a partition: do they still fit the log they were taken in, and where to go on if not. Pure.

A log may have lost its beginning (retention, DeleteRecords) or its end (a leader without the last records was
elected, a disk was restored), or the topic may have been made anew under its old name. Offsets alone do not
show the last two once the log has grown past the position again; the leader's epoch and the topic's id do.
"""

import re
from dataclasses import dataclass
from typing import Final

_MARK: Final = re.compile(r"log=([0-9a-f]{32})?/(\d+)?")


@dataclass(frozen=True, slots=True)
class Extent:
    """A partition's log as its leader has it now."""

    start: int
    """Its first offset."""
    end: int
    """The offset after its last record, also when that belongs to an open transaction."""
    topic_id: str | None = None
    """None when the cluster does not tell."""
    parted_at: int | None = None
    """Up to where the log still is the one that was read; None when that cannot be told."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Which log a position was taken in: the topic's id, and the highest epoch of a leader that was read."""

    topic_id: str | None = None
    epoch: int | None = None

    def __str__(self) -> str:
        """Return the text that stands beside the offset in a commit."""
        return f"log={self.topic_id or ''}/{'' if self.epoch is None else self.epoch}"

    @classmethod
    def read(cls, text: str | None) -> "Mark":
        """Return the mark in a commit's text; one that knows nothing when there is none."""
        found = _MARK.search(text or "")
        if found is None:
            return cls()
        topic_id, epoch = found.groups()
        return cls(topic_id, None if epoch is None else int(epoch))


@dataclass(frozen=True, slots=True)
class Fits:
    """The position lies in the log."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The log begins behind the position: what lay between is gone."""

    begin: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The log is not the one that the position was taken in, or has lost its end."""

    begin: int
    """Where nothing that is new can be passed over."""
    why: str


Verdict = Fits | Expired | Cut


def judge(position: int, mark: Mark, extent: Extent, *, taken: int | None = None) -> Verdict:
    """Say whether a position that was taken in the marked log still fits the log.

    `taken` is up to where the mark tells the epoch, if the position is ahead of it: what was fetched and not
    taken yet may be of a later one.
    """
    if mark.topic_id and extent.topic_id and mark.topic_id != extent.topic_id:
        return Cut(extent.start, "the topic was made anew")
    if extent.parted_at is not None and extent.parted_at < (position if taken is None else taken):
        return Cut(max(extent.start, extent.parted_at), "the log has lost its end")
    if position > extent.end:
        return Cut(extent.start, "the log ends before it")
    return Expired(extent.start) if position < extent.start else Fits()
