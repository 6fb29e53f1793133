"""What the running stream's application is made of."""

import logging
from pathlib import Path

import pytest

from tests.support.unit.given_settings import LEAST, load
from worker.kafka.topic_identity import Identity
from worker.stream.app import ToldWhy, _application
from worker.stream.driver.application import WorkerApp
from worker.stream.driver.consumer import Consumer
from worker.stream.driver.consumer_thread import ConsumerThread
from worker.stream.ledger.local_copy import LocalCopy


@pytest.mark.parametrize("kind", [WorkerApp, Consumer, ConsumerThread])
def test_a_reason_that_was_told_is_not_told_again_by_the_framework(
    kind: type[WorkerApp], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither is a loop that closed with the process; each other fault is."""
    for error in (ToldWhy("StampRefused"), RuntimeError("Event loop is closed"), ValueError("news")):
        kind.logger.error("Crashed reason=%r", error)
    logging.getLogger().error("the last")
    assert [record.getMessage() for record in caplog.records] == [
        "Crashed reason=ValueError('news')",
        "the last",
    ]


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 0.5),
        # The group must not forget us for a heartbeat that is lost.
        ({"KAFKA_SESSION_TIMEOUT_SECONDS": "1.6", "API_TIMEOUT_SECONDS": "0.1"}, 0.4),
        # Nor may a request of the API be left without time because one came late.
        ({"KAFKA_SESSION_TIMEOUT_SECONDS": "6", "API_TIMEOUT_SECONDS": "5.1"}, 0.3),
    ],
)
def test_a_member_learns_soon_that_the_group_assigns_anew(
    settings: dict[str, str], seconds: float, tmp_path: Path
) -> None:
    """It asks with its heartbeats, and nobody goes on before the last member has asked."""
    app = _application(load(LEAST | settings), LocalCopy(tmp_path, Identity(), None))
    assert app.conf.broker_heartbeat_interval == pytest.approx(seconds)
