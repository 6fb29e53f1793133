"""Record batches (message format 2) as bytes, written after Kafka's documentation, apart from any client."""

import struct
from collections.abc import Sequence
from typing import Final

from topics.record import Headers

_POLYNOMIAL: Final = 0x82F63B78
"""CRC-32C (Castagnoli), reflected."""


def raw_record(delta: int, key: bytes | None, value: bytes | None, headers: Headers = ()) -> bytes:
    """Return a record; a header name's lone surrogates are bytes."""
    fields = [b"\0", varint(0), varint(delta), _sized(key), _sized(value), varint(len(headers))]
    for name, content in headers:
        fields += [_sized(name.encode(errors="surrogateescape")), _sized(content)]
    body = b"".join(fields)
    return varint(len(body)) + body


def raw_batch(
    records: bytes, count: int, *, base_offset: int = 0, codec: int = 0, timestamp: int = 1_700_000_000_000
) -> bytes:
    """Return a batch around records, which are compressed already if `codec` says so."""
    counted = struct.pack(">hiqqqhii", codec, count - 1, timestamp, timestamp, -1, -1, -1, count)
    checked = counted + records
    head = struct.pack(">ib", -1, 2) + struct.pack(">I", crc32c(checked))
    return struct.pack(">qi", base_offset, len(head) + len(checked)) + head + checked


def batch_of(records: Sequence[tuple[bytes | None, bytes | None, Headers]], base_offset: int = 0) -> bytes:
    """Return a batch of uncompressed records: key, value and headers of each."""
    written = b"".join(raw_record(delta, *record) for delta, record in enumerate(records))
    return raw_batch(written, len(records), base_offset=base_offset)


def varint(value: int) -> bytes:
    """Return a number of up to 64 bits, zigzag, seven bits a byte."""
    left, out = (value << 1) ^ (value >> 63), bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def crc32c(octets: bytes) -> int:
    """Return the checksum that a batch carries."""
    crc = 0xFFFF_FFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF


def _sized(field: bytes | None) -> bytes:
    return varint(-1) if field is None else varint(len(field)) + field
