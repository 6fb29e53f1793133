"""One process of Apache Kafka: the program, its configuration, its data and its end."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.demo.errors import BrokerFailed
from worker.demo.java import Java, find_java
from worker.demo.kafka_jars import LOCK_FILE, cache_folder, kafka_jars, kafka_version, read_lock
from worker.demo.processes import ChildProcess, Household
from worker.demo.readiness import wait_until_ready

# Quick to start and small: a compiler tier less, the simplest collector, a heap for a few hundred partitions.
_JVM_OPTIONS = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
)
# Warnings and errors, but for the node's impatience with itself while it starts; a storm of them is thinned
# out to 20 a second. If there are ACLs, each right that was asked for.
_LOG_CONFIGURATION = """\
<Configuration status="error" shutdownHook="disable">
  <Appenders>
    <Console name="out">
      <PatternLayout pattern="%d{HH:mm:ss.SSS} %-5p %m (%c{1})%n%rEx{8}"/>
      <BurstFilter level="FATAL" rate="20" maxBurst="1000"/>
    </Console>
    <Console name="audit"><PatternLayout pattern="%m%n"/></Console>
  </Appenders>
  <Loggers>
    <Root level="warn"><AppenderRef ref="out"/></Root>
    <Logger name="kafka.server.KafkaRaftServer" level="info"/>
    <Logger name="org.apache.kafka.clients.NetworkClient" level="error"/>
    <Logger name="kafka.authorizer.logger" level="trace" additivity="false">
      <AppenderRef ref="audit"/>
    </Logger>
  </Loggers>
</Configuration>
"""


@dataclass(frozen=True, slots=True)
class KafkaProgram:
    """Apache Kafka as this machine can run it; `kind` is "apache-kafka <version>"."""

    kind: str
    java: Java
    jars: tuple[Path, ...]


def find_kafka(java: Java | None, progress: Callable[[str], None]) -> KafkaProgram:
    """Return the program, fetched if need be; raises `BrokerUnavailable` if this machine cannot have it.

    `progress` gets a line before each step that may take seconds.
    """
    java = java or find_java()
    pinned = read_lock(LOCK_FILE.read_text())
    jars = kafka_jars(pinned, cache_folder(), progress=progress)
    return KafkaProgram(f"apache-kafka {kafka_version(pinned)}", java, jars)


class KafkaNode:
    """A process in a household, with a folder of its own there, which outlasts `stop` and `kill`."""

    def __init__(self, household: Household, program: KafkaProgram, name: str = "kafka") -> None:
        self._household = household
        self._program = program
        self._name = name
        self._folder = household.folder / name
        self._process: ChildProcess | None = None

    @property
    def data(self) -> Path:
        """Where it has its logs: a folder of files for each partition."""
        return self._folder / "data"

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process:
            self._process.kill()

    def stop(self) -> None:
        """Let it close its files and end."""
        if self._process:
            self._process.stop(grace=20.0)

    def send(self, signal_number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP freezes it, SIGCONT thaws it."""
        if self._process:
            self._process.send(signal_number)

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of its log: its start, warnings and errors."""
        return self._process.log_tail(lines) if self._process else ""

    def format(
        self, settings: Mapping[str, str], cluster_id: str, timeout: float, more: Sequence[str] = ()
    ) -> None:
        """Write the configuration and format the data folder, with `more` options; raises `BrokerFailed`."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        (self._folder / "log4j2.xml").write_text(_LOG_CONFIGURATION)
        (self._folder / "server.properties").write_text(properties({**settings, "log.dirs": str(self.data)}))
        format_ = self._java_process(
            f"{self._name}-format",
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            f"--cluster-id={cluster_id}",
            f"--config={self._folder / 'server.properties'}",
            *more,
        )
        if format_.wait(timeout) != 0:
            raise BrokerFailed(f"Apache Kafka's data folder cannot be formatted\n{format_.log_tail()}")

    def launch(self) -> None:
        """Start it; returns at once."""
        self._process = self._java_process(self._name, "kafka.Kafka", self._folder / "server.properties")

    def wait_until_serving(self, address: str, cluster_id: str, timeout: float) -> None:
        """Block until it serves at `host:port`; else it is killed after `timeout` seconds: `BrokerFailed`."""
        process = self._process
        assert process is not None, "it was never launched"  # noqa: S101 - tells mypy what launch means
        if wait_until_ready(address, timeout, lambda: process.poll() is not None, cluster_id):
            return
        status = process.poll()
        process.kill()
        what = f"did not serve within {timeout:.0f} s" if status is None else f"ended with status {status}"
        raise BrokerFailed(f"Apache Kafka {what}\n{process.log_tail()}")

    def _java_process(self, name: str, main_class: str, *arguments: str | Path) -> ChildProcess:
        return self._household.start(
            name,
            [
                self._program.java.path,
                *_JVM_OPTIONS,
                f"-Dlog4j2.configurationFile={self._folder / 'log4j2.xml'}",
                "-cp",
                ":".join(map(str, self._program.jars)),
                main_class,
                *arguments,
            ],
        )


def properties(settings: Mapping[str, str]) -> str:
    """Return the text of a file of Java properties."""
    return "".join(f"{name}={escaped(value)}\n" for name, value in settings.items())


def escaped(text: str) -> str:
    """Return a property's value as the file has it."""
    return text.replace("\\", "\\\\")
