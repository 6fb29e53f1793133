"""Faust's application: its stop and its rebalances wait for the flow's drain."""

import faust
from faust.types import TP
from faust.types.transports import TransportT

from worker.stream.delivery.flow import Flow
from worker.stream.driver.buffer import Buffer


class WorkerApp(faust.App):
    """An application that reads by one flow; `connect` must come before it is started."""

    flow: Flow

    def connect(self, flow: Flow, transport: TransportT) -> None:
        """Let it read by the flow, and reach Kafka by the transport."""
        self.flow = flow
        self.transport = self.producer_transport = transport

    def FlowControlQueue(  # noqa: N802 - Faust's name
        self, maxsize: int | None = None, *, clear_on_resume: bool = False
    ) -> Buffer:
        """Return what holds an agent's records until it takes them."""
        return Buffer(maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume)

    async def on_stop(self) -> None:
        """Stop, and let a rebalance that waits for the drain go on in any case."""
        await super().on_stop()
        self.flow.drained.set()

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drain; in a process that is stopping, wait for the drain that goes on already.

        Faust would close the consumer under it.
        """
        if self.should_stop:
            await self.flow.drained.wait()
            return
        await super()._on_partitions_revoked(revoked)

    def _on_rebalance_when_stopped(self) -> None:
        """Close nothing: the process stops, and its last commit may be under way."""
