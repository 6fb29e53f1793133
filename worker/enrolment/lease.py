"""The lease of a delivery: what it still allows, once the partition may be another member's."""

from typing import Final, Protocol

from worker.timing import Sleep

_CERTAINTY_POLL_SECONDS: Final = 0.2


class Lease(Protocol):
    """What a delivery still allows: the partition may be another member's by now."""

    def held(self) -> bool:
        """Whether the partition is ours, as far as we heard from the group."""

    def is_certain(self) -> bool:
        """Whether it certainly is, for as long as a request takes."""


class Abandoned(Exception):  # noqa: N818 - reads as what happened
    """The partition is no longer ours: the event is its new owner's, and nothing more is done for it here."""


def ensure_held(lease: Lease) -> None:
    """Raise Abandoned if the partition is no longer ours, as far as we heard."""
    if not lease.held():
        raise Abandoned


async def until_certain(lease: Lease, sleep: Sleep) -> None:
    """Return once the partition certainly is ours, raise Abandoned if not; waits while Kafka is away.

    Who was frozen past the session time-out hears that the partition is lost only some time after it woke up.
    """
    while not lease.is_certain():
        ensure_held(lease)
        await sleep(_CERTAINTY_POLL_SECONDS)
