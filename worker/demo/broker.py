"""The broker that the demo and the tests run against."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from worker.demo.apache_kafka import ApacheKafka, BrokerSecurity, SecurityProtocol
from worker.demo.errors import BrokerFailed, BrokerUnavailable
from worker.demo.java import Java
from worker.demo.kafka_node import find_kafka
from worker.demo.light_broker import LightBroker, find_binary
from worker.demo.processes import Household
from worker.demo.readiness import wait_until_ready

__all__ = ["Broker", "BrokerFailed", "BrokerSecurity", "BrokerUnavailable", "running_broker"]

# Name of the environment variable that names an existing cluster, host:port.
EXISTING_CLUSTER = "KAFKA"
_START_SECONDS = 60.0
_EXISTING_SECONDS = 10.0


class _Server(Protocol):
    """What a broker of our own can do."""

    @property
    def bootstrap_servers(self) -> str: ...

    def start(self, timeout: float) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def send(self, signal_number: signal.Signals) -> None: ...

    def log_tail(self, lines: int = 40) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A broker that answered.

    `kind` is "apache-kafka <version>", "light broker" or "existing"; `started_in` the seconds until it
    answered, downloads included; `listeners` the `host:port` of each listener of our Apache Kafka by
    protocol; `fallback_reason` says why it is the light broker.
    """

    kind: str
    bootstrap_servers: str
    started_in: float
    java: Java | None = None
    listeners: Mapping[SecurityProtocol, str] = field(default_factory=dict)
    fallback_reason: str | None = None
    server: _Server | None = field(default=None, repr=False)

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of the broker's log; empty for an existing cluster."""
        return self.server.log_tail(lines) if self.server else ""

    def stop(self) -> None:
        """Stop the broker and keep its data; raises `BrokerUnavailable` if it is not ours."""
        self._own().stop()

    def kill(self) -> None:
        """Kill the broker (SIGKILL) and keep its data; raises `BrokerUnavailable` if it is not ours."""
        self._own().kill()

    def freeze(self) -> None:
        """Let it stand still with its connections open; raises `BrokerUnavailable` if it is not ours."""
        self._own().send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._own().send(signal.SIGCONT)

    def restart(self) -> None:
        """Start it again with its ports and data, after stopping it if need be, and block until it serves.

        Raises `BrokerUnavailable` if it is not ours, `BrokerFailed` if it does not come back.
        """
        self._own().stop()
        self._own().start(_START_SECONDS)

    def _own(self) -> _Server:
        if self.server is None:
            raise BrokerUnavailable(
                f"{EXISTING_CLUSTER} names an existing cluster, which is not ours to stop"
            )
        return self.server


def _silent(_line: str) -> None:
    """Show no progress."""


@contextmanager
def running_broker(
    *,
    allow_light: bool = False,
    own: bool = False,
    security: BrokerSecurity | None = None,
    java: Java | None = None,
    household: Household | None = None,
    progress: Callable[[str], None] = _silent,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Broker]:
    """Give a broker for the time of the block; starting and stopping block.

    It is the cluster that the environment variable KAFKA names, else Apache Kafka in a Java process, else,
    with `allow_light`, the light broker. `own` and `security` ask for what no existing cluster can give (a
    broker to kill, additional listeners) and pass KAFKA over. `java` chooses the Java, `household` another
    owner of the processes than the block itself; `progress` gets a line before each step that may take
    seconds.

    Raises `BrokerUnavailable` if this machine cannot have one, `BrokerFailed` if it did not start.
    Nothing is left behind: see `Household`.
    """
    existing = environ.get(EXISTING_CLUSTER)
    if existing and not own and security is None:
        yield _existing(existing)
        return
    with ExitStack() as stack:
        home = household or stack.enter_context(Household())
        try:
            broker = _apache_kafka(home, java, security, progress)
        except (BrokerUnavailable, BrokerFailed) as reason:
            if not allow_light:
                raise
            broker = _light_broker(home, str(reason).splitlines()[0], progress)
        if broker.server:
            # Its data goes with it: no need for an orderly end.
            stack.callback(broker.server.kill)
        yield broker


def _existing(bootstrap_servers: str) -> Broker:
    began = time.monotonic()
    try:
        answers = wait_until_ready(bootstrap_servers, _EXISTING_SECONDS)
    except ValueError:
        raise BrokerUnavailable(f"{EXISTING_CLUSTER}={bootstrap_servers} is not host:port") from None
    if not answers:
        raise BrokerUnavailable(f"{EXISTING_CLUSTER}={bootstrap_servers} does not answer")
    return Broker(kind="existing", bootstrap_servers=bootstrap_servers, started_in=time.monotonic() - began)


def _apache_kafka(
    household: Household, java: Java | None, security: BrokerSecurity | None, progress: Callable[[str], None]
) -> Broker:
    began = time.monotonic()
    program = find_kafka(java, progress)
    progress(f"starting {program.kind} on {program.java}")
    server = ApacheKafka(household, program, security)
    server.start(_START_SECONDS)
    return Broker(
        kind=program.kind,
        bootstrap_servers=server.bootstrap_servers,
        started_in=time.monotonic() - began,
        java=program.java,
        listeners=dict(server.listeners),
        server=server,
    )


def _light_broker(household: Household, reason: str, progress: Callable[[str], None]) -> Broker:
    began = time.monotonic()
    server = LightBroker(household, find_binary())
    progress(f"starting the light broker instead of Apache Kafka: {reason}")
    server.start(_START_SECONDS)
    return Broker(
        kind="light broker",
        bootstrap_servers=server.bootstrap_servers,
        started_in=time.monotonic() - began,
        fallback_reason=reason,
        server=server,
    )
