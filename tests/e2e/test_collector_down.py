"""A collector that is not there: the worker works, says so, and ends in time."""

import json

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.waiting import wait_until
from worker.demo.ports import HOST, free_ports
from worker.demo.simulator import RunningSimulator

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_collector_down(lab: Lab, world_api: RunningSimulator, protocol: str) -> None:
    """Events are enrolled as ever; the log names the exporter, with no traceback; SIGTERM ends it with 0."""
    endpoint = f"http://{HOST}:{free_ports(1)[0]}"
    with lab.stage(world_api.api_url) as stage:
        worker = stage.worker(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_BSP_SCHEDULE_DELAY="200",
            OTEL_METRIC_EXPORT_INTERVAL="1000",
            **CREDENTIALS,
        )
        worker.wait_ready()
        desk = Desk(stage, world_api, worker)
        for number in range(5):
            customer = desk.customer()
            desk.promotion(customer)
            told = desk.tell(event(f"event-{number}", {"customerId": customer.customer_id}), key=b"key")
            assert told.only.name == "ENROLLED"

        def complaints() -> list[str]:
            return [line for line in worker.log().splitlines() if "opentelemetry" in line]

        lines = wait_until(complaints, "the log says so", evidence=stage.tails)
        assert len(lines) <= 20, lines
        assert all(json.loads(line)["level"] in {"warning", "error"} for line in lines)
        assert "Traceback" not in worker.log(), worker.tail()
        assert worker.stop() == 0
