"""Under which leaders a partition was read, and up to where under each: by epochs, as Kafka counts them."""

from worker.kafka.positions import Mark
from worker.stream.delivery.partition import Partition


class Leaders:
    """What batches tell of the leaders that wrote them, under one assignment.

    Once another leader has taken over it has to be looked up where the log of the one before ended: the new
    one may lack records that were read, and may have grown past them before anything was asked (KIP-320).
    """

    def __init__(self) -> None:
        self._marks: dict[Partition, Mark] = {}
        self._read_to: dict[Partition, int] = {}
        self._former: dict[Partition, list[tuple[int, int]]] = {}

    def began(self, partition: Partition, mark: Mark, offset: int) -> None:
        """Note where reading begins, and in which log; to be called before a record of it is taken.

        Once under an assignment: what has been read since still counts.
        """
        if partition not in self._marks:
            self._marks[partition], self._read_to[partition] = mark, offset

    def read(self, topic: str, partition: int, epoch: int, end: int) -> None:
        """Note a batch that records are taken of: its leader's epoch, and the offset after it.

        The consumer's thread calls it for every batch, also before it is known in which log that is.
        """
        at = (topic, partition)
        mark = self._marks.get(at)
        if mark is None:
            return
        if mark.epoch is None or epoch > mark.epoch:
            if mark.epoch is not None:
                self._former.setdefault(at, []).append((mark.epoch, self._read_to[at]))
            self._marks[at] = Mark(mark.topic_id, epoch)
        self._read_to[at] = max(self._read_to[at], end)

    def mark(self, partition: Partition) -> Mark:
        """Return what tells which log is read now; one that knows nothing before reading began."""
        return self._marks.get(partition, Mark())

    def former(self, partition: Partition) -> tuple[Mark, int] | None:
        """Return the first leader that was followed and not looked up, and up to where it was read."""
        for epoch, read_to in self._former.get(partition, ()):
            return Mark(self.mark(partition).topic_id, epoch), read_to
        return None

    def looked_up(self, partition: Partition) -> None:
        """Note that nothing that was read under that leader has been lost."""
        if self._former.get(partition):
            del self._former[partition][0]

    def forget(self) -> None:
        """Begin anew, with the next assignment."""
        for known in (self._marks, self._read_to, self._former):
            known.clear()
