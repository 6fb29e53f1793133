"""WireMock: HTTP faults made by software that nobody here wrote."""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import aiohttp
import pytest

from worker.demo.errors import BrokerUnavailable
from worker.demo.java import Java, find_java
from worker.demo.kafka_jars import Jar, cache_folder, fetch_from_maven
from worker.demo.processes import Household

WIREMOCK: Final = Jar(
    "d097b19bd483c5038479b13a5c71e9faf8f2f5106584f0c120a7770ab0bdb367",
    19530671,
    "org.wiremock:wiremock-standalone:3.13.2",
)
START_SECONDS: Final = 30.0
ISSUE: Final = {"method": "POST", "urlPath": "/v2/promotion/issue"}
LOOKUP: Final = {"method": "GET", "urlPath": "/v2/customers/lookup/promotionData"}
TOKEN: Final = {"method": "POST", "urlPath": "/v3/oauth/token/generate"}


def json_answer(body: object, status: int = 200, **more: object) -> dict[str, object]:
    """Return WireMock's description of a JSON answer."""
    return {"status": status, "jsonBody": body, "headers": {"Content-Type": "application/json"}} | more


def html_answer(status: int) -> dict[str, object]:
    """Return WireMock's description of what a proxy says on its own."""
    return {"status": status, "body": "<html>Sorry</html>", "headers": {"Content-Type": "text/html"}}


@contextmanager
def running_wiremock() -> Iterator[str]:
    """Run WireMock and give its base URL; skips, by name, where Java or the jar cannot be had."""
    pytest.importorskip("jgo", reason="WireMock's jar is fetched with jgo, which the demo extra brings")
    try:
        java, jar = find_java(), _wiremock_jar()
    except (BrokerUnavailable, OSError, RuntimeError) as reason:
        _skip(f"no WireMock: {reason}")
    with Household("wiremock-") as household:
        yield _started(household, java, jar)


@dataclass(frozen=True)
class WireMock:
    """Tells WireMock what to answer, and asks it what it got."""

    url: str
    admin: aiohttp.ClientSession

    async def reset(self) -> None:
        """Forget all stubs and requests."""
        async with self.admin.post(f"{self.url}/__admin/reset") as answer:
            answer.raise_for_status()

    async def answers(
        self, request: Mapping[str, object], response: Mapping[str, object], **more: object
    ) -> None:
        """Answer requests like this one so; of several that fit, the latest stub counts."""
        mapping = {"request": request, "response": response, **more}
        async with self.admin.post(f"{self.url}/__admin/mappings", json=mapping) as answer:
            answer.raise_for_status()

    async def answers_in_turn(
        self, name: str, request: Mapping[str, object], responses: Sequence[Mapping[str, object]]
    ) -> None:
        """Answer requests like this one with the responses, one after another; the last one stays."""
        for number, response in enumerate(responses):
            state = {
                "scenarioName": name,
                "requiredScenarioState": "Started" if number == 0 else str(number),
                "newScenarioState": str(min(number + 1, len(responses) - 1)),
            }
            if len(responses) == 1:
                state = {}
            await self.answers(request, response, **state)

    async def received(self, request: Mapping[str, object]) -> list[dict[str, Any]]:
        """Return the requests like this one that came, header names in lower case."""
        async with self.admin.post(f"{self.url}/__admin/requests/find", json=request) as answer:
            found = await answer.json()
        return [
            request | {"headers": {name.lower(): value for name, value in request["headers"].items()}}
            for request in found["requests"]
        ]


def _skip(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _wiremock_jar() -> Path:
    """Return the pinned jar out of the user's cache, downloaded before where it is missing."""
    cached = cache_folder().parent / "wiremock" / WIREMOCK.file_name
    if not cached.exists() or hashlib.sha256(cached.read_bytes()).hexdigest() != WIREMOCK.sha256:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as staging:
            fetched = fetch_from_maven(WIREMOCK, Path(staging))
            if hashlib.sha256(fetched.read_bytes()).hexdigest() != WIREMOCK.sha256:
                raise RuntimeError(f"{WIREMOCK.file_name} differs from its pinned SHA-256")
            fetched.replace(cached)
    return cached


def _started(household: Household, java: Java, jar: Path) -> str:
    """Start WireMock on a port of its own choosing and return its base URL."""
    # It leaves folders where it runs.
    options = ["--port", "0", "--bind-address", "127.0.0.1", "--root-dir", str(household.folder)]
    process = household.start("wiremock", [java.path, "-Xmx256m", "-jar", jar, *options])
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        port = re.search(r"^port:\s+(\d+)", process.log_tail(100), re.MULTILINE)
        if port:
            return f"http://127.0.0.1:{port[1]}"
        time.sleep(0.05)
    pytest.fail(f"WireMock did not start:\n{process.log_tail()}", pytrace=False)
