"""What is told of a log that lost records: those that were not read yet, and those that were."""

from collections.abc import Callable

import structlog
from faust.types import TP

from worker.kafka.positions import Extent

log = structlog.get_logger(__name__)


class Losses:
    """Tells of each record once that was deleted before it was read; `expired` hears of them by topic."""

    def __init__(self, expired: Callable[[str, int], object]) -> None:
        self._expired = expired
        self._counted: dict[TP, int] = {}

    def count(self, tp: TP, offset: int, begin: int) -> None:
        """Tell of what lies between the two offsets, as far as it was not told before."""
        first = max(offset, self._counted.get(tp, 0))
        self._counted[tp] = max(begin, self._counted.get(tp, 0))
        if begin <= first:
            return
        log.error(
            "records were deleted before they were read: their events are lost; counted by offsets, at most",
            topic=tp.topic,
            partition=tp.partition,
            records=begin - first,
            first_offset=first,
            begins_at=begin,
            remedy="keep the topic longer (retention.ms, retention.bytes); have upstream send them again",
        )
        self._expired(tp.topic, begin - first)


def tell_of_cut(tp: TP, offset: int, begin: int, extent: Extent, why: str) -> None:
    """Tell that a partition lost what was read of it, or is another one, and where reading goes on."""
    log.error(
        "a partition is not the log that was read: its events are handled once more from where it differs",
        topic=tp.topic,
        partition=tp.partition,
        why=why,
        offset=offset,
        log_begins_at=extent.start,
        log_ends_at=extent.end,
        goes_on_at=begin,
        remedy="find out what the cluster has lost (unclean election, restored disk, topic made anew), "
        "and have upstream send it again",
    )
