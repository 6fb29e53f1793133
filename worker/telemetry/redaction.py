"""Keeps people's identifiers out of texts: the API's messages, which may echo them, and log lines."""

import re
from collections.abc import Callable
from typing import Any, Final

from topics.activity import Activity, read_activity
from topics.customer_names import LONGEST
from topics.record import Record
from worker.telemetry.identifiers import finder

MESSAGE_LENGTH = 300
_READ_LENGTH = 4096
_MASK = "***"
_MAIL: Final = r"[\w.+%-]{1,64}@[\w.-]{1,255}"
# E-mail addresses, and runs of digits as long as a telephone number, whosever they are.
_PERSONAL = re.compile(rf"{_MAIL}|\+?\d{{8,}}|\+\d(?:[ ().-]{{0,3}}\d){{7,}}")

# In log lines numbers of other kinds abound: offsets, ids, traces. A telephone number stands alone.
_PERSONAL_IN_LINES = re.compile(rf"{_MAIL}|(?<![\w.:+-])\+?\d{{10,15}}(?![\w.:-])")

Redact = Callable[[str], str]


def redactor(*secrets: str, record: Record | None = None) -> Redact:
    """Return a function that makes a message fit for outcomes and logs.

    It masks the given texts and every mobile number, e-mail address and external id that the record's event
    names, however they are written (see `identifiers`), e-mail addresses and telephone numbers of others,
    joins lines, and cuts to 300 characters, with a mark. Capillary's own id of a customer may be told.
    """

    def redact(message: str) -> str:
        if not message:
            return message
        # The cut may split an identifier: its first half goes as well.
        read = message if len(message) <= _READ_LENGTH else message[:_READ_LENGTH].rpartition(" ")[0]
        # Messages are rare: the event is read again for one, and nothing is made ahead of it.
        known = finder({*secrets, *_personal(record)})
        masked = " ".join(_PERSONAL.sub(_MASK, known.masked(read, _MASK)).split())
        if read is message and len(masked) <= MESSAGE_LENGTH:
            return masked
        return masked[: MESSAGE_LENGTH - 1].rstrip() + "…"

    return redact


def without_persons(value: Any, record: Record | None) -> Any:  # noqa: ANN401 - whatever a log line holds
    """Return a log line's value, as deep as it goes, without the identifiers of the record in work.

    The last line of defence: nothing should have put any there. E-mail addresses and telephone numbers of
    others go as well.
    """
    known = finder(_personal(record, also_key=True))

    def cleared(part: Any) -> Any:  # noqa: ANN401 - see above
        match part:
            case str():
                return _PERSONAL_IN_LINES.sub(_MASK, known.masked(part, _MASK))
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


def _personal(record: Record | None, *, also_key: bool = False) -> frozenset[str]:
    """Return what the record's event calls its customer, without Capillary's own id, which may be told."""
    if record is None:
        return frozenset()
    reading = read_activity(record)
    names = reading.customer.names if isinstance(reading, Activity) else ()
    found = {name.value for name in names} | {name.account for name in names if name.account is not None}
    # A longer key is no identifier, only slow to look for.
    if also_key and record.key is not None and len(record.key) <= LONGEST:
        found.add(record.key.decode(errors="replace").strip())
    return frozenset(found) - {name.value for name in names if name.kind == "customerId"} - {""}
