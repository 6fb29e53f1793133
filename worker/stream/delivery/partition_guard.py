"""The guard of the partition count: it must be the one that the ledger was begun with."""

from collections.abc import Callable, Iterable

import structlog

from topics.names import TopicNames
from worker.stream.delivery.partition import Partition

log = structlog.get_logger(__name__)


class PartitionGuard:
    """Knows the partition count that holds for this process, and whether it was seen to be another.

    `end` is called once, when it was: it has to let the process drain and stop.
    """

    def __init__(
        self,
        names: TopicNames,
        partitions: int,
        *,
        keeps_ledger: bool,
        end: Callable[[], object],
    ) -> None:
        self._names = names
        self._partitions = partitions
        self._keeps_ledger = keeps_ledger
        self._topics = (names.activity, names.ledger, *names.retries) if keeps_ledger else (names.activity,)
        self._end = end
        self._refused = False
        self._apart = False
        self._asks = False

    @property
    def refused(self) -> bool:
        """Whether the count is another: no event may be handled any more."""
        return self._refused

    @property
    def is_apart(self) -> bool:
        """Whether the last assignment was not taken up, and another one is waited for."""
        return self._apart and not self._refused

    def asks_for_another(self) -> bool:
        """Return whether a new assignment is to be asked for; true once for each that is not taken up."""
        asks, self._asks = self._asks, False
        return asks and self.is_apart

    def counted(self, partitions: int | None) -> None:
        """Judge by the cluster's metadata; None and 0 stand for a topic that they do not tell of now."""
        self._count(self._names.activity, partitions)

    def assigned(self, partitions: Iterable[Partition], count: Callable[[str], int | None]) -> bool:
        """Judge an assignment; return whether it may be taken up.

        `count`, our own metadata, may be older or newer than what it was made by. With equal counts Faust
        assigns the same numbers of all topics together.
        """
        for topic in self._topics:
            self._count(topic, count(topic))
        numbers: dict[str, set[int]] = {}
        for topic, number in partitions:
            numbers.setdefault(topic, set()).add(number)
        ours = numbers.get(self._names.activity, set())
        if any(number >= self._partitions for number in ours):
            self._moved(self._names.activity, f"has a partition {max(ours)} now")
        is_gone = not ours and self._names.ledger in numbers and not count(self._names.activity)
        self._apart = self._is_apart(numbers, count)
        if self._apart:
            log.warning(
                "partitions were assigned apart from the ledger, as by a member that did not know of all "
                "topics: none is taken up, and a new assignment is asked for",
                assigned={topic: sorted(of) for topic, of in sorted(numbers.items())},
            )
        elif is_gone:
            log.error(
                "the activity topic is gone: events are waited for until it is there again",
                topic=self._names.activity,
                remedy=f"create it again with {self._partitions} partitions; it is read from its beginning",
            )
        self._asks = self._apart
        return not (self._apart or self._refused)

    def _is_apart(self, numbers: dict[str, set[int]], count: Callable[[str], int | None]) -> bool:
        """Whether events would miss their ledger, or a topic that is there was left out."""
        ledger = numbers.get(self._names.ledger, set())
        return self._keeps_ledger and any(
            numbers.get(topic, set()) != ledger and (topic in numbers or bool(count(topic)))
            for topic in self._topics
        )

    def refuse(self, line: str) -> None:
        """Handle no event any more, and end the process; the line tells the operator why."""
        if self._refused:
            return
        self._refused = True
        log.critical(line)
        self._end()

    def _count(self, topic: str, partitions: int | None) -> None:
        if partitions and partitions != self._partitions:
            self._moved(topic, f"has {partitions} partitions now")

    def _moved(self, topic: str, seen: str) -> None:
        had = "had" if topic == self._names.activity else f"the activity topic {self._names.activity} had"
        self.refuse(
            f"topic {topic} {seen}, and {had} {self._partitions} partitions when this worker "
            "started: stop all workers and run `enrolment-worker ledger move`, see 'More partitions' in the "
            "manual"
        )
