"""Positions and logs, beyond what Faust asks, as the thread of aiokafka's consumer tells them."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetMetadataTooLargeError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from worker.kafka import log_extent, log_peek
from worker.kafka.commit_note import MOST_CHARACTERS, Note
from worker.kafka.positions import Extent

_METADATA_SECONDS: Final = 5.0
_LESS: Final = 3 / 4
"""Of what was too much beside an offset is tried next: the mark of the log is to stay as long as it fits."""

log = structlog.get_logger(__name__)


class LogAccess(driver.AIOKafkaConsumerThread):
    """Faust's thread, with what keeping positions in line with the logs takes."""

    _most_characters = MOST_CHARACTERS
    """As many may stand beside an offset, as far as we were told."""

    def position_of(self, tp: TP) -> int | None:
        """Return the offset that is fetched next, None while it is not known."""
        state = self._state(tp)
        return cast("int", state.position) if state is not None and state.has_valid_position else None

    def end_of(self, tp: TP) -> int:
        """Return up to where the partition can be read: to the first open transaction, maybe at 0."""
        state = self._state(tp)
        if state is not None and state.lso is not None and state.lso >= 0:
            return cast("int", state.lso)
        return self.highwater_of(tp) or 0

    def highwater_of(self, tp: TP) -> int | None:
        """Return the end of the log as the last fetch told it, None before the first."""
        state = self._state(tp)
        return None if state is None else state.highwater

    async def reached(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Return up to where partitions were fetched, with what waits to be taken, as far as known."""
        return cast("dict[TP, int]", await self.call_thread(self._reached, list(partitions)))

    async def _reached(self, partitions: Iterable[TP]) -> dict[TP, int]:
        fetched = self._ensure_consumer()._fetcher._records  # noqa: SLF001 - aiokafka tells the position alone
        reached = {tp: position for tp in partitions if (position := self.position_of(tp)) is not None}
        for tp, position in reached.items():
            # None too of what holds an error in place of records.
            waiting: Any = getattr(fetched.get(TopicPartition(*tp)), "_partition_records", None)
            reached[tp] = position if waiting is None else max(position, cast("Any", waiting).end)
        return reached

    async def extents(self, epochs: Mapping[TP, int | None]) -> dict[TP, Extent]:
        """Ask the leaders for these partitions' logs; those that give no answer are left out."""
        wanted = {TopicPartition(*tp): epoch for tp, epoch in epochs.items()}
        found = await self.call_thread(log_extent.ask, self._ensure_consumer(), wanted)
        return {TP(at.topic, at.partition): extent for at, extent in found.items()}

    async def written_at(self, tp: TP, offset: int) -> int | None:
        """Return when the first record at or behind the offset was written, in ms since the epoch.

        Also of one whose transaction is open; None when there is none. Raises KafkaError without an answer.
        """
        found = await self.call_thread(
            log_peek.written_at, self._ensure_consumer(), TopicPartition(*tp), offset
        )
        return cast("int | None", found)

    async def committed_with_marks(self, partitions: Iterable[TP]) -> dict[TP, tuple[int, str]]:
        """Return what the group has committed, with the text beside it, for the partitions that have it."""
        wanted = [TopicPartition(*tp) for tp in partitions]
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - aiokafka leaves the text out
        found = await self.call_thread(coordinator.fetch_committed_offsets, wanted)
        return {TP(at.topic, at.partition): (kept.offset, kept.metadata) for at, kept in found.items()}

    async def correct(self, offsets: Mapping[TP, tuple[int, str]]) -> bool:
        """Commit offsets that may lie before the committed ones, each with what to note beside it.

        Return whether Kafka has taken them.
        """
        try:
            await self.call_thread(
                self._write, {tp: (offset, Note(text)) for tp, (offset, text) in offsets.items()}
            )
        except KafkaError as error:
            if not self.refused(error):
                log.warning("positions could not be corrected yet", error=type(error).__name__)
            return False
        return True

    @abstractmethod
    def refused(self, error: Exception) -> bool:
        """Return whether an error is a refusal that no waiting mends; the process stops for one."""

    async def _write(self, offsets: Mapping[TP, tuple[int, Note]]) -> None:
        """Commit; with less beside the offsets, from then on, if the broker takes no more."""
        given = self._most_characters
        while offsets:
            wanted = {
                TopicPartition(*tp): OffsetAndMetadata(offset, note.text(self._most_characters))
                for tp, (offset, note) in offsets.items()
            }
            try:
                await self._ensure_consumer().commit(wanted)
            except OffsetMetadataTooLargeError:
                if not self._most_characters:
                    raise
                self._most_characters = int(self._most_characters * _LESS)
                continue
            break
        if self._most_characters < given:
            log.warning(
                "the broker takes few characters beside an offset (offset.metadata.max.bytes): more events "
                "are handled once more after a crash",
                characters=self._most_characters,
                remedy=f"leave offset.metadata.max.bytes at {MOST_CHARACTERS}",
            )

    async def seek_if_ours(self, tp: TP, offset: int, then: Callable[[], object] = lambda: None) -> bool:
        """Go there; return whether the partition is assigned to us.

        `then` is called in the consumer's thread if it is, before anything is read from there.
        """
        return cast("bool", await self.call_thread(self._seek_if_ours, tp, offset, then))

    async def _seek_if_ours(self, tp: TP, offset: int, then: Callable[[], object]) -> bool:
        if not self.owns(tp):
            return False
        self._ensure_consumer().seek(TopicPartition(*tp), offset)
        then()
        return True

    async def join_anew(self) -> None:
        """Leave the group's present generation and join the next: everybody drains and begins anew."""
        await self.call_thread(self._join_anew)

    async def _join_anew(self) -> None:
        client = self._ensure_consumer()._client  # noqa: SLF001 - as below
        with suppress(TimeoutError):
            # Who leads the group assigns by what it knows of the cluster.
            await asyncio.wait_for(client.force_metadata_update(), _METADATA_SECONDS)
        self._ensure_consumer()._coordinator.request_rejoin()  # noqa: SLF001 - aiokafka has no call for it

    def owns(self, tp: TP) -> bool:
        """Whether the partition is assigned; Faust's `assignment` makes a new set for each question."""
        return self._state(tp) is not None

    def _state(self, tp: TP) -> Any:  # noqa: ANN401 - aiokafka ships no types
        subscription = self._ensure_consumer()._subscription.subscription  # noqa: SLF001 - `position` waits
        assignment = None if subscription is None else subscription.assignment
        at = TopicPartition(tp.topic, tp.partition)
        if assignment is None or at not in assignment.tps:
            return None
        return assignment.state_value(at)
