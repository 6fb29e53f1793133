"""How far the ledger was written when an offset was committed, as the text beside the offset says it.

A changelog that ends before that has lost its end, and with it results of events that count as done: no
replica may go on by what is left of it, whether it has a local copy or none.
"""

import re
from dataclasses import dataclass
from typing import Final

_TEXT: Final = re.compile(r"ledger=([0-9a-f]{32}):(\d+)")


@dataclass(frozen=True, slots=True)
class NotedEnd:
    """The last entry of a ledger's partition that was acknowledged, and the id of the ledger's topic."""

    topic_id: str
    offset: int

    def __str__(self) -> str:
        """Return the text that stands beside the offset in a commit."""
        return f"ledger={self.topic_id}:{self.offset}"

    @classmethod
    def read(cls, text: str | None) -> "NotedEnd | None":
        """Return what a commit's text says of the ledger, None when it says nothing."""
        found = _TEXT.search(text or "")
        return None if found is None else cls(found.group(1), int(found.group(2)))
