"""A dead member is let go of by the group at once, and a replay that was killed can begin again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import MemberIdRequired
from aiokafka.protocol.group import JoinGroupRequest

from tests.support.e2e.lab import Lab
from tests.support.kafka.brokers import create_topic, delete_topics, unique
from topics.names import TopicNames
from worker.kafka.errors import KafkaFailed
from worker.kafka.partition_admin import PartitionAdmin
from worker.settings import Settings, load_settings
from worker.stream.member_note import MemberNote
from worker.stream.replay_window import Replay, find_window
from worker.stream.state_folder import Hold, StateFolder

_SESSION_SECONDS = 45


@pytest.fixture
def settings(lab: Lab) -> Iterator[Settings]:
    """Give the settings of a worker whose activity topic is there."""
    name = unique("sign-off")
    names = TopicNames(f"{name}-activity", f"{name}-outcomes", f"{name}-group")
    lab.loop.run(create_topic(lab.bootstrap_servers, names.activity, 1, None))
    yield load_settings(
        {
            "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": lab.bootstrap_servers,
            "ENROLMENT_GROUP_ID": names.group_id,
            "ENROLMENT_ACTIVITY_TOPIC": names.activity,
            "ENROLMENT_OUTCOME_TOPIC": names.outcomes,
            "ENROLMENT_API_BASE_URL": "http://127.0.0.1:9",
            "ENROLMENT_API_USERNAME": "u",
            "ENROLMENT_API_PASSWORD": "p",
        }
    )
    lab.loop.run(delete_topics(lab.bootstrap_servers, [names.activity]))


@asynccontextmanager
async def _member(settings: Settings, heartbeat: float = 0.3) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that has joined the group."""
    consumer = AIOKafkaConsumer(
        settings.activity_topic,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=settings.group_id,
        session_timeout_ms=_SESSION_SECONDS * 1000,
        heartbeat_interval_ms=round(heartbeat * 1000),
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def _dead_member(settings: Settings) -> AsyncIterator[str]:
    """Give the id of a member of the group that will not be heard of any more."""
    async with _member(settings, heartbeat=_SESSION_SECONDS) as consumer:
        assert await PartitionAdmin(settings).members(settings.group_id) == 1
        try:
            yield consumer._coordinator.member_id
        finally:
            # It says no good-bye.
            consumer._coordinator.generation = -1


def test_a_group_lets_go_of_a_member_by_its_id(lab: Lab, settings: Settings) -> None:
    """Of one that it does not know, too: nothing happens."""

    async def steps() -> list[int]:
        admin, group, found = PartitionAdmin(settings), settings.group_id, list[int]()
        await admin.sign_off(group, ["nobody-in-a-group-that-never-was"])
        async with _dead_member(settings) as member:
            for members in (["another"], [member], [member]):
                await admin.sign_off(group, members)
                found.append(await admin.members(group))
        return found

    assert lab.loop.run(steps()) == [1, 0, 0]


async def _given_id(settings: Settings) -> str:
    """Ask to join as a process does that is killed before it joins under the id that it is given."""
    group, milliseconds = settings.group_id, _SESSION_SECONDS * 1000
    async with PartitionAdmin(settings)._client() as client:
        request = JoinGroupRequest(
            group, milliseconds, milliseconds, "", None, "consumer", [("roundrobin", b"")]
        )
        answer = await client._send_request(request, await client.find_coordinator(group))
    assert answer.error_code == MemberIdRequired.errno
    return str(answer.member_id)


def test_a_process_that_was_killed_before_it_joined_is_waited_for_too(lab: Lab, settings: Settings) -> None:
    """The group waits for an id that it has given out: so it is noted, and signed off, like a member's."""

    async def steps() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(_member(settings))
            killed = await _given_id(settings)
            joining = asyncio.create_task(stack.enter_async_context(_member(settings)))
            await asyncio.wait([joining], timeout=3.0)
            assert not joining.done(), "the group does not wait"
            await PartitionAdmin(settings).sign_off(settings.group_id, [killed])
            async with asyncio.timeout(15):
                await joining

    lab.loop.run(steps())


@pytest.mark.parametrize("proof", ["of its death", "of nothing"])
def test_a_replay_waits_for_no_member_that_was_killed_here(
    lab: Lab, settings: Settings, tmp_path: Path, proof: str
) -> None:
    """For one that may live elsewhere it does."""
    hold = Hold("boot", 1, 2)
    noted = hold if proof == "of its death" else Hold("another", 1, 2)
    now = datetime.now(UTC)
    replay = Replay(now - timedelta(hours=1), now, without_ledger=True)

    async def steps() -> MemberNote:
        async with _dead_member(settings) as member:
            MemberNote(StateFolder(tmp_path, noted), settings.group_id).joined(member)
            note = MemberNote(StateFolder(tmp_path, hold), settings.group_id)
            await find_window(settings, replay, note)
            return note

    if proof == "of nothing":
        with pytest.raises(KafkaFailed, match="has 1 members: stop all workers first"):
            lab.loop.run(steps())
    else:
        assert lab.loop.run(steps()).predecessors == ()
        assert not list(tmp_path.iterdir())
