"""Pages of the promotion list, joined: complete, or no answer."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from worker.capillary.catalogue_wire import ListPage
from worker.capillary.list_paging import ListReader
from worker.capillary.verdict import ListAnswer
from worker.domain.answers import (
    CatalogueAnswer,
    CatalogueRead,
    Doubtful,
    FaultKind,
    Misconfigured,
    Throttled,
)
from worker.domain.catalogue import ListedPromotion

SIZE = 100
REFUSED = Misconfigured("4 page numbers begin with 1")


def _listed(number: int) -> ListedPromotion:
    return ListedPromotion(
        promotion_id=number,
        program_id=1,
        name="",
        status="LIVE",
        offer_type="LOYALTY_EARNING",
        starts_at=None,
        ends_at=None,
        capped=None,
    )


def _page(numbers: Sequence[int], total: int) -> ListPage:
    return ListPage(tuple(map(_listed, numbers)), total)


def _server(entries: int, first: int, size: int = SIZE) -> Callable[[int], ListAnswer]:
    def answer(number: int) -> ListAnswer:
        start = (number - first) * size
        return REFUSED if start < 0 else _page(range(entries)[start : start + size], entries)

    return answer


class _Reading:
    def __init__(self, server: Callable[[int], ListAnswer]) -> None:
        self.server = server
        self.asked: list[int] = []
        self._reader = ListReader(self._ask)

    async def _ask(self, number: int) -> ListAnswer:
        self.asked.append(number)
        return self.server(number)

    def read(self) -> CatalogueAnswer:
        self.asked.clear()
        return asyncio.run(self._reader.read_all())


def _numbers(answer: CatalogueAnswer) -> list[int]:
    assert isinstance(answer, CatalogueRead)
    return [promotion.promotion_id for promotion in answer.promotions]


@pytest.mark.parametrize(
    ("entries", "first", "size", "asked"),
    [
        (0, 0, SIZE, [0, 1]),
        (0, 1, SIZE, [0, 1]),
        (3, 0, SIZE, [0]),
        (3, 1, SIZE, [0, 1]),
        (100, 0, SIZE, [0]),
        (169, 0, SIZE, [0, 1]),
        (169, 1, SIZE, [0, 1, 2]),
        (169, 0, 50, [0, 1, 2, 3]),
    ],
)
def test_whole_lists(entries: int, first: int, size: int, asked: list[int]) -> None:
    """All entries are read, whichever number the first page has; that there are none is asked twice."""
    reading = _Reading(_server(entries, first, size))
    assert (_numbers(reading.read()), reading.asked) == (list(range(entries)), asked)


def test_the_first_page_is_remembered() -> None:
    """What a server refused once is not asked for again."""
    reading = _Reading(_server(3, first=1))
    reading.read()
    assert (_numbers(reading.read()), reading.asked) == ([0, 1, 2], [1])


def test_a_first_page_that_was_refused_by_chance() -> None:
    """Where the list then lacks entries the reading fails, and the next one begins anew."""
    reading = _Reading(lambda number: REFUSED if number == 0 else _server(169, 0)(number))
    assert isinstance(reading.read(), Doubtful)
    reading.server = _server(169, 0)
    assert _numbers(reading.read()) == list(range(169))


def test_page_0_that_is_page_1() -> None:
    """A server that takes page 0 for page 1 is read to its end."""
    reading = _Reading(lambda number: _server(169, 1)(max(number, 1)))
    assert (_numbers(reading.read()), reading.asked) == (list(range(169)), [0, 1, 2])


def test_page_0_that_seems_empty() -> None:
    """Nothing on page 0 is not yet nothing at all."""
    reading = _Reading(lambda number: _server(3, 1)(number) if number else _page([], 0))
    assert not isinstance(reading.read(), CatalogueRead)


@pytest.mark.parametrize(
    "pages",
    [
        [_page(range(100), 150), _page(range(100, 149), 149)],
        [_page(range(100), 150), _page(range(99, 149), 150), _page([], 150)],
        [_page(range(100), 150), _page([], 150)],
    ],
)
def test_lists_that_are_not_complete(pages: list[ListPage]) -> None:
    """A list that changes while it is read, or lacks entries, is no answer: they would be taken for gone."""
    answer = _Reading(lambda number: pages[min(number, len(pages) - 1)]).read()
    assert isinstance(answer, Doubtful)
    assert answer.kind is FaultKind.MALFORMED


@pytest.mark.parametrize("fault", [Throttled(3.0), REFUSED, Doubtful(FaultKind.TIMEOUT, "t")])
def test_a_failing_page_is_the_answer(fault: ListAnswer) -> None:
    """A list that is not read to its end is none."""
    reading = _Reading(lambda number: fault if number else _page(range(100), 150))
    assert (reading.read(), reading.asked) == (fault, [0, 1])


def test_a_list_without_end() -> None:
    """A server that always has more is given up."""
    reading = _Reading(lambda number: _page(range(number * 100, number * 100 + 100), 10**6))
    assert isinstance(reading.read(), Doubtful)
    assert len(reading.asked) == 100
