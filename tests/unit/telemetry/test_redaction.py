"""Identifiers in the API's messages."""

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.use_case.values import event, record
from worker.telemetry.redaction import redactor


@pytest.mark.parametrize(
    ("secret", "message", "expected"),
    [
        ("+919812345678", "no +919812345678 here", "no *** here"),
        ("+919812345678", "no 919812345678 here", "no *** here"),
        ("00003354", "no 3354 here", "no *** here"),
        ("Ada@Example.com", "no ada@example.COM here", "no *** here"),
        ("Ada@Example.com", "q=ada%40example.com", "q=***"),
        ("A 17/x", "a 17/X, a+17%2fx, a%2017%2Fx", "***, ***, ***"),
        ("(.*)", "no (.*) here", "no *** here"),
        ("17", "customer has bob@example.org and 912233445566", "customer has *** and ***"),
        ("x1", "promotion 1119990 of\nprogram 1085", "promotion 1119990 of program 1085"),
        ("", "", ""),
        ("0", "code 0", "code ***"),
    ],
)
def test_identifiers_are_masked(secret: str, message: str, expected: str) -> None:
    """The identifier goes in every form it may be echoed in, and so do other people's."""
    assert redactor(secret)(message) == expected


def test_long_messages_are_cut_after_masking() -> None:
    """A cut never leaves half an identifier behind, and shows."""
    redacted = redactor("customer-ABC-1")("x" * 295 + " customer-ABC-1 and more")
    assert redacted == "x" * 295 + " ***…"
    assert redactor("a")("b" * 5_000_000 + " a") == "…"
    assert redactor("a")("bc" * 200) == "bc" * 149 + "b…"
    assert "ABC" not in redactor("customer-ABC-1")("***" * 10 + " " * 4050 + "customer-ABC-1")


NUMBER = "919800000001"


@pytest.mark.parametrize(
    "written",
    [
        "+91 98000 00001",
        "98000-00001",
        "98000\u200b\u201100001",
        "(+91) 98000 00001",
        "0091-98000.00001",
        "098000 00001",
        "91/9800/000001",
        "%2B91%2098000%2000001",
        "9 8 0 0 0 0 0 0 0 1",
        "%39800000001",
        "98000%252000001",
    ],
)
@pytest.mark.parametrize("named", [NUMBER, f"+{NUMBER}", "+91 98000-00001"])
def test_a_number_is_found_however_it_is_written(named: str, written: str) -> None:
    """With or without its country code, and with whatever stands between its digits."""
    masked = redactor(named)(f"mobile {written} of order 17 (8015) is unknown")

    assert re.fullmatch(r"mobile [^ 1-9]*\*\*\* of order 17 \(8015\) is unknown", masked), masked


@pytest.mark.parametrize(
    ("named", "message", "expected"),
    [
        (
            "EX-12345",
            "external id ex-12345, EX 12345, eX%2D12345 and EX12345",
            "external id ***, ***, *** and ***",
        ),
        ("AB-77", "AB-77 is not AB-778, CAB-77 nor AB 77", "*** is not AB-778, CAB-77 nor AB 77"),
        ("5", "5 of 15 promotions, 5.5% and 2025-05-05", "*** of 15 promotions, ***.***% and 2025-05-05"),
        ("notfound", "customer not found: notFound", "customer not found: ***"),
        ("ann@example.com", "ANN%40EXAMPLE.COM or ann@example.com", "*** or ***"),
    ],
)
def test_what_only_looks_like_an_identifier_stays(named: str, message: str, expected: str) -> None:
    """Short ones are whole words, as they are written; those without digits have nothing in between."""
    assert redactor(named)(message) == expected


def test_all_names_of_the_event_are_masked_but_capillarys_own_id() -> None:
    """Not only the one that was asked for."""
    customer = {"customerId": 5, "mobile": NUMBER, "email": "ann@example.com", "externalId": "EX-1"}
    message = "customer 5 (5 of 15): mobile 98000-00001, Ann@Example.com, external id EX-1"

    masked = redactor(record=record(event(customer=customer)))(message)

    assert masked == "customer 5 (5 of 15): mobile ***, ***, external id ***"


_IDENTIFIERS = st.one_of(
    st.text("0123456789", min_size=7, max_size=15).filter(lambda text: len(text.lstrip("0")) >= 7),
    st.from_regex(r"[A-Z]{1,4}-?[0-9]{6,9}", fullmatch=True),
    st.from_regex(r"[a-z]{1,9}@[a-z]{2,9}\.com", fullmatch=True),
    st.from_regex(r"[a-zA-Z]{2,12}", fullmatch=True),
)


@st.composite
def _written(draw: st.DrawFn, identifier: str) -> str:
    """Write an identifier in one of the ways that texts do."""
    has_digits = any(map(str.isdigit, identifier)) and "@" not in identifier
    gaps = st.sampled_from(["", "", " ", "-", ") ", " (", ".", "%20", "+"]) if has_digits else st.just("")
    letters = [draw(st.sampled_from(_WAYS))(each) + draw(gaps) for each in identifier[:-1]]
    return "".join(letters) + draw(st.sampled_from(_WAYS))(identifier[-1])


_WAYS: list[Callable[[str], str]] = [str.upper, str.lower, str, quote, lambda each: f"%{ord(each):02X}"]


@settings(deadline=None)
@given(
    st.data(),
    _IDENTIFIERS,
    st.sampled_from(["customer ", "", "(", "id="]),
    st.sampled_from([" gone", "", ")", "."]),
)
def test_no_writing_of_an_identifier_is_left(
    data: st.DataObject, named: str, before: str, behind: str
) -> None:
    """What is left of the text has none of its letters and digits in a row."""
    letters = re.sub(r"[^a-z0-9]", "", named.lower().lstrip("0"))
    # "er" of "customer" is nobody's.
    assume(letters not in re.sub(r"[^a-z0-9]", "", before + behind))
    masked = redactor(named)(before + data.draw(_written(named)) + behind)
    bare = re.sub(r"[^a-z0-9]", "", unquote(unquote(masked)).lower())

    assert masked.count("***") == 1
    assert letters not in bare


_WORDS = ["promotion", "limit", "8015", "of", "(17)", "is", "not", "2026-01-31", "0.5%"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=20), _IDENTIFIERS)
def test_unrelated_text_stays(words: list[str], named: str) -> None:
    """Numbers, dates and words that are not the identifier."""
    text = " ".join(words)
    digits = re.sub("[^0-9]", "", text)
    assume(named.lower() not in text and named.lstrip("0") not in digits and named[-7:] not in digits)

    assert redactor(named)(text) == text


def test_several_secrets() -> None:
    """All secrets of a request are masked."""
    assert redactor("key", "hush")("key hush!") == "*** ***!"
    assert redactor()("as it is") == "as it is"
