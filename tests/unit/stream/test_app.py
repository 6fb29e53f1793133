"""What the running stream's application is made of."""

from pathlib import Path

import pytest

from tests.support.unit.given_settings import LEAST, load
from worker.kafka.topic_identity import Identity
from worker.stream.app import _application
from worker.stream.ledger.local_copy import LocalCopy


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
