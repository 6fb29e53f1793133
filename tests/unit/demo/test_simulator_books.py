"""What the simulated API remembers of its requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from worker.demo.simulator.books import RequestBooks, RequestRecord
from worker.demo.simulator.faults import Endpoint


@dataclass
class _Connection:
    closed: bool = False

    def is_closing(self) -> bool:
        return self.closed


def _record(customer_id: int | None) -> RequestRecord:
    return RequestRecord(
        at=datetime(2026, 1, 31, tzinfo=UTC),
        endpoint=Endpoint.ISSUE,
        path="/v2/promotion/issue",
        customer_id=customer_id,
    )


def test_two_requests_for_one_customer_at_once_are_noticed() -> None:
    """Overlaps are counted with both requests; other customers and strangers do not overlap."""
    books = RequestBooks(10)
    first, second = _record(1), _record(1)
    for record in (first, _record(2), _record(None), _record(None), second):
        books.arrived(record, _Connection())
    assert books.overlap_count == 1
    assert (books.overlaps[0].earlier, books.overlaps[0].later) == (first, second)
    assert books.most_at_once == 5


def test_one_after_the_other_is_no_overlap() -> None:
    """A finished request, and one whose client has gone, are over."""
    books = RequestBooks(10)
    finished, abandoned, connection = _record(1), _record(1), _Connection()
    books.arrived(finished, _Connection())
    books.finished(finished, 200, "issued")
    books.arrived(abandoned, connection)
    connection.closed = True
    books.arrived(_record(1), _Connection())
    assert books.overlap_count == 0
    assert books.most_at_once == 1


def test_the_log_is_bounded_and_in_order() -> None:
    """The log keeps the latest, the counts keep all."""
    books = RequestBooks(3)
    for customer_id in (1, 2, 1, 2, 1):
        record = _record(customer_id)
        books.arrived(record, _Connection())
        books.finished(record, 200, "issued")
    assert [record.number for record in books.log] == [3, 4, 5]
    assert [record.number for record in books.of_customer(1)] == [3, 5]
    assert books.counts["issue", "issued"] == books.total == 5
