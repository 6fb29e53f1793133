"""Credentials: Basic, and the states of an OAuth token under a clock that tests move."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta

import pytest

from worker.capillary.auth import BasicAuthenticator, Header, OAuthAuthenticator, TokenState
from worker.capillary.config import Basic
from worker.capillary.verdict import TokenAnswer
from worker.capillary.wire import TokenGrant
from worker.domain.answers import Fault, FaultKind, Unsent

OUTAGE = Unsent(FaultKind.SERVER_ERROR, "no token: HTTP 503")


class Server:
    """Hands out numbered tokens of 100 s once the gate is open, and moves the clock."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, tzinfo=UTC)
        self.asked = 0
        self.fault: Fault | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.auth = OAuthAuthenticator(self.grant, lambda: self.now)

    async def grant(self) -> TokenAnswer:
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        return self.fault or TokenGrant(f"t{number}", 100)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def _token(number: int) -> Header:
    return ("X-CAP-API-OAUTH-TOKEN", f"t{number}")


async def _settle() -> None:
    """Let what runs in the background come to its end."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_basic() -> None:
    """User name and password go out as configured, in UTF-8."""
    auth = BasicAuthenticator(Basic("till.one", "päss:word"))

    async def run() -> Header | Fault:
        return await auth.header()

    assert asyncio.run(run()) == ("Authorization", "Basic dGlsbC5vbmU6cMOkc3M6d29yZA==")
    assert not auth.rejected(("Authorization", ""))


@pytest.mark.asyncio
async def test_all_waiting_callers_share_one_refresh() -> None:
    """However many callers meet without a token, it is asked for once."""
    server = Server()
    server.gate.clear()
    callers = [asyncio.create_task(server.auth.header()) for _ in range(50)]
    await _settle()
    server.gate.set()
    assert await asyncio.gather(*callers) == [_token(1)] * 50
    assert (server.asked, server.auth.state) == (1, TokenState.FRESH)


@pytest.mark.asyncio
async def test_a_stale_token_serves_while_it_is_renewed() -> None:
    """Near its end a token is renewed in the background, once, and nobody waits."""
    server = Server()
    await server.auth.header()
    server.wait(79)
    assert (server.auth.state, await server.auth.header(), server.asked) == (TokenState.FRESH, _token(1), 1)
    server.wait(2)
    assert server.auth.state is TokenState.STALE
    assert [await server.auth.header() for _ in range(3)] == [_token(1)] * 3
    await _settle()
    assert (await server.auth.header(), server.asked, server.auth.state) == (_token(2), 2, TokenState.FRESH)


@pytest.mark.asyncio
async def test_an_expired_token_is_waited_for() -> None:
    """A token is given up shortly before its expiry."""
    server = Server()
    await server.auth.header()
    server.wait(96)
    assert server.auth.state is TokenState.INVALID
    assert await server.auth.header() == _token(2)


@pytest.mark.asyncio
async def test_expiry_counts_from_the_asking() -> None:
    """A slow answer does not lengthen a token's life."""
    server = Server()
    server.gate.clear()
    caller = asyncio.create_task(server.auth.header())
    await _settle()
    server.wait(96)
    server.gate.set()
    await caller
    assert server.auth.state is TokenState.INVALID


@pytest.mark.asyncio
async def test_a_failed_early_renewal_costs_nobody_a_request() -> None:
    """While the old token is good a failed renewal is only repeated, after a pause."""
    server = Server()
    await server.auth.header()
    server.wait(81)
    server.fault = OUTAGE
    for _ in range(5):
        assert await server.auth.header() == _token(1)
        await _settle()
    assert server.asked == 2
    server.wait(6)
    assert await server.auth.header() == _token(1)
    await _settle()
    assert server.asked == 3


@pytest.mark.asyncio
async def test_without_a_token_the_fault_is_the_answer() -> None:
    """All waiting callers get the fault; the next caller asks again."""
    server = Server()
    server.fault = OUTAGE
    callers = [server.auth.header() for _ in range(2)]
    assert await asyncio.gather(*callers) == [OUTAGE, OUTAGE]
    server.fault = None
    assert await server.auth.header() == _token(2)


@pytest.mark.asyncio
async def test_a_rejected_token_is_dropped_once() -> None:
    """Of many callers whose token was refused only the first drops it; the new one stays."""
    server = Server()
    old = await server.auth.header()
    assert isinstance(old, tuple)
    assert server.auth.rejected(old)
    assert await server.auth.header() == _token(2)
    assert server.auth.rejected(old)
    assert (await server.auth.header(), server.asked) == (_token(2), 2)


@pytest.mark.asyncio
async def test_a_caller_that_gives_up_leaves_the_refresh_to_the_others() -> None:
    """Cancelling one waiting caller does not cancel the refresh."""
    server = Server()
    server.gate.clear()
    leaving, staying = (asyncio.create_task(server.auth.header()) for _ in range(2))
    await _settle()
    leaving.cancel()
    await _settle()
    server.gate.set()
    assert (await staying, server.asked) == (_token(1), 1)


@pytest.mark.asyncio
async def test_closing_ends_a_refresh() -> None:
    """Nothing is left running after aclose."""
    server = Server()
    server.gate.clear()
    coroutine: Coroutine[None, None, Header | Fault] = server.auth.header()
    caller = asyncio.create_task(coroutine)
    await _settle()
    await server.auth.aclose()
    with pytest.raises(asyncio.CancelledError):
        await caller
