"""Dead letters on their way back to the activity topic: each once, whatever interrupts it.

What was redriven is known by the marks on the activity topic alone. So records are written in transactions,
under one transactional id for the group: whoever comes next ends the transaction of who came before, and
only then looks for the marks that are new.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from topics.dead_letter import read_failure, redriven_from
from topics.names import LARGEST_ACTIVITY_BYTES
from topics.record import Position, Record
from worker.kafka.admin import TopicAdmin
from worker.kafka.errors import KafkaFailed
from worker.kafka.log_reader import LogReader, log_reader
from worker.operations.dead_letters import STEP, Say
from worker.operations.redrive_plan import CLOCKS_APART_MS, Horizon, Letter, Plan, plan
from worker.operations.redrive_sender import redrive_sender
from worker.settings import KafkaSettings

_RECORDS: Final = 500
_BYTES: Final = 16 * 1024 * 1024
"""A transaction holds so much at most: it must end long before the broker ends it."""
_SHOWN_LOOKS: Final = 50
_SHOWN_PAUSE_SECONDS: Final = 0.1


@dataclass(slots=True)
class Redriven:
    """How far a redrive has come, in records."""

    sent: int = 0
    by_another: int = 0
    """Sent meanwhile by another redrive."""
    gone: int = 0
    """No longer on the dead-letter topic."""


@dataclass(slots=True)
class Marks:
    """Which of the chosen letters the activity topic shows as redriven, as far as it was looked at."""

    looked_up_to: dict[int, int]
    """The next offset to look at, of each partition that a chosen letter goes to."""
    chosen: Mapping[Position, Letter]
    seen: set[Position] = field(default_factory=set)

    async def look(self, topic: str, reader: LogReader, ends: dict[int, int], say: Say) -> None:
        """Look at each partition up to that offset; waits for open transactions before it."""
        total, looked = sum(max(end - self.looked_up_to[at], 0) for at, end in ends.items()), 0
        for partition, end in ends.items():
            async for record in reader.records(topic, partition, self.looked_up_to[partition], end):
                looked += 1
                if looked % (10 * STEP) == 0:
                    say(f"looking for what was redriven before on {topic}: {looked} of {total}")
                at = redriven_from(record)
                letter = None if at is None else self.chosen.get(at)
                # Whoever may write there may write marks: only a redrive's record tells of the same failure.
                if letter is not None and read_failure(record) == letter.failure:
                    self.seen.add(letter.position)
            self.looked_up_to[partition] = max(self.looked_up_to[partition], end)


@dataclass(frozen=True, slots=True)
class PreparedRedrive:
    """What a redrive would do, and what it needs to do it."""

    plan: Plan
    marks: Marks
    largest_batch_bytes: int


async def prepare(
    settings: KafkaSettings, letters: list[Letter], say: Say, *, also_forgotten: bool = False
) -> PreparedRedrive:
    """Decide for each letter; looks at the activity topic from the oldest letter's time on, writes nothing.

    May take minutes on a large topic; raises KafkaFailed, with one line for the operator.
    """
    topic = settings.activity_topic
    existing = (await TopicAdmin(settings).existing([topic])).get(topic)
    if existing is None:
        raise KafkaFailed(f"topic {topic} does not exist; correct ENROLMENT_ACTIVITY_TOPIC")
    _ensure_partitions(topic, existing.partitions, letters)
    largest = int((existing.config or {}).get("max.message.bytes", LARGEST_ACTIVITY_BYTES))
    oldest: dict[int, int] = {}
    for letter in letters:
        partition = letter.failure.position.partition
        oldest[partition] = min(oldest.get(partition, letter.written_ms), letter.written_ms)
    async with log_reader(settings, committed=True) as reader:
        extent = await reader.extent(topic, oldest)
        firsts = await reader.first_since(topic, dict.fromkeys(oldest, 0))
        since = await reader.first_since(topic, {at: ms - CLOCKS_APART_MS for at, ms in oldest.items()})
        ends = {at: end for at, (_, end) in extent.items()}
        marks = Marks(
            {at: since[at][0] if at in since else ends[at] for at in oldest},
            {letter.position: letter for letter in letters},
        )
        await marks.look(topic, reader, ends, say)
    horizons = {
        at: Horizon(start, firsts[at][1] if at in firsts else None) for at, (start, _) in extent.items()
    }
    decided = plan(letters, marks.seen, horizons, largest, also_forgotten=also_forgotten)
    return PreparedRedrive(decided, marks, largest)


def _ensure_partitions(topic: str, partitions: int, letters: Iterable[Letter]) -> None:
    beyond = [letter for letter in letters if letter.failure.position.partition >= partitions]
    if beyond:
        needed = max(letter.failure.position.partition for letter in beyond) + 1
        raise KafkaFailed(
            f"{len(beyond)} of the dead letters belong to partitions that {topic} does not have: it was made "
            f"anew with {partitions}, and had at least {needed}; give it {needed} partitions, see 'More "
            "partitions' in the manual, and repeat"
        )


async def redrive(
    settings: KafkaSettings,
    prepared: PreparedRedrive,
    done: Redriven,
    say: Say,
    now: Callable[[], float] = time.time,
) -> None:
    """Send what the plan says, and note in `done` how far it came.

    Ends any other redrive of the group. May be cancelled or killed at any moment and repeated. Raises
    KafkaFailed, with one line for the operator.
    """
    dead_letters, activity = settings.topic_names.dead_letters, settings.activity_topic
    marks = prepared.marks
    async with (
        log_reader(settings) as reader,
        log_reader(settings, committed=True) as committed,
        redrive_sender(settings, prepared.largest_batch_bytes, now) as sender,
    ):
        # Nobody else writes marks from here on; those that are there lie before these ends.
        extent = await reader.extent(activity, marks.looked_up_to)
        await marks.look(activity, committed, {at: end for at, (_, end) in extent.items()}, say)
        to_send = {each.position: each for each in prepared.plan.to_send if each.position not in marks.seen}
        done.by_another = len(prepared.plan.to_send) - len(to_send)
        async for batch in _batches(dead_letters, reader, to_send):
            await sender.send(batch)
            done.sent += len(batch)
            say(f"redriven: {done.sent} of {len(to_send)}")
        done.gone = len(to_send) - done.sent
        await _shown(activity, reader, committed, {at.failure.position.partition for at in to_send.values()})


async def _shown(topic: str, reader: LogReader, committed: LogReader, partitions: Iterable[int]) -> None:
    """Return once readers see what was committed: the broker's word of it comes a little earlier.

    Not later than in some seconds: others may have a transaction open there.
    """
    ends = {at: end for at, (_, end) in (await reader.extent(topic, partitions)).items()}
    for _ in range(_SHOWN_LOOKS):
        if all(end >= ends[at] for at, (_, end) in (await committed.extent(topic, ends)).items()):
            return
        await asyncio.sleep(_SHOWN_PAUSE_SECONDS)


async def _batches(
    topic: str, reader: LogReader, letters: Mapping[Position, Letter]
) -> AsyncIterator[list[tuple[Record, Letter]]]:
    batch, size = list[tuple[Record, Letter]](), 0
    async for record in _records(topic, reader, letters):
        letter = letters[record.position]
        batch.append((record, letter))
        size += letter.largest_batch_bytes
        if len(batch) == _RECORDS or size >= _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _records(topic: str, reader: LogReader, letters: Collection[Position]) -> AsyncIterator[Record]:
    """Yield those dead letters that are still there."""
    span: dict[int, tuple[int, int]] = {}
    for at in letters:
        first, last = span.get(at.partition, (at.offset, at.offset))
        span[at.partition] = min(first, at.offset), max(last, at.offset)
    extent = await reader.extent(topic, span)
    for partition, (first, last) in span.items():
        start, end = extent[partition]
        async for record in reader.records(topic, partition, max(first, start), min(last + 1, end)):
            if record.position in letters:
                yield record
