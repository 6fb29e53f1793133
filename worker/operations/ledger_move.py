"""Moves the ledger to the activity topic's new partition count: each entry to where its records now go.

Entries are copied, not taken away: an event that lies unhandled on its old partition still finds them. While
a topic that marks the move exists, and while the retry topics have their old count, no worker starts: what
was interrupted is run again, and copies what is missing.

An entry belongs on the partition that its key hashes lead to under the count that held so far. Elsewhere it
was left behind by an earlier move, and may be outdated; it is never copied.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from topics.names import TopicSpec
from worker.kafka.admin import ExistingTopic
from worker.kafka.changelog import Changelog, ChangelogRecord, Copier, opened
from worker.kafka.errors import KafkaFailed
from worker.kafka.partition_admin import PartitionAdmin
from worker.kafka.partitioners import Partitioner, partition_of
from worker.ledger.entries import KeyHashes
from worker.ledger.format import is_organisation_key, read_key_hashes
from worker.operations.organisation_move import spread
from worker.settings import KafkaSettings

Say = Callable[[str], object]

_LEAST_SHARE: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Change:
    """The partition counts, the one that held so far and the new one, and how upstream places a key."""

    before: int
    after: int
    partitioner: Partitioner

    def is_home(self, hashes: KeyHashes, partition: int) -> bool:
        """Whether an entry there is the one that workers wrote to last."""
        return partition_of(hashes, self.partitioner, self.before) == partition

    def target(self, hashes: KeyHashes) -> int:
        """Return the partition that the entry's records go to from now on."""
        return partition_of(hashes, self.partitioner, self.after)


@dataclass(slots=True, kw_only=True)
class Moved:
    """What was done, in entries; each counts once per partition that it lies on."""

    stayed: int = 0
    copied: int = 0
    already_there: int = 0
    without_lane: int = 0
    left_behind: int = 0


@dataclass(slots=True)
class Survey:
    """What lies where before the move."""

    lanes: int = 0
    explained: Counter[Partitioner] = field(default_factory=Counter)
    """How many records of the changelog lie where this partitioner puts them."""
    copies: set[int] = field(default_factory=set)
    """Hashes of (partition, key, value) of what an interrupted move has copied."""
    learnt: dict[int, ChangelogRecord] = field(default_factory=dict)
    """The organisation that each partition has learnt."""

    def objection(self, change: Change) -> str | None:
        """Return why the change cannot be right: copies by the wrong rule would cut the ledger off.

        By the right rule every entry lies at home, by a wrong one as many as chance puts there. Those that
        earlier moves left behind dilute that, so a third is asked for.
        """
        chosen = change.partitioner
        if change.before == 1 or not self.lanes:
            return None
        best = max(Partitioner, key=lambda each: self.explained[each])
        if self.explained[best] > self.explained[chosen]:
            return (
                f"{self.explained[chosen]} of {self.lanes} ledger records lie where {chosen} puts them, "
                f"{self.explained[best]} where {best} does: use --partitioner {best}"
            )
        if self.explained[chosen] < _LEAST_SHARE * self.lanes:
            return (
                f"only {self.explained[chosen]} of {self.lanes} ledger records lie where {chosen} puts them: "
                "upstream chooses partitions by a rule of its own, which cannot be followed"
            )
        return None


def key_hashes_in(value: bytes) -> KeyHashes | None:
    """Return the key hashes of a changelog record's value; None also if the value cannot be read."""
    try:
        return read_key_hashes(value)
    except ValueError:
        return None


async def survey(changelog: Changelog, ends: Mapping[int, int], change: Change, say: Say) -> Survey:
    """Read the changelog once, each partition to its end."""
    seen = Survey()
    for partition, end in ends.items():
        copies: dict[int, int] = {}
        async for record in changelog.records(partition, end, f"looking at partition {partition}", say):
            if is_organisation_key(record.key):
                seen.learnt[partition] = record
            hashes = key_hashes_in(record.value) if record.value is not None else None
            if hashes is None:
                continue
            if partition < change.before:
                seen.lanes += 1
                seen.explained.update(
                    each for each in Partitioner if partition_of(hashes, each, change.before) == partition
                )
            if change.target(hashes) == partition and not change.is_home(hashes, partition):
                copies[hash(record.key)] = hash((partition, record.key, record.value))
        seen.copies.update(copies.values())
    return seen


async def copy(
    changelog: Changelog,
    ends: Mapping[int, int],
    change: Change,
    seen: Survey,
    copier: Copier | None,
    say: Say,
) -> Moved:
    """Copy the latest value of each entry to its target; without a copier only count.

    The ends are those from before: what is copied to a partition is not taken for its own.
    """
    moved = Moved()
    for partition in range(change.before):
        end = ends[partition]
        # Offsets first, then values: a partition's values may not fit into memory.
        latest = {
            hash(record.key): record.offset
            async for record in changelog.records(partition, end, f"reading partition {partition}", say)
        }
        async for record in changelog.records(partition, end, f"copying from partition {partition}", say):
            is_latest = latest.get(hash(record.key)) == record.offset
            if record.value is None or not is_latest or is_organisation_key(record.key):
                continue
            hashes = key_hashes_in(record.value)
            if hashes is None:
                moved.without_lane += 1
            elif not change.is_home(hashes, partition):
                moved.left_behind += 1
            elif (target := change.target(hashes)) == partition:
                moved.stayed += 1
            elif hash((target, record.key, record.value)) in seen.copies:
                moved.already_there += 1
            else:
                moved.copied += 1
                if copier is not None:
                    await copier.copy(record, target)
    if copier is not None:
        await spread(seen.learnt, change.after, copier, say)
        await copier.acknowledged()
    return moved


async def move_ledger(
    settings: KafkaSettings, partitioner: Partitioner, say: Say, *, dry_run: bool = False
) -> Moved:
    """Move the ledger, and give the retry topics the new count; a dry run only counts.

    May take minutes. Raises KafkaFailed, with one line for the operator; then it has to be run again.
    """
    names, admin = settings.topic_names, PartitionAdmin(settings)
    existing = await admin.existing([names.activity, names.ledger, *names.retries, names.move_mark])
    change = _change(settings, existing, partitioner)
    await _ensure_nobody_works(settings, admin)
    say(f"from {change.before} to {change.after} partitions, by {partitioner}")
    async with opened(settings, names.ledger) as changelog:
        unhandled = await _unhandled(settings, admin, changelog, change.before)
        if unhandled:
            say(f"warning: {unhandled} events of {names.activity} are not handled yet; see 'More partitions'")
        extent = await changelog.extent(names.ledger, existing[names.ledger].partitions)
        ends = {partition: end for partition, (_, end) in extent.items()}
        seen = await survey(changelog, ends, change, say)
        objection = seen.objection(change)
        if objection is not None:
            raise KafkaFailed(objection)
        if dry_run:
            return await copy(changelog, ends, change, seen, None, say)
        await _mark(settings, admin, existing, change)
        await admin.raise_partitions(_fewer([names.ledger], existing, change.after), change.after)
        async with changelog.copier(change.after) as copier:
            moved = await copy(changelog, ends, change, seen, copier, say)
    await admin.raise_partitions(_fewer(names.retries, existing, change.after), change.after)
    if names.move_mark in existing or change.before != change.after:
        await admin.delete(names.move_mark)
    return moved


def _change(
    settings: KafkaSettings, existing: Mapping[str, ExistingTopic], partitioner: Partitioner
) -> Change:
    names = settings.topic_names
    for name in (names.activity, names.ledger):
        if name not in existing:
            raise KafkaFailed(f"topic {name} does not exist: there is nothing to move")
    after, ledger = existing[names.activity].partitions, existing[names.ledger].partitions
    # The mark remembers what held before a move that was interrupted.
    mark = existing.get(names.move_mark)
    if ledger > after:
        raise KafkaFailed(
            f"topic {names.activity} has {after} partitions and the ledger {names.ledger} has {ledger}: "
            "a topic's partitions cannot be taken away"
        )
    return Change(ledger if mark is None else mark.partitions, after, partitioner)


async def _ensure_nobody_works(settings: KafkaSettings, admin: PartitionAdmin) -> None:
    members = await admin.members(settings.group_id)
    if members:
        raise KafkaFailed(
            f"group {settings.group_id} has {members} members: stop all workers first (one that was killed "
            f"counts for {settings.kafka_session_timeout_seconds:g} s more)"
        )


async def _unhandled(
    settings: KafkaSettings, admin: PartitionAdmin, changelog: Changelog, partitions: int
) -> int:
    committed = await admin.committed(settings.group_id, settings.activity_topic)
    extent = await changelog.extent(settings.activity_topic, partitions)
    # An offset beyond the end is one of a log that there is no more: all of this one may be new.
    done = {n: at for n, at in committed.items() if n in extent and at <= extent[n][1]}
    return sum(end - max(start, done.get(number, start)) for number, (start, end) in extent.items())


async def _mark(
    settings: KafkaSettings, admin: PartitionAdmin, existing: Mapping[str, ExistingTopic], change: Change
) -> None:
    names = settings.topic_names
    if names.move_mark in existing or change.before == change.after:
        return
    replicas = existing[names.ledger].replication_factor
    spec = TopicSpec(
        name=names.move_mark,
        purpose="marks a move of the ledger",
        partitions=change.before,
        replication_factor=replicas,
        config={},
    )
    refusal = (await admin.create([spec]))[names.move_mark]
    if refusal is not None:
        raise KafkaFailed(f"topic {names.move_mark} could not be created: {refusal}")


def _fewer(names: Iterable[str], existing: Mapping[str, ExistingTopic], partitions: int) -> list[str]:
    return [name for name in names if name in existing and existing[name].partitions < partitions]
