"""The customers of a world, found by any identifier; synthetic ones take no room."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from worker.demo.simulator.model import Customer

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGITS: Final = {
    "id": re.compile(r"(\d{1,18})", re.ASCII),
    "mobile": re.compile(r"91(\d{1,18})", re.ASCII),
    "email": re.compile(r"customer(\d{1,18})@example\.com", re.ASCII),
    "externalId": re.compile(r"(\d{1,18})", re.ASCII),
    "cuid": re.compile(r"cuid-(\d{1,18})", re.ASCII),
}


class Population:
    """Customers with identifiers of their own, and ranges of synthetic ones."""

    def __init__(self) -> None:
        self._own: Final[dict[int, Customer]] = {}
        self._found_by: Final[defaultdict[tuple[str, str], dict[str, Customer]]] = defaultdict(dict)
        self._synthetic: Final[list[tuple[range, str]]] = []

    def __len__(self) -> int:
        synthetic = sum(len(ids) for ids, _ in self._synthetic)
        replaced = sum(1 for customer_id in self._own if self._range_of(customer_id) is not None)
        return len(self._own) + synthetic - replaced

    def add(self, customer: Customer) -> None:
        """Add one customer, or replace the one of that id."""
        if (old := self._own.get(customer.customer_id)) is not None:
            for source, name, value in _identifiers(old):
                self._found_by[source, name].pop(value, None)
        self._own[customer.customer_id] = customer
        for source, name, value in _identifiers(customer):
            self._found_by[source, name][value] = customer

    def add_many(self, number: int, *, first_id: int | None = None, source: str = "INSTORE") -> range:
        """Add synthetic customers with consecutive ids and return those ids.

        They start at `first_id`, by default after the highest id so far (1 if there is none).
        Raises ValueError if an id is synthetic already.
        """
        highest = max([0, *self._own, *(ids[-1] for ids, _ in self._synthetic)])
        start = highest + 1 if first_id is None else first_id
        added = range(start, start + number)
        if any(ids.start < added.stop and added.start < ids.stop for ids, _ in self._synthetic):
            raise ValueError(f"some customers from {start} to {start + number - 1} are there already")
        if added:
            self._synthetic.append((added, source))
        return added

    def of_id(self, customer_id: int) -> Customer | None:
        """Return the customer of that id."""
        place = self._range_of(customer_id)
        synthetic = None if place is None else Customer.synthetic(customer_id, place)
        return self._own.get(customer_id, synthetic)

    def find(self, name: str, value: str, source: str) -> Customer | None:
        """Find a customer by `mobile`, `email`, `externalId`, `id` or `cuid` in a source, ALL for any."""
        if source != "ALL":
            own = self._found_by.get((source, name), {}).get(value)
            return own or self._find_synthetic(name, value, source)
        places = (found for (_, held), found in self._found_by.items() if held == name)
        own = next((found[value] for found in places if value in found), None)
        return own or self._find_synthetic(name, value, source)

    def _find_synthetic(self, name: str, value: str, source: str) -> Customer | None:
        match = _DIGITS[name].fullmatch(value) if name in _DIGITS else None
        if match is None or int(match[1]) in self._own:
            return None
        place = self._range_of(int(match[1]))
        if place is None or source not in {"ALL", place}:
            return None
        customer = Customer.synthetic(int(match[1]), place)
        return customer if (place, name, value) in _identifiers(customer) else None

    def _range_of(self, customer_id: int) -> str | None:
        return next((source for ids, source in self._synthetic if customer_id in ids), None)


def _identifiers(customer: Customer) -> Iterator[tuple[str, str, str]]:
    named = (
        ("id", str(customer.customer_id)),
        ("mobile", customer.mobile),
        ("email", customer.email),
        ("externalId", customer.external_id),
        ("cuid", customer.cuid),
    )
    for source in customer.sources:
        for name, value in named:
            if value is not None:
                yield source, name, value
