"""When the API counts as down, and when as back."""

import pytest

from tests.support.use_case.values import found
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    FaultKind,
    Issued,
    Misconfigured,
    Notice,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.resilience.breaker import Breaker

DOWN = Unsent(FaultKind.NOT_CONNECTED, "refused")
BROKEN = Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")
SUSPECT = Refused((Notice(8003, "source"),))
REFUSED = Refused((Notice(8874, "promotion"),))


@pytest.mark.parametrize("fault", [DOWN, BROKEN, Misconfigured("HTTP 401"), SUSPECT], ids=str)
def test_so_many_failures_in_a_row_of_different_customers_open_it(fault: object) -> None:
    """Not one fewer; and the first customer served closes it."""
    breaker = Breaker(3)

    opened = []
    for customer in "abc":
        breaker.heard(customer, fault)
        opened.append(breaker.is_open)
    assert opened == [False, False, True]
    assert breaker.heard("d", found())
    assert not breaker.is_open


def test_one_customer_is_no_outage() -> None:
    """However often one customer's call fails, others are served."""
    breaker = Breaker(2)

    for _ in range(100):
        assert not breaker.heard("a", BROKEN)
    assert not breaker.is_open


@pytest.mark.parametrize(
    "answer", [found(), Issued(1, ()), NotIssued(()), CustomerNotFound(()), REFUSED], ids=str
)
def test_an_answer_in_between_ends_the_row(answer: object) -> None:
    """Whoever is told something by the API has reached it."""
    breaker = Breaker(2)

    for customer in "abcdef":
        breaker.heard(customer, BROKEN)
        assert breaker.heard(customer, answer)
        assert not breaker.is_open


def test_throttling_is_neither_failure_nor_answer() -> None:
    """429 neither opens the breaker nor ends a row."""
    breaker = Breaker(2)
    for customer in "abcdef":
        assert not breaker.heard(customer, Throttled(None))
    assert not breaker.is_open

    breaker.heard("a", BROKEN)
    breaker.heard("b", Throttled(1.0))
    breaker.heard("c", BROKEN)
    assert breaker.is_open


def test_a_refusal_that_everybody_gets_is_a_fault_of_configuration_until_somebody_does_not() -> None:
    """Final for the first customers; from the threshold on it serves nobody and closes nothing."""
    breaker = Breaker(2)

    assert [breaker.heard(customer, SUSPECT) for customer in "abc"] == [True, False, False]
    opened = breaker.is_open
    assert breaker.heard("d", REFUSED)
    assert (opened, breaker.is_open) == (True, False)
    assert breaker.heard("a", SUSPECT)


def test_a_refusal_is_an_answer_where_the_server_was_down() -> None:
    """It closes what failures opened."""
    breaker = Breaker(2)
    for customer in "ab":
        breaker.heard(customer, BROKEN)
    opened = breaker.is_open

    assert breaker.heard("c", SUSPECT)
    assert (opened, breaker.is_open) == (True, False)
