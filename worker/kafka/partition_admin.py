"""Requests to the cluster beyond topics: groups, more partitions, the end of a topic."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

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
        while True:
            with suppress(GroupCoordinatorNotAvailableError):  # a cluster that has had no group yet
                (answer,) = await client.describe_consumer_groups([group])
                ((code, _, _, _, _, members, *_),) = answer.groups
                if not code:
                    return len(members)
                if not _is_passing(code):
                    raise KafkaFailed(f"group {group} could not be described: {for_code(code).__name__}")
            await asyncio.sleep(POLL_SECONDS)

    async def sign_off(self, group: str, members: Iterable[str]) -> None:
        """Have the group let go of members by their ids; those that it does not know are gone already.

        They must be dead: a member that lives would go on for as long as its last heartbeat allows.
        """
        async with self._client() as client:
            for member in members:
                await self._sign_off(client, group, member)

    async def _sign_off(self, client: AIOKafkaAdminClient, group: str, member: str) -> None:
        while True:
            with suppress(GroupCoordinatorNotAvailableError):  # as above
                coordinator = await client.find_coordinator(group)
                request = LeaveGroupRequest(group, member)
                code = (await client._send_request(request, coordinator)).error_code  # noqa: SLF001 - it has no method for this
                if not code or code == UnknownMemberIdError.errno:
                    return
                if not _is_passing(code):
                    why = for_code(code).__name__
                    raise KafkaFailed(f"a dead member of group {group} could not be signed off: {why}")
            await asyncio.sleep(POLL_SECONDS)

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
        while True:
            with suppress(GroupCoordinatorNotAvailableError):  # a cluster that has had no group yet
                coordinator = await client.find_coordinator(group)
                # Asked for by hand: the client's own method takes a refusal for a group without offsets.
                answer = await client._send_request(OffsetFetchRequest(group, None), coordinator)  # noqa: SLF001
                found = {
                    (name, number): (offset, text or "")
                    for name, of in answer.topics
                    for number, offset, text, *_ in of
                }
                of_each = (each[3] for _, of in answer.topics for each in of)
                codes = {getattr(answer, "error_code", 0), *of_each}
                final = [code for code in codes if code and not _is_passing(code)]
                if final:
                    why = for_code(max(final)).__name__
                    raise KafkaFailed(
                        f"the offsets of group {group} could not be read: {why}; allow Describe on it"
                    )
                if not any(codes):
                    return found
            await asyncio.sleep(POLL_SECONDS)

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


def _is_passing(code: int) -> bool:
    """Whether it is worth asking again: a group's coordinator moves, and loads the group, after a start."""
    return for_code(code) in _PASSING


async def _until(client: AIOKafkaAdminClient, arrived: Callable[[dict[str, int]], bool]) -> None:
    """Wait until the cluster's topics, with their partition counts, are as asked for."""
    while not arrived({t["topic"]: len(t["partitions"]) for t in await client.describe_topics()}):  # noqa: ASYNC110 - the cluster sends no word of it
        await asyncio.sleep(POLL_SECONDS)
