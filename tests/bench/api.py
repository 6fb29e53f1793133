"""The fast API as a process of its own."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.support.e2e.lab import Lab
from tests.support.e2e.worker_process import environment
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.ports import HOST, free_ports


class Api:
    """The fast API, as a process."""

    def __init__(self, lab: Lab, latency_seconds: float, promotions: int) -> None:
        port = free_ports(1)[0]
        self.latency_seconds: Final = latency_seconds
        self.url: Final = f"http://{HOST}:{port}"
        arguments = [str(port), str(latency_seconds), str(promotions)]
        command = [sys.executable, "-m", "tests.bench.fast_api", *arguments]
        self.process: Final = lab.household.start(unique("fast-api"), command, environment({}))
        wait_until(self._answers, "the API answers", evidence=self.process.log_tail)

    def served(self) -> dict[str, int]:
        """Return how many requests of each kind it has served."""
        with urllib.request.urlopen(f"{self.url}/stats", timeout=5) as answer:  # noqa: S310 - http
            counts: dict[str, int] = json.loads(answer.read())
            return counts

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Let it answer 503 to every lookup and issue for the time of the block."""
        self._post("/outage/on")
        try:
            yield
        finally:
            self._post("/outage/off")

    def _post(self, path: str) -> None:
        with urllib.request.urlopen(f"{self.url}{path}", data=b"", timeout=5) as answer:  # noqa: S310 - http
            answer.read()

    def _answers(self) -> bool:
        try:
            return bool(self.served())
        except OSError:
            return False


@contextmanager
def running_api(lab: Lab, latency_seconds: float, promotions: int = 1) -> Iterator[Api]:
    """Give an API that takes so long for a request, and has so many promotions for everybody."""
    api = Api(lab, latency_seconds, promotions)
    try:
        yield api
    finally:
        api.process.kill()
