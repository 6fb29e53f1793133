"""The demo's questions over HTTP: to the simulator's control port and for the worker's metrics."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from worker.demo.reconcile import Applied

_REQUEST_SECONDS = 5.0
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """What /metrics says now."""

    handled: int
    """Events brought to their end, those that are passed over included."""
    in_flight: int
    retries: int


class Probes:
    """An HTTP client of both. An asynchronous context manager; raises `aiohttp.ClientError`, TimeoutError."""

    def __init__(self, control_url: str, worker_url: str) -> None:
        self._control_url = control_url
        self._worker_url = worker_url

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS), raise_for_status=True
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def api_answers(self) -> None:
        """Wait until the control port answers."""
        await self._until_ok(f"{self._control_url}/health")

    async def worker_is_ready(self) -> None:
        """Wait until the worker has its partitions."""
        await self._until_ok(f"{self._worker_url}/ready")

    async def put(self, path: str, body: bytes) -> None:
        """Replace something at the control port."""
        async with self._session.put(f"{self._control_url}{path}", data=body):
            pass

    async def enrolments(self) -> tuple[Applied, ...]:
        """Read the books of the API."""
        return tuple(
            Applied(
                customer_id=row["customerId"],
                program_id=row["programId"],
                promotion_id=row["promotionId"],
                issual_id=row["issualId"],
                idempotency_key=row["idempotencyKey"],
            )
            for row in (await self._control("/enrolments"))["enrolments"]
        )

    async def overlaps(self) -> int:
        """Count the requests that were in work together with another of the same customer."""
        return int((await self._control("/watch"))["overlapCount"])

    async def requests(self) -> int:
        """Count the requests that the API had."""
        return int((await self._control("/stats"))["requests"])

    async def figures(self) -> WorkerFigures | None:
        """Read the worker's metrics; None while it does not answer."""
        try:
            async with self._session.get(f"{self._worker_url}/metrics") as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return None
        sums: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            sums[family.name] = sum(s.value for s in family.samples if not s.name.endswith("_created"))
        return WorkerFigures(
            handled=int(sums.get("enrolment_activity", 0)),
            in_flight=int(sums.get("enrolment_in_flight", 0)),
            retries=int(sums.get("enrolment_retries", 0)),
        )

    async def _control(self, path: str) -> Any:  # noqa: ANN401 - JSON
        async with self._session.get(f"{self._control_url}{path}") as answer:
            return await answer.json()

    async def _until_ok(self, url: str) -> None:
        while True:
            try:
                async with self._session.get(url):
                    return
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(_PAUSE_SECONDS)
