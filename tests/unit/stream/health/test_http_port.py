"""The HTTP port, when it cannot be had: one line that names the setting and the remedy."""

import asyncio
import errno
import socket
from dataclasses import replace

import pytest
from aiohttp import ClientSession

from worker.settings import SettingsError
from worker.stream.health.http_port import HttpPort, Probes, bind

_PROBES = Probes(
    not_live=lambda: None, not_ready=lambda: None, exposition=lambda _: (b"metrics", "text/plain")
)


def _fault(host: str, port: int) -> str:
    with pytest.raises(SettingsError) as refused:
        bind(host, port)
    (line,) = refused.value.faults
    return line


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
        return number


def test_a_port_that_is_taken() -> None:
    """Whoever listens there is named by the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert _fault("127.0.0.1", port) == (
            f"ENROLMENT_HTTP_PORT is {port}, and another process listens there on 127.0.0.1; "
            "stop that one, or choose another port"
        )


def test_a_host_that_does_not_resolve() -> None:
    """No name server answers for .invalid (RFC 6761)."""
    assert _fault("nowhere.invalid", _port()).startswith(
        "ENROLMENT_HTTP_HOST is nowhere.invalid, which leads to no address; set it to"
    )


def test_an_address_of_another_machine() -> None:
    """One of those that are for documentation (RFC 5737)."""
    assert _fault("192.0.2.1", _port()).startswith(
        "ENROLMENT_HTTP_HOST is 192.0.2.1, no address of this machine"
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "which this process may not listen on; choose one from 1024 on"),
        (errno.EAFNOSUPPORT, "cannot listen there"),
    ],
)
def test_what_the_system_refuses(monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    """A port below 1024 without the right to it, and whatever else."""

    class Refusing(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(number, "refused", address)

    monkeypatch.setattr(socket, "socket", Refusing)
    assert said in _fault("127.0.0.1", 80)


def test_two_that_bind_before_either_listens() -> None:
    """Linux lets both bind; the second finds out when it listens, and says the same."""
    port = _port()
    first, second = bind("127.0.0.1", port), bind("127.0.0.1", port)
    first[0].listen()
    with pytest.raises(SettingsError, match="another process listens there"):
        asyncio.run(HttpPort(second, _PROBES).open())
    for taken in (*first, *second):
        taken.close()


async def _ask(port: int, path: str) -> tuple[int, str]:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


@pytest.mark.asyncio
async def test_it_says_why_not_in_one_line() -> None:
    """Both probes, by what holds at the moment of the request; the metrics answer all the same."""
    number = _port()
    port = HttpPort(bind("127.0.0.1", number), _PROBES)
    await port.open()
    try:
        assert [await _ask(number, path) for path in ("/live", "/ready")] == [(200, "live"), (200, "ready")]
        port.probes = replace(_PROBES, not_live=lambda: "stuck", not_ready=lambda: "waiting for Kafka")
        assert await _ask(number, "/live") == (503, "not live: stuck")
        assert await _ask(number, "/ready") == (503, "not ready: waiting for Kafka")
        assert await _ask(number, "/metrics") == (200, "metrics")
    finally:
        await port.close()
