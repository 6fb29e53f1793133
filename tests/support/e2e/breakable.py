"""A broker that a test may freeze, kill and damage, with a lab on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.e2e.lab import Lab, running_lab
from tests.support.kafka.brokers import broker_or_skip
from worker.demo.broker import Broker
from worker.demo.processes import Household


@dataclass(frozen=True, slots=True)
class Breakable:
    """A lab on a broker of its own; `folder` holds a folder of files for each partition."""

    lab: Lab
    broker: Broker
    folder: Path


@contextmanager
def breakable_lab() -> Iterator[Breakable]:
    """Give a lab whose broker nobody else uses, also if KAFKA names one; the test is skipped without it."""
    with (
        Household() as household,
        broker_or_skip(household=household, own=True) as broker,
        running_lab(broker.bootstrap_servers) as lab,
    ):
        yield Breakable(lab, broker, household.folder / "kafka" / "data")
