"""The configuration of a test's cluster."""

import pytest

from tests.support.kafka.cluster import Controllers, cluster_settings

_PORTS = (21, 22, 23, 24, 25, 26)


@pytest.mark.parametrize("controllers", Controllers)
def test_what_is_acknowledged_is_on_two_of_three_brokers(controllers: Controllers) -> None:
    """In topics of all kinds, Kafka's own among them; nobody leads who lacks some of it."""
    for settings in cluster_settings(_PORTS, controllers).values():
        assert settings["unclean.leader.election.enable"] == "false"
        for prefix, least in (
            ("", "min.insync.replicas"),
            ("offsets.topic.", None),
            ("transaction.state.log.", "transaction.state.log.min.isr"),
            ("share.coordinator.state.topic.", "share.coordinator.state.topic.min.isr"),
        ):
            name = f"{prefix}replication.factor" if prefix else "default.replication.factor"
            assert settings[name] == "3"
            assert least is None or settings[least] == "2"


def test_controllers_together_with_brokers() -> None:
    """Each node is both, and knows all three voters."""
    nodes = cluster_settings(_PORTS, Controllers.TOGETHER)
    assert list(nodes) == ["kafka-1", "kafka-2", "kafka-3"]
    assert {each["controller.quorum.voters"] for each in nodes.values()} == {
        "1@127.0.0.1:22,2@127.0.0.1:24,3@127.0.0.1:26"
    }
    second = nodes["kafka-2"]
    assert second["node.id"] == "2"
    assert second["process.roles"] == "broker,controller"
    assert second["listeners"] == "PLAINTEXT://127.0.0.1:23,CONTROLLER://127.0.0.1:24"
    assert second["advertised.listeners"] == "PLAINTEXT://127.0.0.1:23"


def test_a_controller_apart() -> None:
    """It outlives the brokers, none of which votes."""
    nodes = cluster_settings(_PORTS, Controllers.APART)
    assert list(nodes) == ["kafka-controller", "kafka-1", "kafka-2", "kafka-3"]
    assert {each["controller.quorum.voters"] for each in nodes.values()} == {"100@127.0.0.1:22"}
    controller, third = nodes["kafka-controller"], nodes["kafka-3"]
    assert (controller["node.id"], controller["process.roles"]) == ("100", "controller")
    assert controller["listeners"] == "CONTROLLER://127.0.0.1:22"
    assert "advertised.listeners" not in controller
    assert (third["node.id"], third["process.roles"]) == ("3", "broker")
    assert third["listeners"] == third["advertised.listeners"] == "PLAINTEXT://127.0.0.1:25"
