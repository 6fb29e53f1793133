"""Fixtures for tests that run the worker as a process."""

from collections.abc import Iterator

import pytest

from tests.support.e2e.breakable import Breakable, breakable_lab
from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab, running_lab
from tests.support.kafka.brokers import unique
from worker.demo.broker import Broker
from worker.demo.simulator import Promotion, RunningSimulator, World


@pytest.fixture(scope="session")
def lab(kafka: Broker) -> Iterator[Lab]:
    """Give the lab on the broker of the whole run."""
    with running_lab(kafka.bootstrap_servers) as lab:
        yield lab


@pytest.fixture(scope="module")
def breakable() -> Iterator[Breakable]:
    """Give a lab on a broker of this module's own, which its tests may freeze, kill and damage."""
    with breakable_lab() as breakable:
        yield breakable


@pytest.fixture(scope="session")
def world_api(lab: Lab) -> Iterator[RunningSimulator]:
    """Give a simulated API with an empty world that tests fill, each with customers of its own."""
    with lab.simulator(World(), connected_org_ids=(200,)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def api(lab: Lab) -> Iterator[RunningSimulator]:
    """Give a simulated API of the module's own that knows 200 customers, and has a promotion for them."""
    with lab.simulator(World.with_customers(200, Promotion(promotion_id=1))) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def desk(lab: Lab, world_api: RunningSimulator) -> Iterator[Desk]:
    """Give a worker with nothing set that need not be; its log shows as much as it can.

    Its first event names organisation 100: from then on that is the organisation of all that name none.
    """
    with lab.stage(world_api.api_url) as stage:
        worker = stage.worker(LOG_LEVEL="DEBUG", RETRY_MAX_ATTEMPTS="2", **CREDENTIALS)
        worker.wait_ready()
        desk = Desk(stage, world_api, worker)
        assert desk.tell(event(unique("first"), {"customerId": 1}, orgId=100)).only.value["orgId"] == 100
        yield desk


@pytest.fixture(scope="session")
def strict_desk(lab: Lab, world_api: RunningSimulator) -> Iterator[Desk]:
    """Give a worker of organisation 100 that hashes identifiers, minds the age of events, and uses v2.1."""
    with lab.stage(world_api.api_url) as stage:
        worker = stage.worker(
            API_CLIENT_KEY="simulator-key",
            API_CLIENT_SECRET="simulator-secret",  # noqa: S106 - guards nothing
            API_VERSION="v2.1",
            API_DATA_SCOPE="ALL",
            API_DATA_SCOPE_ORGS="100,200",
            API_ATTRIBUTION_ENTITY_TYPE="STORE_NAME",
            API_ATTRIBUTION_ENTITY_CODE="High Street 1",
            ORG_ID="100",
            PII_KEY="pepper",
            MAX_EVENT_AGE_HOURS="24",
        )
        worker.wait_ready()
        yield Desk(stage, world_api, worker)


@pytest.fixture(scope="session")
def dry_desk(lab: Lab, world_api: RunningSimulator) -> Iterator[Desk]:
    """Give a worker that never enrols."""
    with lab.stage(world_api.api_url) as stage:
        worker = stage.worker(DRY_RUN="true", **CREDENTIALS)
        worker.wait_ready()
        yield Desk(stage, world_api, worker)
