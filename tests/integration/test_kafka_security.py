"""The worker over each security protocol: real processes against a broker that trusts only whom it knows."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab, running_lab
from tests.support.kafka.brokers import SecuredKafka
from worker.demo.apache_kafka import SecurityProtocol
from worker.demo.simulator import Promotion, RunningSimulator, World
from worker.kafka.admin import TopicAdmin
from worker.kafka.errors import KafkaAway, KafkaFailed
from worker.settings import KafkaSettings, load_settings

_CUSTOMERS = 10
_ACCESS: dict[str, tuple[SecurityProtocol, str | None]] = {
    "SSL with a client certificate": ("SSL", None),
    "SASL_SSL, SCRAM-SHA-512": ("SASL_SSL", "SCRAM-SHA-512"),
    "SASL_SSL, SCRAM-SHA-256": ("SASL_SSL", "SCRAM-SHA-256"),
    "SASL_PLAINTEXT, PLAIN": ("SASL_PLAINTEXT", "PLAIN"),
}


@dataclass(frozen=True)
class _Secured:
    """A lab on the secured broker; its own clients use the plain listener."""

    kafka: SecuredKafka
    lab: Lab
    simulator: RunningSimulator

    def settings(self, access: str, **changed: str) -> dict[str, str]:
        """Return the settings for that way in; the password comes as a file."""
        protocol, mechanism = _ACCESS[access]
        found = {
            "KAFKA_SECURITY_PROTOCOL": protocol,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.broker.listeners[protocol],
        }
        if mechanism is not None:
            password = self.lab.household.folder / "password"
            password.write_text(self.kafka.password + "\n")
            found |= {
                "KAFKA_SASL_MECHANISM": mechanism,
                "KAFKA_SASL_USERNAME": self.kafka.user,
                "KAFKA_SASL_PASSWORD_FILE": str(password),
            }
        if "SSL" in protocol.split("_"):
            found["KAFKA_SSL_CA_FILE"] = str(self.kafka.certificates.authority)
        if protocol == "SSL":
            found["KAFKA_SSL_CERT_FILE"] = str(self.kafka.certificates.client_certificate)
            found["KAFKA_SSL_KEY_FILE"] = str(self.kafka.certificates.client_key)
        return CREDENTIALS | found | changed


@pytest.fixture(scope="module")
def secured(secured_kafka: SecuredKafka) -> Iterator[_Secured]:
    """Give the lab."""
    world = World.with_customers(_CUSTOMERS, Promotion(promotion_id=1))
    with running_lab(secured_kafka.broker.bootstrap_servers) as lab, lab.simulator(world) as simulator:
        yield _Secured(secured_kafka, lab, simulator)


@pytest.mark.parametrize("access", _ACCESS)
def test_events_go_in_and_outcomes_come_out(secured: _Secured, access: str) -> None:
    """Over each protocol the worker must make its topics, consume, commit and produce."""
    customer = list(_ACCESS).index(access) + 1
    with secured.lab.stage(secured.simulator.api_url) as stage:
        worker = stage.worker(**secured.settings(access))
        stage.feed.send(event("event", {"customerId": customer}), b"key")
        stage.feed.send(b"bad", b"key")
        worker.wait_ready()
        stage.wait_for_outcomes(["event"])
        assert worker.stop() == 0, worker.tail()
        assert [one.name for one in stage.outcomes.read()] == ["ENROLLED", "DEAD_LETTERED"]
        assert [letter.record.value for letter in stage.dead_letters.read()] == [b"bad"]
        assert stage.committed() == {0: 2}


@pytest.mark.parametrize(
    ("access", "changed"),
    [
        ("SASL_SSL, SCRAM-SHA-512", {"KAFKA_SASL_PASSWORD_FILE": "", "KAFKA_SASL_PASSWORD": "wrong"}),
        ("SASL_PLAINTEXT, PLAIN", {"KAFKA_SASL_USERNAME": "somebody"}),
        ("SSL with a client certificate", {"KAFKA_SSL_CERT_FILE": "", "KAFKA_SSL_KEY_FILE": ""}),
        ("SASL_SSL, SCRAM-SHA-256", {"KAFKA_SSL_CA_FILE": ""}),
    ],
    ids=["wrong password", "unknown account", "no certificate", "unknown authority"],
)
def test_no_way_in(secured: _Secured, access: str, changed: dict[str, str]) -> None:
    """Whoever is not let in must give up with 1, in bounded time and with one line that says why."""
    with secured.lab.stage(secured.simulator.api_url) as stage:
        worker = stage.worker(**secured.settings(access, **changed))
        assert worker.wait(30) == 1, worker.tail()
        assert "waits for Kafka" not in worker.log(), worker.tail()
        lines = [json.loads(line) for line in worker.log().splitlines()]
        (told,) = [line for line in lines if line["level"] not in ("info", "warning")]
        assert worker.settings["KAFKA_BOOTSTRAP_SERVERS"] in told["message"]
        assert "exception" not in told
        assert secured.kafka.password not in worker.log()


@pytest.mark.parametrize(
    ("spoken", "said", "why"),
    [
        ("SSL", "PLAINTEXT", "it speaks TLS, and ENROLMENT_KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
        ("SASL_SSL", "SASL_PLAINTEXT", "it speaks TLS"),
        ("SASL_PLAINTEXT", "PLAINTEXT", "it wants a login (SASL)"),
        ("SASL_SSL", "SSL", "it wants a login (SASL)"),
        ("SASL_PLAINTEXT", "SASL_SSL", "it speaks no TLS"),
        ("PLAINTEXT", "SSL", "it speaks no TLS"),
        ("PLAINTEXT", "SASL_PLAINTEXT", "IllegalSaslState"),
    ],
)
def test_the_wrong_protocol_is_known_by_what_the_server_speaks(
    secured_kafka: SecuredKafka, spoken: SecurityProtocol, said: str, why: str
) -> None:
    """A server that is spoken to in another protocol hangs up without a word; waiting does not mend it."""
    broker, certificates = secured_kafka.broker, secured_kafka.certificates
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.listeners.get(spoken, broker.bootstrap_servers),
        "KAFKA_SECURITY_PROTOCOL": said,
    }
    if said in ("SSL", "SASL_SSL"):
        settings["KAFKA_SSL_CA_FILE"] = str(certificates.authority)
        settings["KAFKA_SSL_CERT_FILE"] = str(certificates.client_certificate)
        settings["KAFKA_SSL_KEY_FILE"] = str(certificates.client_key)
    if said.startswith("SASL"):
        settings["KAFKA_SASL_MECHANISM"] = "PLAIN"
        settings["KAFKA_SASL_USERNAME"] = secured_kafka.user
        settings["KAFKA_SASL_PASSWORD"] = secured_kafka.password
    known = load_settings({f"ENROLMENT_{name}": value for name, value in settings.items()}, KafkaSettings)
    with pytest.raises(KafkaFailed) as failed:
        asyncio.run(TopicAdmin(known).existing([]))
    assert why in str(failed.value)
    assert type(failed.value) is KafkaFailed, "it would be waited for"


def test_a_server_that_hangs_up_and_shows_nothing_may_be_going_away() -> None:
    """As a proxy does whose broker is away: that is waited for."""

    def hang_up(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                server.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up, args=(server,), daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        known = load_settings({"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": address}, KafkaSettings)
        with pytest.raises(KafkaAway):
            asyncio.run(TopicAdmin(known).existing([]))
        server.shutdown(socket.SHUT_RDWR)
