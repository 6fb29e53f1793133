"""What is asked of a group's coordinator while it moves."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.unit.given_settings import LEAST, load
from worker.kafka import partition_admin
from worker.kafka.errors import KafkaFailed
from worker.kafka.partition_admin import PartitionAdmin

_LOADING, _UNAVAILABLE, _MOVED, _FORBIDDEN = 14, 15, 16, 30


class _Client:
    """Answers with these codes in turn."""

    def __init__(self, *codes: int) -> None:
        self._codes = list(codes)

    async def find_coordinator(self, group: str) -> int:  # noqa: ARG002 - the client's
        return 1

    async def _send_request(self, *_: object) -> object:
        return SimpleNamespace(
            error_code=self._codes.pop(0), topics=[("activity", [(0, 5, "log=/", 0), (1, 7, None, 0)])]
        )

    async def describe_consumer_groups(self, _: list[str]) -> list[object]:
        return [SimpleNamespace(groups=[(self._codes.pop(0), "", "", "", "", ["one", "two"])])]


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> PartitionAdmin:
    """Give an admin that asks again at once."""
    monkeypatch.setattr(partition_admin, "POLL_SECONDS", 0)
    return PartitionAdmin(load(LEAST))


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [_LOADING, _UNAVAILABLE, _MOVED])
async def test_a_coordinator_that_moves_is_asked_again(admin: PartitionAdmin, code: int) -> None:
    """As after a broker's start: it is no refusal."""
    client: Any = _Client(code, code, 0)
    assert await admin._offsets(client, "group") == {
        ("activity", 0): (5, "log=/"),
        ("activity", 1): (7, ""),
    }
    client = _Client(code, code, 0)
    assert await admin._members(client, "group") == 2


@pytest.mark.asyncio
async def test_a_refusal_is_told(admin: PartitionAdmin) -> None:
    """At once, with the remedy."""
    client: Any = _Client(_FORBIDDEN, _FORBIDDEN)
    with pytest.raises(KafkaFailed, match="GroupAuthorizationFailedError; allow Describe on it"):
        await admin._offsets(client, "group")
    with pytest.raises(KafkaFailed, match="GroupAuthorizationFailedError"):
        await admin._members(client, "group")
