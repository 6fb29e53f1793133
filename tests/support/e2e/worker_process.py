"""The worker as operators run it: a process, seen through its port, its log and its exit status."""

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.ports import HOST, free_ports
from worker.demo.processes import ChildProcess, Household

_ROOT: Final = Path(__file__).resolve().parents[3]
_ANSWER_SECONDS: Final = 10.0
_TAIL_LINES: Final = 60


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the worker's HTTP port answered."""

    status: int
    content_type: str
    body: str


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a process with these settings.

    Names are without `ENROLMENT_`; those that begin with `OTEL_`, `SSL_` or `PYTHON` are not ours and stay as
    they are.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    ours = {
        name if name.startswith(("OTEL_", "SSL_", "PYTHON")) else f"ENROLMENT_{name}": value
        for name, value in settings.items()
    }
    return kept | {"PYTHONPATH": str(_ROOT)} | ours


class WorkerProcess:
    """`python -m worker run` with settings of its own; may be started again after it has ended.

    `settings` has names without their prefix. Its log (all starts) stays with the household.
    """

    def __init__(self, household: Household, settings: Mapping[str, str]) -> None:
        self._household = household
        self._port = free_ports(1)[0]
        self._name = unique("worker")
        self._process: ChildProcess | None = None
        self.options: tuple[str, ...] = ()
        """Of `run`, for the next start."""
        self.settings: Final = {"HTTP_HOST": HOST, "HTTP_PORT": str(self._port), **settings}

    def start(self, **changed: str) -> None:
        """Start it, with these settings changed for this start; returns at once."""
        assert self.poll() is not None or self._process is None, "it still runs"
        command = [sys.executable, "-m", "worker", "run", *self.options]
        self._process = self._household.start(self._name, command, environment(self.settings | changed))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    def poll(self) -> int | None:
        """Return the exit status (negative: the signal that ended it), None while it runs."""
        return self._process.poll() if self._process else None

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Block until it has its partitions; raises AssertionError with the log where it ends instead."""
        ready = lambda: self.poll() is not None or self._is_ready()  # noqa: E731 - named for the line below
        wait_until(ready, "the worker is ready", seconds=seconds, evidence=self.tail)
        assert self.poll() is None, f"the worker ended with {self.poll()}\n{self.tail()}"

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        assert self.poll() is None, f"the worker ended with {self.poll()} before it was killed\n{self.tail()}"
        self._running().kill()

    def send(self, signal_number: signal.Signals) -> None:
        """Send it a signal."""
        self._running().send(signal_number)

    def stop(self, seconds: float = 40.0) -> int:
        """Ask it to end (SIGTERM) and return the exit status; raises AssertionError where it stays."""
        self.send(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float) -> int:
        """Block until it ends and return the exit status; raises AssertionError where it stays."""
        try:
            return self._running().wait(seconds)
        except TimeoutError:
            raise AssertionError(f"the worker still runs after {seconds:g} s\n{self.tail()}") from None

    def close(self) -> None:
        """End it, if it runs, in order where it obeys; for the end of a test."""
        if self._process is not None and self.poll() is None:
            self._process.stop(grace=15.0)

    def get(self, path: str, method: str = "GET", accept: str = "*/*") -> HttpAnswer:
        """Ask its HTTP port; raises OSError where nobody answers."""
        url = f"http://{HOST}:{self._port}{path}"
        request = urllib.request.Request(url, headers={"Accept": accept}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - http
                return HttpAnswer(
                    answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()
                )
        except urllib.error.HTTPError as refused:
            with refused:
                return HttpAnswer(
                    refused.code, refused.headers.get("Content-Type", ""), refused.read().decode()
                )

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of that name that have these labels, 0 where there is none."""
        families = text_string_to_metric_families(self.get("/metrics").body)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def log(self) -> str:
        """Return all that it has written, of every start."""
        path = self._running().log_path
        return path.read_text(errors="replace") if path.exists() else ""

    def tail(self) -> str:
        """Return the end of its log, for a failure message."""
        return f"--- log of {self._name}\n{self._process.log_tail(_TAIL_LINES) if self._process else ''}"

    def _is_ready(self) -> bool:
        try:
            return self.get("/ready").status == 200
        except OSError:
            return False

    def _running(self) -> ChildProcess:
        assert self._process is not None, "it was never started"
        return self._process
