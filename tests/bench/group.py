"""A consumer group as the broker sees it."""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

_POLL_SECONDS: Final = 0.2
_STABLE: Final = "Stable"


async def settled(bootstrap_servers: str, group_id: str, members: int) -> None:
    """Return once the group is stable, has so many members, and each of them owns partitions; may not."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        while True:
            owned = await _owned(admin, group_id)
            if len(owned) == members and all(owned):
                return
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await admin.close()


async def _owned(admin: AIOKafkaAdminClient, group_id: str) -> list[int]:
    """Return how many partitions, of all topics, each member owns; nothing while they are being dealt."""
    (answer,) = await admin.describe_consumer_groups([group_id])
    (group,) = answer.groups
    _, _, state, _, _, members, *_ = group
    if state != _STABLE:
        return []
    assignments = (ConsumerProtocolMemberAssignment.decode(assignment) for *_, assignment in members)
    return [sum(len(numbers) for _, numbers in each.assignment) for each in assignments]
