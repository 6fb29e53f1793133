"""Events of a window of time handled once more, by one process, with the group's ledger as memory.

The group's committed offsets are set to where the window begins, records behind its end are held, and when
all within it is done the offsets go back to where they were, so that the group's work goes on from there. A
replay that is interrupted leaves them within the window: the group's next run then handles the rest of it,
and what comes after it, once more, which the ledger makes harmless.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP
from mode import Service

from topics.record import Position, Record
from worker.settings import Settings
from worker.stream.admin import KafkaFailed
from worker.stream.app import WorkerApp
from worker.stream.changelog import translated
from worker.stream.consumer import Consumer
from worker.stream.partition_admin import PartitionAdmin
from worker.stream.security import aiokafka_options
from worker.stream.vitals import is_ready

HELD_SECONDS: Final = 86_400.0
"""How long a record behind the window is held; then it is looked at, and held again."""
_LOOK_SECONDS: Final = 0.3
_RETRY_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Replay:
    """Which events: those written to the activity topic at `since` or later, and before `until`."""

    since: datetime
    until: datetime
    without_ledger: bool = False
    """Also with a group whose ledger knows nothing: who was enrolled under another one may be again."""
    retry_rejected: bool = False
    """Ask once more for what was rejected."""


@dataclass(frozen=True, slots=True)
class Window:
    """The same as offsets of the activity topic by partition, and what the group had committed before."""

    topic: str
    starts: Mapping[int, int]
    ends: Mapping[int, int]
    before: Mapping[int, int]

    def is_behind(self, position: Position) -> bool:
        """Whether an activity record lies behind the window, and is not to be handled."""
        return position.topic == self.topic and position.offset >= self.ends.get(position.partition, 0)

    @property
    def after(self) -> dict[int, int]:
        """Return what the group has committed once the replay is done."""
        return {number: max(end, self.before.get(number, 0)) for number, end in self.ends.items()}


async def find_window(settings: Settings, replay: Replay) -> Window:
    """Look where the window lies; raises KafkaFailed where a replay cannot be right."""
    names, admin, group = settings.topic_names, PartitionAdmin(settings), settings.group_id
    existing = await admin.existing([names.activity, names.ledger])
    if names.activity not in existing:
        raise KafkaFailed(f"topic {names.activity} does not exist; correct ENROLMENT_ACTIVITY_TOPIC")
    async with _consumer(settings) as consumer:
        if not settings.dry_run and not replay.without_ledger:
            ledger = existing.get(names.ledger)
            entries = 0 if ledger is None else await _records(consumer, names.ledger, ledger.partitions)
            if not entries:
                raise KafkaFailed(
                    f"group {group} has no ledger yet: it would not know whom another group has enrolled. "
                    "Name the group that handled these events (--group-id), or confirm with --yes"
                )
        if members := await admin.members(group):
            raise KafkaFailed(
                f"group {group} has {members} members: stop all workers first (one that was killed counts "
                f"for {settings.kafka_session_timeout_seconds:g} s more)"
            )
        before = await admin.committed(group, names.activity)
        at = [TopicPartition(names.activity, n) for n in range(existing[names.activity].partitions)]
        with translated(names.activity):
            log_ends = await consumer.end_offsets(at)
        # One beyond the end belongs to a log that there is no more: nobody may be sent back there.
        before = {
            tp.partition: before[tp.partition]
            for tp in at
            if before.get(tp.partition, -1) in range(log_ends[tp] + 1)
        }
        starts, ends = [await _offsets(consumer, at, time) for time in (replay.since, replay.until)]
        window = Window(names.activity, starts, ends, before)
        unhandled = sum(max(0, starts[n] - offset) for n, offset in before.items() if n in starts)
        if unhandled:
            raise KafkaFailed(
                f"{unhandled} events before --from are not handled by group {group} yet: let its worker "
                "catch up first, or begin earlier"
            )
    events = sum(ends[n] - starts[n] for n in starts)
    log.info("replaying", since=str(replay.since), until=str(replay.until), group=group, events=events)
    return window


async def open_window(settings: Settings, window: Window) -> None:
    """Set the group's offsets to where the window begins."""
    async with _consumer(settings) as consumer:
        await _commit(consumer, window.topic, window.starts)


async def close_window(settings: Settings, window: Window) -> None:
    """Let the group go on from where it was before; waits until our own membership has ended."""
    async with _consumer(settings) as consumer, asyncio.timeout(settings.kafka_session_timeout_seconds + 10):
        while True:
            try:
                await _commit(consumer, window.topic, window.after)
            except KafkaFailed:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return


class Replaying:
    """A replay under way; without a window everything goes on as ever."""

    def __init__(self, settings: Settings, window: Window | None) -> None:
        self._settings = settings
        self._window = window
        self._finish: FinishLine | None = None

    @classmethod
    async def begin(cls, settings: Settings, replay: Replay | None) -> "Replaying":
        """Look where the window lies, if there is one; raises KafkaFailed where that cannot be right."""
        return cls(settings, None if replay is None else await find_window(settings, replay))

    async def rewind(self) -> None:
        """Let the group begin where the window does."""
        if self._window is not None:
            await open_window(self._settings, self._window)

    def seconds_to_wait(self, record: Record) -> float:
        """Return how long a record is held because it lies behind the window."""
        return HELD_SECONDS if self._window is not None and self._window.is_behind(record.position) else 0.0

    def services(self, app: WorkerApp, finish: Callable[[], object]) -> list[Service]:
        """Return what has to run beside the application; `finish` ends that once all is done."""
        window = self._window
        if window is None:
            return []
        self._finish = FinishLine(lambda: is_past(app, window), finish)
        return [self._finish]

    def ended(self, status: int) -> int:
        """Put the group's offsets back where the replay got to its end; return the process's exit status."""
        if self._window is not None and self._finish is not None and self._finish.reached and status == 0:
            asyncio.run(close_window(self._settings, self._window))
        return status


class FinishLine(Service):
    """Ends the process once all events of the window are done."""

    def __init__(
        self,
        is_done: Callable[[], bool],
        end: Callable[[], object],
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        self._is_done = is_done
        self._end = end
        self.reached = False
        super().__init__(**kwargs)

    @Service.timer(_LOOK_SECONDS)
    async def _look(self) -> None:
        if not self.reached and self._is_done():
            self.reached = True
            log.info("all events of the window are done")
            self._end()


def is_past(app: WorkerApp, window: Window) -> bool:
    """Whether everything before the window's end was handled, in every partition of the topic."""
    if not is_ready(app) or app.holds.outage or app.lanes.on_hand:
        return False
    consumer = cast("Consumer", app.consumer)
    for number, end in window.ends.items():
        partition = (window.topic, number)
        position = consumer.next_offset(TP(*partition))
        if position is None or position < end:
            return False
        fetched, taken = app.trail.last(partition), app.lanes.delivered(partition)
        is_held = app.holds.held(partition)
        if fetched is not None and not is_held and (taken is None or taken < fetched):
            return False
    return True


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that commits for the group and is no member of it."""
    consumer = AIOKafkaConsumer(
        group_id=settings.group_id, enable_auto_commit=False, **aiokafka_options(settings)
    )
    try:
        with translated(settings.activity_topic):
            await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _offsets(consumer: AIOKafkaConsumer, at: list[TopicPartition], time: datetime) -> dict[int, int]:
    """Return for each partition the first offset of that time or later, its end where there is none."""
    with translated(at[0].topic):
        # Kafka finds no records by a time before the epoch; there are none.
        found = await consumer.offsets_for_times(dict.fromkeys(at, max(0, round(time.timestamp() * 1000))))
        ends = await consumer.end_offsets(at)
    return {tp.partition: ends[tp] if found[tp] is None else found[tp].offset for tp in at}


async def _records(consumer: AIOKafkaConsumer, topic: str, partitions: int) -> int:
    at = [TopicPartition(topic, number) for number in range(partitions)]
    with translated(topic):
        starts, ends = await consumer.beginning_offsets(at), await consumer.end_offsets(at)
    return sum(ends[tp] - starts[tp] for tp in at)


async def _commit(consumer: AIOKafkaConsumer, topic: str, offsets: Mapping[int, int]) -> None:
    at = {TopicPartition(topic, number): offset for number, offset in offsets.items()}
    with translated(topic):
        consumer.assign(list(at))
        await consumer.commit(at)
