"""What is asked of a cluster's controller, without a cluster."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.kafka import admin
from worker.kafka.admin import controller_known


@pytest.mark.asyncio
async def test_a_cluster_that_names_no_controller_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that has just started knows none; `topics create` ended with a traceback of the client's."""
    monkeypatch.setattr(admin, "POLL_SECONDS", 0.001)
    asked = list[int]()
    cluster = SimpleNamespace(controller=None)

    async def force_metadata_update() -> None:
        asked.append(1)
        cluster.controller = "node" if len(asked) == 3 else None

    client = SimpleNamespace(cluster=cluster, force_metadata_update=force_metadata_update)
    await controller_known(cast("Any", SimpleNamespace(_client=client)))
    await controller_known(cast("Any", SimpleNamespace(_client=client)))
    assert len(asked) == 3
