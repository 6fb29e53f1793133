"""The routines of aiokafka's consumer that nothing goes on without: one reads, one keeps our place.

Each is a task that is started once. If it ends by an error, nobody starts it again, and Faust asks for
neither: the worker would go on with its heartbeats and read nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from worker.kafka.errors import KafkaFailed


def watch(consumer: Any, refuse: Callable[[Exception], object]) -> None:  # noqa: ANN401 - aiokafka ships no types
    """Let `refuse` hear when a routine of a started consumer ends before that is closed.

    It is called in the consumer's thread, with one line for the operator.
    """
    fetcher, coordinator = consumer._fetcher, consumer._coordinator  # noqa: SLF001 - aiokafka offers no way to it
    _watch(fetcher._fetch_task, "reads records", lambda: fetcher._closed, refuse)  # noqa: SLF001 - as above
    coordination = coordinator._coordination_task  # noqa: SLF001 - as above
    _watch(coordination, "keeps our place in the group", coordinator._closing.done, refuse)  # noqa: SLF001 - as above


def _watch(
    routine: asyncio.Task[None],
    does: str,
    is_closed: Callable[[], bool],
    refuse: Callable[[Exception], object],
) -> None:
    def ended(_: object) -> None:
        error = None if routine.cancelled() else routine.exception()
        if is_closed():
            return
        fault = error and type(error.__cause__ or error).__name__
        # Also one that was cancelled: aiokafka takes that for being closed, whoever did it.
        refuse(
            KafkaFailed(
                f"the part of the Kafka client that {does} has ended by a fault of its own "
                f"({fault or 'cancelled'}): start the worker again, nothing is lost"
            )
        )

    routine.add_done_callback(ended)
