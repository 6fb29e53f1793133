"""Joins the pages of one lookup into one reading."""

from collections.abc import Awaitable, Callable

from worker.capillary.endpoints import PAGE_SIZE
from worker.capillary.verdict import PageAnswer
from worker.capillary.wire import Page
from worker.domain.answers import CustomerNotFound, Doubtful, Fault, FaultKind, Found, LookupAnswer, Refused
from worker.domain.promotions import CustomerPromotions, Promotion

MOST_PAGES = 50
"""Of one reading: 5,000 promotions; the largest customer of the API's samples has 169."""

ReadPage = Callable[[int], Awaitable[PageAnswer]]
"""Reads the page that begins with entry `offset`, counted from 0."""


async def read_all(read: ReadPage) -> LookupAnswer:
    """Return all promotions, each (program, promotion) once, in the API's order.

    A page's failure is the answer. Entries may move between pages while we read: when the server's total
    changes meanwhile, or a page repeats a part of an earlier one, one may have slipped through, so the pages
    are read once more and what either reading showed is kept, the later state of it.
    """
    pages = await _read_pages(read)
    if isinstance(pages, list) and _moved(pages):
        again = await _read_pages(read)
        pages = [*pages, *again] if isinstance(again, list) else again
    if not isinstance(pages, list):
        return pages
    customer_ids = {page.customer_id for page in pages}
    if len(customer_ids) > 1:
        return Doubtful(
            FaultKind.MALFORMED,
            "the pages of one lookup name different customers",
            request_id=pages[-1].request_id,
        )
    found: dict[tuple[int, int], Promotion] = {}
    for page in pages:
        found.update(((p.program_id, p.promotion_id), p) for p in page.promotions)
    return Found(CustomerPromotions(customer_ids.pop(), tuple(found.values()), pages[-1].request_id))


async def _read_pages(read: ReadPage) -> list[Page] | CustomerNotFound | Refused | Fault:
    """Read until the end, or a page without news: a server that ignores `offset` repeats itself."""
    pages: list[Page] = []
    seen: set[tuple[int, int]] = set()
    offset = 0
    while len(pages) < MOST_PAGES:
        page = await read(offset)
        if not isinstance(page, Page):
            return page
        pages.append(page)
        offset += len(page.promotions)
        keys = {(p.program_id, p.promotion_id) for p in page.promotions}
        if keys <= seen or not _goes_on(page, offset):
            return pages
        seen |= keys
    return Doubtful(
        FaultKind.MALFORMED, f"a lookup of more than {MOST_PAGES} pages", request_id=pages[-1].request_id
    )


def _moved(pages: list[Page]) -> bool:
    """Tell whether entries moved. A page that only repeats is that of a server that ignores `offset`."""
    if len({page.total for page in pages} - {None}) > 1:
        return True
    seen: set[tuple[int, int]] = set()
    for page in pages:
        keys = {(p.program_id, p.promotion_id) for p in page.promotions}
        if seen & keys and keys - seen:
            return True
        seen |= keys
    return False


def _goes_on(page: Page, read_so_far: int) -> bool:
    """Tell whether to ask for more. After a full page a total that says "the end" is not believed."""
    entries = len(page.promotions)
    if page.total is not None and read_so_far < page.total:
        return True
    if page.total is None and page.page_size:
        return entries >= page.page_size
    return entries >= PAGE_SIZE
