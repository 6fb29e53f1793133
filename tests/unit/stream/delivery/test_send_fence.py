"""When the ledger's records may leave, and when the process ends rather than send them."""

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import NodeNotReadyError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest

from worker.stream.delivery.membership import Lease, Membership
from worker.stream.delivery.send_fence import SendFence
from worker.stream.driver.producer import Withheld, guard
from worker.stream.ledger.by_partition import FaustLedger
from worker.timepiece import Timepiece, Unheard
from worker.timing import now, utc_now

SESSION = 10.0


class Ended(Exception):  # noqa: N818 - as the fence's own
    """The process would have ended."""


class Client:
    """Keeps what would be written to a connection, and what happens while there is none yet."""

    def __init__(self) -> None:
        self.sent: list[object] = []
        self.is_up = True
        self.while_connecting: Callable[[], object] = lambda: None

    async def ready(self, _: int, *, group: object) -> bool:  # noqa: ARG002 - aiokafka's
        """Connect."""
        self.while_connecting()
        return self.is_up

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
def fence(membership: Membership) -> SendFence:
    """Give a fence with a record under way."""

    def end(status: int) -> None:
        raise Ended(status)

    fence = SendFence(membership, end)
    fence.opened()
    return fence


@pytest.fixture
def client(fence: SendFence) -> Client:
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
    with pytest.raises(Withheld) as raised:
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
async def test_other_topics_pass(client: Client, fence: SendFence, membership: Membership) -> None:
    """An outcome is of a result that the ledger has: whoever tells it again tells the same."""
    fence.closed()
    membership.lost()
    await _send(client)
    assert client.sent == [PRODUCE]


@pytest.mark.asyncio
async def test_each_stretch_of_records_has_its_generation(fence: SendFence, membership: Membership) -> None:
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
async def test_without_a_connection_nothing_is_tried_behind_the_fence(client: Client) -> None:
    """A connection that comes about later would write what nobody looked at again."""
    client.is_up = False
    with pytest.raises(NodeNotReadyError) as raised:
        await _send(client)
    assert raised.value.retriable
    assert client.sent == []


@pytest.mark.asyncio
async def test_a_drain_waits_for_the_records(fence: SendFence) -> None:
    """As long as it may, also for one that comes in between."""
    assert not await fence.quiet(0.0)
    waiting = asyncio.create_task(fence.quiet(60.0))
    await asyncio.sleep(0)
    fence.closed()
    fence.opened()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    fence.closed()
    assert await waiting


@pytest.mark.asyncio
async def test_a_drain_does_not_wait_for_what_is_void(fence: SendFence, membership: Membership) -> None:
    """The process is about to end."""
    membership.lost()
    assert not await fence.quiet(60.0)


@pytest.mark.asyncio
async def test_who_gave_up_may_do_nothing_more_but_let_go_of_its_records(
    client: Client, membership: Membership
) -> None:
    """It is a member still: what is on its way counts. No heartbeat makes it go on."""
    lease = Lease(membership, 7)
    assert lease.is_certain()
    membership.give_up()
    membership.heard(now(), 7)
    assert not lease.held()
    await _send(client)


@pytest.mark.asyncio
async def test_a_record_that_was_never_sent_is_not_waited_for(fence: SendFence) -> None:
    """Its handler was cancelled while there was no room for it, or Kafka did not answer."""
    fence.closed()

    async def send(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    producer: Any = SimpleNamespace(send=send)
    topic = SimpleNamespace(get_topic_name=lambda: "ledger")
    table: Any = SimpleNamespace(changelog_topic=topic)
    stamps = Timepiece(utc_now, time.monotonic, Unheard())
    ledger = FaustLedger(table, fence, stamps, int, lambda: producer)
    with pytest.raises(asyncio.CancelledError):
        await ledger.send(0, b"key", b"value")
    assert await fence.quiet(0.0)
