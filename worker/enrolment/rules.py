"""The operator's rules about events and promotions."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from topics.feedback import CUSTOMER_EVENTS, TELLING_EVENTS
from worker.domain.known import Trust
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
    trust_seconds: float = 0.0
    """How long what a lookup showed of a customer is trusted, 0 for not at all."""
    default_source: str = "INSTORE"
    """Source of names that come without one."""
    always: frozenset[str] = frozenset(CUSTOMER_EVENTS)
    """Events that are looked up whatever is known, and make it forgotten."""
    not_found_grace: timedelta | None = None
    """Younger events whose customer is unknown come again: the registration may be on its way."""

    def acts_on(self, event_name: str) -> bool:
        """Whether an event of this name leads to a lookup."""
        is_trigger = EVERY_EVENT in self.triggers or event_name in self.triggers
        return is_trigger and event_name not in TELLING_EVENTS

    @property
    def trust(self) -> Trust:
        """How far what is remembered of customers is trusted."""
        return Trust(
            seconds=self.trust_seconds, policy=self.policy, cool_down=self.limit_cool_down, always=self.always
        )
