"""Reaching a cluster: by whichever of the servers named answers, and then by brokers that can be reached.

aiokafka asks one server after the other, and waits for each as long as for a request: one that takes
connections and says nothing keeps it from the next. And what any broker can answer it asks one of those that
the cluster names, which may have died a moment ago.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.util import create_task

from worker.kafka.errors import Unreached
from worker.kafka.protocol_guess import ensure_protocol, has_hung_up

_NEXT_SECONDS: Final = 1.0
"""After which silence of a server the next one is asked too."""
_ANSWER_SECONDS: Final = 10.0
"""How long a server is waited for at most."""

CONNECTS_WITH: Final = (
    *("client_id", "request_timeout_ms", "ssl_context", "security_protocol", "sasl_mechanism"),
    *("sasl_plain_username", "sasl_plain_password", "sasl_kerberos_service_name"),
    *("sasl_kerberos_domain_name", "sasl_oauth_token_provider"),
)
"""What a client hands to its connections; it keeps each by the same name with an underscore before."""

Answer = tuple[AIOKafkaConnection, Any]
"""A connection, and the cluster's metadata that came over it."""


def reach_any(client: AIOKafkaClient) -> None:
    """Let a client that has not begun yet connect to whatever answers."""
    client.bootstrap = partial(_bootstrap, client)
    client.get_random_node = partial(_any_node, client)


async def _bootstrap(client: AIOKafkaClient) -> None:
    """Connect; raises Unreached when no server answers."""
    servers = deque((host, port) for host, port, _ in client.hosts)
    connection, metadata = await _first_answer(client, servers)
    client.cluster.update_metadata(metadata)
    brokers = client.cluster.brokers()
    if brokers:
        connection.close()
    else:
        # A cluster without topics may name none; aiokafka asks here until there are some.
        client._conns["bootstrap", ConnectionGroup.DEFAULT] = connection  # noqa: SLF001 - as its own bootstrap
    if client._sync_task is None:  # noqa: SLF001 - as its own bootstrap
        client._sync_task = create_task(client._md_synchronizer())  # noqa: SLF001 - as its own bootstrap
    if brokers:
        await _reach_one(client, connection.host, connection.port, brokers)


async def _reach_one(client: AIOKafkaClient, host: str, port: int, brokers: Iterable[Any]) -> None:
    """Connect to one of the brokers, first to the one that has just answered, if it can be told."""
    for broker in sorted(brokers, key=lambda each: (each.host, each.port) != (host, port)):
        if await client.ready(broker.nodeId):
            return
    named = ", ".join(f"{broker.host}:{broker.port}" for broker in brokers)
    raise KafkaConnectionError(f"{host}:{port} answers, and no broker that it names can be reached: {named}")


async def _first_answer(client: AIOKafkaClient, servers: deque[tuple[str, int]]) -> Answer:
    asked: dict[asyncio.Task[Answer], str] = {}
    failures: list[tuple[str, BaseException]] = []
    try:
        while servers or asked:
            if servers:
                host, port = servers.popleft()
                asked[asyncio.create_task(_ask(client, host, port))] = f"{host}:{port}"
            patience = _NEXT_SECONDS if servers else None
            done, _ = await asyncio.wait(asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                server, error = asked.pop(task), task.exception()
                if error is None:
                    return task.result()
                failures.append((server, error))
    finally:
        await _let_go(asked)
    raise Unreached(failures)


async def _ask(client: AIOKafkaClient, host: str, port: int) -> Answer:
    options = _options(client)
    try:
        async with asyncio.timeout(min(_ANSWER_SECONDS, client._request_timeout_ms / 1000)):  # noqa: SLF001 - see below
            connection = await create_conn(host, port, **options)
            try:
                return connection, await connection.send(MetadataRequest([]))
            except BaseException:
                connection.close()
                raise
    except (KafkaError, OSError) as error:
        if has_hung_up(error):
            await ensure_protocol(host, port, options)
        raise


async def _let_go(asked: Iterable[asyncio.Task[Answer]]) -> None:
    """Forget those that were not needed."""
    for task in asked:
        task.cancel()
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        if not isinstance(answer, BaseException):
            answer[0].close()


def _options(client: AIOKafkaClient) -> dict[str, Any]:
    return {name: getattr(client, f"_{name}") for name in CONNECTS_WITH} | {
        "max_idle_ms": client._connections_max_idle_ms  # noqa: SLF001 - the one that it calls otherwise
    }


def _any_node(client: AIOKafkaClient) -> int | None:
    """Return a broker that we are connected with, else any; None if none is known."""
    known: list[int] = [broker.nodeId for broker in client.cluster.brokers()]
    open_to = [node for node in known if _is_open(client, node)]
    return random.choice(open_to or known) if known else None  # noqa: S311 - guards nothing


def _is_open(client: AIOKafkaClient, node: int) -> bool:
    connection = client._conns.get((node, ConnectionGroup.DEFAULT))  # noqa: SLF001 - it does not tell
    return connection is not None and connection.connected()
