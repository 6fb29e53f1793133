"""The light broker: noida-db's Kafka service, for a demo on a machine that cannot have Apache Kafka.

Its known limits: one consumer per group (it never misses a dead member), small data, SIGKILL may lose the
last two seconds.
"""

import importlib.util
import os
import signal
from pathlib import Path

from worker.demo.errors import BrokerFailed, BrokerUnavailable
from worker.demo.ports import HOST, free_ports
from worker.demo.processes import ChildProcess, Household
from worker.demo.readiness import wait_until_ready


def find_binary() -> Path:
    """Return noida-db's binary (its wrapper script could not be stopped); raises `BrokerUnavailable`."""
    package = importlib.util.find_spec("noida_db")
    if package is None or package.origin is None:
        raise BrokerUnavailable("the light broker is missing: pip install 'enrolment-worker[demo]'")
    binary = Path(package.origin).with_name("noida-db")
    if not os.access(binary, os.X_OK):
        raise BrokerUnavailable("the light broker has no binary for this platform")
    return binary


class LightBroker:
    """A light broker in a household, started by `start`."""

    def __init__(self, household: Household, binary: Path) -> None:
        self._household = household
        self._binary = binary
        self._process: ChildProcess | None = None
        self._port: int | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, once started."""
        return f"{HOST}:{self._port}"

    def start(self, timeout: float) -> None:
        """Start it and block until it serves, at most `timeout` seconds; raises `BrokerFailed`."""
        if self._port is None:
            (self._port,) = free_ports(1)
        process = self._household.start(
            "light-broker",
            [
                self._binary,
                "start",
                *("--only", "kafka"),
                *("--host", HOST),
                *("--kafka-port", str(self._port)),
                *("--data-dir", self._household.folder / "light-broker"),
            ],
        )
        self._process = process
        if not wait_until_ready(self.bootstrap_servers, timeout, lambda: process.poll() is not None):
            process.kill()
            raise BrokerFailed(f"the light broker does not serve\n{process.log_tail()}")

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()

    def stop(self) -> None:
        """Let it save its data and end."""
        if self._process:
            self._process.stop(grace=10.0)

    def send(self, signal_number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP freezes it, SIGCONT thaws it."""
        if self._process:
            self._process.send(signal_number)

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of its log."""
        return self._process.log_tail(lines) if self._process else ""
