"""What is said when the application ends for a fault."""

import logging

import pytest

from worker.stream.driver.application import WorkerApp
from worker.stream.driver.consumer import Consumer
from worker.stream.driver.consumer_thread import ConsumerThread
from worker.stream.giving_up import ToldWhy


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
