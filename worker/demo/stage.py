"""The demo's stage: its addresses, its topics, and the settings of its worker."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from topics.names import TopicNames
from worker.demo.broker import Broker
from worker.demo.ports import HOST, free_ports
from worker.demo.scenario import ORG_ID
from worker.demo.simulator import SimulatorOptions

_API: Final = SimulatorOptions()
_NAMES: Final = TopicNames("customer-activity", "enrolment-outcomes", "enrolment-worker")


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of the API, its control port and the worker."""

    api: int
    control: int
    worker: int

    @classmethod
    def free(cls) -> "Ports":
        """Choose free ones."""
        return cls(*free_ports(3))


@dataclass(frozen=True, slots=True)
class Stage:
    """One demo's surroundings."""

    broker: Broker
    names: TopicNames
    ports: Ports
    folder: Path

    @classmethod
    def of(cls, broker: Broker, ports: Ports, folder: Path) -> "Stage":
        """Take the default names on a broker of our own, names of this demo's own on an existing cluster."""
        names = _NAMES
        if broker.kind == "existing":
            own = f"-demo-{uuid4().hex[:8]}"
            names = TopicNames(*(name + own for name in (names.activity, names.outcomes, names.group_id)))
        return cls(broker, names, ports, folder)

    @property
    def api_url(self) -> str:
        """The simulated API."""
        return f"http://{HOST}:{self.ports.api}"

    @property
    def control_url(self) -> str:
        """The simulator's control port."""
        return f"http://{HOST}:{self.ports.control}"

    @property
    def worker_url(self) -> str:
        """The worker's HTTP port."""
        return f"http://{HOST}:{self.ports.worker}"

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic of this demo."""
        names = self.names
        return (names.activity, *names.retries, names.dead_letters, names.outcomes, names.ledger)

    def connection(self) -> dict[str, str]:
        """Return the settings that another worker would need, too; names without prefix."""
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "API_BASE_URL": self.api_url,
            "API_USERNAME": _API.username,
            "API_PASSWORD": _API.password,
            "ORG_ID": str(ORG_ID),
        }
        if self.names != _NAMES:
            settings |= {
                "ACTIVITY_TOPIC": self.names.activity,
                "OUTCOME_TOPIC": self.names.outcomes,
                "GROUP_ID": self.names.group_id,
            }
        return settings

    def settings(self) -> dict[str, str]:
        """Return all settings of the demo's worker; names without prefix."""
        return self.connection() | {
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(self.ports.worker),
            "PII_KEY": "a key for the demo",
            "STATE_DIR": str(self.folder / "state"),
            "RETRY_INITIAL_SECONDS": "0.1",
            "DRAIN_SECONDS": "10",
            "LOG_FORMAT": "console",
        }

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Yield what there is to connect to, and lines to paste, each with what it is."""
        servers = self.broker.bootstrap_servers
        yield "Kafka", servers
        yield "Capillary API", f"{self.api_url}  (user {_API.username}, password {_API.password})"
        yield "its control port", f"{self.control_url}/enrolments"
        yield "the worker", f"{self.worker_url}/metrics"
        yield "logs", f"{self.folder}/*.log"
        yield "read outcomes", f"kcat -C -b {servers} -t {self.names.outcomes} -f '%h\\n%s\\n\\n'"
        event = '{"eventName":"transactionAdded","customer":{"customerId":1}}'
        yield "send an event", f"echo '1:{event}' | kcat -P -b {servers} -t {self.names.activity} -K:"
        settings = " ".join(f"ENROLMENT_{name}={value}" for name, value in self.connection().items())
        yield "one more worker", f"{settings} enrolment-worker run"
