"""compose.yaml against what it starts. No Docker here: that it comes up is for a laptop to show."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from worker.commands.main import program
from worker.demo.kafka_jars import LOCK_FILE, kafka_version, read_lock
from worker.settings import Settings, load_settings

_ROOT: Final = Path(__file__).resolve().parents[2]
_COMPOSE: Final = yaml.safe_load((_ROOT / "compose.yaml").read_text(encoding="utf-8"))
_SERVICES: Final[dict[str, Any]] = _COMPOSE["services"]
_OURS: Final = ("simulator", "topics", "worker")


def test_the_worker_takes_its_settings() -> None:
    """The worker must accept what it is given, and be given time for its drain: as much as a pod."""
    worker = _SERVICES["worker"]
    settings = load_settings(worker["environment"], Settings)
    chart = yaml.safe_load((_ROOT / "helm/enrolment-worker/values.yaml").read_text(encoding="utf-8"))
    assert f"{settings.drain_seconds + chart['terminationRoomSeconds']:.0f}s" == worker["stop_grace_period"]
    assert f"{settings.api_base_url}".endswith(":8080")
    assert worker["ports"] == [f"127.0.0.1:{settings.http_port}:{settings.http_port}"]


@pytest.mark.parametrize("service", _OURS)
def test_commands_exist(service: str) -> None:
    """Each container of the worker's image must be given a command and options that there are."""
    name, *rest = _SERVICES[service]["command"]
    with program.make_context("enrolment-worker", [name, *rest]) as context:
        command = program.get_command(context, name)
        assert command is not None
        command.make_context(name, rest)


def test_images_are_pinned() -> None:
    """No image may change under its tag's name, and Kafka must be the one that the tests run against."""
    images = {name: service["image"] for name, service in _SERVICES.items() if name not in _OURS}
    assert all(re.search(r":v?\d+\.\d+\.\d+", image) for image in images.values()), images
    assert images["kafka"].endswith(f":{kafka_version(read_lock(LOCK_FILE.read_text(encoding='utf-8')))}")


def test_ports_are_open_to_this_machine_only() -> None:
    """Nothing here asks for a password: no port may be reachable from elsewhere."""
    ports = [port for service in _SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_is_the_charts() -> None:
    """Dashboards and rules must be those that the chart installs."""
    chart = "./helm/enrolment-worker"
    assert _SERVICES["grafana"]["volumes"] == [f"{chart}/dashboards:/dashboards:ro"]
    assert _SERVICES["prometheus"]["volumes"] == [f"{chart}/rules:/etc/prometheus/rules:ro"]
    used = {config["source"] for service in _SERVICES.values() for config in service.get("configs", [])}
    assert used == set(_COMPOSE["configs"])
    for config in _COMPOSE["configs"].values():
        assert yaml.safe_load(config["content"])
