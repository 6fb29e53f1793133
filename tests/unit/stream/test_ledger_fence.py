"""When the ledger's records may leave, and when the process ends rather than send them."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest

from worker.stream.ledger_fence import LedgerFence, NotCertain, guard
from worker.stream.membership import Membership, now

SESSION = 10.0


class Ended(Exception):  # noqa: N818 - as the fence's own
    """The process would have ended."""


class Client:
    """Keeps what would be written to a connection, and what happens while there is none yet."""

    def __init__(self) -> None:
        self.sent: list[object] = []
        self.while_connecting: Callable[[], object] = lambda: None

    async def ready(self, _: int, *, group: object) -> bool:  # noqa: ARG002 - aiokafka's
        """Connect."""
        self.while_connecting()
        return True

    async def send(self, _: int, request: object, *, group: object) -> str:  # noqa: ARG002 - aiokafka's
        """Write."""
        self.sent.append(request)
        return "acknowledged"


@pytest.fixture
def membership() -> Membership:
    """Give one that was heard of just now, in generation 7."""
    membership = Membership(SESSION)
    membership.heard(now(), 7)
    return membership


@pytest.fixture
def fence(membership: Membership) -> LedgerFence:
    """Give a fence with a record under way."""

    def end(status: int) -> None:
        raise Ended(status)

    fence = LedgerFence(membership, end)
    fence.opened()
    return fence


@pytest.fixture
def client(fence: LedgerFence) -> Client:
    """Give a client behind the fence."""
    client = Client()
    guard(cast("Any", client), fence)
    return client


PRODUCE = ProduceRequest(transactional_id=None, required_acks=-1, timeout=1, topics=[])


async def _send(client: Client, request: object = PRODUCE) -> None:
    assert await client.send(1, request, group=0) == "acknowledged"


@pytest.mark.asyncio
async def test_a_member_sends(client: Client) -> None:
    """As ever."""
    await _send(client)
    assert client.sent == [PRODUCE]


@pytest.mark.asyncio
async def test_who_was_not_heard_of_waits(client: Client, membership: Membership) -> None:
    """Frozen for a while, or Kafka is away; it goes on once it is heard of in the same generation."""
    client.while_connecting = lambda: setattr(membership, "_heard_at", now() - SESSION)
    with pytest.raises(NotCertain) as raised:
        await _send(client)
    assert raised.value.retriable
    assert client.sent == []
    client.while_connecting = lambda: membership.heard(now(), 7)
    await _send(client)
    assert client.sent == [PRODUCE]


@pytest.mark.asyncio
async def test_who_lost_its_partitions_ends(client: Client, membership: Membership) -> None:
    """Out of the group, or in it again in a later generation: another may have written to the partition."""
    membership.lost()
    with pytest.raises(Ended, match="70"):
        await _send(client)
    membership.heard(now(), 8)
    with pytest.raises(Ended, match="70"):
        await _send(client)
    assert client.sent == []


@pytest.mark.asyncio
async def test_other_requests_pass(client: Client, membership: Membership) -> None:
    """Without a connection to Kafka nobody becomes a member again."""
    membership.lost()
    request = MetadataRequest()
    await _send(client, request)
    assert client.sent == [request]


@pytest.mark.asyncio
async def test_other_topics_pass(client: Client, fence: LedgerFence, membership: Membership) -> None:
    """An outcome is of a result that the ledger has: whoever tells it again tells the same."""
    fence.closed()
    membership.lost()
    await _send(client)
    assert client.sent == [PRODUCE]


@pytest.mark.asyncio
async def test_each_stretch_of_records_has_its_generation(fence: LedgerFence, membership: Membership) -> None:
    """Of its first record; there is a new one once all were acknowledged."""
    fence.opened()
    membership.heard(now(), 8)
    fence.closed()
    with pytest.raises(Ended):
        fence.check()
    fence.closed()
    fence.opened()
    fence.check()


@pytest.mark.asyncio
async def test_a_drain_waits_for_the_records(fence: LedgerFence) -> None:
    """As long as it may."""
    assert not await fence.quiet(0.0)
    fence.closed()
    assert await fence.quiet(0.0)
