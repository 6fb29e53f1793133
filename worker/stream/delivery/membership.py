"""Membership: the group's generation, how fresh it is, and so whether this process may act.

A process that was frozen (SIGSTOP, a paused virtual machine) past its session time-out wakes up in the middle
of a handler, with another member long at work on the same customers. So the time of the last heartbeat that
the group answered is kept, and nothing irrevocable is done on an old one.
"""

from typing import Final

from worker.timing import now

UNHEARD: Final = float("-inf")


class Membership:
    """Our place in the consumer group. Written by the consumer's thread, read by the event loop's."""

    def __init__(self, valid_seconds: float) -> None:
        self._valid_seconds = valid_seconds
        self._heard_at = UNHEARD
        self._last_heard_at = now()
        self._generation = -1
        self._given_up = False

    def heard(self, sent_at: float, generation: int) -> None:
        """Note an answer of the coordinator to a request that left at `sent_at`."""
        self._heard_at = max(self._heard_at, sent_at)
        self._last_heard_at = now()
        self._generation = generation

    def listens(self) -> None:
        """Note that the coordinator could not be heard before now."""
        self._last_heard_at = now()

    def lost(self) -> None:
        """Note that the coordinator does not know us any more."""
        self._heard_at = UNHEARD
        self._generation = -1

    @property
    def generation(self) -> int:
        """The group's generation as last heard, -1 if we are in none."""
        return self._generation

    def give_up(self) -> None:
        """Allow nothing any more, whatever the group says: the process is about to end."""
        self._given_up = True

    def silent_seconds(self) -> float:
        """How long ago the coordinator last answered, or this process began to listen for it."""
        return now() - self._last_heard_at

    def holds(self, generation: int) -> bool:
        """Whether the group, as last heard, is still in the generation in which a record was delivered."""
        return self._generation == generation

    def serves(self) -> bool:
        """Whether the process has not given up."""
        return not self._given_up

    def is_fresh(self) -> bool:
        """Whether the group cannot have given us up yet, with the time that a request takes to spare."""
        return now() - self._heard_at < self._valid_seconds


class Lease:
    """What a delivery allows. Implements `worker.enrolment.ports.Lease`."""

    def __init__(self, membership: Membership, generation: int) -> None:
        self._membership = membership
        self._generation = generation

    def held(self) -> bool:
        """Whether the delivery's partition is still ours, as far as we heard."""
        return self._membership.serves() and self._membership.holds(self._generation)

    def is_certain(self) -> bool:
        """Whether it certainly is ours for as long as a request takes."""
        return self.held() and self._membership.is_fresh()
