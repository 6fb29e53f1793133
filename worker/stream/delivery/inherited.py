"""What former owners of a partition have finished behind the offset where we begin: it is passed over."""

from collections import deque
from collections.abc import Iterable, Iterator

from worker.kafka.positions import Mark
from worker.stream.delivery.leaders import Leaders
from worker.stream.delivery.partition import Partition


class Inherited:
    """The offsets that are finished and have not come yet, under one assignment.

    Once a partition brings records of a later leader, none of it is finished any more: the log that the
    former owner read may have ended before them.
    """

    def __init__(self, leaders: Leaders) -> None:
        self._leaders = leaders
        self._left: dict[Partition, tuple[deque[range], int | None]] = {}

    def begin(self, partition: Partition, runs: Iterable[range], epoch: int | None) -> None:
        """Note what is finished there, in order; the former owner has read no leader behind that epoch."""
        self._left[partition] = deque(runs), epoch

    def passes(self, partition: Partition, offset: int) -> bool:
        """Whether the record, whose turn is now, is finished; what lies before it is done with."""
        runs = self._runs(partition, self._leaders.mark(partition))
        while runs and runs[0].stop <= offset:
            runs.popleft()
        if not runs:
            self._left.pop(partition, None)
            return False
        return offset in runs[0]

    def behind(self, partition: Partition, mark: Mark, taken: int) -> Iterator[range]:
        """Name what has not come yet of what is finished, behind the last record that was taken.

        The mark is the one that will stand beside it.
        """
        for run in self._runs(partition, mark):
            yield range(max(run.start, taken + 1), run.stop)

    def forget(self) -> None:
        """Begin anew, with the next assignment."""
        self._left.clear()

    def _runs(self, partition: Partition, mark: Mark) -> deque[range]:
        runs, epoch = self._left.get(partition, (deque[range](), None))
        return runs if epoch == mark.epoch else deque()
