"""An API that plays answers over HTTP, and the use case that meets it with the real client."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from tests.support.use_case.building import UseCase, virtual
from tests.support.use_case.fakes import FakePublisher, FakeSleep, FakeTracker, retrying_with
from tests.support.use_case.values import event, record
from worker.capillary.client import CapillaryClient
from worker.capillary.config import ApiVersion, Basic, CapillaryConfig
from worker.domain.plan import Policy
from worker.enrolment.rules import Rules
from worker.resilience.retrying import RetryPolicy

NOW: Final = datetime(2026, 2, 10, 9, 30, tzinfo=UTC)
OWN_ORG: Final = 60711


@dataclass
class PlayedApi:
    """Plays answers by path, the last one again and again; keeps what was asked.

    The n-th request is traced by `call-<n>`.
    """

    answers: Mapping[str, Sequence[tuple[int, object]]]
    version: ApiVersion = ApiVersion.V2
    asked: list[web.Request] = field(default_factory=list)

    @property
    def lookup_path(self) -> str:
        return f"/{self.version}/customers/lookup/promotionData"

    async def handle(self, request: web.Request) -> web.Response:
        asked = await request.read()
        played = self.paths.count(request.path)
        self.asked.append(request)
        answers = self.answers["lookup" if request.path == self.lookup_path else request.path]
        status, body = answers[min(played, len(answers) - 1)]
        if isinstance(body, dict) and body.get("sideEffects"):
            # They name what was asked for, unless the test has them name something.
            body = body | {"sideEffects": [json.loads(asked) | effect for effect in body["sideEffects"]]}
        return web.json_response(body, status=status, headers={"X-CAP-REQUEST-ID": f"call-{len(self.asked)}"})

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.asked]

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[CapillaryClient]:  # noqa: ANN401 - see CapillaryConfig
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        if self.version is ApiVersion.V2_1:
            options |= {"data_scope": "ALL", "data_scope_orgs": (OWN_ORG, 60712)}
        config = CapillaryConfig(
            base_url=f"http://127.0.0.1:{runner.addresses[0][1]}",
            credentials=Basic("user", "hush"),
            api_version=self.version,
            **options,
        )
        try:
            async with CapillaryClient(config, clock=lambda: NOW) as client:
                yield client
        finally:
            await runner.cleanup()


@dataclass
class Story:
    """What came of one event."""

    outcomes: list[dict[str, Any]]
    waits: list[tuple[str, object]]

    @property
    def only(self) -> dict[str, Any]:
        assert len(self.outcomes) == 1, self.outcomes
        return self.outcomes[0]


async def tell(api: PlayedApi, *, org_id: int | None = OWN_ORG, **options: Any) -> Story:  # noqa: ANN401 - see CapillaryConfig
    """Handle one event of the customer, with no ledger from before."""
    publisher, tracker, sleep = FakePublisher([]), FakeTracker(), FakeSleep()
    async with api.client(**options) as client:
        use_case = UseCase(
            api=client,
            rules=Rules(policy=Policy(org_id=org_id)),
            publisher=publisher,
            tracker=tracker,
            time=virtual(sleep, lambda: NOW),
            retrying=retrying_with(RetryPolicy(), tracker, sleep),
        )
        await use_case.handle(record(event(orgId=OWN_ORG)))
    assert tracker.faults == []
    outcomes = [json.loads(outcome.to_json()) for _, outcome in publisher.outcomes]
    return Story(outcomes, [(endpoint, fault) for endpoint, fault, _, _ in tracker.waits])
