"""Faust's Kafka driver with its acknowledgement replaced: what is committed is the order book's watermark.

Stock Faust 0.15.3 commits past events still in work when they finish out of order (upstream issue 606),
stalls on gaps in offsets, and waits without bound on shutdown. Methods of its Consumer are
overridden here; the version is pinned, and tests/unit/stream/driver/test_framework.py fails if an upgrade
changes them.
"""

import asyncio
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import RecordMap
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from worker.kafka.group_refusals import refusal_of
from worker.stream.driver.log_access import LogAccess
from worker.stream.driver.producer import Producer
from worker.timing import now

if TYPE_CHECKING:
    from worker.stream.app import WorkerApp

SCHEME: Final = "kafka"
_COMMIT_SECONDS: Final = 5.0
_LEDGER_SECONDS: Final = 10.0
"""As long as Kafka may take to do without a broker that died; the group waits longer than that."""
_LEDGER_SECONDS_UNHEARD: Final = 2.0
_HELD_POLL_SECONDS: Final = 0.2
_FETCH_WAIT_MS: Final = 50
_OUTAGE_DRAIN_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


class _NoMemory(dict[TP, int | None]):
    """Keeps no offset, where Faust keeps the last it read of a partition.

    It would drop what lies before, also after a seek: a batch that is still being handed out when the seek
    happens moves the mark on again. What comes twice is the order book's to notice, and what does not come
    the trail's.
    """

    def __getitem__(self, _: TP) -> int | None:
        return None


class Consumer(driver.Consumer):
    """Commits watermarks; drains the lanes when partitions are revoked and when the worker stops."""

    app: "WorkerApp"
    _thread: "ConsumerThread"

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Faust's own
        super().__init__(*arguments, **options)
        self._read_offset = _NoMemory()

    def _new_consumer_thread(self) -> "ConsumerThread":
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:  # noqa: ASYNC109 - Faust's
        """Fetch from what is not held, and note what came before any of it can be dropped.

        Faust's own way to pause a partition drops what a fetch in hand still has of it. What comes while the
        assignment changes was read from where the client began on its own, before that was judged.
        """
        positions = self.app.positions
        era, held, may_read = positions.era, self.app.holds.held, positions.may_read
        partitions = {tp: (tp.topic, tp.partition) for tp in active_partitions or ()}
        free = {tp for tp, at in partitions.items() if may_read(at) and not held(at)}
        if not free:
            await asyncio.sleep(_HELD_POLL_SECONDS)
            return {}
        try:
            fetched = await super()._getmany(free, timeout)
        except OffsetOutOfRangeError as error:
            await positions.out_of_range(error.args[0])
            return {}
        except NoOffsetForPartitionError:
            # Of the ledger: Faust seeks in it in a moment.
            return {}
        if era != positions.era:
            ours = [tp for tp in fetched if tp.topic in self.app.sources]
            await positions.read_again(ours)
            fetched = {tp: records for tp, records in fetched.items() if tp not in ours}
        for tp, records in fetched.items():
            for record in records:
                self.app.trail.fetched((tp.topic, tp.partition), record.offset)
            if records:
                self.app.holds.seen((tp.topic, tp.partition), records[-1].offset)
        return fetched

    async def verify_all_partitions_active(self) -> None:
        """Leave that to the watchdog: Faust takes a partition that is held for one that has stopped."""

    def _filter_tps_with_pending_acks(self, topics: Iterable[Any] | None = None) -> Iterator[TP]:
        """Name the partitions that there is something to commit for."""
        wanted = None if topics is None else set(topics)
        for partition in self.app.lanes.watermarks:
            tp = TP(*partition)
            if not self.app.positions.may_commit(partition):
                continue
            if wanted is None or tp in wanted or tp.topic in wanted:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset to commit, in place of Faust's reckoning with gaps."""
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        self._gap.pop(tp, None)
        return self.app.lanes.watermarks.get((tp.topic, tp.partition))

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Take an assignment up, unless it shows that the ledger is cut off from its keys."""
        # Faust may have sought once more since the drain, in the partitions that it had.
        self.app.positions.forget()
        if self.app.guard.assigned(assigned, self.topic_partitions):
            await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Begin where the group left off, as far as the logs still bear that out."""
        for tp, offset in (await self.app.positions.place(self.assignment())).items():
            self.note_committed(tp, offset)

    def note_committed(self, tp: TP, offset: int | None) -> None:
        """Note what the group has committed; Faust commits only what lies behind it."""
        self._committed_offset[tp] = offset or None

    @property
    def thread(self) -> "ConsumerThread":
        """The thread that aiokafka's consumer runs in."""
        return self._thread

    def owns(self, tp: TP) -> bool:
        """Whether the partition is assigned to us; Faust's `assignment` makes a new set for each question."""
        return self._thread.owns(tp)

    async def wait_empty(self) -> None:
        """Drain within the time allowed, commit what finished, forget the rest.

        Faust calls this on revoke, before it lets the group go on, and on stop, before producers close.
        """
        started = time.monotonic()
        crashed = self.app.lanes.crashed
        abandoned = await self.app.lanes.drain(0.0 if crashed else self._drain_seconds())
        seconds = _LEDGER_SECONDS if self.app.membership.is_fresh() else _LEDGER_SECONDS_UNHEARD
        if not await self.app.fence.quiet(seconds):
            log.warning("ledger records were not acknowledged in time")
        self._unacked_messages.clear()
        if not crashed:
            await self.commit_finished()
        if self.app.lanes.watermarks or abandoned:
            log.info(
                "drained",
                seconds=round(time.monotonic() - started, 3),
                abandoned=abandoned,
                committed={f"{topic}-{n}": at for (topic, n), at in self.app.lanes.watermarks.items()},
            )
        self.app.positions.forget()
        self.app.trail.forget()
        self.app.holds.forget()
        self.app.rewinds.forget()
        self.app.lanes.forget(stopping=self.app.should_stop)
        if self.app.should_stop:
            self.app.drained.set()

    def _drain_seconds(self) -> float:
        """Return how long work may take to finish; while the API is down hardly any of it can."""
        return min(self.app.drain_seconds, _OUTAGE_DRAIN_SECONDS if self.app.holds.outage else math.inf)

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

    def next_offset(self, tp: TP) -> int | None:
        """Return the offset that is fetched next, None while it is not known."""
        return self._thread.position_of(tp)

    def lag(self, tp: TP) -> int:
        """Return how many records are not done, as far as offsets tell; also those of open transactions."""
        at = (tp.topic, tp.partition)
        extent, began = self.app.positions.extents.get(at), self.app.positions.began(at)
        if extent is None or began is None:
            return 0
        end = max(extent.end, self._thread.highwater_of(tp) or 0)
        if at in self.app.lanes.held_back or self.app.rewinds.is_on_its_way(at):
            done = self.app.lanes.watermarks.get(at, began)
        else:
            # With nothing on hand; markers of transactions that were passed over count for done.
            position = self._thread.position_of(tp)
            done = began if position is None else position
        return max(0, end - max(done, extent.start))


class ConsumerThread(LogAccess):
    """The thread of aiokafka's consumer; tells the membership of each answer of the group's coordinator."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # What upstream's transactions took back has not happened.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - Faust ties it to its own transactions
        # While a fetch waits for records of idle partitions, none goes out for those that were just read.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001 - 1,500 in Faust, and no setting
        return consumer

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit as Faust does, and say beside each offset in which log it was taken, and on which ledger."""
        consumer, text_of = self._ensure_consumer(), cast("Consumer", self.consumer).app.commit_text
        ours = {
            TopicPartition(*tp): OffsetAndMetadata(offset, text_of(tp))
            for tp, offset in offsets.items()
            if self.owns(tp)
        }
        try:
            await consumer.commit(ours)
        except CommitFailedError as error:
            if "already rebalanced" in str(error):
                return False
            await self.crash(error)
            return False
        except Exception as error:
            log.exception("the commit failed")
            await self.crash(error)
            return False
        return True

    async def on_start(self) -> None:
        """Start the consumer and listen in on its heartbeats and joins."""
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - aiokafka offers no listener for these
        membership = cast("Consumer", self.consumer).app.membership
        beat, rejoin = coordinator._do_heartbeat, coordinator._do_rejoin_group  # noqa: SLF001
        complete, reset = coordinator._on_join_complete, coordinator.reset_generation  # noqa: SLF001
        app, push = cast("Consumer", self.consumer).app, coordinator._push_error_to_user  # noqa: SLF001
        joining_since = now()

        async def do_heartbeat() -> bool:
            sent_at = now()
            known: bool = await beat()
            if known:
                membership.heard(sent_at, coordinator.generation)
            return known

        async def do_rejoin_group(subscription: object) -> bool:
            nonlocal joining_since
            membership.lost()
            joining_since = now()
            joined: bool = await rejoin(subscription)
            return joined

        async def on_join_complete(generation: int, *details: object) -> None:
            # Records are delivered before this returns.
            membership.heard(joining_since, generation)
            await complete(generation, *details)

        async def push_error_to_user(error: Exception) -> None:
            refusal = refusal_of(error, app.conf.id, app.conf.broker_session_timeout)
            if refusal is not None:
                app.refuse(refusal)
            await push(error)

        def reset_generation() -> None:
            membership.lost()
            reset()

        coordinator._do_heartbeat = do_heartbeat  # noqa: SLF001
        coordinator._do_rejoin_group = do_rejoin_group  # noqa: SLF001
        coordinator._on_join_complete = on_join_complete  # noqa: SLF001
        coordinator.reset_generation = reset_generation
        # Nobody asks the consumer for records before it has joined: what keeps it from that stays unsaid.
        coordinator._push_error_to_user = push_error_to_user  # noqa: SLF001

    async def on_thread_stop(self) -> None:
        """Close the consumer; nothing that fails on the way keeps the process from stopping.

        A fetcher of aiokafka that is cancelled while a broker is away hands that on to whoever closes it.
        """
        try:
            await super().on_thread_stop()
        except (asyncio.CancelledError, KafkaError) as error:
            log.warning("the connection to Kafka ended without good-bye", error=type(error).__name__)

    def topic_partitions(self, topic: str) -> int | None:
        """Return how many partitions the topic has, None where nothing is known of it.

        Faust asks the group's coordinator, which knows it in the member only that leads the group.
        """
        known = None if self._consumer is None else self._consumer.partitions_for_topic(topic)
        return len(known) if known else None


class Transport(driver.Transport):
    """The driver that `kafka://` stands for in this process."""

    Consumer = Consumer
    Producer = Producer


def install() -> None:
    """Make Faust use this transport for `kafka://`."""
    TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
