"""Decompresses an answer's body, never to more than is asked for."""

import zlib
from typing import Final

_ENCODINGS: Final = {"gzip", "x-gzip", "deflate"}
_MOST_MEMBERS: Final = 16
"""Of a gzip stream: empty ones take time and come to nothing."""
_EITHER: Final = zlib.MAX_WBITS | 32
"""Has zlib find out itself whether it is gzip or zlib."""


def encodings_of(header: str) -> list[str]:
    """Return the encodings that a `Content-Encoding` names, without those that change nothing."""
    names = (name.strip().lower() for name in header.split(","))
    return [name for name in names if name not in {"", "identity"}]


def is_readable(encodings: list[str]) -> bool:
    """Whether a body so encoded is read: once, by what was asked for.

    Others (br, zstd) unpack a few bytes to gigabytes at one go, and gzip twice a thousand times a thousand.
    """
    return len(encodings) <= 1 and set(encodings) <= _ENCODINGS


class Inflation:
    """Decompresses a stream of gzip members, or of zlib, piece by piece. Raises zlib.error for others."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_EITHER)
        self._has_begun = False
        self._members = 1

    @property
    def is_complete(self) -> bool:
        """Whether the stream came to its end, or never began."""
        return self._inflater.eof or not self._has_begun

    def feed(self, data: bytes, most: int) -> bytes:
        """Return what the next bytes unpack to, cut at `most`; what comes after the cut is lost."""
        pieces: list[bytes] = []
        while data and most > 0:
            if self._inflater.eof:
                self._members += 1
                if self._members == _MOST_MEMBERS:
                    raise zlib.error("too many members")
                self._inflater = zlib.decompressobj(_EITHER)
            self._has_begun = True
            piece = self._inflater.decompress(data, most)
            pieces.append(piece)
            most -= len(piece)
            data = self._inflater.unused_data or self._inflater.unconsumed_tail
        return b"".join(pieces)
