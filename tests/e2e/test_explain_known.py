"""`enrolment-worker explain` of a known customer, and `--forget`, beside a worker and without one."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.worker_process import environment
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.commands.main import program
from worker.demo.simulator import Customer, Promotion, World
from worker.kafka.partitioners import Partitioner, key_hashes_of, partition_of

TRUST: Final = {"LOOKUP_TRUST_SECONDS": "3600"}
PARTITIONS: Final = 3
ORG: Final = 100
_NOWHERE: Final[dict[str, Any]] = {"API_BASE_URL": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def desk(lab: Lab) -> Iterator[Desk]:
    """Give a worker that trusts for an hour."""
    with (
        lab.simulator(World([Promotion(promotion_id=1)])) as simulator,
        lab.stage(simulator.api_url, PARTITIONS) as stage,
    ):
        worker = stage.worker(ORG_ID=str(ORG), **TRUST, **CREDENTIALS)
        worker.wait_ready()
        yield Desk(stage, simulator, worker)


@pytest.mark.timeout(120)
def test_the_next_event_asks_again(desk: Desk) -> None:
    """It must be known until it is forgotten, by a worker at work as by one that starts later."""
    customer = desk.customer()
    nothing = _known(desk, customer)
    assert (nothing["asks"], nothing["why"]) == (True, "nothing is remembered of the customer")
    assert nothing["partitions"] == []
    assert _tell(desk, customer) == ("ENROLLED", ["lookup", "issue"])
    known = _known(desk, customer)
    assert (known["asks"], known["why"], known["forgottenAt"]) == (False, None, None)
    assert known["trustSeconds"] == 3600
    assert known["partition"] == _partition_of(b"%d" % customer.customer_id)
    assert [(each["promotionId"], each["outcome"]) for each in known["promotions"]] == [
        (1, "ALREADY_ENROLLED")
    ]
    lasts = datetime.fromisoformat(known["trustedUntil"]) - datetime.fromisoformat(known["readAt"])
    assert lasts.total_seconds() == 3600

    assert _forget(desk, customer) == _done(customer, known["partition"])
    _wait_until_forgotten(desk, customer)
    assert _known(desk, customer)["forgottenAt"] is not None
    assert _tell(desk, customer) == ("ALREADY_ENROLLED", ["lookup"])
    assert _tell(desk, customer) == ("ALREADY_ENROLLED", [])

    assert desk.worker.stop() == 0, desk.worker.tail()
    assert _forget(desk, customer, "--json") == {
        "customerId": customer.customer_id,
        "partitions": [known["partition"]],
    }
    assert _known(desk, customer)["asks"] is False
    desk.worker.start()
    desk.worker.wait_ready()
    assert _tell(desk, customer) == ("ALREADY_ENROLLED", ["lookup"])


def test_every_partition_that_remembers_is_told(desk: Desk) -> None:
    """A customer under several keys is remembered for each; with --key that partition alone must be told."""
    customer = desk.customer()
    keys = {_partition_of(key): key for key in (b"key-%d" % number for number in range(50))}
    for key in keys.values():
        _tell(desk, customer, key)
    assert [each["partition"] for each in _known(desk, customer)["partitions"]] == sorted(keys)
    assert _forget(desk, customer, "--key", keys[1].decode()) == _done(customer, 1)
    _wait_until_forgotten(desk, customer)
    assert _forget(desk, customer) == f"nothing is remembered of customer {customer.customer_id}\n"

    for key in keys.values():
        _tell(desk, customer, key)
    said = _call(desk, "--identifier", f"mobile={customer.mobile}", "--forget").stdout
    assert said.startswith(f"customer {customer.customer_id}: what is remembered on partitions 0, 1, 2 is")
    # Records of other keys are handled beside it.
    _wait_until_forgotten(desk, customer)
    for key in keys.values():
        assert _tell(desk, customer, key) == ("ALREADY_ENROLLED", ["lookup"])


def test_forgetting_needs_no_trust_and_no_api(desk: Desk) -> None:
    """Neither the setting nor the API must matter to who names the customer by the id."""
    customer = desk.customer()
    _tell(desk, customer)
    line = _call(desk, "--customer-id", str(customer.customer_id), LOOKUP_TRUST_SECONDS="0").stdout
    assert json.loads(line)["known"]["why"] == "nothing is trusted: ENROLMENT_LOOKUP_TRUST_SECONDS is 0"
    partition = _partition_of(b"%d" % customer.customer_id)
    asked = len(desk.requests(customer))
    assert _forget(desk, customer, LOOKUP_TRUST_SECONDS="0", **_NOWHERE) == _done(customer, partition)
    assert len(desk.requests(customer)) == asked
    _wait_until_forgotten(desk, customer)


def test_what_cannot_be_forgotten_costs_a_line(desk: Desk) -> None:
    """A cluster or an API that is not there, and a customer that is not, cost a line and exit status 1."""
    gone = _call(
        desk, "--customer-id", "1", "--forget", code=1, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9", **_NOWHERE
    )
    unknown = _call(desk, "--identifier", "mobile=4915112345678", "--forget", code=1)
    away = _call(desk, "--identifier", "mobile=4915112345678", "--forget", code=1, **_NOWHERE)
    for ended, word in ((gone, "127.0.0.1:9"), (unknown, "CUSTOMER_NOT_FOUND"), (away, "no answer")):
        (line,) = ended.stderr.splitlines()
        assert line.startswith("enrolment-worker: ")
        assert word in line
        assert "49151" not in line
    assert _forget(desk, Customer.synthetic(1)) == "nothing is remembered of customer 1\n"


def _tell(desk: Desk, customer: Customer, key: bytes | None = None) -> tuple[str, list[str]]:
    """Produce an event; return its outcome, and what the API was asked for it."""
    event_id, before = unique("event"), len(desk.requests(customer))
    value = event(event_id, {"customerId": customer.customer_id})
    desk.stage.feed.send(value, key or b"%d" % customer.customer_id)
    return desk.wait_for(event_id).name, desk.requests(customer)[before:]


def _call(desk: Desk, *arguments: str, code: int = 0, **settings: str) -> Result:
    """Call the program with the worker's settings."""
    environ = environment(desk.stage.settings | CREDENTIALS | TRUST | {"ORG_ID": str(ORG)} | settings)
    ended = CliRunner(env=environ).invoke(program, ["explain", *arguments], prog_name="enrolment-worker")
    assert ended.exit_code == code, ended.stderr
    return ended


def _known(desk: Desk, customer: Customer) -> dict[str, Any]:
    told = json.loads(_call(desk, "--customer-id", str(customer.customer_id)).stdout)
    known: dict[str, Any] = told["known"]
    return known


def _forget(desk: Desk, customer: Customer, *arguments: str, **settings: Any) -> Any:  # noqa: ANN401 - settings; a text, or JSON
    ended = _call(desk, "--customer-id", str(customer.customer_id), "--forget", *arguments, **settings)
    return json.loads(ended.stdout) if "--json" in arguments else ended.stdout


def _done(customer: Customer, partition: int) -> str:
    return (
        f"customer {customer.customer_id}: what is remembered on partition {partition} is forgotten once the "
        "worker has read the record\n"
    )


def _wait_until_forgotten(desk: Desk, customer: Customer) -> None:
    wait_until(
        lambda: all(each["readAt"] is None for each in _known(desk, customer)["partitions"]),
        "the worker has read the record",
        evidence=desk.stage.tails,
    )


def _partition_of(key: bytes) -> int:
    hashes = key_hashes_of(key)
    assert hashes is not None
    return partition_of(hashes, Partitioner.MURMUR2, PARTITIONS)
