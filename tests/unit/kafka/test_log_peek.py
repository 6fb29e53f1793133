"""When the next record was written, by the heads of batches."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.kafka.batches import raw_batch, raw_record
from worker.kafka.log_peek import GoesOn, Written, first_written

_ATTRIBUTES_AT, _LATEST_AT = 21, 35


def batch(base: int, count: int, began: int, *, attributes: int = 0, latest: int | None = None) -> bytes:
    """Return a batch with so many records."""
    records = b"".join(raw_record(delta, b"k", b"v") for delta in range(count))
    made = bytearray(raw_batch(records, count, base_offset=base, timestamp=began))
    struct.pack_into(">h", made, _ATTRIBUTES_AT, attributes)
    struct.pack_into(">q", made, _LATEST_AT, began if latest is None else latest)
    return bytes(made)


CONTROL = batch(6, 1, 5_000, attributes=0x30)


@pytest.mark.parametrize(
    ("fetched", "found"),
    [
        (batch(5, 3, 1_000), Written(1_000)),
        # The broker gives the whole batch in which the offset lies.
        (batch(3, 3, 1_000), Written(1_000)),
        (batch(2, 3, 1_000) + batch(5, 1, 2_000), Written(2_000)),
        (batch(5, 1, 1_000, attributes=0x08, latest=9_000), Written(9_000)),
        (batch(5, 1, 1_000, attributes=0x40, latest=9_000), Written(9_000)),
        # In a transaction, committed or not; compressed.
        (batch(5, 1, 1_000, attributes=0x14), Written(1_000)),
        (batch(5, 1, 1_000)[:70], Written(1_000)),
        (CONTROL + batch(7, 1, 2_000), Written(2_000)),
        (CONTROL, GoesOn(7)),
        (batch(2, 3, 1_000), GoesOn(5)),
        (b"", GoesOn(5)),
        (batch(5, 1, 1_000)[:40], GoesOn(5)),
        (bytes(80), GoesOn(5)),
    ],
)
def test_the_first_batch_with_a_record_from_there_on_tells(fetched: bytes, found: Written | GoesOn) -> None:
    """Markers are no records; what comes is cut off anywhere."""
    assert first_written(fetched, 5) == found


@given(st.binary(max_size=300), st.integers(0, 2**62))
def test_any_bytes_lead_to_an_answer(fetched: bytes, offset: int) -> None:
    """And never backwards."""
    found = first_written(fetched, offset)
    assert isinstance(found, Written) or found.offset >= offset
