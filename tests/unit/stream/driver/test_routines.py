"""A routine of aiokafka's consumer that ends ends the process: without it nothing is read."""

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.transport.drivers import aiokafka as driver

from worker.stream.driver.consumer_thread import ConsumerThread


class _Client:
    """What a fetcher and a coordinator ask of a client before they have work."""

    _metadata_max_age_ms = 1000

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.cluster = SimpleNamespace(add_listener=lambda _: None)


class _Subscriptions:
    """Nothing is assigned; asking for it fails as a fault of aiokafka's would."""

    subscription = None
    subscribed_pattern = None

    def __init__(self) -> None:
        self.assigned: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def register_fetch_waiters(self, _: object) -> None:
        """Take note."""

    def partitions_auto_assigned(self) -> bool:
        """Of none."""
        return False

    def abort_waiters(self, _: Exception) -> None:
        """Tell nobody."""

    async def wait_for_assignment(self) -> None:
        """Wait for ever, or fail."""
        await self.assigned

    def wait_for_subscription(self) -> asyncio.Future[None]:
        """Return the same."""
        return asyncio.shield(self.assigned)


class _Thread(ConsumerThread):
    """A consumer's thread with aiokafka's own fetcher and coordinator, and no Kafka."""

    should_stop = False

    def __init__(self, refused: list[Exception]) -> None:
        async def opened(_: str, start: Callable[[], Coroutine[Any, Any, None]], *__: object) -> bool:
            await start()
            return True

        async def placed(*_: object) -> None:
            """Have a place."""

        client: Any = _Client()
        self.subscriptions: Any = _Subscriptions()
        self.consumer_of_it: Any = SimpleNamespace(
            _fetcher=Fetcher(client, self.subscriptions),
            _coordinator=GroupCoordinator(client, self.subscriptions),
            _client=client,
        )
        self._consumer = self.consumer_of_it
        self._membership = SimpleNamespace(listens=lambda: None, generation=1)  # type: ignore[assignment]
        self._opening = SimpleNamespace(of=opened, first_place=placed, refuse=refused.append)  # type: ignore[assignment]

    def _listen_in(self) -> None:
        """Listen to nobody."""

    def add_future(self, coro: Any) -> Any:  # noqa: ANN401 - mode's
        """Run it later."""
        coro.close()


async def _started(monkeypatch: pytest.MonkeyPatch, refused: list[Exception]) -> _Thread:
    async def start(_: object) -> None:
        """Connect to nothing."""

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_start", start)
    thread = _Thread(refused)
    await thread.on_start()
    await asyncio.sleep(0.01)
    return thread


@pytest.mark.asyncio
async def test_a_routine_that_ends_by_a_fault_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with one line; the client's own has the traceback."""
    refused: list[Exception] = []
    thread = await _started(monkeypatch, refused)
    assert not refused
    thread.subscriptions.assigned.set_exception(AssertionError("a customer's name"))
    await asyncio.sleep(0.01)
    assert [str(each) for each in refused] == [
        f"the part of the Kafka client that {does} has ended by a fault of its own (AssertionError): "
        "start the worker again, nothing is lost"
        for does in ("reads records", "keeps our place in the group")
    ]


@pytest.mark.asyncio
async def test_a_routine_that_takes_anothers_end_for_its_own_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fetcher then ends without an error."""
    refused: list[Exception] = []
    thread = await _started(monkeypatch, refused)
    thread.subscriptions.assigned.cancel()
    await asyncio.sleep(0.01)
    assert "reads records has ended by a fault of its own (cancelled)" in str(refused[0])
    await thread.consumer_of_it._coordinator.close()


@pytest.mark.asyncio
async def test_a_consumer_that_is_closed_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at every stop."""
    refused: list[Exception] = []
    thread = await _started(monkeypatch, refused)
    await thread.consumer_of_it._coordinator.close()
    await thread.consumer_of_it._fetcher.close()
    await asyncio.sleep(0.01)
    assert not refused
