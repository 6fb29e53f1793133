"""Dead letters as they lie: read from their topic to its present end, outside of any group."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from topics.dead_letter import redriven_headers
from topics.record import Record
from worker.kafka.admin import TopicAdmin
from worker.kafka.errors import KafkaFailed
from worker.kafka.log_reader import LogReader, log_reader
from worker.kafka.sizes import batch_bytes
from worker.operations.redrive_plan import Chosen, ForeignLetter, Letter, Wanted, read_letter
from worker.settings import KafkaSettings

Say = Callable[[str], object]

STEP: Final = 1_000
"""After so many records progress is told again."""


@dataclass(slots=True)
class FoundLetters:
    """The letters asked for, oldest first, and how many records were not ours."""

    letters: list[Letter]
    not_ours: Counter[ForeignLetter] = field(default_factory=Counter)


async def find(settings: KafkaSettings, wanted: Wanted, say: Say) -> FoundLetters:
    """Return the letters asked for. Takes some 1 KB of memory for each.

    May take minutes on a large topic; raises KafkaFailed, with one line for the operator.
    """
    topic = settings.topic_names.dead_letters
    existing = (await TopicAdmin(settings).existing([topic])).get(topic)
    if existing is None:
        raise KafkaFailed(f"topic {topic} does not exist; is ENROLMENT_ACTIVITY_TOPIC right?")
    async with log_reader(settings) as reader:
        return await _find(settings, reader, existing.partitions, wanted, say)


async def _find(
    settings: KafkaSettings, reader: LogReader, partitions: int, wanted: Wanted, say: Say
) -> FoundLetters:
    topic = settings.topic_names.dead_letters
    chosen, not_ours = Chosen(wanted), Counter[ForeignLetter]()
    extent = await reader.extent(topic, range(partitions))
    total, read = sum(end - start for start, end in extent.values()), 0
    for partition, (start, end) in extent.items():
        async for record in reader.records(topic, partition, start, end):
            read += 1
            if read % STEP == 0:
                say(f"looking at {topic}: {read} of {total}")
            letter = read_letter(record, settings.group_id, settings.activity_topic, redriven_bytes(record))
            if isinstance(letter, ForeignLetter):
                not_ours[letter] += 1
            else:
                chosen.add(letter)
    return FoundLetters(chosen.letters(), not_ours)


def redriven_bytes(letter: Record) -> int:
    """Return the largest batch that the redriven record can make."""
    return batch_bytes(letter.key, letter.value, redriven_headers(letter))
