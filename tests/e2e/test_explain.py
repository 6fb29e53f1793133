"""`enrolment-worker explain` beside a worker at work."""

import json
import os
import pty
import subprocess
import sys
from typing import Any

from click.testing import CliRunner, Result

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.lab import CREDENTIALS
from tests.support.e2e.worker_process import environment
from tests.support.kafka.brokers import unique
from worker.commands.main import program
from worker.demo.simulator import Customer


def explain(desk: Desk, *arguments: str, **settings: str) -> Result:
    """Call the program with the worker's settings."""
    environ = environment(desk.stage.settings | CREDENTIALS | settings)
    return CliRunner(env=environ).invoke(program, ["explain", *arguments], prog_name="enrolment-worker")


def told(desk: Desk, *arguments: str, **settings: str) -> dict[int, dict[str, Any]]:
    """Return what it says of each promotion."""
    ended = explain(desk, *arguments, **settings)
    assert (ended.exit_code, ended.stderr) == (0, "")
    return {each["promotionId"]: each for each in json.loads(ended.stdout)["promotions"]}


def test_explanation(desk: Desk) -> None:
    """It must know what the worker did, say what it would do, and leave no trace."""
    customer = desk.customer()
    done = desk.promotion(customer)
    assert desk.tell(_event(customer), key=b"a key").only.name == "ENROLLED"
    open_, excluded = desk.promotion(customer), desk.promotion(customer)
    asked, written = len(desk.requests(customer)), len(desk.stage.outcomes.read())
    names = {"EXCLUDED_PROMOTION_IDS": str(excluded.promotion_id)}
    by_mobile = told(desk, "--identifier", f"mobile={customer.mobile}", "--key", "a key", **names)
    assert {number: one["outcome"] for number, one in by_mobile.items()} == {
        open_.promotion_id: "WOULD_ENROL",
        excluded.promotion_id: None,
        done.promotion_id: "ALREADY_ENROLLED",
    }
    assert by_mobile[open_.promotion_id]["idempotencyKey"] == enrolment_key(
        100, customer.customer_id, open_.program_id, open_.promotion_id
    )
    assert by_mobile[excluded.promotion_id]["filter"] == "EXCLUDED"
    ledger = by_mobile[done.promotion_id]["ledger"]["enrolment"]
    assert ledger["idempotencyKey"] == enrolment_key(
        100, customer.customer_id, done.program_id, done.promotion_id
    )
    assert by_mobile[done.promotion_id]["timeline"]
    assert told(desk, "--customer-id", str(customer.customer_id), **names) == by_mobile
    assert desk.requests(customer)[asked:] == ["lookup"] * 4
    assert len(desk.stage.outcomes.read()) == written


def test_a_person_reads_it(desk: Desk) -> None:
    """On a terminal it must be text, with the verdict of each promotion and no identifier in it."""
    customer = desk.customer()
    promotion = desk.promotion(customer)
    master, slave = pty.openpty()
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "worker", "explain", "--identifier", f"externalId={customer.external_id}"],
        env=environment(desk.stage.settings | CREDENTIALS),
        stdout=slave,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert ended.returncode == 0, ended.stderr
    assert f"promotion {promotion.promotion_id} of program {promotion.program_id}" in text
    assert "Would be enrolled." in text
    assert str(customer.external_id) not in text


def test_what_cannot_be_told(desk: Desk) -> None:
    """An unknown customer, a wrong password and a wrong call must cost a line, without the name's value."""
    wrong = ("4915112345678", "phone=4915112345678", "mobile=", "customerId=4915112345678x")
    calls = [
        (1, explain(desk, "--identifier", "mobile=4915112345678")),
        (1, explain(desk, "--customer-id", "1", API_PASSWORD="wrong")),  # noqa: S106 - guards nothing
        *((2, explain(desk, "--identifier", name)) for name in wrong),
        (2, explain(desk)),
    ]
    assert [call.exit_code for _, call in calls] == [status for status, _ in calls]
    assert "CUSTOMER_NOT_FOUND" in calls[0][1].stderr
    assert "401" in calls[1][1].stderr
    for _, call in calls:
        (line,) = call.stderr.splitlines()
        assert line.startswith("enrolment-worker: ")
        assert "49151" not in line + call.stdout


def _event(customer: Customer) -> bytes:
    return event(unique("event"), {"customerId": customer.customer_id}, orgId=100)
