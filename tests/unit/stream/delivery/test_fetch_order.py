"""Records that were fetched and never arrived are noticed, whatever the gaps of the log."""

from worker.stream.delivery.fetch_order import FetchOrder

_AT = ("activity", 0)


def test_each_record_knows_the_one_that_was_fetched_before_it() -> None:
    """Gaps of the log are no matter: what counts is the order of fetching."""
    trail = FetchOrder("activity")
    for offset in (5, 6, 40):
        trail.fetched(_AT, offset)

    assert [trail.before(_AT, offset) for offset in (5, 6, 40)] == [None, 5, 6]
    assert (trail.first(_AT), trail.last(_AT)) == (5, 40)


def test_going_back_begins_anew() -> None:
    """After a seek the first record that comes follows on nothing, and the chain's beginning is told."""
    trail = FetchOrder("activity")
    for offset in (5, 6, 7, 6, 7):
        trail.fetched(_AT, offset)

    assert (trail.before(_AT, 6), trail.before(_AT, 7), trail.first(_AT)) == (None, 6, 6)


def test_an_assignment_begins_anew_and_other_topics_are_none_of_its_business() -> None:
    """Nothing of an earlier assignment or of the ledger's changelog is kept."""
    trail = FetchOrder("activity")
    trail.fetched(_AT, 5)
    trail.fetched(("ledger", 0), 9)
    trail.forget()
    trail.fetched(_AT, 6)

    assert (trail.before(_AT, 6), trail.last(("ledger", 0))) == (None, None)
