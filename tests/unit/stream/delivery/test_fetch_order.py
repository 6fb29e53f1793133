"""Records that were fetched and never arrived are noticed, whatever the gaps of the log."""

from worker.stream.delivery.fetch_order import FetchOrder

_AT = ("activity", 0)


def test_each_record_knows_the_one_that_was_fetched_before_it() -> None:
    """Gaps of the log are no matter: what counts is the order of fetching."""
    order = FetchOrder("activity")
    for offset in (5, 6, 40):
        order.fetched(_AT, offset)

    assert [order.begins(_AT, offset) for offset in (5, 6, 40)] == [True, False, False]
    assert [order.follows(_AT, 40, taken) for taken in (None, 5, 6, 7)] == [False, False, True, True]
    assert (order.first(_AT), order.last(_AT)) == (5, 40)


def test_a_copy_follows_on_nothing() -> None:
    """Two fetches have brought the record; it is passed on once."""
    order = FetchOrder("activity")
    order.fetched(_AT, 5)
    order.fetched(_AT, 6)
    order.passed_on(_AT, 5)
    order.passed_on(_AT, 6)

    assert not order.begins(_AT, 5)
    assert not order.follows(_AT, 6, 5)


def test_going_back_begins_anew() -> None:
    """After a seek the first record that comes follows on nothing, and the chain's beginning is told."""
    order = FetchOrder("activity")
    for offset in (5, 6, 7, 6, 7):
        order.fetched(_AT, offset)

    assert (order.begins(_AT, 6), order.begins(_AT, 7), order.first(_AT)) == (True, False, 6)
    assert order.follows(_AT, 7, 6)


def test_an_assignment_begins_anew_and_other_topics_are_none_of_its_business() -> None:
    """Nothing of an earlier assignment or of the ledger's changelog is kept."""
    order = FetchOrder("activity")
    order.fetched(_AT, 5)
    order.fetched(("ledger", 0), 9)
    order.forget()
    order.fetched(_AT, 6)

    assert (order.begins(_AT, 6), order.last(("ledger", 0))) == (True, None)
