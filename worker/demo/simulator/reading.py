"""How single parameters are read, strictly: unknown, repeated and malformed ones are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias, TypeVar

Query: TypeAlias = Iterable[tuple[str, str]]
Given: TypeAlias = Mapping[str, str]

GENERIC: Final = 9999
"""Code of the faults that the reference pages name no code for."""
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?Z")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_T = TypeVar("_T")


class Refused(Exception):  # noqa: N818 - an answer of the API, not a fault of the program
    """A request that the API answers with an error body of this code and message.

    `status` is the HTTP status if the reason dictates one, else the configured one is used.
    """

    def __init__(self, code: int, message: str, *, status: int | None = None) -> None:
        super().__init__(code, message)
        self.code: Final = code
        self.message: Final = message
        self.status: Final = status


def once(query: Query, allowed: frozenset[str]) -> dict[str, str]:
    """Read a query whose parameters are all known and come once."""
    given: dict[str, str] = {}
    for name, value in query:
        if name not in allowed:
            raise Refused(GENERIC, f"unknown parameter {name}")
        if name in given:
            raise Refused(GENERIC, f"parameter {name} is given twice")
        given[name] = value
    return given


def bounded(given: Given, name: str, default: int, most: int | None = None) -> int:
    """Read a number from 0 to `most`."""
    value = number(given[name], GENERIC, f"invalid {name}") if name in given else default
    if most is not None and value > most:
        raise Refused(GENERIC, f"{name} must not exceed {most}")
    return value


def number(text: str, code: int, message: str) -> int:
    """Read a number of plain digits."""
    if not _NUMBER.fullmatch(text):
        raise Refused(code, message)
    return int(text)


def choice(given: Given, name: str, allowed: Mapping[str, _T]) -> _T | None:
    """Read one of the allowed words, spelt exactly; None if the parameter is absent."""
    if name not in given:
        return None
    if given[name] not in allowed:
        raise Refused(GENERIC, f"invalid {name}")
    return allowed[given[name]]


def boolean(given: Given, name: str) -> bool:
    """Read true or false; absent is false."""
    return choice(given, name, {"true": True, "false": False}) or False


def date(text: str) -> datetime:
    """Read a date of the list endpoint, with or without seconds."""
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        pass
    raise Refused(4057, "startDate or endDate is not in the correct format")


def issue_body(body: bytes) -> tuple[int, int]:
    """Read `programId` and `promotionId` of an issue, which holds nothing else."""
    try:
        given = json.loads(body, object_pairs_hook=_unique)
    except ValueError:
        raise Refused(GENERIC, "request body is not valid JSON") from None
    if not isinstance(given, dict):
        raise Refused(GENERIC, "request body is not an object")
    if unknown := given.keys() - {"programId", "promotionId"}:
        raise Refused(GENERIC, f"unknown field {min(unknown)}")
    program_id, promotion_id = given.get("programId"), given.get("promotionId")
    if type(program_id) is not int:
        raise Refused(1101, "invalid programId passed")
    if type(promotion_id) is not int:
        raise Refused(8874, "promotion id passed is invalid")
    return program_id, promotion_id


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused(GENERIC, "a field is given twice")
    return fields
