"""Keeps the positions of the group in line with the logs: at each assignment, and while partitions are read.

A log that begins behind our position has lost records that nobody handled: they are counted, and reading goes
on where it begins. A log that ends before our position, or is not the one that we read, holds new records at
offsets that we take for done: the group's offset is set back, and the group is left and joined anew, so that
nothing that is known of the old offsets stays. What was handled before is told again; the ledger answers.

A partition is not read before its position was judged.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, Protocol

import structlog
from aiokafka import TopicPartition
from faust.types import TP

from worker.kafka.positions import Cut, Expired, Extent, Fits, Mark, Verdict, judge
from worker.stream.delivery.flow import Flow
from worker.stream.delivery.leaders import Leaders
from worker.stream.delivery.partition import Partition
from worker.stream.driver.commit_notes import TextOf
from worker.stream.driver.handed_down import handed_down
from worker.stream.driver.log_access import LogAccess
from worker.stream.driver.losses import Losses, tell_of_cut
from worker.stream.driver.sightings import Sightings

_UNPLACED_LOOKS: Final = 2
_QUIET_LOOKS: Final = 60

log = structlog.get_logger(__name__)


class GroupConsumer(Protocol):
    """What is asked of the group's consumer."""

    @property
    def thread(self) -> LogAccess:
        """The thread that aiokafka's consumer runs in."""
        ...

    def assignment(self) -> set[TP]:
        """Return the partitions that are assigned to us."""
        ...

    def note_committed(self, tp: TP, offset: int | None) -> None:
        """Note what the group has committed."""
        ...

    async def maybe_wait_for_commit_to_finish(self) -> bool:
        """Wait for a commit that is under way."""
        ...


class Positions:
    """Where the partitions of one assignment stand in their logs."""

    def __init__(
        self,
        flow: Flow,
        leaders: Leaders,
        consumer: Callable[[], GroupConsumer],
        expired: Callable[[str, int], object],
        text_of: TextOf,
    ) -> None:
        """Ask `consumer` for the consumer once there is one; `expired` hears of lost records, by topic.

        `text_of` says what to note beside an offset that is set.
        """
        self._text_of = text_of
        self._flow = flow
        self.leaders = leaders
        self._consumer_of = consumer
        self._losses = Losses(expired)
        self.extents: dict[Partition, Extent] = {}
        self._began: dict[Partition, int] = {}
        self._cut: dict[Partition, int] = {}
        self._corrected: dict[Partition, int] = {}
        self._sightings = Sightings()
        self._unplaced_looks = 0
        self._era = 0

    @property
    def era(self) -> int:
        """Which assignment this is, by count: what was asked of Kafka under another comes to nothing."""
        return self._era

    def may_read(self, partition: Partition) -> bool:
        """Whether the partition's position was judged, and fits."""
        return partition[0] not in self._flow.sources or (
            partition in self._began and partition not in self._cut
        )

    def may_commit(self, partition: Partition) -> bool:
        """Whether what was handled under this assignment still counts, as far as it was looked up."""
        return partition not in self._cut and self.leaders.former(partition) is None

    def began(self, partition: Partition) -> int | None:
        """Return where reading began under this assignment, None while it did not."""
        return self._began.get(partition)

    def forget(self) -> None:
        """Begin anew, with the next assignment; what is being looked up for this one comes to nothing."""
        self._era += 1
        self.extents.clear()
        self._began.clear()
        self.leaders.forget()
        self._cut.clear()
        self._sightings.forget()

    async def place(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Seek to where these partitions are to be read from; return what the group has committed.

        An offset is committed for each that has none: what is deleted before the first event is handled is
        missed by it. Those whose log is not known yet are left alone: they are not read, and `look` tries
        again; those that have been placed under this assignment too, for they may be read by now.
        """
        era, thread = self._era, self._thread
        ours = [tp for tp in partitions if tp.topic in self._flow.sources and tp not in self._began]
        committed = await thread.committed_with_marks(ours)
        marks = {tp: Mark.read(committed[tp][1]) if tp in committed else Mark() for tp in ours}
        extents = await thread.extents({tp: marks[tp].epoch for tp in ours})
        begins, corrections = dict[TP, int](), dict[TP, tuple[int, str]]()
        for tp, extent in extents.items():
            if tp in self._began:
                # By another call meanwhile.
                continue
            offset = committed[tp][0] if tp in committed else None
            begins[tp] = extent.start if offset is None else self._begin(tp, offset, marks[tp], extent)
            is_kept = offset is not None and begins[tp] >= offset
            marks[tp] = Mark(extent.topic_id, marks[tp].epoch if is_kept else None)
            if begins[tp] != offset:
                corrections[tp] = begins[tp], self._text_of(marks[tp], tp.partition)
        if era != self._era or not await thread.correct(corrections):
            return {}
        finished = handed_down(committed, extents, begins)
        for tp, begin in begins.items():
            at = (tp.topic, tp.partition)
            note = partial(self._note_leader, era, at, marks[tp], begin)
            if era != self._era or not await thread.seek_if_ours(tp, begin, note) or era != self._era:
                return {}
            if at in self._began:
                continue
            self._corrected.pop(at, None)
            if tp in finished:
                self._flow.inherited.begin(at, finished[tp].runs, marks[tp].epoch)
            self.extents[at], self._began[at] = extents[tp], begin
        return begins

    def _note_leader(self, era: int, partition: Partition, mark: Mark, begin: int) -> None:
        """Note in which log reading begins, unless the assignment has changed; in the consumer's thread.

        A fetch of the assignment before may be under way: a batch that it takes before this was noted would
        have told its leader in vain.
        """
        if era == self._era:
            self.leaders.began(partition, mark, begin)

    async def read_again(self, partitions: Iterable[TP]) -> None:
        """Go back to where reading began: what came while the assignment changed may not be from there."""
        for tp in partitions:
            begin = self._began.get((tp.topic, tp.partition))
            if begin is not None:
                await self._thread.seek_if_ours(tp, begin)

    async def look(self) -> None:
        """Judge the positions once more; called every second while partitions are read."""
        era, thread = self._era, self._thread
        ours = [tp for tp in self._consumer.assignment() if tp.topic in self._flow.sources]
        await self._place_rest([tp for tp in ours if (tp.topic, tp.partition) not in self._began])
        placed = [tp for tp in ours if self.may_read((tp.topic, tp.partition))]
        reached = await thread.reached(placed)
        # Before the marks: a batch tells its epoch when it is taken, and the next ones may be of another.
        taken = {tp: thread.position_of(tp) or 0 for tp in placed}
        marks = {tp: self.leaders.mark((tp.topic, tp.partition)) for tp in placed}
        former = {tp: self.leaders.former((tp.topic, tp.partition)) for tp in placed}
        judged = {tp: marks[tp] if (left := former[tp]) is None else left[0] for tp in placed}
        extents = await thread.extents({tp: mark.epoch for tp, mark in judged.items()})
        for tp, extent in extents.items():
            at = (tp.topic, tp.partition)
            if era != self._era or not self.may_read(at):
                return
            self.extents[at] = extent
            left, position = former[tp], reached.get(tp)
            if left is not None:
                position, taken[tp] = left[1], left[1]
            if position is None:
                continue
            verdict = judge(position, judged[tp], extent, taken=taken[tp])
            if left is not None and not isinstance(verdict, Cut):
                self.leaders.looked_up(at)
            elif self._sightings.settle(at, verdict, position):
                await self._act(tp, position, verdict, extent)

    async def out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on after the broker had nothing at these positions; does nothing while its log is not known."""
        thread = self._thread
        for at, position in positions.items():
            tp = TP(at.topic, at.partition)
            partition = (tp.topic, tp.partition)
            mark = self.leaders.mark(partition)
            extent = (await thread.extents({tp: mark.epoch})).get(tp)
            if extent is not None and tp.topic not in self._flow.sources:
                await thread.seek_if_ours(tp, extent.start)
                continue
            if extent is None or not self.may_read(partition) or thread.position_of(tp) != position:
                continue
            verdict = judge(position, mark, extent)
            if isinstance(verdict, Fits):
                # It was behind the end, and the log has grown since.
                verdict = Cut(extent.start, "the log ended before it")
            if isinstance(verdict, Cut):
                await self._begin_anew(tp, position, verdict, extent)
                return
            self.extents[partition] = extent
            self._losses.count(tp, position, verdict.begin)
            text = self._text_of(mark, tp.partition)
            if not self._flow.is_open(partition) and await thread.correct({tp: (verdict.begin, text)}):
                self._consumer.note_committed(tp, verdict.begin)
            await thread.seek_if_ours(tp, verdict.begin)

    def _begin(self, tp: TP, offset: int, mark: Mark, extent: Extent) -> int:
        """Return where to begin with a committed offset; tell of it when that is elsewhere."""
        at = (tp.topic, tp.partition)
        if self._corrected.get(at, offset) < offset:
            # It was told of, but Kafka did not take it.
            return max(extent.start, min(self._corrected[at], extent.end))
        match judge(offset, mark, extent):
            case Fits():
                return offset
            case Expired(begin):
                self._losses.count(tp, offset, begin)
                return begin
            case Cut(begin, why):
                self._corrected[at] = begin
                tell_of_cut(tp, offset, begin, extent, why)
                return begin

    async def _act(self, tp: TP, position: int, verdict: Verdict, extent: Extent) -> None:
        match verdict:
            case Cut():
                await self._begin_anew(tp, position, verdict, extent)
            case Expired(begin):
                # Not sought: the fetch finds out, as soon as the partition is read again.
                self._losses.count(tp, position, begin)
            case Fits():
                pass

    async def _begin_anew(self, tp: TP, position: int, cut: Cut, extent: Extent) -> None:
        """Set the group's offset back, and let a new assignment begin from there."""
        at, era = (tp.topic, tp.partition), self._era
        if at in self._cut:
            return
        # What was read behind the finished events is nobody's yet, whatever the log has lost.
        begin = min(cut.begin, self._flow.watermarks.get(at, self._began[at]))
        self._cut[at] = self._corrected[at] = begin
        tell_of_cut(tp, position, begin, extent, cut.why)
        # A commit that is under way may hold what was done in the old log.
        await self._consumer.maybe_wait_for_commit_to_finish()
        if era != self._era:
            # The next assignment has come meanwhile, and begins there.
            return
        text = self._text_of(Mark(extent.topic_id), tp.partition)
        is_kept = await self._thread.correct({tp: (begin, text)})
        if era == self._era:
            if is_kept:
                del self._corrected[at]
            await self._thread.join_anew()

    async def _place_rest(self, partitions: list[TP]) -> None:
        if not partitions:
            self._unplaced_looks = 0
            return
        if self._unplaced_looks % _QUIET_LOOKS == _UNPLACED_LOOKS:
            log.warning(
                "partitions are not read: Kafka does not tell where their logs begin and end",
                partitions=sorted(f"{tp.topic}-{tp.partition}" for tp in partitions),
            )
        self._unplaced_looks += 1
        for tp, offset in (await self.place(partitions)).items():
            self._consumer.note_committed(tp, offset)

    @property
    def _consumer(self) -> GroupConsumer:
        return self._consumer_of()

    @property
    def _thread(self) -> LogAccess:
        return self._consumer.thread
