"""The window of a replay: which events, as offsets, and how the group is set to it and back."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from topics.record import Position
from worker.kafka.consumers import reading
from worker.kafka.errors import KafkaAway, KafkaFailed, KafkaUnsure, translated
from worker.kafka.partition_admin import PartitionAdmin
from worker.settings import Settings
from worker.stream.member_note import MemberNote

log = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 1.0


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
    before: Mapping[int, tuple[int, str]]
    """With the text beside each offset."""

    def is_behind(self, position: Position) -> bool:
        """Whether an activity record lies behind the window, and is not to be handled."""
        return position.topic == self.topic and position.offset >= self.ends.get(position.partition, 0)

    @property
    def after(self) -> dict[int, tuple[int, str]]:
        """Return what the group has committed once the replay is done.

        An offset that the replay did not reach keeps its text: what is finished behind it stays finished.
        """
        kept = {number: self.before.get(number, (0, "")) for number in self.ends}
        return {
            number: (end, "") if end > kept[number][0] else kept[number] for number, end in self.ends.items()
        }


async def find_window(settings: Settings, replay: Replay, note: MemberNote) -> Window:
    """Look where the window lies; raises KafkaFailed if a replay cannot be right.

    Members of the group that the note knows to be dead do not count.
    """
    names, admin, group = settings.topic_names, PartitionAdmin(settings), settings.group_id
    existing = await admin.existing([names.activity, names.ledger])
    if names.activity not in existing:
        raise KafkaUnsure(f"topic {names.activity} does not exist; correct ENROLMENT_ACTIVITY_TOPIC")
    async with _consumer(settings) as consumer:
        if not settings.dry_run and not replay.without_ledger:
            ledger = existing.get(names.ledger)
            entries = 0 if ledger is None else await _records(consumer, names.ledger, ledger.partitions)
            if not entries:
                raise KafkaFailed(
                    f"group {group} has no ledger yet: it would not know whom another group has enrolled. "
                    "Name the group that handled these events (--group-id), or confirm with --yes"
                )
        await _sign_off(admin, note)
        if members := await admin.members(group):
            raise KafkaFailed(
                f"group {group} has {members} members: stop all workers first (one that was killed counts "
                f"for {settings.kafka_session_timeout_seconds:g} s more)"
            )
        before = await admin.noted(group, names.activity)
        at = [TopicPartition(names.activity, n) for n in range(existing[names.activity].partitions)]
        with translated(names.activity):
            log_ends = await consumer.end_offsets(at)
        # One beyond the end belongs to a log that there is no more: nobody may be sent back there.
        before = {
            tp.partition: before[tp.partition]
            for tp in at
            if tp.partition in before and before[tp.partition][0] in range(log_ends[tp] + 1)
        }
        starts, ends = [await _offsets(consumer, at, time) for time in (replay.since, replay.until)]
        window = Window(names.activity, starts, ends, before)
        unhandled = sum(max(0, starts[n] - offset) for n, (offset, _) in before.items() if n in starts)
        if unhandled:
            raise KafkaFailed(
                f"{unhandled} events before --from are not handled by group {group} yet: let its worker "
                "catch up first, or begin earlier"
            )
    events = sum(ends[n] - starts[n] for n in starts)
    log.info("replaying", since=str(replay.since), until=str(replay.until), group=group, events=events)
    return window


async def _sign_off(admin: PartitionAdmin, note: MemberNote) -> None:
    """Have the group let go of those that were killed here, so that a killed replay can begin at once."""
    if not note.predecessors:
        return
    try:
        await admin.sign_off(note.group, note.predecessors)
    except KafkaAway:
        raise
    except KafkaFailed as failed:
        log.warning("the process that was here before could not be signed off", error=str(failed))
    else:
        note.signed_off()


async def open_window(settings: Settings, window: Window) -> None:
    """Set the group's offsets to where the window begins."""
    async with _consumer(settings) as consumer:
        await _commit(consumer, window.topic, {number: (at, "") for number, at in window.starts.items()})


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


def _consumer(settings: Settings) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
    """Give a consumer that commits for the group and is no member of it."""
    return reading(settings, settings.activity_topic, group_id=settings.group_id)


async def _offsets(consumer: AIOKafkaConsumer, at: list[TopicPartition], time: datetime) -> dict[int, int]:
    """Return for each partition the first offset of that time or later, its end if there is none."""
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


async def _commit(consumer: AIOKafkaConsumer, topic: str, offsets: Mapping[int, tuple[int, str]]) -> None:
    at = {TopicPartition(topic, number): kept for number, kept in offsets.items()}
    with translated(topic):
        consumer.assign(list(at))
        await consumer.commit(at)
