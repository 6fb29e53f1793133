"""An event loop beside the test, so that tests read as plain steps while clients and simulators go on."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

_ANSWER_SECONDS: Final = 60.0


class LoopThread:
    """A context manager; its loop runs in a thread of its own for the time of the block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-loop", daemon=True)

    def run(self, steps: Coroutine[Any, Any, T], seconds: float = _ANSWER_SECONDS) -> T:
        """Run a coroutine to its end and return its result; raises what it raises, or TimeoutError."""
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(steps, seconds), self._loop).result()

    def call(self, step: Callable[[], T]) -> T:
        """Call a function on the loop, where nothing else of it runs meanwhile."""

        async def called() -> T:
            return step()

        return self.run(called())

    def enter(self, resource: AbstractAsyncContextManager[T]) -> tuple[T, Callable[[], None]]:
        """Enter an asynchronous context manager; return what it gives and what leaves it."""
        value = self.run(resource.__aenter__())
        return value, lambda: self.run(_leave(resource))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _leave(resource: AbstractAsyncContextManager[Any]) -> None:
    await resource.__aexit__(None, None, None)
