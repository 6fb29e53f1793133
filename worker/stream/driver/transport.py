"""What Faust makes its consumer and its producer by: ours, with what they need handed to them."""

from functools import partial
from typing import Any

from faust import App
from faust.transport.drivers import aiokafka as driver
from faust.types.transports import ConsumerCallback

from worker.stream.delivery.flow import Flow
from worker.stream.driver.commit_notes import TextOf
from worker.stream.driver.commits import Commits
from worker.stream.driver.consumer import Consumer
from worker.stream.driver.consumer_thread import ConsumerThread
from worker.stream.driver.opening import Opening
from worker.stream.driver.positions import Positions
from worker.stream.driver.producer import Producer


class Transport(driver.Transport):
    """Faust's transport over aiokafka, for one application and its flow."""

    def __init__(
        self,
        app: App,
        flow: Flow,
        positions: Positions,
        text_of: TextOf,
        opening: Opening,
    ) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self._flow = flow
        self._positions = positions
        self._opening = opening
        self._commits = Commits(flow, positions, text_of)
        self._make_thread = partial(ConsumerThread, membership=flow.guards.membership, opening=opening)

    def create_consumer(self, callback: ConsumerCallback, **kwargs: Any) -> Consumer:  # noqa: ANN401 - Faust's own
        """Return the group's consumer."""
        return Consumer(
            self,
            callback=callback,
            loop=self.loop,
            flow=self._flow,
            positions=self._positions,
            commits=self._commits,
            make_thread=self._make_thread,
            **kwargs,
        )

    def create_producer(self, **kwargs: Any) -> Producer:  # noqa: ANN401 - Faust's own
        """Return the producer, with the flow's fence before its connections."""
        return Producer(self, fence=self._flow.guards.fence, opening=self._opening, **kwargs)
