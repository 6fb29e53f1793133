"""Identifiers in the API's messages."""

import pytest

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


def test_several_secrets() -> None:
    """All secrets of a request are masked."""
    assert redactor("key", "hush")("key hush!") == "*** ***!"
    assert redactor()("as it is") == "as it is"
