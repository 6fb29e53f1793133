"""What stands beside a committed offset: the log that it is of, and how far the ledger was written."""

from collections.abc import Callable, Collection

from faust.types import TP

from worker.kafka.positions import Mark
from worker.stream.driver.log_access import LogAccess
from worker.stream.ledger.guard import LedgerGuard
from worker.stream.ledger.noted_end import NotedEnd

TextOf = Callable[[Mark, int], str]
"""What to note beside an offset, by the log that it is of and its partition's number."""


def commit_text_of(guard: LedgerGuard, held: Callable[[int], int | None]) -> TextOf:
    """Return what writes it; `held` tells up to which offset a partition of the ledger is held."""

    def text(mark: Mark, partition: int) -> str:
        noted = guard.noted(held(partition))
        return f"{mark}" if noted is None else f"{mark} {noted}"

    return text


async def noted_ends(
    thread: LogAccess, sources: Collection[str], partitions: Collection[int], guard: LedgerGuard
) -> dict[int, int]:
    """Return up to which offset of the ledger's partitions the group's committed offsets rest on.

    Raises KafkaError when the coordinator refuses to tell; waits for one that is away.
    """
    found = await thread.committed_with_marks(TP(topic, number) for topic in sources for number in partitions)
    ends: dict[int, int] = {}
    for tp, (_, text) in found.items():
        offset = guard.rests_on(NotedEnd.read(text))
        if offset is not None:
            ends[tp.partition] = max(offset, ends.get(tp.partition, offset))
    return ends
