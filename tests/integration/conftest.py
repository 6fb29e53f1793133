"""Fixtures for tests of parts against the real thing."""

from collections.abc import Iterator

import pytest

from tests.support.e2e.lab import Lab, running_lab
from worker.demo.broker import Broker


@pytest.fixture(scope="module")
def lab(kafka: Broker) -> Iterator[Lab]:
    """Give a lab on the broker of the whole run."""
    with running_lab(kafka.bootstrap_servers) as lab:
        yield lab
