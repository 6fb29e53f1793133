"""Which offsets behind a committed one are finished, as the text beside the offset says it. Pure.

A later release may write another version, another tool anything at all; whatever cannot be relied on is not.
"""

import binascii
import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from worker.kafka.positions import Extent, Mark

MOST_OFFSETS: Final = 100_000
"""That are told of; more than any partition's window holds."""
_MOST_BYTES: Final = 65_536
"""Before they are compressed."""
_VERSION: Final = "1"
_TEXT: Final = re.compile(r"(?:^|\s)done=(\S*)")
_OFFSET: Final = re.compile(r"[0-9]{1,19}")
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]+")
_BITMAP: Final = 0
_RUNS: Final = 1
_OFFSET_BITS: Final = 63
_SEVEN_BITS: Final = 0x7F
_DENSE: Final = 32
"""Offsets for each run, up to which a bitmap is about as short as numbers, and takes less time."""
_GUESSES: Final = 4
_NEARLY: Final = 0.95
"""Of the room is full enough: each try takes milliseconds, every second for each partition."""
_MORE: Final = 0x80
"""The bit that says that another octet of the number follows."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Offsets that are finished, none of them before `base`, the committed one: so many, in runs."""

    base: int
    runs: tuple[range, ...] = ()
    """In order, not empty, none next to another."""

    @classmethod
    def of(cls, base: int, runs: Iterable[range]) -> "Finished":
        """Make it of runs in order, of which some may be next to each other, empty or before `base`."""
        kept: list[range] = []
        for run in runs:
            start = max(run.start, base)
            if start >= run.stop:
                continue
            if kept and kept[-1].stop == start:
                start = kept.pop().start
            kept.append(range(start, run.stop))
        return cls(base, tuple(kept))

    def __len__(self) -> int:
        """Return how many offsets they are."""
        return sum(map(len, self.runs))

    @property
    def end(self) -> int:
        """The offset after the last of them, `base` with none."""
        return self.runs[-1].stop if self.runs else self.base


@dataclass(frozen=True, slots=True)
class NothingTold:
    """The text does not speak of it."""


class Doubt(Enum):
    """Why what a text says is not relied on."""

    VERSION = "it was written by another release"
    DAMAGED = "it cannot be read"
    OFFSET = "it belongs to another offset"
    LOG = "the log may not be the one that was read"


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The text speaks of it, and is not relied on."""

    why: Doubt


Told = Finished | NothingTold | Doubtful


def write(finished: Finished, room: int) -> str:
    """Return the text, of so many characters at most, "" when nothing fits or nothing is finished.

    What does not fit is left out; what is nearest to the committed offset is kept.
    """
    base, runs = finished.base, finished.runs
    fits, length, best = 0, 0, ""
    too_many, too_long, number, tries = len(runs) + 1, 0, len(runs), 0
    while number > fits:
        text = _text(base, runs[:number])
        if text is not None and len(text) <= room:
            fits, length, best = number, len(text), text
            if length >= _NEARLY * room:
                break
        else:
            too_many, too_long = number, 2 * room if text is None else len(text)
        # Runs take about as much each, as a rule: so the first tries come near.
        tries += 1
        share = (room - length) / max(too_long - length, 1) if tries < _GUESSES else 0.5
        number = min(max(fits + int(share * (too_many - fits)), fits + 1), too_many - 1)
    return best


def read(text: str | None, committed: int) -> Told:
    """Return what the text beside this committed offset says. Never raises, whatever the text is."""
    found = _TEXT.search(text or "")
    if found is None:
        return NothingTold()
    version, _, rest = found.group(1).partition(":")
    if version != _VERSION:
        return Doubtful(Doubt.VERSION)
    base, _, packed = rest.partition(":")
    if not (_OFFSET.fullmatch(base) and _BASE64.fullmatch(packed)):
        return Doubtful(Doubt.DAMAGED)
    if int(base) != committed:
        return Doubtful(Doubt.OFFSET)
    try:
        runs = tuple(_unpack(committed, packed))
    except (binascii.Error, zlib.error, ValueError):
        return Doubtful(Doubt.DAMAGED)
    return Finished(committed, runs)


def ensure_same_log(told: Told, mark: Mark, extent: Extent) -> Told:
    """Rely on what was told only if the log certainly holds the same records that far.

    `mark` stood beside it, and `extent` was asked for with its epoch. What the cluster does not tell is a
    reason to doubt: a record that was never read must not be taken for finished.
    """
    if not isinstance(told, Finished):
        return told
    is_same = mark.topic_id is not None and mark.topic_id == extent.topic_id
    if is_same and extent.parted_at is not None and told.end <= min(extent.parted_at, extent.end):
        return told
    return Doubtful(Doubt.LOG)


def _text(base: int, runs: Sequence[range]) -> str | None:
    """Return the text for these runs, None for more than `read` takes."""
    if not runs:
        return ""
    if sum(map(len, runs)) > MOST_OFFSETS:
        return None
    is_dense = runs[-1].stop - base <= _DENSE * len(runs)
    first, second = (_bitmap, _numbers) if is_dense else (_numbers, _bitmap)
    body = first(base, runs) or second(base, runs)
    if body is None:
        return None
    packed = zlib.compress(body, 9)
    return f"done={_VERSION}:{base}:{urlsafe_b64encode(packed).rstrip(b'=').decode()}"


def _bitmap(base: int, runs: Sequence[range]) -> bytes | None:
    """Return a bit for each offset from `base` on, the lowest first."""
    span = runs[-1].stop - base
    if span > 8 * (_MOST_BYTES - 1):
        return None
    bits, at = list[str](), base
    for run in runs:
        bits += ("0" * (run.start - at), "1" * len(run))
        at = run.stop
    number = int("".join(bits)[::-1], 2)
    return bytes((_BITMAP,)) + number.to_bytes((span + 7) // 8, "little")


def _numbers(base: int, runs: Sequence[range]) -> bytes | None:
    """Return by turns how many are not finished, and how many are, each as a number of variable length."""
    body, at = bytearray((_RUNS,)), base
    for run in runs:
        for number in (run.start - at, len(run)):
            left = number
            while left > _SEVEN_BITS:
                body.append(left & _SEVEN_BITS | _MORE)
                left >>= 7
            body.append(left)
        at = run.stop
    return bytes(body) if len(body) <= _MOST_BYTES else None


def _unpack(base: int, packed: str) -> Iterator[range]:
    """Read the runs back; raises an error of base64 or zlib, or ValueError."""
    octets = urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    inflate = zlib.decompressobj()
    body = inflate.decompress(octets, _MOST_BYTES + 1)
    if not inflate.eof or inflate.unused_data or not 0 < len(body) <= _MOST_BYTES:
        raise ValueError("not what was compressed")
    if body[0] not in {_BITMAP, _RUNS}:
        raise ValueError("of no known kind")
    total, end = 0, 0
    for run in _bits(base, body) if body[0] == _BITMAP else _pairs(base, body):
        if not run or (end and run.start <= end):
            raise ValueError("runs that are empty, or not apart")
        total, end = total + len(run), run.stop
        if total > MOST_OFFSETS:
            raise ValueError("more than there can be")
        yield run


def _bits(base: int, body: bytes) -> Iterator[range]:
    bits = f"{int.from_bytes(body[1:], 'little'):b}"[::-1]
    for found in re.finditer("1+", bits):
        yield range(base + found.start(), base + found.end())


def _pairs(base: int, body: bytes) -> Iterator[range]:
    numbers, at = _varints(body[1:]), base
    for gap in numbers:
        start = at + gap
        at = start + next(numbers, 0)
        if at.bit_length() > _OFFSET_BITS:
            raise ValueError("beyond what an offset can be")
        yield range(start, at)


def _varints(octets: bytes) -> Iterator[int]:
    number = shift = 0
    for octet in octets:
        number |= (octet & _SEVEN_BITS) << shift
        shift += 7
        if shift > 2 * _OFFSET_BITS:
            raise ValueError("a number without an end")
        if not octet & _MORE:
            yield number
            number = shift = 0
    if shift:
        raise ValueError("half a number")
