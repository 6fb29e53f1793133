"""The control port: loads worlds, sets faults, reads the books.

JSON both ways, camelCase, no credentials. A body that cannot be read is 400 with `{"error": "..."}`; times
are RFC 3339, durations in seconds. "Customers" are a list of them, or `{"count", "firstId", "source"}` for
synthetic ones with consecutive ids. What changes the world answers as `GET /world` does.

- `GET /health`: `{"apiRequests"}`
- `GET /world`: `{"orgId", "customers", "applied", "promotions": [...]}`, the first three as numbers
- `PUT /world`: replaces the world by `{"customers", "promotions", "enrolments"}`, each optional
- `POST /customers`, `POST /promotions`, `POST /enrolments`: add to it; a promotion replaces the one of its
  id. Promotions and enrolments are lists, fields as in `model.Promotion` and `payloads.EarlierEnrolment`
- `POST /revocations`: `[{"customerId", "promotionId", "issualId"?}]`; the customer's last enrolment, or that
  one, is gone from lookups and limits, and the books say since when (`revokedAt`)
- `POST /merges`: `{"survivorId", "victimId"}`; who asks for the victim is told 8069
- `POST /audiences`: `{"promotionId", "customerIds"}`; lets them into the promotion's `customerIds`
- `GET /audiences`: `{"audiences": [...]}`, who was let into which, and when
- `GET /faults`: `{"kinds": {name: help}, "rules": [...]}`, each rule with how often it has `fired`
- `PUT /faults`, `POST /faults`: replace the rules, add rules; a list, fields as in `faults.FaultRule`
- `DELETE /faults`: no faults
- `GET /settings`, `PATCH /settings`: `payloads.SettingsBody`
- `GET /enrolments?customerId=`: the books, `{"enrolments": [...], "appliedTwice": {key: times}}`, oldest
  first; `appliedTwice` names each idempotency key under which more than one enrolment was applied
- `GET /notifications?after=&last=`: `{"notifications": [{"number", "customerId", "event"}]}`, what Capillary
  would send for each change, in order, behind the number `after`; `customerId` is null for a promotion's.
  Nothing is sent anywhere; what a world begins with is no change
- `GET /requests?customerId=&endpoint=&last=`: the request log in order of arrival
- `GET /stats`: `{"requests", "logged", "counts": {endpoint: {result: times}}, "tokensGiven", "applied"}`
- `GET /watch`: `{"mostAtOnce", "overlapCount", "overlaps": [...]}`; an overlap is two requests for one
  customer in work at once, of which the last hundred are shown
- `POST /tokens/revoke`: no OAuth token given so far passes any more
- `POST /reset`: settings and faults as at the start; customers and promotions stay, the rest is forgotten
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web

from worker.demo.simulator import payloads
from worker.demo.simulator.control_world import OrganisationControl, number_in
from worker.demo.simulator.faults import KINDS
from worker.demo.simulator.pace import Latency, Throttle
from worker.demo.simulator.payloads import overlap_view, record_view, rule_view

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.demo.simulator.simulation import Simulation

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LARGEST_BODY: Final = 256 * 1024 * 1024


class Control:
    """Handlers of the control port."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation: Final = simulation
        self._organisation: Final = OrganisationControl(simulation)

    def application(self) -> web.Application:
        """Build the control port's web application."""
        application = web.Application(middlewares=[_tell_faults], client_max_size=_LARGEST_BODY)
        application.add_routes(
            [
                web.get("/health", self._health),
                *self._organisation.routes(),
                web.get("/faults", self._faults),
                web.put("/faults", self._put_faults),
                web.post("/faults", self._post_faults),
                web.delete("/faults", self._delete_faults),
                web.get("/settings", self._settings),
                web.patch("/settings", self._patch_settings),
                web.get("/notifications", self._notifications),
                web.get("/requests", self._requests),
                web.get("/stats", self._stats),
                web.get("/watch", self._watch),
                web.post("/tokens/revoke", self._revoke),
                web.post("/reset", self._reset),
            ],
        )
        return application

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"apiRequests": self._simulation.requests.total})

    async def _faults(self, _: web.Request) -> web.Response:
        rules = [rule_view(rule, fired) for rule, fired in self._simulation.faults.rules]
        kinds = {name: kind.help for name, kind in KINDS.items()}
        return web.json_response({"kinds": kinds, "rules": rules})

    async def _put_faults(self, request: web.Request) -> web.Response:
        self._simulation.faults.replace(*payloads.RULES.validate_json(await request.read()))
        return await self._faults(request)

    async def _post_faults(self, request: web.Request) -> web.Response:
        self._simulation.faults.add(*payloads.RULES.validate_json(await request.read()))
        return await self._faults(request)

    async def _delete_faults(self, request: web.Request) -> web.Response:
        self._simulation.faults.replace()
        return await self._faults(request)

    async def _settings(self, _: web.Request) -> web.Response:
        now = self._simulation.settings
        return web.json_response(
            {
                "latency": now.latency.text,
                "requestsPerMinute": now.throttle.requests,
                "throttleWindowSeconds": now.throttle.window.total_seconds(),
                "retryAfter": now.retry_after.value,
                "errorStatus": now.error_status,
                "honourIdempotency": now.honour_idempotency,
                "showLateSeconds": now.show_late.total_seconds(),
            },
        )

    async def _patch_settings(self, request: web.Request) -> web.Response:
        given = payloads.SettingsBody.model_validate_json(await request.read())
        settings = self._simulation.settings
        if given.latency is not None:
            settings = replace(settings, latency=Latency.parse(given.latency))
        if given.requests_per_minute is not None:
            window = timedelta(seconds=given.throttle_window_seconds)
            settings = replace(settings, throttle=Throttle(given.requests_per_minute, window))
        if given.retry_after is not None:
            settings = replace(settings, retry_after=given.retry_after)
        if given.error_status is not None:
            settings = replace(settings, error_status=given.error_status)
        if given.honour_idempotency is not None:
            settings = replace(settings, honour_idempotency=given.honour_idempotency)
        if given.show_late_seconds is not None:
            settings = replace(settings, show_late=timedelta(seconds=given.show_late_seconds))
        self._simulation.settings = settings
        return await self._settings(request)

    async def _notifications(self, request: web.Request) -> web.Response:
        told, last = self._simulation.notified(number_in(request, "after") or 0), number_in(request, "last")
        shown = told if last is None else told[-last:]
        return web.json_response({"notifications": [payloads.notification_view(one) for one in shown]})

    async def _requests(self, request: web.Request) -> web.Response:
        customer_id, last = number_in(request, "customerId"), number_in(request, "last")
        endpoint = request.query.get("endpoint")
        chosen = [
            record_view(record)
            for record in self._simulation.requests.log
            if customer_id in {None, record.customer_id} and endpoint in {None, record.endpoint.value}
        ]
        return web.json_response({"requests": chosen if last is None else chosen[-last:]})

    async def _stats(self, _: web.Request) -> web.Response:
        books = self._simulation.requests
        counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (endpoint, result), times in books.counts.items():
            counts[endpoint][result] = times
        return web.json_response(
            {
                "requests": books.total,
                "logged": len(books.log),
                "counts": counts,
                "tokensGiven": self._simulation.doorman.tokens_given,
                "applied": len(self._simulation.world.applied),
            },
        )

    async def _watch(self, _: web.Request) -> web.Response:
        books = self._simulation.requests
        return web.json_response(
            {
                "mostAtOnce": books.most_at_once,
                "overlapCount": books.overlap_count,
                "overlaps": [overlap_view(overlap) for overlap in books.overlaps],
            },
        )

    async def _revoke(self, _: web.Request) -> web.Response:
        return web.json_response({"revoked": self._simulation.doorman.revoke()})

    async def _reset(self, _: web.Request) -> web.Response:
        self._simulation.reset()
        return self._organisation.world()


@web.middleware
async def _tell_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValueError as fault:
        return web.json_response({"error": str(fault)}, status=400)
