"""Positions and the logs that they were taken in."""

import pytest

from worker.kafka.positions import Cut, Expired, Extent, Fits, Mark, Verdict, judge

ONE, OTHER = "1" * 32, "2" * 32


@pytest.mark.parametrize(
    ("position", "extent", "verdict"),
    [
        (0, Extent(0, 0), Fits()),
        (5, Extent(5, 5), Fits()),
        (5, Extent(0, 5), Fits()),
        (4, Extent(5, 9), Expired(5)),
        (0, Extent(7, 7), Expired(7)),
        (6, Extent(0, 5), Cut(0, "the log ends before it")),
        (6, Extent(3, 3), Cut(3, "the log ends before it")),
        # In range, and yet another log from 4 on.
        (6, Extent(0, 9, parted_at=4), Cut(4, "the log has lost its end")),
        (6, Extent(0, 5, parted_at=4), Cut(4, "the log has lost its end")),
        (6, Extent(5, 9, parted_at=4), Cut(5, "the log has lost its end")),
        (6, Extent(0, 9, parted_at=6), Fits()),
        (6, Extent(0, 9, parted_at=8), Fits()),
        (6, Extent(8, 9, parted_at=8), Expired(8)),
        (6, Extent(2, 9, OTHER), Cut(2, "the topic was made anew")),
        (6, Extent(8, 9, OTHER), Cut(8, "the topic was made anew")),
        (6, Extent(0, 9, ONE), Fits()),
        (6, Extent(0, 9, None), Fits()),
    ],
)
def test_judgement(position: int, extent: Extent, verdict: Verdict) -> None:
    """A position that fits no more begins where nothing new can lie before."""
    assert judge(position, Mark(ONE, 3), extent) == verdict


def test_a_log_of_which_nothing_is_known_is_judged_by_offsets() -> None:
    """As after an offset that another tool has committed."""
    assert judge(6, Mark(), Extent(0, 9, OTHER)) == Fits()


@pytest.mark.parametrize("mark", [Mark(), Mark(ONE), Mark(None, 0), Mark(ONE, 12)])
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    """Also beside other text, which somebody may put there."""
    assert Mark.read(str(mark)) == mark
    assert Mark.read(f"done=1;{mark};more") == mark


@pytest.mark.parametrize("text", [None, "", "anything", "log=", "log=xyz/", "log=12/3x"])
def test_other_text_is_no_mark(text: str | None) -> None:
    """What other tools and earlier releases have committed tells nothing, and stops nobody."""
    assert Mark.read(text) == Mark()
