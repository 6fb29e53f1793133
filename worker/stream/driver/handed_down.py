"""What former owners of partitions have finished, as the texts beside the group's offsets tell it."""

from collections.abc import Mapping

import structlog
from faust.types import TP

from worker.kafka.finished import Doubt, Doubtful, Finished, NothingTold, Told, ensure_same_log, read
from worker.kafka.positions import Extent, Mark

log = structlog.get_logger(__name__)


def handed_down(
    committed: Mapping[TP, tuple[int, str]], extents: Mapping[TP, Extent], begins: Mapping[TP, int]
) -> dict[TP, Finished]:
    """Return what is finished behind where each partition is read from, and tell of it in the log.

    `committed` is what the group has, with the text beside it. What is told and cannot be relied on is left
    out, as when reading begins before the offset that it belongs to.
    """
    found: dict[TP, Finished] = {}
    for tp, begin in begins.items():
        offset, text = committed.get(tp, (begin, ""))
        match _judged(offset, text, extents[tp], begin):
            case NothingTold():
                pass
            case Finished(_, runs):
                if (rest := Finished.of(begin, runs)).runs:
                    found[tp] = rest
            case Doubtful(why):
                log.warning(
                    "what was finished behind the group's offset is not relied on: those events are handled "
                    "once more, and the ledger answers for them",
                    topic=tp.topic,
                    partition=tp.partition,
                    offset=offset,
                    why=why.value,
                )
    if found:
        log.info(
            "events that were finished before are passed over",
            events={f"{tp.topic}-{tp.partition}": len(of) for tp, of in sorted(found.items())},
        )
    return found


def _judged(offset: int, text: str, extent: Extent, begin: int) -> Told:
    told = ensure_same_log(read(text, offset), Mark.read(text), extent)
    return Doubtful(Doubt.LOG) if isinstance(told, Finished) and begin < offset else told
