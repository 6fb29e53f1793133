"""Which partitions are not read, and until when."""

from worker.stream.delivery.pauses import Pauses

ONE, OTHER = ("retry-1", 0), ("retry-1", 1)


def test_a_partition_is_held_until_its_head_is_due_and_no_other_is() -> None:
    """Another hold replaces the earlier one; a new assignment begins anew."""
    seconds = 0.0
    pauses = Pauses(lambda: seconds)
    pauses.pause(ONE, 5.0)
    assert (pauses.is_paused(ONE), pauses.is_paused(OTHER)) == (True, False)
    seconds = 5.0
    assert not pauses.is_paused(ONE)
    pauses.pause(ONE, 5.0)
    pauses.forget()
    assert not pauses.is_paused(ONE)


def test_an_outage_pauses_all_and_outlasts_an_assignment() -> None:
    """Whoever is assigned meanwhile is not read either."""
    pauses = Pauses(lambda: 0.0)
    pauses.outage = True
    pauses.forget()
    assert pauses.is_paused(ONE)


def test_what_was_seen_stays_seen_however_often_it_is_fetched() -> None:
    """A record is known since the first fetch that had it or one behind it, also across assignments."""
    seconds = 0.0
    pauses = Pauses(lambda: seconds)
    pauses.seen(ONE, 4)
    seconds = 3.0
    pauses.seen(ONE, 4)
    pauses.seen(ONE, 7)
    pauses.forget()
    seconds = 10.0
    pauses.seen(ONE, 6)

    assert [pauses.seen_for(ONE, offset) for offset in (2, 4, 5, 7, 8)] == [10.0, 10.0, 7.0, 7.0, 0.0]
    assert pauses.seen_for(OTHER, 2) == 0.0


def test_what_is_done_with_takes_no_memory() -> None:
    """A retry topic is read for months."""
    pauses = Pauses(lambda: 0.0)
    for offset in range(1_000):
        pauses.seen(ONE, offset)
        pauses.seen_for(ONE, offset)

    assert pauses.marks(ONE) == 1
