"""The rights that docs/security.md lists: enough for what they are for, and none of them too many."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Stage, running_lab
from tests.support.e2e.worker_process import environment
from tests.support.kafka.brokers import FencedKafka, create_topic, delete_topics
from tests.support.waiting import wait_until
from topics.names import all_topics
from worker.demo.readiness import run_blocking
from worker.demo.simulator import Endpoint, FaultRule, Promotion, World

_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "security.md"
_KINDS: Final = {"topic": 2, "group": 3, "transactional id": 5}
_OPERATIONS: Final = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
_LITERAL: Final = 3
_ALLOW: Final = 3
_ASKED: Final = re.compile(
    r"Principal = User:worker is (Allowed|Denied) operation = (\w+) .*?on resource = (\w+):LITERAL:(\S+) "
)
Right = tuple[str, str, str]
"""Kind of resource, its name, operation; as on the page."""


@pytest.mark.timeout(150)
def test_the_listed_rights_are_what_is_asked_for(fenced_kafka: FencedKafka) -> None:
    """With these: enrol, retry, dead-letter and redrive, notice a move, have a customer forgotten."""
    broker = fenced_kafka.broker
    world = World.with_customers(3, Promotion(promotion_id=1))
    failing = FaultRule(name="error_500", endpoint=Endpoint.LOOKUP, customer_ids=frozenset({2}))
    with (
        running_lab(broker.bootstrap_servers) as lab,
        lab.simulator(world) as simulator,
        lab.stage(simulator.api_url) as stage,
    ):
        lab.loop.call(lambda: simulator.faults.replace(failing))
        _make_topics(stage)
        access = CREDENTIALS | {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_BOOTSTRAP_SERVERS": broker.listeners["SASL_PLAINTEXT"],
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": fenced_kafka.user,
            "KAFKA_SASL_PASSWORD": fenced_kafka.password,
            "LOOKUP_TRUST_SECONDS": "3600",
        }

        rights = _listed("run", stage)
        _grant(broker.bootstrap_servers, rights)
        worker = stage.worker(**access, RETRY_MAX_ATTEMPTS="1", RETRY_DELAYS_SECONDS="0.2,0.2,0.2")
        for customer in (1, 2, 3):
            stage.feed.send(event(f"event-{customer}", {"customerId": customer}), b"%d" % customer)
        worker.wait_ready()
        wait_until(stage.dead_letters.read, "one is dead-lettered", evidence=stage.tails)
        stage.wait_for_outcomes(["event-1", "event-2", "event-3"])
        assert worker.stop() == 0, worker.tail()
        asked = _asked(fenced_kafka.log.read_text(), stage)
        mark = ("topic", stage.names.move_mark, "Describe")
        letters = ("topic", stage.names.dead_letters, "Read")
        assert (asked["Denied"], rights - asked["Allowed"]) == (set(), {mark, letters})

        lab.loop.run(create_topic(broker.bootstrap_servers, stage.names.move_mark, 1, None))
        worker.start()
        assert worker.wait(30) == 1, worker.tail()
        assert "is being moved" in worker.tail()
        assert mark in _asked(fenced_kafka.log.read_text(), stage)["Allowed"]

        lab.loop.run(delete_topics(broker.bootstrap_servers, [stage.names.move_mark]))
        before = len(fenced_kafka.log.read_text())
        more = _listed("redrive", stage)
        _grant(broker.bootstrap_servers, more - rights)
        _command(stage, access, "dead-letters", "redrive", "--yes")
        asked = _asked(fenced_kafka.log.read_text()[before:], stage)
        assert (asked["Denied"], more - asked["Allowed"]) == (set(), set())

        before = len(fenced_kafka.log.read_text())
        assert "partition 0" in _command(stage, access, "explain", "--customer-id", "1", "--forget")
        asked = _asked(fenced_kafka.log.read_text()[before:], stage)
        needed = {right for right in asked["Allowed"] if right[-1] != "Describe"}
        assert (asked["Denied"], needed) == (set(), _listed("forget", stage))

        before = len(fenced_kafka.log.read_text())
        worker.start()
        wait_until(
            lambda: letters in _asked(fenced_kafka.log.read_text()[before:], stage)["Allowed"],
            "the worker looks at the dead letter of what was redriven",
            evidence=stage.tails,
        )
        assert _asked(fenced_kafka.log.read_text()[before:], stage)["Denied"] == set()


@pytest.mark.timeout(150)
def test_a_topic_that_may_be_seen_and_not_read_ends_the_worker(fenced_kafka: FencedKafka) -> None:
    """With one line that names topic and right, and no traceback: a broker tells it at the first fetch."""
    broker = fenced_kafka.broker
    with running_lab(broker.bootstrap_servers) as lab, lab.stage("http://127.0.0.1:9") as stage:
        _make_topics(stage)
        activity = ("topic", stage.names.activity)
        rights = _listed("run", stage) - {(*activity, "Read")} | {(*activity, "Describe")}
        _grant(broker.bootstrap_servers, rights)
        worker = stage.worker(
            **CREDENTIALS,
            KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
            KAFKA_BOOTSTRAP_SERVERS=broker.listeners["SASL_PLAINTEXT"],
            KAFKA_SASL_MECHANISM="SCRAM-SHA-512",
            KAFKA_SASL_USERNAME=fenced_kafka.user,
            KAFKA_SASL_PASSWORD=fenced_kafka.password,
        )
        assert worker.wait(60) == 1, worker.tail()
        assert f"topic {stage.names.activity} may not be read: grant READ on it" in worker.tail()
        assert "Traceback" not in worker.log(), worker.log()


def _command(stage: Stage, access: dict[str, str], *arguments: str) -> str:
    """Run a command to its good end; return what it said."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "worker", *arguments],
        env=environment(stage.settings | CREDENTIALS | access),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _make_topics(stage: Stage) -> None:
    """Create what an operator creates, so that no right to do so is needed."""
    for spec in all_topics(stage.names, 1, 1, timedelta(days=400)):
        if spec.name != stage.names.activity:
            stage.lab.loop.run(create_topic(stage.lab.bootstrap_servers, spec.name, 1, spec.config))


def _listed(what: str, stage: Stage) -> set[Right]:
    """Return the rights of the page's table, with the stage's names."""
    names = stage.names
    place = {"<activity>": names.activity, "<outcomes>": names.outcomes, "<group>": names.group_id}
    _, _, after = _PAGE.read_text().partition(f"<!-- acl: {what} -->\n")
    rows = [line.strip("| ").split(" | ") for line in after.partition("\n\n")[0].splitlines()[2:]]
    assert rows, f"the page has no table of {what}"
    return {
        (kind, re.sub("<.*?>", lambda found: place[found[0]], name.strip("`")), operation)
        for kind, name, operations in rows
        for operation in operations.split(", ")
    }


def _grant(bootstrap_servers: str, rights: set[Right]) -> None:
    async def send() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        await client.start()
        try:
            for kind, name, operation in sorted(rights):
                request: Any = CreateAclsRequest(
                    _KINDS[kind], name, _LITERAL, "User:worker", "*", _OPERATIONS[operation], _ALLOW
                )
                answer = await client._send_request(request)
                assert [code for code, _ in answer.creation_responses] == [0], answer
        finally:
            await client.close()

    run_blocking(send())


def _asked(log: str, stage: Stage) -> dict[str, set[Right]]:
    """Return what was allowed and what was denied; of other topics everybody asks when asking for all."""
    found: dict[str, set[Right]] = {"Allowed": set(), "Denied": set()}
    for verdict, operation, kind, name in _ASKED.findall(log):
        if operation == "CLUSTER_ACTION":
            # Brokers ask so by themselves when a client wants the epochs of leaders; Describe is enough.
            continue
        if kind == "Topic" and stage.names.group_id.removesuffix("-group") not in name:
            continue
        words = re.sub("(?<!^)(?=[A-Z])", " ", kind).lower()
        camel = "".join(part.capitalize() for part in operation.split("_"))
        found[verdict].add((words, name, camel))
    return found
