"""Bootstrapping: which of several servers is asked, when, and what is told when none answers."""

import asyncio
import inspect
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.client import AIOKafkaClient, ConnectionGroup

from worker.kafka.bootstrap import CONNECTS_WITH, reach_any
from worker.kafka.errors import Unreached


@contextmanager
def _dead() -> Iterator[str]:
    """Give an address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def _mute() -> Iterator[str]:
    """Give one that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@asynccontextmanager
async def _client(*servers: str, request_timeout_ms: int = 40_000) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(bootstrap_servers=list(servers), request_timeout_ms=request_timeout_ms)
    reach_any(client)
    try:
        yield client
    finally:
        await client.close()


@pytest.mark.asyncio
async def test_each_server_is_told_with_why_it_did_not_answer() -> None:
    """The mute one after the time of a request; the others need not wait for it."""
    with _dead() as dead, _mute() as mute:
        async with _client(dead, mute, "nowhere.invalid:9092", request_timeout_ms=300) as client:
            with pytest.raises(Unreached) as failed:
                await client.bootstrap()
    whys = dict(failed.value.failures)
    assert set(whys) == {dead, mute, "nowhere.invalid:9092"}
    assert f"{dead}: Connection refused" in str(failed.value)
    assert f"{mute}: time-out" in str(failed.value)


@pytest.mark.asyncio
async def test_mute_servers_are_not_waited_for_one_after_the_other() -> None:
    """Each has its own time, and they overlap."""
    with _mute() as one, _mute() as two, _mute() as three:
        async with _client(one, two, three, request_timeout_ms=2_000) as client:
            began = time.monotonic()
            with pytest.raises(Unreached):
                await client.bootstrap()
    assert time.monotonic() - began < 5.5


def _knows(nodes: Sequence[int], connected: Sequence[int]) -> AIOKafkaClient:
    client = SimpleNamespace(
        cluster=SimpleNamespace(brokers=lambda: [SimpleNamespace(nodeId=node) for node in nodes]),
        _conns={
            (node, ConnectionGroup.DEFAULT): SimpleNamespace(connected=lambda node=node: node in connected)
            for node in nodes
        },
    )
    reach_any(cast("Any", client))
    return cast("Any", client)


def test_what_any_broker_can_answer_is_asked_of_one_that_is_connected() -> None:
    """The cluster still names a broker that has died a moment ago."""
    assert {_knows([1, 2, 3], [2]).get_random_node() for _ in range(50)} == {2}
    assert {_knows([1, 2], []).get_random_node() for _ in range(50)} == {1, 2}
    assert _knows([], []).get_random_node() is None


def test_a_client_keeps_what_it_connects_with_under_these_names() -> None:
    """And hands all of it to its own bootstrap's connection."""
    source = inspect.getsource(AIOKafkaClient)
    own = inspect.getsource(AIOKafkaClient.bootstrap)
    taken = set(re.findall(r"(\w+)=self\._(\w+)", own))
    assert {name for name, kept in taken if name == kept} == set(CONNECTS_WITH)
    assert all(f"self._{name} = " in source for name in CONNECTS_WITH)
    assert {name for name, kept in taken if name != kept} == {"max_idle_ms"}


@pytest.mark.asyncio
async def test_who_gives_up_leaves_no_connection() -> None:
    """Also in the middle of asking."""
    with _mute() as mute:
        async with _client(mute) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.bootstrap(), 0.2)
    assert len(asyncio.all_tasks()) == 1
