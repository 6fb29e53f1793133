"""What stands beside a committed offset: about its log and its ledger, and what is finished behind it."""

from dataclasses import dataclass
from typing import Final

from worker.kafka import finished as texts
from worker.kafka.finished import Finished

MOST_CHARACTERS: Final = 4096
"""That a broker takes beside an offset, as `offset.metadata.max.bytes` has it by default."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is noted; a value, so that one thread may make it and another write it."""

    about: str
    finished: Finished | None = None

    def text(self, most: int) -> str:
        """Return the text, of so many characters at most; what is finished gives way first."""
        if len(self.about) > most:
            return ""
        if self.finished is None:
            return self.about
        told = texts.write(self.finished, most - len(self.about) - 1)
        return f"{self.about} {told}" if told else self.about
