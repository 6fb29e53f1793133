"""What came last is kept, up to a number."""

from worker.latest import Latest, Moments


def test_what_was_put_in_last_is_kept() -> None:
    """What comes again is the latest once more; what gives way is returned."""
    latest: Latest[str, int] = Latest(2)
    assert [latest.put(*each) for each in (("a", 1), ("b", 2), ("a", 3))] == [None] * 3
    assert latest.put("c", 4) == 2
    assert [latest.get(each) for each in "abc"] == [3, None, 4]


def test_a_moment_that_is_kept_no_more_counts_as_late() -> None:
    """In doubt it happened since; for those of whom nothing was ever noted it did not, at first."""
    moments: Moments[str] = Moments(1)
    assert not moments.is_since("b", 0.0)
    moments.put("a", 1.0)
    assert (moments.is_since("a", 0.5), moments.is_since("a", 1.0)) == (True, False)
    moments.put("c", 2.0)
    assert (moments.is_since("a", 0.5), moments.is_since("a", 1.0)) == (True, False)
    assert moments.is_since("b", 0.5)
