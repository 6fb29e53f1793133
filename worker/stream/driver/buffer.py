"""The buffer between the consumer and the lanes, bounded in bytes as well as in records."""

from typing import Any

from faust.events import Event
from mode.utils.queues import ThrowableQueue

from topics.record import octets_of
from worker.kafka.sizes import MOST_OCTETS


class Buffer(ThrowableQueue[Event]):
    """Faust's queue, in which a large record takes the room of many: 256 of 10 MB would be 2.5 GB."""

    _octets = 0

    def qsize(self) -> int:
        """Return how many of the queue's places are taken."""
        return max(super().qsize(), self._octets * self.maxsize // MOST_OCTETS)

    def clear(self) -> None:
        """Drop everything."""
        super().clear()
        self._octets = 0

    def _put(self, item: Event) -> None:
        super()._put(item)
        self._octets += _size(item)

    def _get(self) -> Any:  # noqa: ANN401 - as asyncio's
        item = super()._get()
        self._octets -= _size(item)
        return item


def _size(event: Event) -> int:
    message = event.message
    # A list, as aiokafka gave it.
    headers: Any = message.headers or ()
    return octets_of(message.key, message.value, headers)
