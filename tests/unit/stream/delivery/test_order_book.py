"""Up to where a commit is safe."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.stream.delivery.order_book import OrderBook


def test_what_was_delivered_first_is_where_a_group_must_start_again() -> None:
    """A new book has no watermark; with work only under way it is that work, which a restart must find."""
    book = OrderBook()
    assert (book.watermark, len(book)) == (None, 0)

    book.deliver(7)
    book.deliver(9)
    assert (book.watermark, len(book)) == (7, 2)


def test_the_watermark_waits_for_the_oldest() -> None:
    """What is finished out of order is committed once all before it is finished."""
    book = OrderBook()
    first, second, third = (book.deliver(offset) for offset in (0, 1, 2))

    book.finish(third)
    assert (book.watermark, len(book)) == (0, 3)
    book.finish(first)
    assert (book.watermark, len(book)) == (1, 2)
    book.finish(second)
    assert (book.watermark, len(book)) == (3, 0)


def test_gaps_in_the_log_do_not_stall_it() -> None:
    """Offsets that were never delivered (transaction markers, compaction) are passed over."""
    book = OrderBook()
    entries = [book.deliver(offset) for offset in (5, 9, 100)]

    book.finish(entries[0])
    assert book.watermark == 6
    book.finish(entries[1])
    assert book.watermark == 10
    book.finish(entries[2])
    assert book.watermark == 101


def test_what_holds_no_record_is_passed_once_all_before_it_is_finished() -> None:
    """Never what is unfinished, and never backwards."""
    book = OrderBook()
    book.pass_to(4)
    assert (book.watermark, book.last) == (4, None)
    entry = book.deliver(6)
    book.pass_to(9)
    assert book.watermark == 4
    book.finish(entry)
    assert book.watermark == 7
    book.pass_to(9)
    assert (book.watermark, book.last) == (9, 6)
    book.pass_to(8)
    assert book.watermark == 9


def test_finishing_twice_changes_nothing() -> None:
    """A repeat neither moves the watermark nor fails."""
    book = OrderBook()
    first, second = book.deliver(0), book.deliver(1)

    book.finish(second)
    book.finish(second)
    assert len(book) == 2
    book.finish(first)
    book.finish(first)
    assert (book.watermark, len(book)) == (2, 0)


@pytest.mark.parametrize("offset", [4, 5])
def test_offsets_only_rise(offset: int) -> None:
    """A repeat or a step back is refused, also once all before it is finished: a commit never goes back."""
    book = OrderBook()
    entry = book.deliver(5)
    with pytest.raises(ValueError, match=rf"offset {offset} delivered after 5"):
        book.deliver(offset)

    book.finish(entry)
    with pytest.raises(ValueError, match=rf"offset {offset} delivered after 5"):
        book.deliver(offset)
    assert book.watermark == 6


def test_the_first_offset_may_be_zero() -> None:
    """A partition begins at 0."""
    book = OrderBook()
    book.finish(book.deliver(0))

    assert book.watermark == 1


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans()), max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_watermark_is_the_offset_after_the_longest_finished_prefix(
    deliveries: list[tuple[int, bool]], random: Random
) -> None:
    """Whatever the order of finishing, it is what a naive count says, and never goes back."""
    book = OrderBook()
    offsets: list[int] = []
    for gap, _ in deliveries:
        offsets.append((offsets[-1] if offsets else -1) + gap)
    entries = [book.deliver(offset) for offset in offsets]
    to_finish = [n for n, (_, finishes) in enumerate(deliveries) if finishes]
    random.shuffle(to_finish)

    finished: set[int] = set()
    for number in to_finish:
        before = book.watermark
        book.finish(entries[number])
        finished.add(number)
        prefix = next((n for n in range(len(offsets)) if n not in finished), len(offsets))
        assert book.watermark == (offsets[prefix - 1] + 1 if prefix else offsets[0])
        assert before is None or book.watermark >= before
        assert len(book) == len(offsets) - prefix
        behind = {offsets[n] for n in finished if n > prefix}
        assert [offset for run in book.finished for offset in run] == sorted(behind), "no more, and no less"
        assert all(one.stop < other.start for one, other in pairwise(book.finished))


def test_what_is_finished_is_looked_for_only_if_it_has_changed() -> None:
    """It is asked for every second, and a window holds thousands."""
    book = OrderBook()
    first, second, third, fourth = (book.deliver(offset) for offset in (5, 6, 8, 9))
    assert not book.finished
    for entry in (fourth, second):
        book.finish(entry)
    told = book.finished
    assert list(told) == [range(6, 7), range(9, 10)]
    assert book.finished is told
    book.finish(second)
    book.deliver(10)
    assert book.finished is told
    book.finish(first)
    assert (book.watermark, *book.finished) == (7, range(9, 10))
    book.finish(third)
    assert (book.watermark, *book.finished) == (10,)
