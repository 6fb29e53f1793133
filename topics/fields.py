"""A JSON object of upstream's, read tolerantly: blanks in key names, numbers for text, arrays for objects."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

LARGEST: Final = 2**63
"""Ids beyond are no ids; numbers of thousands of digits would not even print."""
_EXACT: Final = 2**53
"""From here on a number with an exponent or a fraction has lost digits."""
_MOST_OBJECTS: Final = 1000
"""Of an array that stands for an object."""
_DECIMAL: Final = re.compile(r"([0-9]{1,19})(?:\.0+)?")


class Fields:
    """A JSON object. Of keys that differ in blanks alone, the last that says something counts."""

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body: dict[str, object] = {}
        for key, value in body.items():
            name = "".join(key.split())
            if value is not None or name not in self._body:
                self._body[name] = value

    def get(self, name: str) -> object:
        """Return a field as it is, None if there is none."""
        return self._body.get(name)

    def text(self, name: str) -> str | None:
        """Return text, or a whole number as text; None if absent, blank or of another type."""
        value = self._body.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST:
            return str(value)
        return (value.strip() or None) if isinstance(value, str) else None

    def obj(self, name: str) -> "Fields | None":
        """Return an object, None if there is none."""
        value = self._body.get(name)
        return Fields(value) if isinstance(value, dict) else None

    def each(self, name: str) -> Iterator["Fields"]:
        """Yield the object of that name, or those of an array in its place."""
        return objects_of(self._body.get(name))

    def named(self) -> Iterator[tuple[str, "Fields"]]:
        """Yield every object that the fields hold, and the name it goes by."""
        for name, value in self._body.items():
            for inner in objects_of(value):
                yield name, inner


def objects_of(value: object) -> Iterator[Fields]:
    """Yield an object, or the objects of an array, also of one in an array."""
    found = _flat(value, depth=3)
    return map(Fields, islice(found, _MOST_OBJECTS))


def _flat(value: object, depth: int) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list) and depth:
        for inner in islice(value, _MOST_OBJECTS):
            yield from _flat(inner, depth - 1)


def whole(value: object) -> int | None:
    """Return a number that is whole and exact; 9.8e11 is, 1e300 has lost digits."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value if isinstance(value, int) else None


def first_id(*values: object) -> int | None:
    """Return the first positive whole number, given as a number or as decimal text of a sane length."""
    for value in values:
        # Of blanks, int() knows fewer than strip().
        text = _DECIMAL.fullmatch(value.strip()) if isinstance(value, str) else None
        number = whole(value) if text is None else int(text[1])
        if number is not None and 0 < number < LARGEST:
            return number
    return None
