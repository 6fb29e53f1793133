"""The simulator's memory of its requests: a bounded log, counts, and who was asked about at once."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from worker.demo.simulator.faults import Endpoint

_SAMPLES: Final = 100


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request, numbered in the order of arrival; holds no identifier of a person but the customer id."""

    at: datetime
    endpoint: Endpoint
    path: str
    number: int = 0
    customer_id: int | None = None
    """None also if the identifier is nobody's."""
    promotion_id: int | None = None
    idempotency_key: str | None = None
    traceparent: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    """The query without `identifierValue`."""
    headers: dict[str, str] = field(default_factory=dict)
    """Those that say in whose name is asked: scope and attribution."""
    request_id: str = ""
    """`X-CAP-REQUEST-ID` of its answer."""
    status: int | None = None
    """None while in work, and if no answer was sent."""
    result: str = "in work"
    """ok, issued, not-issued:<reason>, refused:<code>, fault:<name>, unauthorised, throttled, ..."""


class Connection(Protocol):
    """The part of a transport that tells whether its client is still there."""

    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two requests that were in work for one customer at once."""

    customer_id: int
    earlier: RequestRecord
    later: RequestRecord


class RequestBooks:
    """The request log and the concurrency watch.

    A request counts as in work from its arrival until its answer is about to be sent, or its client is gone.
    """

    def __init__(self, log_size: int) -> None:
        """Keep the last `log_size` requests."""
        self.log: deque[RequestRecord] = deque(maxlen=log_size)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.overlaps: Final[deque[Overlap]] = deque(maxlen=_SAMPLES)
        self.overlap_count = 0
        self.most_at_once = 0
        self._in_work: Final[dict[int, tuple[RequestRecord, Connection]]] = {}
        self._number = 0

    @property
    def total(self) -> int:
        """How many requests have arrived."""
        return self._number

    def arrived(self, record: RequestRecord, connection: Connection) -> None:
        """Give a request its number, log it, and watch it until it is `finished`."""
        self._number += 1
        record.number = self._number
        self.log.append(record)
        gone = [number for number, (_, held) in self._in_work.items() if held.is_closing()]
        for number in gone:
            del self._in_work[number]
        if record.customer_id is not None:
            for earlier, _ in self._in_work.values():
                if earlier.customer_id == record.customer_id:
                    self.overlap_count += 1
                    self.overlaps.append(Overlap(record.customer_id, earlier, record))
        self._in_work[record.number] = (record, connection)
        self.most_at_once = max(self.most_at_once, len(self._in_work))

    def finished(self, record: RequestRecord, status: int | None, result: str) -> None:
        """Note how a request ended."""
        record.status, record.result = status, result
        self.counts[record.endpoint.value, result] += 1
        self._in_work.pop(record.number, None)

    def of_customer(self, customer_id: int) -> list[RequestRecord]:
        """Return the logged requests about one customer, in their order of arrival."""
        return [record for record in self.log if record.customer_id == customer_id]

    def clear(self) -> None:
        """Forget everything but the requests in work."""
        self.log.clear()
        self.counts.clear()
        self.overlaps.clear()
        self.overlap_count = self.most_at_once = 0
