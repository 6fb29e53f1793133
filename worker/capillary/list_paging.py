"""Joins the pages of the promotion list into one catalogue, or says that it is not complete."""

from collections.abc import Awaitable, Callable
from typing import Final

from worker.capillary.catalogue_wire import ListPage
from worker.capillary.verdict import ListAnswer
from worker.domain.answers import CatalogueAnswer, CatalogueRead, Doubtful, FaultKind, Misconfigured
from worker.domain.catalogue import ListedPromotion

MOST_LIST_PAGES: Final = 100
"""Of one reading: 10,000 live promotions."""

ReadListPage = Callable[[int], Awaitable[ListAnswer]]
"""Reads the page with this number: the list's `offset` counts pages."""


class ListReader:
    """Reads the whole list, from page 0 or 1: the page does not say which is the first.

    A server that counts from 1 refuses page 0, shows nothing on it, or shows page 1 on it. What is refused
    once is not asked for again.
    """

    def __init__(self, read: ReadListPage) -> None:
        self._read = read
        self._first = 0

    async def read_all(self) -> CatalogueAnswer:
        """Return the promotions once they are as many as the server says, on every page, that there are.

        A page's fault is the answer. A list that changes while it is read, or ends early, is no answer: what
        it lacks would be taken for gone.
        """
        answer = await self._read_pages()
        if not isinstance(answer, CatalogueRead):
            self._first = 0
        return answer

    async def _read_pages(self) -> CatalogueAnswer:
        found: dict[int, ListedPromotion] = {}
        totals: set[int] = set()
        request_id: str | None = None
        for number in range(self._first, MOST_LIST_PAGES):
            page = await self._read(number)
            if number == 0 and isinstance(page, Misconfigured):
                self._first = 1
                continue
            if not isinstance(page, ListPage):
                return page
            request_id = page.request_id
            found.update((promotion.promotion_id, promotion) for promotion in page.promotions)
            totals.add(page.total)
            # That there is nothing at all is believed on page 1 only.
            if totals == {len(found)} and (found or number > 0):
                return CatalogueRead(tuple(found.values()))
            if number > 0 and not page.promotions:
                break
        said = f"{len(found)} promotions on a list of {sorted(totals)}"
        return Doubtful(FaultKind.MALFORMED, said, request_id=request_id)
