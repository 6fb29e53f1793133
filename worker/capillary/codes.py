"""The codes of the API's pages, by what each says of a request."""

from typing import Final

from worker.domain.settlement import LIMIT_WARNING

CUSTOMER_NOT_FOUND: Final = 8015
NOT_FOUND_IN_LOOKUP: Final = frozenset({CUSTOMER_NOT_FOUND, 8065, 8089, 8121})
"""No such customer, not in that source, or not in the loyalty programme."""

BUSY: Final = frozenset({521, 461})
"""Capillary is at work on this customer, or its search engine has too much to do: "try after some time".
Nothing was done."""

MISCONFIGURED: Final = frozenset({310144})
"""Connected organisations that the headers do not name properly."""
MISCONFIGURED_LOOKUP: Final = MISCONFIGURED | {8101, 8102}
"""Also a `limit` that is not above 0, or above 100."""

KNOWN: Final = (
    NOT_FOUND_IN_LOOKUP
    | MISCONFIGURED_LOOKUP
    | BUSY
    | {LIMIT_WARNING, 8892, 8069, 91009}
    | {8013, 8003, 11013, 1212, 8874, 1101}
    | {4054, 4053, 4057, 2010}
)
"""All of them. Behind a status that leaves the effect open only these are believed: a gateway may wrap its
outage in an error body."""
