"""Keeps people's identifiers out of texts: the API's messages, which may echo them, and log lines."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

from topics.activity import LONGEST, Activity, read_activity
from topics.record import Record

MESSAGE_LENGTH = 300
_READ_LENGTH = 4096
_MASK = "***"
# E-mail addresses, and runs of digits as long as a telephone number, whosever they are.
_PERSONAL = re.compile(r"[\w.+%-]{1,64}@[\w.-]{1,255}|\+?\d{8,}")

# In log lines numbers of other kinds abound: offsets, ids, traces. A telephone number stands alone.
_PERSONAL_IN_LINES = re.compile(r"[\w.+%-]{1,64}@[\w.-]{1,255}|(?<![\w.:+-])\+?\d{10,15}(?![\w.:-])")
_LONG_SECRET = 8
"""Shorter ones count as whole words only: they might be a part of an offset."""

Redact = Callable[[str], str]


def redactor(*secrets: str) -> Redact:
    """Return a function that makes a message fit for outcomes and logs.

    It masks the given texts (in any case, also percent-encoded, also without a leading + or zeros), e-mail
    addresses and runs of 8 or more digits, joins lines, and cuts to 300 characters, with a mark.
    """

    def redact(message: str) -> str:
        if not message:
            return message
        # The cut may split an identifier: its first half goes as well.
        read = message if len(message) <= _READ_LENGTH else message[:_READ_LENGTH].rpartition(" ")[0]
        masked = " ".join(_PERSONAL.sub(_MASK, _any_of(secrets).sub(_MASK, read)).split())
        if read is message and len(masked) <= MESSAGE_LENGTH:
            return masked
        return masked[: MESSAGE_LENGTH - 1].rstrip() + "…"

    return redact


def without_persons(value: Any, record: Record | None) -> Any:  # noqa: ANN401 - whatever a log line holds
    """Return a log line's value, as deep as it goes, without the identifiers of the record in work.

    The last line of defence: nothing should have put any there. E-mail addresses and telephone numbers of
    others go as well.
    """
    secrets = _secrets(record)
    known = _any_of(tuple(secret for secret in secrets if len(secret) >= _LONG_SECRET))
    short = _any_of(tuple(secret for secret in secrets if len(secret) < _LONG_SECRET))
    word = re.compile(rf"(?<![\w-])(?:{short.pattern})(?![\w-])", re.IGNORECASE)

    def cleared(part: Any) -> Any:  # noqa: ANN401 - see above
        match part:
            case str():
                return _PERSONAL_IN_LINES.sub(_MASK, word.sub(_MASK, known.sub(_MASK, part)))
            case dict():
                return {name: cleared(inner) for name, inner in part.items()}
            case list() | tuple() | set() | frozenset():
                return [cleared(inner) for inner in part]
            case None | bool() | int() | float():
                return part
            case bytes():
                return cleared(part.decode(errors="backslashreplace"))
            case _:
                return cleared(repr(part))

    return cleared(value)


def _secrets(record: Record | None) -> tuple[str, ...]:
    if record is None:
        return ()
    activity = read_activity(record)
    names = activity.customer.names if isinstance(activity, Activity) else ()
    # Capillary's own id of a customer may be told.
    told = {value for name, value, _ in names if name == "customerId"}
    texts = {value.strip() for _, value, _ in names} | {(record.key or b"").decode(errors="replace").strip()}
    # What is longer is no identifier, only slow to look for.
    return tuple(text for text in texts - told if 0 < len(text) <= LONGEST)


def _any_of(secrets: tuple[str, ...]) -> re.Pattern[str]:
    """Compile the secrets' forms, the longest first. Messages are rare, so nothing is made ahead of one."""
    stripped = [secret.strip() for secret in secrets if secret.strip()]
    forms = {form for s in stripped for form in (s, quote(s, safe=""), quote_plus(s), s.lstrip("+0") or s)}
    return re.compile(
        "|".join(map(re.escape, sorted(forms, key=len, reverse=True))) or r"(?!)", re.IGNORECASE
    )
