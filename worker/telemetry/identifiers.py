"""Patterns that find a person's identifier in a text, in whatever way the text writes it.

Letters in any case; each character as it is or percent-encoded, also twice; a number with blanks, hyphens,
brackets and the like between its digits, with or without its country code. What is short counts as a whole
word only, and as it is written: a 5 is found in most texts.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_SHORT: Final = 7
"""Fewer letters and digits are found by chance."""
_COUNTRY_CODE: Final = 3
"""Digits that a text may leave out in front of a number; the rest must not be short."""
_LEAST_NATIONAL: Final = 7

_ENCODED: Final = "%(?:25)*"
"""A percent sign, itself encoded again or not."""
_BETWEEN: Final = r"\s()\[\]/+._\-\u00ad\u00b7\u200b-\u2015\u2060\u2212\ufeff"
_GAP: Final = rf"(?:[{_BETWEEN}]|{_ENCODED}(?:20|2[89bdef]|0[9ad]|5[bdf])){{0,5}}"
"""What may stand between the digits of a number."""
_BLANK: Final = rf"(?:\s+|\+|{_ENCODED}20)"
_PLUS: Final = rf"(?:\+|{_ENCODED}2b)"
_NO_WORD_BEFORE: Final = r"(?:(?<![\w-])|(?<=%[0-9a-f]{2}))"
_NO_WORD_BEHIND: Final = r"(?![\w-])"
_NO_DIGIT_BEFORE: Final = r"(?:(?<!\d)|(?<=%[0-9a-f]{2}))"
_NO_DIGIT_BEHIND: Final = r"(?!\d)"
_DIGIT: Final = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds the identifiers that it was made for."""

    _words: re.Pattern[str]
    _numbers: re.Pattern[str]

    def masked(self, text: str, mask: str) -> str:
        """Return the text with a mask in place of each of them."""
        # Looking for numbers is slow, and an API's answer may have megabytes of messages.
        if _DIGIT.search(text):
            text = self._numbers.sub(mask, text)
        return self._words.sub(mask, text)


def finder(identifiers: Collection[str]) -> Finder:
    """Return what finds any of them; nothing in no identifiers."""
    return _finder(frozenset(text for text in map(str.strip, identifiers) if text))


@lru_cache(maxsize=64)
def _finder(identifiers: frozenset[str]) -> Finder:
    # The longest first: what they have in common must not leave a part of one behind.
    longest_first = sorted(identifiers, key=len, reverse=True)
    numbers = {text: digits for text in longest_first if (digits := _digits_of(text)) is not None}
    words = [way for text in longest_first if text not in numbers for way in _ways(text)]
    return Finder(_any_of(words), _any_of(map(_number, numbers.values())))


def _any_of(ways: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(ways) or "(?!)", re.IGNORECASE)


def _digits_of(text: str) -> str | None:
    """Return the digits of a number that is long enough to be known by them alone, without leading zeros."""
    bare = _bare(text)
    digits = bare.lstrip("0")
    return digits if bare.isdecimal() and len(digits) >= _SHORT else None


def _bare(text: str) -> str:
    return "".join(each for each in text if each.isalnum())


def _ways(text: str) -> list[str]:
    bare = _bare(text)
    literal = "".join(map(_character, text))
    if bare.isdecimal() or len(bare) < _SHORT or not any(map(str.isdigit, bare)):
        stripped = text.lstrip("+0")
        forms = [literal, *(["".join(map(_character, stripped))] if stripped not in ("", text) else [])]
        return [_as_word(form) if "@" not in text else form for form in forms]
    # Letters and digits, such as a member's number on a card.
    return [literal, _GAP.join(map(_character, bare))]


def _as_word(form: str) -> str:
    return f"{_NO_WORD_BEFORE}{form}{_NO_WORD_BEHIND}"


def _number(digits: str) -> str:
    """Find the number whole, wherever it is; or, as a number of its own, without its country code."""
    whole = _GAP.join(map(_character, digits))
    shortest = min(_COUNTRY_CODE, len(digits) - _LEAST_NATIONAL)
    rest = _GAP.join(map(_character, digits[shortest:]))
    for each in reversed(digits[1:shortest]):
        rest = f"(?:{_character(each)}{_GAP})?{rest}"
    national = f"{_NO_DIGIT_BEFORE}(?:0{{1,2}}{_GAP})?{rest}{_NO_DIGIT_BEHIND}"
    return f"{_PLUS}?{whole}|{national}" if shortest else f"{_PLUS}?{whole}"


def _character(each: str) -> str:
    """Find a character as it is or percent-encoded."""
    if each.isspace():
        return _BLANK
    octets = "".join(f"{_ENCODED}{octet:02x}" for octet in each.encode(errors="surrogatepass"))
    return f"(?:{re.escape(each)}|{octets})"
