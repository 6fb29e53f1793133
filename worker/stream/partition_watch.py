"""Ends a worker whose activity topic got another number of partitions than it had at the start.

Keys then lead to other partitions than the ledger entries of their customers lie on, and an entry that is not
found is a customer enrolled twice.
"""

from collections.abc import Callable, Iterable
from typing import Any

import structlog
from faust.types import TP
from mode import Service

from topics.names import TopicNames

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
        self._end = end
        self._refused = False

    @property
    def refused(self) -> bool:
        """Whether the count is another: no event may be handled any more."""
        return self._refused

    def counted(self, partitions: int | None) -> None:
        """Judge by the cluster's metadata; None and 0 stand for a topic that they do not tell of now."""
        if partitions and partitions != self._partitions:
            self._moved(f"has {partitions} partitions now")

    def assigned(self, partitions: Iterable[TP], count: Callable[[str], int | None]) -> None:
        """Judge by an assignment: `count`, our own metadata, may be older than what it was made by.

        With equal counts Faust assigns the same numbers of activity and ledger together.
        """
        self.counted(count(self._names.activity))
        numbers: dict[str, set[int]] = {self._names.activity: set(), self._names.ledger: set()}
        for topic, number in partitions:
            numbers.setdefault(topic, set()).add(number)
        ours, ledger = numbers[self._names.activity], numbers[self._names.ledger]
        if any(number >= self._partitions for number in ours):
            self._moved(f"has a partition {max(ours)} now")
        elif ledger and not ours and not count(self._names.activity):
            self._wait_for_topic(ledger, [numbers.get(name, ledger) for name in self._names.retries])
        elif self._keeps_ledger and ours != ledger:
            self._moved("is assigned apart from the ledger now")

    def _wait_for_topic(self, ledger: set[int], retries: list[set[int]]) -> None:
        """Go on without the activity topic, which was deleted, unless retries would miss their ledger."""
        if any(numbers != ledger for numbers in retries):
            self._moved("is gone, and its retry topics are assigned apart from the ledger now")
        else:
            log.error(
                "the activity topic is gone: events are waited for until it is there again",
                topic=self._names.activity,
                remedy=f"create it again with {self._partitions} partitions; it is read from its beginning",
            )

    def refuse(self, line: str) -> None:
        """Handle no event any more, and end the process; the line tells the operator why."""
        if self._refused:
            return
        self._refused = True
        log.critical(line)
        self._end()

    def _moved(self, seen: str) -> None:
        self.refuse(
            f"topic {self._names.activity} {seen}, and had {self._partitions} partitions when this worker "
            "started: stop all workers and run `enrolment-worker ledger move`, see 'More partitions' in the "
            "manual"
        )


class PartitionWatch(Service):
    """Looks every second at what the consumer knows of the cluster; asks the cluster nothing."""

    def __init__(
        self,
        guard: PartitionGuard,
        count: Callable[[], int | None],
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        self._guard = guard
        self._count = count
        super().__init__(**kwargs)

    @Service.timer(1.0)
    async def _look(self) -> None:
        self._guard.counted(self._count())
