"""The operator's rules about events and promotions."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from worker.domain.plan import Policy

EVERY_EVENT: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator decided about events: which lead to a lookup, and what may be enrolled into."""

    policy: Policy = field(default_factory=Policy)
    triggers: frozenset[str] = frozenset({"transactionAdded", "customerAdded"})
    max_event_age: timedelta | None = None
    pii_key: bytes | None = None
    dry_run: bool = False
    retry_rejected: bool = False
    """Ask once more for what was rejected, as of a redriven event."""
    limit_cool_down: timedelta = timedelta(hours=1)
    """How long a settled 8890 is trusted without asking again."""
    settle_seconds: float = 5.0
    """How long the API may take to apply a request and show it."""
    not_found_grace: timedelta | None = None
    """Younger events whose customer is unknown come again: the registration may be on its way."""

    def acts_on(self, event_name: str) -> bool:
        """Whether an event of this name leads to a lookup."""
        return EVERY_EVENT in self.triggers or event_name in self.triggers
