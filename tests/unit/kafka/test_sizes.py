"""What of a record is left in its dead letter, by the room that there is."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.unit.letters import FAILURE
from tests.support.use_case.values import AT, record
from topics.dead_letter import (
    HEADERS_OMITTED,
    KEY_OMITTED,
    VALUE_OMITTED,
    dead_letter_headers,
    foreign_headers,
    read_failure,
)
from topics.record import Headers, Record
from worker.kafka.sizes import batch_bytes, fitted
from worker.operations.redrive_plan import Letter, read_letter

LEAST = 2000
"""In which our own headers fit."""
_BYTES = st.one_of(st.none(), st.binary(max_size=8), st.integers(0, 5000).map(bytes))
_OURS = [name for name, _ in dead_letter_headers((), FAILURE)]
_HEADERS = st.lists(
    st.tuples(
        st.one_of(st.text(max_size=8), st.sampled_from(_OURS)),
        _BYTES,
    ),
    max_size=4,
).map(tuple)


@given(_BYTES, _BYTES, _HEADERS, st.integers(LEAST, 12_000))
def test_a_dead_letter_always_fits(
    key: bytes | None, value: bytes | None, headers: Headers, largest: int
) -> None:
    """What is left is as it came, what is not there is named, and the failure can be read in any case."""
    source = replace(record(value), key=key, headers=headers)
    letter = fitted(source, FAILURE, (("traceparent", b"00-1-2-01"),), largest)
    lying = Record(position=AT, timestamp_ms=0, key=letter.key, value=letter.value, headers=letter.headers)
    read = read_letter(lying, FAILURE.group, FAILURE.position.topic, 0)

    assert batch_bytes(letter.key, letter.value, letter.headers) <= largest
    assert read_failure(lying) == FAILURE
    assert isinstance(read, Letter)
    assert letter.value == (b"" if VALUE_OMITTED in letter.omitted else value)
    assert letter.key == (None if read.key_omitted else key)
    trace = (("traceparent", b"00-1-2-01"),)
    assert foreign_headers(letter.headers) == (trace if read.headers_omitted else headers + trace)
    if KEY_OMITTED in letter.omitted:
        assert dict(letter.marks)[KEY_OMITTED] == str(len(key or b"")).encode()


def test_what_fits_is_whole() -> None:
    """To the byte."""
    source = replace(record(b"x" * 3000), headers=(("x", b"y"),))
    size = batch_bytes(source.key, source.value, dead_letter_headers(source.headers, FAILURE))

    assert fitted(source, FAILURE, (), size).omitted == ()
    assert fitted(source, FAILURE, (), size - 1).omitted == (VALUE_OMITTED,)


def test_what_is_empty_is_not_said_to_be_left_out() -> None:
    """A null value stays null."""
    source = replace(record(None), key=None, headers=(("x", bytes(9000)),))

    assert fitted(source, FAILURE, (), LEAST).omitted == (HEADERS_OMITTED,)
    assert fitted(source, FAILURE, (), LEAST).value is None
