"""When the API counts as down, and when as back: failures in a row over different customers."""

from collections.abc import Hashable

from worker.domain.answers import Fault
from worker.domain.faults import is_suspect, treatment


class Breaker:
    """Judges the answers of one endpoint in the order in which they come.

    It opens on `threshold` failures in a row of as many different customers: one customer's data can make a
    server fail for ever, and is no outage. Codes that are final for one customer (8003, 8013, 11013) open it
    likewise when one customer after another gets them. The first answer that is none of these closes it.
    """

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._failed: set[Hashable] = set()
        self._refused: set[Hashable] = set()
        self._open = False
        self._on_trial = False
        self._by_refusals = False

    @property
    def is_open(self) -> bool:
        """Whether the endpoint counts as down."""
        return self._open

    def half_open(self) -> None:
        """Let whoever comes next show whether the API is back: one more failure opens it again."""
        self._open = False
        self._on_trial = True

    def heard(self, customer: Hashable, answer: object) -> bool:
        """Take an answer in; return whether the API served the customer with it."""
        if isinstance(answer, Fault):
            if treatment(answer).counts:
                self._failed.add(customer)
                self._judge(self._failed)
            return False
        self._failed.clear()
        if is_suspect(answer):
            self._refused.add(customer)
            self._by_refusals = self._judge(self._refused) or self._by_refusals
            if self._by_refusals:
                return False
        else:
            self._refused.clear()
            self._by_refusals = False
        self._open = self._on_trial = False
        return True

    def _judge(self, run: set[Hashable]) -> bool:
        is_outage = len(run) >= self._threshold or (self._on_trial and bool(run))
        self._open = self._open or is_outage
        return is_outage
