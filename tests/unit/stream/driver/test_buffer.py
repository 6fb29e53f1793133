"""The buffer before the lanes is bounded in bytes too."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mode.utils.queues import FlowControlEvent

from worker.kafka.sizes import MOST_OCTETS
from worker.stream.driver.buffer import Buffer


def _event(octets: int) -> Any:  # noqa: ANN401 - as much of Faust's event as is looked at
    return SimpleNamespace(message=SimpleNamespace(key=None, value=b"x" * octets, headers=()))


@pytest.fixture
def buffer() -> Buffer:
    """Give a buffer of 256 places."""
    return Buffer(256, flow_control=FlowControlEvent())


@pytest.mark.asyncio
async def test_small_records_take_a_place_each(buffer: Buffer) -> None:
    """Their number decides, as before."""
    for _ in range(255):
        buffer.force_put_nowait(_event(1000))
    assert (buffer.qsize(), buffer.full()) == (255, False)
    buffer.force_put_nowait(_event(1000))
    assert buffer.full()


@pytest.mark.asyncio
async def test_large_records_fill_it(buffer: Buffer) -> None:
    """A few fill it; who waits to put one more gets its turn when enough is taken out."""
    buffer._flow_control.resume()
    for _ in range(4):
        buffer.force_put_nowait(_event(MOST_OCTETS // 4))
    assert buffer.full()
    waiting = asyncio.ensure_future(buffer.put(cast("Any", _event(1))))
    await asyncio.sleep(0)
    assert not waiting.done()

    await buffer.get()
    await waiting
    assert [len((await buffer.get()).message.value) for _ in range(4)][-1] == 1
    assert (buffer.qsize(), buffer.empty()) == (0, True)


@pytest.mark.asyncio
async def test_a_record_larger_than_the_bound_gets_through(buffer: Buffer) -> None:
    """Alone."""
    buffer.force_put_nowait(_event(2 * MOST_OCTETS))
    assert buffer.full()
    assert len((await buffer.get()).message.value) == 2 * MOST_OCTETS


@pytest.mark.asyncio
async def test_what_is_dropped_takes_no_place(buffer: Buffer) -> None:
    """A rebalance clears the buffer."""
    buffer.force_put_nowait(_event(MOST_OCTETS))
    buffer.clear()
    assert (buffer.qsize(), buffer.full()) == (0, False)
