"""The thread of aiokafka's consumer: what the group's coordinator tells goes to the membership at once."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from worker.kafka.bootstrap import reach_any
from worker.kafka.group_refusals import refusal_of
from worker.stream.delivery.membership import Membership
from worker.stream.driver import routines, sign_off
from worker.stream.driver.commits import Commit
from worker.stream.driver.fetch_errors import keep_first_error
from worker.stream.driver.log_access import LogAccess
from worker.stream.driver.opening import Opening
from worker.timing import now

_FETCH_WAIT_MS: Final = 50

log = structlog.get_logger(__name__)


class ConsumerThread(LogAccess):
    """The thread of aiokafka's consumer; tells the membership of each answer of the group's coordinator."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - Faust's own
        membership: Membership,
        opening: Opening,
        **options: Any,  # noqa: ANN401 - Faust's own
    ) -> None:
        """Tell `opening` why we may not join."""
        self._membership = membership
        self._opening = opening
        super().__init__(*arguments, **options)

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # What upstream's transactions took back has not happened.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - Faust ties it to its own transactions
        # While a fetch waits for records of idle partitions, none goes out for those that were just read.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001 - 1,500 in Faust, and no setting
        reach_any(consumer._client)  # noqa: SLF001 - its way to the cluster
        return consumer

    async def commit_noted(self, commits: Mapping[TP, Commit]) -> bool:
        """Commit as Faust does, with what is noted beside each offset; return whether Kafka has taken it."""
        return cast("bool", await self.call_thread(self._commit_noted, commits))

    async def _commit_noted(self, commits: Mapping[TP, Commit]) -> bool:
        ours = {tp: (commit.offset, commit.note) for tp, commit in commits.items() if self.owns(tp)}
        try:
            await self._write(ours)
        except CommitFailedError as error:
            if "already rebalanced" in str(error):
                return False
            await self.crash(error)
            return False
        except Exception as error:
            log.exception("the commit failed")
            await self.crash(error)
            return False
        return True

    async def on_start(self) -> None:
        """Start the consumer and listen in on its heartbeats and joins; waits for Kafka."""
        start, is_over = super().on_start, lambda: self.should_stop
        if await self._opening.of("the consumer", start, self._let_go, is_over):
            self._membership.listens()
            self._listen_in()
            keep_first_error(self._ensure_consumer()._fetcher)  # noqa: SLF001 - aiokafka offers no way to it
            routines.watch(self._ensure_consumer(), self._opening.refuse)
            self.add_future(self._opening.first_place(self._has_place, lambda: self.should_stop))

    def refused(self, error: Exception) -> bool:
        """Return whether an error is a refusal that no waiting mends; the process stops for one."""
        conf = self.app.conf
        refusal = refusal_of(error, conf.id, conf.broker_session_timeout)
        if refusal is not None:
            self._opening.refuse(refusal)
        return refusal is not None

    def _has_place(self) -> bool:
        return self._membership.generation >= 0

    async def _let_go(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    def _listen_in(self) -> None:
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - aiokafka offers no listener for these
        membership = self._membership
        beat, rejoin = coordinator._do_heartbeat, coordinator._do_rejoin_group  # noqa: SLF001
        complete, reset = coordinator._on_join_complete, coordinator.reset_generation  # noqa: SLF001
        push = coordinator._push_error_to_user  # noqa: SLF001
        joining_since = now()

        async def do_heartbeat() -> bool:
            sent_at = now()
            known: bool = await beat()
            if known:
                membership.heard(sent_at, coordinator.generation)
            return known

        async def do_rejoin_group(subscription: object) -> bool:
            nonlocal joining_since
            membership.lost()
            joining_since = now()
            joined: bool = await rejoin(subscription)
            return joined

        async def on_join_complete(generation: int, *details: object) -> None:
            # Records are delivered before this returns.
            membership.heard(joining_since, generation)
            await complete(generation, *details)

        async def push_error_to_user(error: Exception) -> None:
            self.refused(error)
            await push(error)

        def reset_generation() -> None:
            membership.lost()
            reset()

        sign_off.listen(coordinator, self._opening.note)
        coordinator._do_heartbeat = do_heartbeat  # noqa: SLF001
        coordinator._do_rejoin_group = do_rejoin_group  # noqa: SLF001
        coordinator._on_join_complete = on_join_complete  # noqa: SLF001
        coordinator.reset_generation = reset_generation
        # Nobody asks the consumer for records before it has joined: what keeps it from that stays unsaid.
        coordinator._push_error_to_user = push_error_to_user  # noqa: SLF001

    async def on_thread_stop(self) -> None:
        """Close the consumer; nothing that fails on the way keeps the process from stopping.

        A fetcher of aiokafka that is cancelled while a broker is away hands that on to whoever closes it.
        """
        try:
            await super().on_thread_stop()
        except (asyncio.CancelledError, KafkaError) as error:
            log.warning("the connection to Kafka ended without good-bye", error=type(error).__name__)

    def topic_partitions(self, topic: str) -> int | None:
        """Return how many partitions the topic has, None if nothing is known of it.

        Faust asks the group's coordinator, which knows it in the member only that leads the group.
        """
        known = None if self._consumer is None else self._consumer.partitions_for_topic(topic)
        return len(known) if known else None
