"""The ledger's topic deleted or made anew, under a worker or while it is away: nobody is enrolled twice."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.e2e.desk import Desk, Told
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.brokers import create_topic, delete_topics, unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, Listing, RunningSimulator

pytestmark = pytest.mark.timeout(150)


@pytest.fixture
def desk(lab: Lab, world_api: RunningSimulator) -> Iterator[Desk]:
    """Give a worker whose ledger may be touched."""
    with lab.stage(world_api.api_url) as stage:
        worker = stage.worker(**CREDENTIALS)
        worker.wait_ready()
        yield Desk(stage, world_api, worker)


def _customer(desk: Desk) -> Customer:
    """Return a customer of whose enrolment only the ledger tells: the API lists on, without a timeline."""
    customer = desk.customer()
    desk.promotion(customer, listing=Listing.UNTIL_LIMIT, timelines=False)
    return customer


def _tell(desk: Desk, customer: Customer) -> Told:
    value = event(unique("told"), {"customerId": customer.customer_id}, orgId=100)
    return desk.tell(value, key=str(customer.customer_id).encode())


def _posts(desk: Desk, customer: Customer) -> int:
    return desk.requests(customer).count("issue")


def _copy(desk: Desk) -> Path:
    return Path(desk.stage.settings["STATE_DIR"]) / f"{desk.stage.names.group_id}+ledger" / "v1" / "tables"


def _delete(stage: Stage) -> None:
    stage.lab.loop.run(delete_topics(stage.lab.bootstrap_servers, [stage.names.ledger]))


def _make_anew(stage: Stage) -> None:
    _delete(stage)

    def made() -> bool:
        try:
            stage.lab.loop.run(create_topic(stage.lab.bootstrap_servers, stage.names.ledger, 1, None))
        except Exception:  # noqa: BLE001 - it may take a moment to go
            return False
        return True

    wait_until(made, "the ledger's topic is made anew")


def _end(worker: WorkerProcess, seconds: float = 40.0) -> str:
    """Wait until it gives up; return the one line that says why."""
    before = worker.log().count('"critical"')
    status = worker.wait(seconds)
    lines = [json.loads(line) for line in worker.log().splitlines()]
    said = [line["message"] for line in lines if line["level"] == "critical"]
    assert (status, "Traceback" in worker.log()) == (1, False), worker.tail()
    assert len(said) == before + 1 or before, worker.tail()
    return str(said[-1])


@pytest.mark.parametrize("faults", [True, False])
def test_made_anew_under_a_running_worker(desk: Desk, *, faults: bool) -> None:
    """Found by the next entry, or by looking: it ends with one line, and posts for nobody in between."""
    known = [_customer(desk) for _ in range(3)]
    assert [_tell(desk, one).only.name for one in known] == ["ENROLLED"] * 3
    _make_anew(desk.stage)
    late = [_customer(desk) for _ in range(3)] if faults else []
    for customer in late:
        desk.fault("reset_after_apply", customer, count=1)
        value = event(unique("late"), {"customerId": customer.customer_id}, orgId=100)
        desk.stage.feed.send(value, str(customer.customer_id).encode())
    line = _end(desk.worker)
    assert desk.stage.names.ledger in line
    assert "made anew" in line
    assert all(_posts(desk, one) <= 1 for one in [*known, *late])
    # Whoever restarts it, as Kubernetes does at once, has not accepted that anything is forgotten.
    desk.worker.start()
    assert desk.stage.names.ledger in _end(desk.worker)


def test_a_copy_of_another_topic_is_not_trusted(desk: Desk) -> None:
    """Another replica wrote on in a topic that was made anew: what it knows is read, not passed over."""
    _tell(desk, _customer(desk))
    assert desk.worker.stop() == 0
    _make_anew(desk.stage)
    other = desk.stage.worker(STATE_DIR=f"{desk.stage.settings['STATE_DIR']}-other", **CREDENTIALS)
    other.wait_ready()
    # More than our copy has followed: nothing but the records tells that it is another log's.
    theirs = [_customer(desk) for _ in range(3)]
    assert [_tell(desk, one).only.name for one in theirs] == ["ENROLLED"] * 3
    assert other.stop() == 0
    desk.worker.start()
    desk.worker.wait_ready()
    assert [_tell(desk, one).only.name for one in theirs] == ["ALREADY_ENROLLED"] * 3
    assert [_posts(desk, one) for one in theirs] == [1, 1, 1]
    assert desk.worker.log().count("thrown away") == 1


def test_a_ledger_that_is_gone_is_not_made_again_in_silence(desk: Desk) -> None:
    """Without a volume too; `topics create` refuses as `run` does; both do it when told to."""
    assert _tell(desk, _customer(desk)).only.name == "ENROLLED"
    wait_until(lambda: desk.stage.committed().get(0), "an offset is committed")
    assert desk.worker.stop() == 0
    _delete(desk.stage)
    for more in ({}, {"STATE_DIR": f"{desk.stage.settings['STATE_DIR']}-new"}):
        desk.worker.start(**more)
        line = _end(desk.worker)
        assert desk.stage.names.ledger in line
        assert "--new-ledger" in line
    create = desk.stage.command("topics", "create")
    assert (create.returncode, create.stdout) == (1, "")
    assert "--new-ledger" in create.stderr
    assert "Traceback" not in create.stderr
    assert desk.stage.command("topics", "create", "--new-ledger").returncode == 0
    # Its own copy still is of the topic that is gone.
    desk.worker.start()
    assert "--new-ledger" in _end(desk.worker)
    desk.worker.options = ("--new-ledger",)
    desk.worker.start()
    desk.worker.wait_ready()
    assert _tell(desk, _customer(desk)).only.name == "ENROLLED"


def test_a_damaged_copy_is_read_back(desk: Desk) -> None:
    """One warning, and nobody is forgotten."""
    customer = _customer(desk)
    assert _tell(desk, customer).only.name == "ENROLLED"
    assert desk.worker.stop() == 0
    for path in _copy(desk).glob("*.db/MANIFEST-*"):
        path.write_bytes(path.read_bytes()[:-20])
    desk.worker.start()
    desk.worker.wait_ready()
    assert _tell(desk, customer).only.name == "ALREADY_ENROLLED"
    assert desk.worker.log().count("thrown away") == 1
    assert "Traceback" not in desk.worker.log()


def test_damage_that_shows_while_reading(desk: Desk) -> None:
    """The process ends with a line, tells nothing wrong, dead-letters nothing; the next start reads back."""
    customers = [_customer(desk) for _ in range(12)]
    assert {_tell(desk, one).only.name for one in customers} == {"ENROLLED"}
    dead = len(desk.stage.dead_letters.read())
    assert desk.worker.stop() == 0
    for path in _copy(desk).glob("*.db/*.sst"):
        content = bytearray(path.read_bytes())
        # Beyond the first block, which a start reads, and before those that tell of the others.
        for at in range(len(content) // 3, len(content) * 2 // 3, 100):
            content[at] ^= 0xFF
        path.write_bytes(content)
    again = [event(unique("again"), {"customerId": one.customer_id}, orgId=100) for one in customers]
    for value, one in zip(again, customers, strict=True):
        desk.stage.feed.send(value, str(one.customer_id).encode())
    desk.worker.start()
    assert "the next start reads it back from its changelog" in _end(desk.worker)
    desk.worker.start()
    desk.worker.wait_ready()
    assert {_tell(desk, one).only.name for one in customers} == {"ALREADY_ENROLLED"}
    assert [_posts(desk, one) for one in customers] == [1] * len(customers)
    assert desk.worker.log().count("thrown away") == 1
    assert len([each for each in desk.stage.dead_letters.read()[dead:] if each.record.value]) == 0


@pytest.mark.long
def test_native_code_that_brings_the_process_down(desk: Desk) -> None:
    """A kill costs no copy, however often; what RocksDB may have done itself costs it the second time."""
    customer = _customer(desk)
    assert _tell(desk, customer).only.name == "ENROLLED"
    ends = [signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGKILL, signal.SIGSEGV]
    thrown_away = []
    for end in ends:
        desk.worker.send(end)
        assert desk.worker.wait(10) == -end
        desk.worker.start()
        desk.worker.wait_ready()
        thrown_away.append(desk.worker.log().count("brought the process down 2 times"))
    assert thrown_away == [0, 0, 0, 0, 0, 1]
    assert _tell(desk, customer).only.name == "ALREADY_ENROLLED"
