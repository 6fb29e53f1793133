"""Clocks that are wrong: this machine's, an upstream's, the API's. None of them stops the worker."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.shifted import shifted_worker
from worker.demo.simulator import RunningSimulator

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


@pytest.mark.parametrize("shift", [2 * HOUR, -2 * DAY], ids=["two hours ahead", "two days behind"])
def test_a_wrong_clock_enrols_nobody_less(lab: Lab, world_api: RunningSimulator, shift: float) -> None:
    """A malformed event before any other, and enrolments: all as with the right clock."""
    with (
        lab.stage(world_api.api_url) as stage,
        shifted_worker(
            stage, shift, RETRY_DELAYS_SECONDS="2,2,2", RETRY_MAX_ATTEMPTS="1", **CREDENTIALS
        ) as worker,
    ):
        worker.wait_ready()
        desk = Desk(stage, world_api, worker)
        assert desk.tell(b"{").only.value["outcome"] == "DEAD_LETTERED"
        customer = desk.customer()
        yesterday = datetime.now(UTC) - timedelta(days=1)
        desk.promotion(customer, starts=yesterday, ends=datetime.now(UTC) + timedelta(hours=1))
        desk.promotion(customer, starts=datetime.now(UTC) - timedelta(hours=1))
        told = desk.tell(event("evt-1", {"customerId": customer.customer_id}))
        assert [outcome.value["outcome"] for outcome in told.outcomes] == ["ENROLLED", "ENROLLED"]
        for outcome in told.outcomes:
            told_at = datetime.fromisoformat(outcome.value["occurredAt"])
            assert abs(datetime.now(UTC) - told_at) < timedelta(minutes=1)
        assert abs(worker.metric("enrolment_clock_skew_seconds", against="api") - shift) < 5
        lines = [line for line in worker.log().splitlines() if "clock is apart" in line]
        assert len(lines) == 1, lines
        assert "synchronise" in lines[0]
        assert worker.stop() == 0


def test_a_clock_that_kafka_refuses_is_told_of_in_one_line(lab: Lab) -> None:
    """Nobody tells the right time: the API is away. Nothing is lost, and no traceback is written."""
    with lab.stage("http://127.0.0.1:9") as stage, shifted_worker(stage, 2 * HOUR, **CREDENTIALS) as worker:
        worker.wait_ready()
        stage.feed.send(b"{", b"key")
        assert worker.wait(40.0) == 1
        assert "Traceback" not in worker.log(), worker.log()
        lines = [line for line in worker.log().splitlines() if "message.timestamp.after.max.ms" in line]
        assert len(lines) == 1, worker.log()
        assert not any(stage.committed().values())


@pytest.mark.parametrize("stamp", [2**62, 4_000_000_000_000, -1], ids=["no date", "far ahead", "none"])
def test_an_unknown_customer_is_told_of_whatever_its_record_is_stamped(
    lab: Lab, world_api: RunningSimulator, stamp: int
) -> None:
    """The grace ends, also where the topic allows a stamp far ahead."""
    config = {"message.timestamp.after.max.ms": str(2**63 - 1)}
    with lab.stage(world_api.api_url, config=config) as stage:
        worker = stage.worker(NOT_FOUND_GRACE_SECONDS="4", RETRY_DELAYS_SECONDS="1,1,1", **CREDENTIALS)
        worker.wait_ready()
        unknown = b'{"eventName": "transactionAdded", "customer": {"mobile": "919999999999"}}'
        stage.feed.send_all([Message(unknown, b"key", timestamp_ms=stamp)])
        deadline = time.monotonic() + 25
        names: list[str] = []
        while "CUSTOMER_NOT_FOUND" not in names and time.monotonic() < deadline:
            time.sleep(0.5)
            names = [outcome.value["outcome"] for outcome in stage.outcomes.read()]
        assert names[-1:] == ["CUSTOMER_NOT_FOUND"], names
        assert 1 <= names.count("DEFERRED") <= 5 or stamp < 0
