"""Keeps people's identifiers out of the API's messages, which may echo them."""

import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

MESSAGE_LENGTH = 300
_READ_LENGTH = 4096
_MASK = "***"
# E-mail addresses, and runs of digits as long as a telephone number, whosever they are.
_PERSONAL = re.compile(r"[\w.+%-]{1,64}@[\w.-]{1,255}|\+?\d{8,}")

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


def _any_of(secrets: tuple[str, ...]) -> re.Pattern[str]:
    """Compile the secrets' forms, the longest first. Messages are rare, so nothing is made ahead of one."""
    stripped = [secret.strip() for secret in secrets if secret.strip()]
    forms = {form for s in stripped for form in (s, quote(s, safe=""), quote_plus(s), s.lstrip("+0") or s)}
    return re.compile(
        "|".join(map(re.escape, sorted(forms, key=len, reverse=True))) or r"(?!)", re.IGNORECASE
    )
