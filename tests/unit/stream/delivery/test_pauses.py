"""Which partitions are not read, and until when."""

from worker.stream.delivery.pauses import Holds

ONE, OTHER = ("retry-1", 0), ("retry-1", 1)


def test_a_partition_is_held_until_its_head_is_due_and_no_other_is() -> None:
    """Another hold replaces the earlier one; a new assignment begins anew."""
    seconds = 0.0
    holds = Holds(lambda: seconds)
    holds.hold(ONE, 5.0)
    assert (holds.held(ONE), holds.held(OTHER)) == (True, False)
    seconds = 5.0
    assert not holds.held(ONE)
    holds.hold(ONE, 5.0)
    holds.forget()
    assert not holds.held(ONE)


def test_an_outage_holds_all_and_outlasts_an_assignment() -> None:
    """Whoever is assigned meanwhile is not read either."""
    holds = Holds(lambda: 0.0)
    holds.outage = True
    holds.forget()
    assert holds.held(ONE)


def test_what_was_seen_stays_seen_however_often_it_is_fetched() -> None:
    """A record is known since the first fetch that had it or one behind it, also across assignments."""
    seconds = 0.0
    holds = Holds(lambda: seconds)
    holds.seen(ONE, 4)
    seconds = 3.0
    holds.seen(ONE, 4)
    holds.seen(ONE, 7)
    holds.forget()
    seconds = 10.0
    holds.seen(ONE, 6)

    assert [holds.seen_for(ONE, offset) for offset in (2, 4, 5, 7, 8)] == [10.0, 10.0, 7.0, 7.0, 0.0]
    assert holds.seen_for(OTHER, 2) == 0.0


def test_what_is_done_with_takes_no_memory() -> None:
    """A retry topic is read for months."""
    holds = Holds(lambda: 0.0)
    for offset in range(1_000):
        holds.seen(ONE, offset)
        holds.seen_for(ONE, offset)

    assert holds.marks(ONE) == 1
