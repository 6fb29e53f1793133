"""Records made worse, byte by byte: much faster than drawing each anew, and closer to what was valid once."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from topics.record import Headers, Record

_TOKENS: Final = (
    *(b"null", b"true", b"1e999", b"-0", b"NaN", b"0.0", b"9" * 30, b"9223372036854775808", b"1E+400"),
    *(b"{", b"}", b"[", b"]", b"[" * 300, b'{"a":' * 300, b'"', b",", b":", b"\\", b'""', b'" "'),
    *(b'"7\\u001f"', b'"\\u2003x"', b"\\u0085", b'"1e3"', b'" 12 "'),
    *(b"\\ud800", b"\\u0000", b"\xed\xa0\x80", b"\xff", b"\x00", b"\xef\xbb\xbf", b"\xc3\xa9", b"\xd9\xa3"),
    *(b'"eventId":', b'"customer":', b'"customerId":', b'"data":', b'"attributes":', b'"specversion":"1.0",'),
    *(b"2026-01-31T10:00:00Z", b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59", b"+00:00:30"),
    *(b"x" * 513, b"-1", b"2147483648", b"customer-activity", b"enrolment-worker", b"in_doubt", b"1_"),
)  # fmt: skip

Mutation = Callable[[random.Random, bytes, bytes], bytes]


def _flip(dice: random.Random, whole: bytes, other: bytes) -> bytes:  # noqa: ARG001 - a Mutation
    at = dice.randrange(len(whole))
    return whole[:at] + bytes([whole[at] ^ (1 << dice.randrange(8))]) + whole[at + 1 :]


def _cut(dice: random.Random, whole: bytes, other: bytes) -> bytes:  # noqa: ARG001 - a Mutation
    start, end = _span(dice, whole)
    return whole[:start] + whole[end:]


def _repeat(dice: random.Random, whole: bytes, other: bytes) -> bytes:  # noqa: ARG001 - a Mutation
    start, end = _span(dice, whole)
    return whole[:end] + whole[start:]


def _insert(dice: random.Random, whole: bytes, other: bytes) -> bytes:  # noqa: ARG001 - a Mutation
    at = dice.randrange(len(whole))
    return whole[:at] + dice.choice(_TOKENS) + whole[at:]


def _overwrite(dice: random.Random, whole: bytes, other: bytes) -> bytes:  # noqa: ARG001 - a Mutation
    start, end = _span(dice, whole)
    return whole[:start] + dice.choice(_TOKENS) + whole[end:]


def _splice(dice: random.Random, whole: bytes, other: bytes) -> bytes:
    return whole[: dice.randrange(len(whole))] + other[dice.randrange(len(other) + 1) :]


def _exchange_number(dice: random.Random, whole: bytes, other: bytes) -> bytes:
    """Put something else for a number or a text, so that the rest stays JSON."""
    starts = [at for at in range(1, len(whole)) if whole[at - 1] in b": [" and whole[at] in b'0123456789"']
    if not starts:
        return _flip(dice, whole, other)
    start = dice.choice(starts)
    ends = [at for at in (whole.find(mark, start + 1) for mark in (b",", b"}", b"]")) if at > 0]
    return whole[:start] + dice.choice(_TOKENS) + whole[min(ends, default=len(whole)) :]


_MUTATIONS: Final[tuple[Mutation, ...]] = (
    _flip, _cut, _repeat, _insert, _overwrite, _splice, _exchange_number, _exchange_number
)  # fmt: skip


def _span(dice: random.Random, whole: bytes) -> tuple[int, int]:
    start = dice.randrange(len(whole))
    return start, min(len(whole), start + 1 + dice.randrange(16))


def mutated(dice: random.Random, source: Record, others: Sequence[Record]) -> Record:
    """Return the record with its value, its headers or both made worse."""
    other = dice.choice(others)
    value, headers = source.value, source.headers
    if value and dice.random() < 0.7:
        for _ in range(1 + dice.randrange(3)):
            value = dice.choice(_MUTATIONS)(dice, value or b" ", other.value or b"")
    if headers and dice.random() < 0.5:
        headers = _headers(dice, headers, other.headers)
    return replace(source, value=value, headers=headers)


def _headers(dice: random.Random, headers: Headers, others: Headers) -> Headers:
    at = dice.randrange(len(headers))
    name, content = headers[at]
    worse: Headers
    match dice.randrange(5):
        case 0:
            worse = ()
        case 1:
            worse = ((name, None),)
        case 2:
            worse = ((name, dice.choice(_TOKENS)),)
        case 3:
            worse = (headers[at], *others[:2])
        case _:
            worse = ((name, dice.choice(_MUTATIONS)(dice, content or b" ", b"x")),)
    return headers[:at] + worse + headers[at + 1 :]
