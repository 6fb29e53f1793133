"""The part of the control port that changes the world, and shows what became of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from aiohttp import web

from worker.demo.simulator import payloads
from worker.demo.simulator.payloads import add_customers, add_enrolments, enrolment_view, opening_view
from worker.demo.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.demo.simulator.simulation import Simulation


class OrganisationControl:
    """Handlers about the world."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation: Final = simulation

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes to the handlers."""
        return (
            web.get("/world", self._world),
            web.put("/world", self._put_world),
            web.post("/customers", self._post_customers),
            web.post("/promotions", self._post_promotions),
            web.post("/enrolments", self._post_enrolments),
            web.get("/enrolments", self._enrolments),
            web.post("/revocations", self._post_revocations),
            web.post("/merges", self._post_merge),
            web.post("/audiences", self._post_audience),
            web.get("/audiences", self._audiences),
        )

    def world(self) -> web.Response:
        """Show the world."""
        world = self._simulation.world
        promotions = tuple(world.promotions.values())
        return web.json_response(
            {
                "orgId": world.org_id,
                "customers": len(world.customers),
                "applied": len(world.applied),
                "promotions": payloads.PROMOTIONS.dump_python(promotions, mode="json", by_alias=True),
            },
        )

    async def _world(self, _: web.Request) -> web.Response:
        return self.world()

    async def _put_world(self, request: web.Request) -> web.Response:
        given = payloads.WorldBody.model_validate_json(await request.read())
        world = World(given.promotions, org_id=self._simulation.world.org_id)
        add_customers(world, given.customers)
        add_enrolments(world, given.enrolments)
        self._simulation.world = world
        return self.world()

    async def _post_customers(self, request: web.Request) -> web.Response:
        add_customers(self._simulation.world, payloads.CUSTOMERS.validate_json(await request.read()))
        return self.world()

    async def _post_promotions(self, request: web.Request) -> web.Response:
        for promotion in payloads.PROMOTIONS.validate_json(await request.read()):
            self._simulation.world.put_promotion(promotion)
        return self.world()

    async def _post_enrolments(self, request: web.Request) -> web.Response:
        add_enrolments(self._simulation.world, payloads.ENROLMENTS.validate_json(await request.read()))
        return self.world()

    async def _enrolments(self, request: web.Request) -> web.Response:
        world = self._simulation.world
        customer_id = number_in(request, "customerId")
        chosen = [one for one in world.applied if customer_id in {None, one.customer_id}]
        times = Counter(one.idempotency_key for one in chosen if one.idempotency_key is not None)
        return web.json_response(
            {
                "enrolments": [enrolment_view(one) for one in chosen],
                "appliedTwice": {key: count for key, count in times.items() if count > 1},
            },
        )

    async def _post_revocations(self, request: web.Request) -> web.Response:
        for one in payloads.REVOCATIONS.validate_json(await request.read()):
            self._simulation.world.revoke(
                one.customer_id, one.promotion_id, at=self._simulation.clock(), issual_id=one.issual_id
            )
        return self.world()

    async def _post_merge(self, request: web.Request) -> web.Response:
        given = payloads.Merge.model_validate_json(await request.read())
        self._simulation.world.merge(given.survivor_id, given.victim_id)
        return self.world()

    async def _post_audience(self, request: web.Request) -> web.Response:
        given = payloads.Audience.model_validate_json(await request.read())
        self._simulation.world.open_for(given.promotion_id, given.customer_ids, at=self._simulation.clock())
        return self.world()

    async def _audiences(self, _: web.Request) -> web.Response:
        return web.json_response({"audiences": [opening_view(one) for one in self._simulation.world.opened]})


def number_in(request: web.Request, name: str) -> int | None:
    """Read a number of the query. Raises ValueError."""
    return int(request.query[name]) if name in request.query else None
