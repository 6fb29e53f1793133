"""Asks a broker whether it serves, over the Kafka protocol, and runs such questions from blocking code."""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

_T = TypeVar("_T")
_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS = 5.0


def run_blocking(question: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on an event loop of its own in another thread; a caller with a loop may block too."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, question).result()


def wait_until_ready(
    bootstrap_servers: str,
    timeout: float,
    ended: Callable[[], bool] = lambda: False,
    cluster_id: str | None = None,
) -> bool:
    """Block until a broker serves consumer groups; False after `timeout` seconds or once `ended`.

    With a `cluster_id` the answer of another cluster, which may have taken the port, does not count. Raises
    ValueError if the address is not `host:port`.
    """
    host, _, port = bootstrap_servers.partition(",")[0].rpartition(":")
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and not ended():
        # aiokafka logs an error for each refused connection: knock first.
        if _is_open(host.strip("[]"), int(port)) and run_blocking(_answers(bootstrap_servers, cluster_id)):
            return True
        time.sleep(_PAUSE_SECONDS)
    return False


def _is_open(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_SECONDS):
            return True
    except OSError:
        return False


async def _answers(bootstrap_servers: str, cluster_id: str | None) -> bool:
    client = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap_servers, request_timeout_ms=int(_ANSWER_SECONDS * 1e3)
    )
    try:
        await client.start()
        # Makes the broker create its topic of offsets: the first group forms without errors in the log.
        await client.find_coordinator("readiness")
        cluster = await client.describe_cluster()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()
    return cluster_id is None or cluster["cluster_id"] == cluster_id
