"""The API's port: five endpoints, what each reads from its request, and what it wants done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from worker.demo.simulator.answers import answer_lookup_v2, answer_lookup_v21, answer_page
from worker.demo.simulator.errands import IssueErrand, ReadErrand
from worker.demo.simulator.faults import Endpoint
from worker.demo.simulator.gate import Gate
from worker.demo.simulator.queries import read_lookup_v2, read_lookup_v21, read_page
from worker.demo.simulator.reading import Refused, issue_body

if TYPE_CHECKING:
    from datetime import datetime

    from worker.demo.simulator.shapes import Json
    from worker.demo.simulator.simulation import Simulation


class Api:
    """Handlers of the five endpoints."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation: Final = simulation
        self._gate: Final = Gate(simulation)

    def application(self) -> web.Application:
        """Build the API's web application."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/v2/customers/lookup/promotionData", self._lookup_v2, allow_head=False),
                web.get("/v2.1/customers/lookup/promotionData", self._lookup_v21, allow_head=False),
                web.get("/api_gateway/loyalty/v1/programs/promotions/list", self._list, allow_head=False),
                web.post("/v2/promotion/issue", self._issue),
                web.post("/v3/oauth/token/generate", self._token),
            ],
        )
        return application

    async def _lookup_v2(self, request: web.Request) -> web.Response:
        def read(now: datetime) -> Json:
            world = self._simulation.world
            return answer_lookup_v2(read_lookup_v2(request.query.items(), world), world, now)

        return await self._gate.pass_through(request, Endpoint.LOOKUP, ReadErrand(read))

    async def _lookup_v21(self, request: web.Request) -> web.Response:
        def read(now: datetime) -> Json:
            world, options = self._simulation.world, self._simulation.options
            asked = read_lookup_v21(request.query.items(), request.headers, world, options.connected_org_ids)
            return answer_lookup_v21(asked, world, now, options.v21_naming)

        return await self._gate.pass_through(request, Endpoint.LOOKUP, ReadErrand(read))

    async def _list(self, request: web.Request) -> web.Response:
        def read(now: datetime) -> Json:
            world, first = self._simulation.world, self._simulation.options.first_list_page
            asked = read_page(request.query.items(), world, first_page=first)
            return answer_page(asked, world, now, first_page=first)

        return await self._gate.pass_through(request, Endpoint.LIST, ReadErrand(read))

    async def _token(self, request: web.Request) -> web.Response:
        body = await request.read()

        def read(now: datetime) -> Json:
            token = self._simulation.doorman.give_token(body, now)
            if token is None:
                raise Refused(401, "invalid key or secret", status=401)
            return token

        return await self._gate.pass_through(request, Endpoint.TOKEN, ReadErrand(read))

    async def _issue(self, request: web.Request) -> web.Response:
        body = await request.read()
        simulation = self._simulation
        raw_key = request.headers.get(simulation.options.idempotency_header)
        key = None if raw_key is None else raw_key.strip('"')
        errand = IssueErrand(
            world=simulation.world,
            query=tuple(request.query.items()),
            content_type=request.content_type,
            body=body,
            key=key,
            show_late=simulation.settings.show_late,
            kept=simulation.kept_answers if simulation.settings.honour_idempotency else None,
        )
        promotion_id = _promotion_id(body)
        return await self._gate.pass_through(
            request, Endpoint.ISSUE, errand, promotion_id=promotion_id, key=key
        )


def _promotion_id(body: bytes) -> int | None:
    try:
        return issue_body(body)[1]
    except Refused:
        return None
