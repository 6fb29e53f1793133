"""What is committed of the partitions, as of one moment: offset, log, ledger, what is finished behind it."""

from dataclasses import dataclass

from worker.kafka.commit_note import Note
from worker.kafka.finished import Finished
from worker.stream.delivery.flow import Flow
from worker.stream.delivery.partition import Partition
from worker.stream.driver.commit_notes import TextOf
from worker.stream.driver.positions import Positions


@dataclass(frozen=True, slots=True)
class Commit:
    """An offset and what is noted beside it; a value, for the consumer's thread to write."""

    offset: int
    note: Note


class Commits:
    """What may be committed now, and what has been, under one assignment. For the event loop only.

    The offset alone does not tell: a commit is due as well if more is finished behind it.
    """

    def __init__(self, flow: Flow, positions: Positions, text_of: TextOf) -> None:
        self._flow = flow
        self._positions = positions
        self._text_of = text_of
        self._taken: dict[Partition, Commit] = {}
        self._committed: dict[Partition, Finished | None] = {}

    def take(self, partition: Partition) -> Commit | None:
        """Return what may be committed of the partition, None if nothing may."""
        # First the mark: once it tells of a later leader, `may_commit` knows of the one before.
        mark = self._positions.leaders.mark(partition)
        standing = self._flow.standing(partition, mark)
        if standing is None or not self._positions.may_commit(partition):
            return None
        about = self._text_of(mark, partition[1])
        taken = self._taken[partition] = Commit(standing.base, Note(about, standing))
        return taken

    def taken(self, partition: Partition) -> Commit | None:
        """Return what was taken last, None if the assignment has ended since."""
        return self._taken.get(partition)

    def is_news(self, partition: Partition) -> bool:
        """Whether what was taken last tells of other events than what was committed last."""
        return self._committed.get(partition) != self._taken[partition].note.finished

    def committed(self, partition: Partition, commit: Commit) -> None:
        """Note that Kafka has it, if it still is what was taken last."""
        if self._taken.get(partition) is commit:
            self._committed[partition] = commit.note.finished

    def forget(self) -> None:
        """Begin anew, with the next assignment."""
        self._taken.clear()
        self._committed.clear()
