"""The state that the two ports share, and the settings that the control port may change under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from worker.demo.simulator.auth import Credentials, Doorman
from worker.demo.simulator.books import RequestBooks
from worker.demo.simulator.faults import FaultPlan
from worker.demo.simulator.idempotency import KeptAnswers
from worker.demo.simulator.notifications import Notifications
from worker.demo.simulator.pace import Latency, Throttle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from worker.demo.simulator.faults import RetryAfter
    from worker.demo.simulator.notifications import Notification
    from worker.demo.simulator.options import SimulatorOptions
    from worker.demo.simulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What may change while the simulator runs."""

    latency: Latency
    retry_after: RetryAfter
    error_status: int
    honour_idempotency: bool
    show_late: timedelta
    throttle: Throttle = field(default_factory=Throttle)


class Simulation:
    """One simulated API: its world, faults, request books, notifications and settings."""

    def __init__(
        self,
        options: SimulatorOptions,
        *,
        world: World,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self.options: Final = options
        self.clock: Final = clock
        self._notifications: Final = Notifications(world.org_id, options.notification_log_size, clock)
        self._world = world
        world.observer = self._notifications.note
        self.sleep: Final = sleep
        self.rng: Final = Random(options.seed)  # noqa: S311 - repeatable, and no secret
        self.faults: Final = FaultPlan(Random(options.seed + 1), options.faults)  # noqa: S311 - likewise
        self.requests: Final = RequestBooks(options.request_log_size)
        self.kept_answers: Final = KeptAnswers()
        self.stopping: Final = asyncio.Event()
        self.settings = settings_of(options)
        self.doorman: Final = Doorman(
            Credentials(
                username=options.username,
                password=options.password,
                client_key=options.client_key,
                client_secret=options.client_secret,
                token_lasts=timedelta(seconds=options.token_ttl_seconds),
                token_ends=timedelta(seconds=options.token_ends_after_seconds or options.token_ttl_seconds),
            ),
        )

    @property
    def world(self) -> World:
        """The present world, in which everything that is due by now has been applied."""
        self._world.advance(self.clock())
        return self._world

    @world.setter
    def world(self, world: World) -> None:
        """Replace it; of the one before nothing is noted any more."""
        self._world.observer = None
        self._world = world
        world.observer = self._notifications.note

    def notified(self, after: int) -> list[Notification]:
        """Return the notifications of all that has changed by now, from behind that number."""
        self._world.advance(self.clock())
        return list(self._notifications.after(after))

    def reset(self) -> None:
        """Forget what happened, tokens included, and go back to the settings and faults of the start."""
        self.world = self.world.without_history()
        self.faults.replace(*self.options.faults)
        self.requests.clear()
        self._notifications.clear()
        self.kept_answers.clear()
        self.doorman.revoke()
        self.settings = settings_of(self.options)


def settings_of(options: SimulatorOptions) -> Settings:
    """Read the settings of the start. Raises ValueError for a latency that cannot be read."""
    return Settings(
        latency=Latency.parse(options.latency),
        throttle=Throttle(options.requests_per_minute),
        retry_after=options.retry_after,
        error_status=options.error_status,
        honour_idempotency=options.honour_idempotency,
        show_late=timedelta(seconds=options.show_late_seconds),
    )
