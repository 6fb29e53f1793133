"""Which records of the ledger count: none of an owner whose successor has written."""

from worker.stream.epochs import HEADER, Epochs, epoch_in, header


def _epochs(*times: float) -> Epochs:
    ticks = iter(times)
    return Epochs(lambda: next(ticks))


def test_each_owner_writes_under_a_higher_epoch() -> None:
    """By its clock, or above what it found where that is later than its clock."""
    epochs = _epochs(1.0, 1.5, 0.2)
    epochs.take_over(0)
    assert epochs.own(0) == 1000
    epochs.take_over(0)
    assert epochs.own(0) == 1500
    assert epochs.admits(0, 9000)
    epochs.take_over(0)
    assert epochs.own(0) == 9001


def test_a_partition_without_records_has_an_epoch() -> None:
    """Also where nobody took it over by reading it back."""
    assert _epochs(2.0).own(3) == 2000


def test_what_a_former_owner_writes_is_void() -> None:
    """Behind its successor's first record; on other partitions nothing changes."""
    epochs = _epochs()
    assert [epochs.admits(0, epoch) for epoch in (5, 5, 7, 6, 5, 7, 8)] == [
        *(True, True, True),
        *(False, False),
        *(True, True),
    ]
    assert epochs.admits(1, 5)
    assert (epochs.highest(0), epochs.highest(1), epochs.highest(2)) == (8, 5, 0)


def test_what_has_no_epoch_counts() -> None:
    """Written by an earlier release, or copied by `ledger move`; it makes nothing else void."""
    epochs = _epochs()
    assert [epochs.admits(0, epoch) for epoch in (7, None, 7)] == [True] * 3


def test_reading_goes_on_where_it_stopped() -> None:
    """With the highest epoch up to there; at the beginning with none."""
    epochs = _epochs()
    epochs.recall(0, 7)
    assert not epochs.admits(0, 6)
    epochs.recall(0, 0)
    assert epochs.admits(0, 6)


def test_the_header_is_read_back() -> None:
    """Anything else in its place counts as none."""
    assert epoch_in([("other", b"1"), header(1795000000000)]) == 1795000000000
    for value in (None, b"", b"x", b"-1"):
        assert epoch_in([(HEADER, value)]) is None
    assert epoch_in([]) is None
