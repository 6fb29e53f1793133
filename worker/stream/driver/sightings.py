"""What looks at the logs have found of each partition: acted on once it was found again."""

from typing import Final

from worker.kafka.positions import Cut, Fits, Verdict
from worker.stream.delivery.partition import Partition

_LOOKS: Final = 2
"""In a row that find the same: a leader that was just elected may not know all that is committed."""


class Sightings:
    """The verdicts of the last looks, under one assignment."""

    def __init__(self) -> None:
        self._seen: dict[Partition, tuple[object, int]] = {}

    def settle(self, partition: Partition, verdict: Verdict, position: int) -> bool:
        """Note a look; return whether looks in a row found the same, so that nothing passing explains it.

        On a busy partition the position never stands still: what is wrong with the log counts.
        """
        if isinstance(verdict, Fits):
            self._seen.pop(partition, None)
            return False
        seen, looks = self._seen.get(partition, (None, 0))
        found = verdict.why if isinstance(verdict, Cut) else position
        self._seen[partition] = (found, looks + 1 if seen == found else 1)
        return self._seen[partition][1] >= _LOOKS

    def forget(self) -> None:
        """Begin anew, with the next assignment."""
        self._seen.clear()
