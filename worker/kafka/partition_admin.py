"""Requests to the cluster beyond topics: groups, more partitions, the end of a topic."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.group import LeaveGroupRequest

from worker.kafka.admin import POLL_SECONDS, TopicAdmin, controller_known
from worker.kafka.errors import KafkaFailed

T = TypeVar("T")

_PASSING: Final = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)


class PartitionAdmin(TopicAdmin):
    """Alters topics, on an operator's demand only. Calls raise KafkaFailed."""

    async def members(self, group: str) -> int:
        """Return how many members the group has, those too that died within their session time-out."""
        async with self._client() as client:
            return await self._members(client, group)

    async def _members(self, client: AIOKafkaAdminClient, group: str) -> int:
        async def ask() -> tuple[int, set[int]]:
            (answer,) = await client.describe_consumer_groups([group])
            ((code, _, _, _, _, members, *_),) = answer.groups
            return len(members), {code}

        return await _answered(ask, f"group {group} could not be described")

    async def sign_off(self, group: str, members: Iterable[str]) -> None:
        """Have the group let go of members by their ids; those that it does not know are gone already.

        They must be dead: a member that lives would go on for as long as its last heartbeat allows.
        """
        async with self._client() as client:
            for member in members:
                await self._sign_off(client, group, member)

    async def _sign_off(self, client: AIOKafkaAdminClient, group: str, member: str) -> None:
        async def ask() -> tuple[None, set[int]]:
            coordinator = await client.find_coordinator(group)
            request = LeaveGroupRequest(group, member)
            answer = await client._send_request(request, coordinator)  # noqa: SLF001 - it has no method for this
            return None, {answer.error_code} - {UnknownMemberIdError.errno}

        await _answered(ask, f"a dead member of group {group} could not be signed off")

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the committed offset of each partition of the topic that has one."""
        return {number: offset for number, (offset, _) in (await self.noted(group, topic)).items()}

    async def noted(self, group: str, topic: str) -> dict[int, tuple[int, str]]:
        """Return the same with the text beside each offset."""
        async with self._client() as client:
            found = await self._offsets(client, group)
        return {number: kept for (name, number), kept in found.items() if name == topic}

    async def has_committed(self, group: str) -> bool:
        """Whether the group has handled anything, of whatever topic."""
        async with self._client() as client:
            return any(offset > 0 for offset, _ in (await self._offsets(client, group)).values())

    async def _offsets(
        self, client: AIOKafkaAdminClient, group: str
    ) -> dict[tuple[str, int], tuple[int, str]]:
        async def ask() -> tuple[dict[tuple[str, int], tuple[int, str]], set[int]]:
            coordinator = await client.find_coordinator(group)
            # Asked for by hand: the client's own method takes a refusal for a group without offsets.
            answer = await client._send_request(OffsetFetchRequest(group, None), coordinator)  # noqa: SLF001
            found = {
                (name, number): (offset, text or "")
                for name, of in answer.topics
                for number, offset, text, *_ in of
            }
            of_each = (each[3] for _, of in answer.topics for each in of)
            return found, {getattr(answer, "error_code", 0), *of_each}

        what = f"the offsets of group {group} could not be read"
        return await _answered(ask, what, "; allow Describe on it")

    async def raise_partitions(self, names: Iterable[str], partitions: int) -> None:
        """Give the topics so many partitions; returns once the cluster has them."""
        wanted = {name: NewPartitions(partitions) for name in names}
        if not wanted:
            return
        async with self._client() as client:
            await controller_known(client)
            await client.create_partitions(wanted, timeout_ms=self._request_ms)
            await _until(client, lambda found: all(found.get(name, 0) >= partitions for name in wanted))

    async def delete(self, name: str) -> None:
        """Delete a topic; returns once it is gone."""
        async with self._client() as client:
            await controller_known(client)
            answer = await client.delete_topics([name], timeout_ms=self._request_ms)
            for _, code in answer.topic_error_codes:
                if code:
                    raise KafkaFailed(f"topic {name} could not be deleted: {for_code(code).__name__}")
            await _until(client, lambda found: name not in found)


async def _answered(ask: Callable[[], Awaitable[tuple[T, set[int]]]], refused: str, remedy: str = "") -> T:
    """Ask a group's coordinator until it answers; `ask` returns what was found, and Kafka's codes."""
    while True:
        with suppress(GroupCoordinatorNotAvailableError):  # a cluster that has had no group yet
            found, codes = await ask()
            final = [code for code in codes if code and not _is_passing(code)]
            if final:
                raise KafkaFailed(f"{refused}: {for_code(max(final)).__name__}{remedy}")
            if not any(codes):
                return found
        await asyncio.sleep(POLL_SECONDS)


def _is_passing(code: int) -> bool:
    """Whether it is worth asking again: a group's coordinator moves, and loads the group, after a start."""
    return for_code(code) in _PASSING


async def _until(client: AIOKafkaAdminClient, arrived: Callable[[dict[str, int]], bool]) -> None:
    """Wait until the cluster's topics, with their partition counts, are as asked for."""
    while not arrived({t["topic"]: len(t["partitions"]) for t in await client.describe_topics()}):  # noqa: ASYNC110 - the cluster sends no word of it
        await asyncio.sleep(POLL_SECONDS)
