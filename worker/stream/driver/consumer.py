"""Faust's Kafka driver with its acknowledgement replaced: what is committed is the flow's watermarks.

Stock Faust 0.15.3 commits past events still in work when they finish out of order (upstream issue 606),
stalls on gaps in offsets, and waits without bound on shutdown. Methods of its Consumer are
overridden here; the version is pinned, and tests/unit/stream/driver/test_framework.py fails if an upgrade
changes them.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka.errors import (
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from worker.stream.delivery.flow import Flow
from worker.stream.driver.commits import Commits
from worker.stream.driver.consumer_thread import ConsumerThread
from worker.stream.driver.positions import Positions

_COMMIT_SECONDS: Final = 5.0
_PAUSED_POLL_SECONDS: Final = 0.05
"""Is felt at each rebalance: until partitions may be read, fetching looks so often whether they may."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a partition is done."""

    done: int
    """All before this offset is finished, or never was a record for us."""
    end: int

    @property
    def lag(self) -> int:
        """How many records are not done, as far as offsets tell."""
        return self.end - self.done


class _NoMemory(dict[TP, int | None]):
    """Keeps no offset. Faust's own memory keeps the last that it read of a partition.

    It would drop what lies before, also after a seek: a batch that is still being handed out when the seek
    happens moves the mark on again. What comes twice is the order book's to notice, and what does not come
    the fetch order's.
    """

    def __getitem__(self, _: TP) -> int | None:
        return None


class Consumer(driver.Consumer):
    """Commits watermarks; drains the flow when partitions are revoked and when the worker stops."""

    _thread: ConsumerThread

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - Faust's own
        flow: Flow,
        positions: Positions,
        commits: Commits,
        make_thread: Callable[..., ConsumerThread],
        **options: Any,  # noqa: ANN401 - Faust's own
    ) -> None:
        self._flow = flow
        self._positions = positions
        self._commits = commits
        self._make_thread = make_thread
        super().__init__(*arguments, **options)
        self._read_offset = _NoMemory()

    def _new_consumer_thread(self) -> ConsumerThread:
        return self._make_thread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> tuple[RecordMap | None, set[TP] | None]:  # noqa: ASYNC109 - Faust's
        """Fetch as soon as there are partitions to fetch from.

        Faust sleeps for a second then, and begins to as a recovery ends, right before partitions are resumed.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        if not self._get_active_partitions():
            await asyncio.sleep(_PAUSED_POLL_SECONDS)
            return None, None
        return await super()._wait_next_records(timeout)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:  # noqa: ASYNC109 - Faust's
        """Fetch from what is not paused, and note what came before any of it can be dropped.

        Faust's own way to pause a partition drops what a fetch in hand still has of it. What comes while the
        assignment changes was read from where the client began on its own, before that was judged.
        """
        positions = self._positions
        era, is_paused, may_read = positions.era, self._flow.is_paused, positions.may_read
        partitions = {tp: (tp.topic, tp.partition) for tp in active_partitions or ()}
        free = {tp for tp, at in partitions.items() if may_read(at) and not is_paused(at)}
        if not free:
            await asyncio.sleep(_PAUSED_POLL_SECONDS)
            return {}
        try:
            fetched = await super()._getmany(free, timeout)
        except OffsetOutOfRangeError as error:
            await positions.out_of_range(error.args[0])
            return {}
        except NoOffsetForPartitionError:
            # Of the ledger: Faust seeks in it in a moment.
            return {}
        except TopicAuthorizationFailedError as error:
            self._thread.refused(error)
            await asyncio.sleep(_PAUSED_POLL_SECONDS)
            return {}
        if era != positions.era:
            ours = [tp for tp in fetched if tp.topic in self._flow.sources]
            await positions.read_again(ours)
            fetched = {tp: records for tp, records in fetched.items() if tp not in ours}
        for tp, records in fetched.items():
            self._flow.fetched((tp.topic, tp.partition), (record.offset for record in records))
        if era == positions.era:
            self._pass_over_markers(free - fetched.keys())
        return fetched

    def _pass_over_markers(self, partitions: Iterable[TP]) -> None:
        """Let a commit pass what a fetch passed without giving a record; never what is open.

        All that was fetched is noted, and no fetch is under way: a position before the next one is behind
        nothing that we do not know.
        """
        for tp in partitions:
            at, position = (tp.topic, tp.partition), self._thread.position_of(tp)
            began = self._positions.began(at)
            if position is not None and began is not None and position > began:
                self._flow.read_up_to(at, position)

    async def verify_all_partitions_active(self) -> None:
        """Leave that to the watchdog: Faust takes a partition that is paused for one that has stopped."""

    def _filter_tps_with_pending_acks(self, topics: Iterable[Any] | None = None) -> Iterator[TP]:
        """Name the partitions that there is something to commit for."""
        wanted = None if topics is None else set(topics)
        for partition in self._flow.watermarks:
            tp = TP(*partition)
            if wanted is None or tp in wanted or tp.topic in wanted:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset to commit, in place of Faust's reckoning with gaps."""
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        self._gap.pop(tp, None)
        taken = self._commits.take((tp.topic, tp.partition))
        return None if taken is None else taken.offset

    def _should_commit(self, tp: TP, offset: int) -> bool:
        """Commit too what is finished behind an offset that does not move."""
        committed = self._committed_offset[tp]
        if committed is None or offset > committed:
            return True
        return offset == committed and self._commits.is_news((tp.topic, tp.partition))

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit what was taken together with these offsets."""
        of_each = {tp: self._commits.taken((tp.topic, tp.partition)) for tp in offsets}
        taken = {tp: commit for tp, commit in of_each.items() if commit is not None}
        if not await self._thread.commit_noted(taken):
            return False
        for tp, commit in taken.items():
            self._commits.committed((tp.topic, tp.partition), commit)
        return True

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Take an assignment up, unless it shows that the ledger is cut off from its keys."""
        # Faust may have sought once more since the drain, in the partitions that it had.
        self._positions.forget()
        self._commits.forget()
        if self._flow.guards.partitions.assigned(assigned, self.topic_partitions):
            await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Begin where the group left off, as far as the logs still bear that out."""
        for tp, offset in (await self._positions.place(self.assignment())).items():
            self.note_committed(tp, offset)

    def note_committed(self, tp: TP, offset: int | None) -> None:
        """Note what the group has committed; Faust commits only what lies behind it."""
        self._committed_offset[tp] = offset or None

    @property
    def thread(self) -> ConsumerThread:
        """The thread that aiokafka's consumer runs in."""
        return self._thread

    async def wait_empty(self) -> None:
        """Drain within the time allowed, commit what finished, forget the rest.

        Faust calls this on revoke, before it lets the group go on, and on stop, before producers close.
        """
        await self._flow.drain(self._commit_last)
        self._positions.forget()
        self._commits.forget()
        self._flow.forget(stopping=self.app.should_stop)

    async def _commit_last(self) -> None:
        self._unacked_messages.clear()
        await self.commit_finished()

    async def commit_finished(self) -> None:
        """Commit the watermarks as they are now; gives up after some seconds, as when Kafka is down."""
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                # A commit that is under way may have begun before the last events were finished.
                await self.maybe_wait_for_commit_to_finish()
                await self.force_commit(start_new_transaction=False)
        except TimeoutError:
            log.warning("the last commit was not acknowledged; what it was for will come again")

    def unread(self, tp: TP) -> bool:
        """Whether the partition has records that were not fetched yet; markers of transactions are none."""
        position = self._thread.position_of(tp)
        return position is not None and position < self._thread.end_of(tp)

    def standing(self, tp: TP) -> Standing | None:
        """Return up to where the partition is done, and where it ends; None while its log is not known.

        The end is behind the records of open transactions too.
        """
        at = (tp.topic, tp.partition)
        extent, began = self._positions.extents.get(at), self._positions.began(at)
        if extent is None or began is None:
            return None
        if self._flow.is_open(at):
            done = self._flow.watermarks.get(at, began)
        else:
            # With nothing on hand; markers of transactions that were passed over count for done.
            position = self._thread.position_of(tp)
            done = began if position is None else position
        done = max(done, extent.start)
        return Standing(done, max(done, extent.end, self._thread.highwater_of(tp) or 0))
