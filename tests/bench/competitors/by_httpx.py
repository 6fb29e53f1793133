"""An event's two requests through httpx: one client for all, a connection for each event in flight."""

import httpx

from tests.bench.competitors import setting
from tests.bench.competitors.setting import Json


def new_client() -> httpx.AsyncClient:
    """Return the client that all events share."""
    limits = httpx.Limits(max_connections=setting.AT_ONCE, max_keepalive_connections=setting.AT_ONCE)
    return httpx.AsyncClient(
        base_url=setting.API, auth=setting.USER, limits=limits, timeout=setting.TIMEOUT_SECONDS
    )


async def enrol(client: httpx.AsyncClient, event: Json) -> list[Json]:
    """Look the customer up, enrol, and return the outcomes; raises httpx.HTTPError."""
    customer = setting.customer_of(event)
    found = await client.get(setting.LOOKUP, params=setting.lookup_of(customer))
    found.raise_for_status()
    outcomes = []
    for promotion in found.json()["promotions"]:
        body, headers = setting.issue_of(event, promotion)
        issued = await client.post(setting.ISSUE, params=customer, json=body, headers=headers)
        issued.raise_for_status()
        outcomes.append(setting.outcome_of(event, promotion, issued.json()))
    return outcomes
