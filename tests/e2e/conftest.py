"""Fixtures for tests that run the worker as a process."""

from collections.abc import Iterator

import pytest

from tests.support.lab import Lab
from worker.demo.broker import Broker


@pytest.fixture(scope="session")
def lab(kafka: Broker) -> Iterator[Lab]:
    """Give the lab on the broker of the whole run."""
    with Lab(kafka.bootstrap_servers) as lab:
        yield lab
