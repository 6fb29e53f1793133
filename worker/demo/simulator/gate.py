"""The gate that every request passes: credentials, throttling, latency, faults, and the books."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, assert_never
from uuid import uuid4

from aiohttp import web

from worker.demo.simulator.auth import TOKEN_HEADER
from worker.demo.simulator.books import RequestRecord
from worker.demo.simulator.faults import Applied, Ending, Endpoint
from worker.demo.simulator.queries import SCOPE_HEADERS, customer_of
from worker.demo.simulator.reading import GENERIC, Refused
from worker.demo.simulator.responses import Answer, fault_answer, throttled, token_refused, unauthorised
from worker.demo.simulator.shapes import error_answer

if TYPE_CHECKING:
    from worker.demo.simulator.errands import Errand
    from worker.demo.simulator.faults import FaultRule
    from worker.demo.simulator.simulation import Simulation

REQUEST_ID_HEADER: Final = "X-CAP-REQUEST-ID"
ATTRIBUTION_HEADERS: Final = ("X-CAP-API-ATTRIBUTION-ENTITY-TYPE", "X-CAP-API-ATTRIBUTION-ENTITY-CODE")
_IN_WHOSE_NAME: Final = (*SCOPE_HEADERS, *ATTRIBUTION_HEADERS)
_HOLD_CHECK_SECONDS: Final = 0.05
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_NOTHING_DONE: Final = Answer(result="nothing", body={})


class Gate:
    """Lets requests through to their errands, as badly as the fault plan wants it."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation: Final = simulation

    async def pass_through(
        self,
        request: web.Request,
        endpoint: Endpoint,
        errand: Errand,
        *,
        promotion_id: int | None = None,
        key: str | None = None,
    ) -> web.Response:
        """Answer a request, or cut its connection."""
        simulation, transport = self._simulation, request.transport
        if transport is None:
            return web.Response()
        customer = customer_of(request.query, simulation.world)
        record = RequestRecord(
            at=simulation.clock(),
            endpoint=endpoint,
            path=request.path,
            customer_id=None if customer is None else customer.customer_id,
            promotion_id=promotion_id,
            idempotency_key=key,
            traceparent=request.headers.get("traceparent"),
            query={name: value for name, value in request.query.items() if name != "identifierValue"},
            headers={name: request.headers[name] for name in _IN_WHOSE_NAME if name in request.headers},
            request_id=uuid4().hex,
        )
        simulation.requests.arrived(record, transport)
        status: int | None = None
        result = "aborted"
        try:
            answer = self._at_the_door(request, record) or errand.begin()
            if answer is None:
                rule, answer = await self._answer(record, errand)
                result = f"fault:{rule.name}" if rule is not None else result
                if answer is None:
                    await self._leave_unanswered(request, rule)
                    return web.Response()
            status, result = answer.status, answer.result
            response = answer.response()
            response.headers[REQUEST_ID_HEADER] = record.request_id
            return response
        finally:
            simulation.requests.finished(record, status, result)

    def _at_the_door(self, request: web.Request, record: RequestRecord) -> Answer | None:
        if record.endpoint is Endpoint.TOKEN:
            return None
        simulation = self._simulation
        if not simulation.doorman.admits(request.headers, record.at):
            has_token = TOKEN_HEADER in request.headers
            return token_refused(simulation.options.token_refusal) if has_token else unauthorised()
        until = simulation.settings.throttle.refused_until(record.at)
        if until is not None:
            return throttled(record.at, until, simulation.settings.retry_after)
        given = sum(name in record.headers for name in ATTRIBUTION_HEADERS)
        if given == 1:
            return self._refused(record, Refused(GENERIC, "attribution needs both a type and a code"))
        return None

    async def _answer(self, record: RequestRecord, errand: Errand) -> tuple[FaultRule | None, Answer | None]:
        """Return the fault that strikes and what the client sees: None if that is no answer."""
        simulation = self._simulation
        rule, slowed = simulation.faults.pick(record.endpoint, record.customer_id, record.promotion_id)
        wait = simulation.settings.latency.sample(simulation.rng) + slowed
        if wait:
            await simulation.sleep(wait / 2)
        answer = self._carry_out(record, errand, rule)
        if wait:
            await simulation.sleep(wait / 2)
        if rule is not None:
            issue = record.endpoint is Endpoint.ISSUE
            status = simulation.settings.error_status
            return rule, fault_answer(rule, answer, simulation.clock(), error_status=status, issue=issue)
        return None, answer

    def _carry_out(self, record: RequestRecord, errand: Errand, rule: FaultRule | None) -> Answer:
        simulation = self._simulation
        now = simulation.clock()
        simulation.world.advance(now)
        try:
            match Applied.BEFORE if rule is None else rule.kind.applied:
                case Applied.NEVER:
                    errand.give_up()
                    return _NOTHING_DONE
                case Applied.BEFORE:
                    return errand.carry_out(now)
                case Applied.LATER:
                    return errand.promise(now, now + timedelta(seconds=rule.seconds if rule else 0))
                case never:
                    assert_never(never)
        except Refused as refused:
            return self._refused(record, refused)

    def _refused(self, record: RequestRecord, refused: Refused) -> Answer:
        return Answer(
            result=f"refused:{refused.code}",
            body=error_answer(refused.code, refused.message, issue=record.endpoint is Endpoint.ISSUE),
            status=refused.status or self._simulation.settings.error_status,
        )

    async def _leave_unanswered(self, request: web.Request, rule: FaultRule | None) -> None:
        """Reset the connection; for a silence, only once the client or the simulator has ended it."""
        stopping = self._simulation.stopping
        if rule is not None and rule.kind.ending is Ending.SILENCE:
            while not (stopping.is_set() or request.transport is None or request.transport.is_closing()):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), _HOLD_CHECK_SECONDS)
        transport = request.transport
        if transport is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()
