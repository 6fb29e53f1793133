"""How an event names its customer: `customerIdentifiers` of notifications, or `customer` of the plain form.

A source's names stand in its object, or in `accounts[].identifiers[]` of it. The strongest name counts; of
several of a kind, the first in the payload's order.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from topics.fields import LARGEST, Fields, first_id, whole

LONGEST: Final = 512
"""Characters of an id, a name or an identifier; outcomes and request lines must stay bounded."""
CUSTOMER_ID: Final = "customerId"
MOBILE: Final = "mobile"
_OTHERS: Final = {"externalid": "externalId", "mobile": MOBILE, "email": "email"}
"""What the lookup knows beside the id, the strongest first, by their names in lower case."""
_MOST_NAMES: Final = 100
_BETWEEN_DIGITS: Final = re.compile(
    r"[\s\-()\[\]\u00ad\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+"
)
"""Blanks, hyphens, brackets, and the marks that copying from a screen brings along."""
_LEADING: Final = re.compile(r"^[+\s]+")
_SOURCES: Final = {"TOABAO": "TAOBAO"}
"""How Capillary's events write a source, and how the API does."""


class Name(NamedTuple):
    """One name of a customer."""

    kind: str
    """customerId, externalId, mobile or email."""
    value: str
    source: str | None = None
    """Upper-cased, None if none is named."""
    account: str | None = None
    """The account of that source, if it has several."""


@dataclass(frozen=True, slots=True)
class CustomerNames:
    """Every name that the event gives its customer, in order of strength."""

    names: tuple[Name, ...] = field(repr=False)


def customer_names(places: Iterable[Fields]) -> CustomerNames:
    """Collect the names out of the first of an event's objects that names anybody."""
    for place in places:
        for read in (_of_notification, _of_plain_form):
            names = tuple(read(place))
            if names:
                return CustomerNames(names)
    return CustomerNames(())


def normal(kind: str, value: object) -> str | None:
    """Return a name's value as the API knows it, None if it is none.

    A mobile number is its digits: a leading `+`, blanks, hyphens and brackets are left out.
    """
    number = whole(value)
    if number is not None:
        # A mobile number has no sign and 15 digits at most.
        fits = 0 <= number < LARGEST if kind == MOBILE else abs(number) < 10**40
        value = str(number) if fits else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if kind == MOBILE:
        digits = _BETWEEN_DIGITS.sub("", text).lstrip("+")
        is_number = not digits or (digits.isascii() and digits.isdecimal())
        text = digits if is_number else _LEADING.sub("", text)
    return text if 0 < len(text) <= LONGEST else None


def _of_notification(place: Fields) -> Iterator[Name]:
    objects = list(place.each("customerIdentifiers"))
    names: list[Name] = []
    for whole_object in objects:
        for source, found in whole_object.named():
            names += _of_source(source, found)
    ids = (whole_object.get(CUSTOMER_ID) for whole_object in objects)
    return _in_order(first_id(*ids), names)


def _of_plain_form(place: Fields) -> Iterator[Name]:
    objects = list(place.each("customer"))
    names = [name for each in objects for name in _flat(each, _source(each.text("source")), None)]
    source = next((found for each in objects if (found := _source(each.text("source")))), None)
    return _in_order(first_id(*(each.get(CUSTOMER_ID) for each in objects)), names, source)


def _in_order(customer_id: int | None, names: list[Name], source: str | None = None) -> Iterator[Name]:
    """Yield the strongest first; the id is that of the first name's source and account."""
    if customer_id is not None:
        first = names[0] if names else Name("", "", source)
        yield Name(CUSTOMER_ID, str(customer_id), first.source, first.account)
    for kind in _OTHERS.values():
        for name in names[:_MOST_NAMES]:
            if name.kind == kind:
                yield name


def _of_source(source: str, found: Fields) -> Iterator[Name]:
    """Yield what a source's object names: flat, and in its accounts."""
    named = _source(source)
    yield from _flat(found, named, None)
    for account in found.each("accounts"):
        account_id = normal("accountId", account.get("accountId"))
        yield from _flat(account, named, account_id)
        for identifier in account.each("identifiers"):
            kind = _OTHERS.get("".join((identifier.text("identifierType") or "").split()).lower())
            value = None if kind is None else normal(kind, identifier.get("identifierValue"))
            if kind is not None and value is not None:
                yield Name(kind, value, named, account_id)


def _flat(found: Fields, source: str | None, account: str | None) -> Iterator[Name]:
    for kind in _OTHERS.values():
        value = normal(kind, found.get(kind))
        if value is not None:
            yield Name(kind, value, source, account)


def _source(name: str | None) -> str | None:
    upper = "".join((name or "").split()).upper()
    return _SOURCES.get(upper, upper) or None
