"""Apache Kafka itself: one node, broker and controller, as a Java process on loopback ports."""

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from worker.demo.errors import BrokerFailed
from worker.demo.kafka_node import KafkaNode, KafkaProgram, escaped
from worker.demo.ports import HOST, free_ports
from worker.demo.processes import Household

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SCRAM_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")

_PORT_ATTEMPTS = 3
SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    # Every internal topic on the one node there is, and small.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "2",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # A group is complete at once, and a killed member is missed within seconds.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # After a kill the controller takes the broker back once the old session has ended (9 s by default).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "1",
    # The cleaner's default buffer is half of the heap.
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
    "log.index.size.max.bytes": str(1024 * 1024),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSecurity:
    """Listeners beside the plain one: SASL_PLAINTEXT always, SSL and SASL_SSL if there is a certificate.

    `users` (name to password) can log in with PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. `certificate` is a PEM
    file with the private key (PKCS#8) and the certificate chain of 127.0.0.1, `authority` the PEM file of the
    CA that client certificates are checked against; SSL asks for one as `client_certificates` says, SASL_SSL
    never. With `acls` a user may do what ACLs allow and nothing else; the plain listener goes on being open.
    """

    users: Mapping[str, str]
    certificate: Path | None = None
    authority: Path | None = None
    client_certificates: Literal["required", "requested", "none"] = "requested"
    acls: bool = False

    def protocols(self) -> tuple[SecurityProtocol, ...]:
        """Return the protocols of the additional listeners."""
        return ("SASL_PLAINTEXT", "SSL", "SASL_SSL") if self.certificate else ("SASL_PLAINTEXT",)

    def settings(self) -> dict[str, str]:
        """Return the broker's settings for them."""
        accounts = " ".join(f'user_{name}="{_quoted(password)}"' for name, password in self.users.items())
        plain = f"org.apache.kafka.common.security.plain.PlainLoginModule required {accounts};"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        settings = {
            "sasl.enabled.mechanisms": ",".join(("PLAIN", *SCRAM_MECHANISMS)),
            # What has no ACL is everybody's, and on the plain listener everything is allowed.
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
            "super.users": "User:ANONYMOUS",
        }
        for listener in ("sasl_plaintext", "sasl_ssl") if self.certificate else ("sasl_plaintext",):
            settings[f"listener.name.{listener}.plain.sasl.jaas.config"] = plain
            for mechanism in SCRAM_MECHANISMS:
                settings[f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config"] = scram
        if self.certificate:
            settings |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self.certificate),
                "listener.name.ssl.ssl.client.auth": self.client_certificates,
                "listener.name.sasl_ssl.ssl.client.auth": "none",
            }
        if self.acls:
            settings |= {
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            }
        if self.authority:
            settings |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(self.authority)}
        return settings


class ApacheKafka(KafkaNode):
    """A node that is the whole cluster. From its first `start` on, ports and data outlast its end."""

    def __init__(
        self, household: Household, program: KafkaProgram, security: BrokerSecurity | None = None
    ) -> None:
        super().__init__(household, program)
        self._security = security
        self._cluster_id = new_cluster_id()
        self.listeners: dict[SecurityProtocol, str] = {}

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of the plain listener."""
        return self.listeners["PLAINTEXT"]

    def start(self, timeout: float) -> None:
        """Start it and block until it serves, at most `timeout` seconds; raises `BrokerFailed`."""
        if self.listeners:
            self._serve(timeout)
            return
        for attempt in range(_PORT_ATTEMPTS):
            self._prepare(timeout)
            try:
                self._serve(timeout)
                return
            except BrokerFailed as failure:
                port_was_taken = "Address already in use" in str(failure)
                if not port_was_taken or attempt == _PORT_ATTEMPTS - 1:
                    raise

    def _serve(self, timeout: float) -> None:
        self.launch()
        self.wait_until_serving(self.bootstrap_servers, self._cluster_id, timeout)

    def _prepare(self, timeout: float) -> None:
        """Choose ports, write the configuration and format the data folder."""
        protocols: tuple[SecurityProtocol, ...] = ("PLAINTEXT",)
        if self._security:
            protocols += self._security.protocols()
        controller, *ports = free_ports(len(protocols) + 1)
        self.listeners = {protocol: f"{HOST}:{port}" for protocol, port in zip(protocols, ports, strict=True)}
        settings = SETTINGS | {
            "listeners": ",".join(
                [f"CONTROLLER://{HOST}:{controller}", *(f"{p}://{a}" for p, a in self.listeners.items())]
            ),
            "advertised.listeners": ",".join(f"{p}://{a}" for p, a in self.listeners.items()),
            "listener.security.protocol.map": ",".join(
                ["CONTROLLER:PLAINTEXT", *(f"{p}:{p}" for p in self.listeners)]
            ),
            "controller.quorum.voters": f"1@{HOST}:{controller}",
        }
        if self._security:
            settings |= self._security.settings()
        users = self._security.users if self._security else {}
        credentials = [
            f"--add-scram={mechanism}=[name={name},password={password}]"
            for mechanism in SCRAM_MECHANISMS
            for name, password in users.items()
        ]
        self.format(settings, self._cluster_id, timeout, credentials)


def new_cluster_id() -> str:
    """Return an id that no other cluster has."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _quoted(text: str) -> str:
    return escaped(text).replace('"', '\\"')
