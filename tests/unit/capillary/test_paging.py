"""Pages of a lookup, joined."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from worker.capillary.paging import MOST_PAGES, read_all
from worker.capillary.verdict import PageAnswer
from worker.capillary.wire import Page
from worker.domain.answers import CustomerNotFound, Doubtful, FaultKind, Found, LookupAnswer, Throttled
from worker.domain.promotions import ENROL_AND_ISSUE, Promotion


def _promotion(number: int) -> Promotion:
    return Promotion(
        promotion_id=number,
        program_id=1,
        name="",
        offer_type=ENROL_AND_ISSUE,
        active=True,
        starts_at=None,
        ends_at=None,
        issual_restrictions=(),
        timeline=(),
    )


def _page(
    numbers: Sequence[int], total: int | None = None, page_size: int | None = None, customer: int = 5
) -> Page:
    return Page(customer, tuple(map(_promotion, numbers)), total, page_size)


def _read(server: Callable[[int], PageAnswer]) -> tuple[LookupAnswer, list[int]]:
    """Return the answer and the offsets that were asked for."""
    offsets: list[int] = []

    async def ask(offset: int) -> PageAnswer:
        offsets.append(offset)
        return server(offset)

    return asyncio.run(read_all(ask)), offsets


def _numbers(answer: LookupAnswer) -> list[int]:
    assert isinstance(answer, Found)
    return [p.promotion_id for p in answer.customer.promotions]


@pytest.mark.parametrize(
    ("entries", "cap", "told", "offsets"),
    [
        (0, 100, "right", [0]),
        (3, 100, "right", [0]),
        (100, 100, "right", [0, 100]),
        (169, 100, "right", [0, 100]),
        (169, 50, "right", [0, 50, 100, 150]),
        (169, 10, "right", list(range(0, 169, 10))),
        (3, 100, "absent", [0]),
        (100, 100, "absent", [0, 100]),
        (169, 50, "absent", [0, 50, 100, 150]),
        (169, 100, "too low", [0, 100]),
        (169, 100, "too high", [0, 100, 169]),
    ],
)
def test_every_entry_once(entries: int, cap: int, told: str, offsets: list[int]) -> None:
    """All pages are read whatever the server tells of the total, also when it caps the page size itself."""
    total = {"right": entries, "absent": None, "too low": 1, "too high": entries + 500}[told]

    def server(offset: int) -> Page:
        return _page(range(offset, min(offset + cap, entries)), total, cap)

    answer, asked = _read(server)
    assert (_numbers(answer), asked) == (list(range(entries)), offsets)


def test_a_server_that_ignores_the_offset() -> None:
    """The same page over and over ends the reading."""
    answer, asked = _read(lambda _offset: _page(range(100), total=900))
    assert (_numbers(answer), asked) == (list(range(100)), [0, 100])


def test_entries_that_shift_while_pages_are_read() -> None:
    """When the total changes between pages they are read again, so that no entry slips through."""
    entries = list(range(150))

    def server(offset: int) -> Page:
        answer = _page(entries[offset : offset + 100], len(entries))
        if len(entries) == 150:
            del entries[10]
        return answer

    answer, asked = _read(server)
    assert (sorted(_numbers(answer)), asked) == (list(range(150)), [0, 100, 0, 100])


def test_entries_that_move_under_the_same_total() -> None:
    """One entry comes and one goes: the total tells nothing, the entry seen twice does, and all are found."""
    entries = [*range(150)]

    def server(offset: int) -> Page:
        if offset == 100 and len(asked) == 1:
            entries.insert(0, 900)
            entries.remove(120)
        asked.append(offset)
        return _page(entries[offset : offset + 100], len(entries))

    asked: list[int] = []
    answer, offsets = _read(server)
    assert sorted(_numbers(answer)) == sorted({*range(150), 900} - {120})
    assert offsets == [0, 100, 0, 100]


def test_a_later_reading_replaces_an_earlier_one() -> None:
    """Of an entry that several pages show the latest state is kept, at its first place."""
    answer, _ = _read(lambda offset: _page([*range(100)] if offset == 0 else [99, 100], total=102))
    assert _numbers(answer) == list(range(101))


@pytest.mark.parametrize("fault", [Throttled(3.0), Doubtful(FaultKind.TIMEOUT, "t"), CustomerNotFound(())])
def test_a_failing_page_is_the_answer(fault: PageAnswer) -> None:
    """A lookup that is not complete is none."""
    answer, asked = _read(lambda offset: fault if offset else _page(range(100), total=150))
    assert (answer, asked) == (fault, [0, 100])


def test_a_reading_without_end() -> None:
    """A server that always has more is given up."""
    answer, asked = _read(lambda offset: _page(range(offset, offset + 100)))
    assert answer == Doubtful(FaultKind.MALFORMED, f"a lookup of more than {MOST_PAGES} pages")
    assert len(asked) == MOST_PAGES


def test_pages_of_different_customers() -> None:
    """Pages that name different customers are no answer."""
    answer, _ = _read(lambda offset: _page(range(offset, min(offset + 100, 150)), 150, customer=offset))
    assert answer == Doubtful(FaultKind.MALFORMED, "the pages of one lookup name different customers")


def test_what_is_read_is_traced_by_the_last_page() -> None:
    """A reading as a whole, or what is wrong with it, is what its last answer completed."""

    def traced(page: Page) -> Callable[[int], PageAnswer]:
        return lambda offset: replace(page if offset else _page(range(100), 101), request_id=f"at-{offset}")

    answer, offsets = _read(traced(_page([100], 101)))
    assert isinstance(answer, Found)
    assert (answer.customer.request_id, offsets) == ("at-100", [0, 100])
    other, _ = _read(traced(_page([100], 101, customer=6)))
    assert isinstance(other, Doubtful)
    assert other.request_id == "at-100"
