"""How a simulated API is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, get_type_hints

from worker.demo.simulator.faults import FaultRule, RetryAfter, TokenRefusal
from worker.demo.simulator.shapes import Naming
from worker.demo.simulator.world import DEFAULT_ORG_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Options of one simulator; each carries its help text, which `help_of` returns."""

    host: Annotated[str, "Address that the API listens on."] = "127.0.0.1"
    port: Annotated[int, "Port of the API; 0 takes a free one."] = 0
    control_host: Annotated[str, "Address of the control port, which asks for no credentials."] = "127.0.0.1"
    control_port: Annotated[int, "Port for worlds, faults and books; 0 takes a free one."] = 0
    username: Annotated[str, "User of Basic authentication; empty closes that way in."] = "simulator"
    password: Annotated[str, "Password of Basic authentication, compared as given."] = "secret"  # noqa: S105 - guards nothing
    client_key: Annotated[str, "OAuth client key; empty closes that way in."] = "simulator-key"
    client_secret: Annotated[str, "OAuth client secret."] = "simulator-secret"  # noqa: S105 - guards nothing
    token_ttl_seconds: Annotated[float, "Life of an OAuth token."] = 300.0
    token_ends_after_seconds: Annotated[float, "Real life of a token; 0 is as it is told."] = 0.0
    token_refusal: Annotated[TokenRefusal, "Answer to an ended token: 401, 403, or 200 with an error."] = (
        TokenRefusal.STATUS_401
    )
    org_id: Annotated[int, "Organisation that the credentials belong to."] = DEFAULT_ORG_ID
    connected_org_ids: Annotated[tuple[int, ...], "What DATA-SCOPE-ORG and -ORGS may name besides it."] = ()
    customers: Annotated[int, "Synthetic customers at the start, with ids from 1."] = 1000
    seed: Annotated[int, "Seed of latencies and faults."] = 0
    latency: Annotated[str, "100ms, 50ms..200ms, exp:80ms or lognormal:80ms."] = "0ms"
    requests_per_minute: Annotated[int, "Requests a minute, of all callers, before 429; 0 is no limit."] = 0
    retry_after: Annotated[RetryAfter, "Retry-After of such a 429: seconds, date, none."] = RetryAfter.SECONDS
    error_status: Annotated[int, "HTTP status of API error bodies, which the reference leaves open."] = 200
    honour_idempotency: Annotated[bool, "Answer a repeated idempotency key from memory."] = False
    idempotency_header: Annotated[str, "Header that carries the key."] = "Idempotency-Key"
    show_late_seconds: Annotated[float, "Delay until lookups show an applied enrolment."] = 0.0
    faults: Annotated[tuple[FaultRule, ...], "NAME[@ENDPOINT][:rate=..,count=..,seconds=..,code=..]"] = ()
    v21_naming: Annotated[Naming, "Names in v2.1 answers: that page's samples or its table."] = Naming.SAMPLES
    first_list_page: Annotated[int, "Number of the list's first page, 0 or 1; the reference is silent."] = 0
    request_log_size: Annotated[int, "Requests that the log keeps."] = 20_000
    notification_log_size: Annotated[int, "Event notifications that their log keeps."] = 20_000

    @classmethod
    def help_of(cls, name: str) -> str:
        """Return the help text of an option."""
        text: str = get_type_hints(cls, include_extras=True)[name].__metadata__[0]
        return text
