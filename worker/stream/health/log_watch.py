"""Looks whether what was read still is what the logs hold."""

from collections.abc import Callable
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from mode import Service

from worker.stream.driver.positions import Positions

log = structlog.get_logger(__name__)


class LogWatch(Service):
    """Looks every second whether the positions still fit their logs."""

    def __init__(
        self,
        positions: Positions,
        is_ready: Callable[[], bool],
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        self._positions = positions
        self._is_ready = is_ready
        super().__init__(**kwargs)

    @Service.timer(1.0)
    async def _look(self) -> None:
        if not self._is_ready():
            return
        try:
            await self._positions.look()
        except KafkaError as error:
            log.debug("the logs could not be looked at", error=type(error).__name__)
