"""The table of faults: what each says of the API and of the request, and so what follows from it."""

from dataclasses import dataclass, replace
from typing import Final

from worker.domain.answers import (
    Doubtful,
    Fault,
    FaultKind,
    Misconfigured,
    Notice,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.promotions import Identifier, IdentifierName

SUSPECT_CODES: Final = frozenset({8003, 8013, 11013})
"""Codes for one request's words that, for one customer after another, are a fault of our configuration."""

MERGED_CODES: Final = frozenset({8069, 91009})
"""Of a customer that was merged into another: may be found under another name."""

INACTIVE_CODE: Final = 8892
"""Of a promotion that is not active: true for every customer."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a fault calls for."""

    counts: bool
    """It is a failure of the API: so many in a row, of different customers, are an outage."""
    gives_up: bool
    """It may be this event's own: after so many attempts, while others are served, the event is deferred."""
    may_be_applied: bool = False
    """An enrolment may have happened: it is found out before anything is sent again."""
    by_configuration: bool = False
    """Ours, and never a dead letter. Only somebody served shows that it is this event's own: an answer of any
    kind does not."""


_NOBODY_REACHED: Final = Treatment(counts=True, gives_up=False)
_NOTHING_DONE: Final = Treatment(counts=True, gives_up=True)
_UNKNOWN: Final = Treatment(counts=True, gives_up=True, may_be_applied=True)
_WAIT: Final = Treatment(counts=False, gives_up=False)
_OWN: Final = Treatment(counts=False, gives_up=True)
_OURS: Final = Treatment(counts=True, gives_up=True, by_configuration=True)

THROTTLED: Final = _WAIT
MISCONFIGURED: Final = _OURS
UNSENT: Final = {
    FaultKind.NOT_CONNECTED: _NOBODY_REACHED,
    FaultKind.TOO_EARLY: _NOTHING_DONE,
    # One customer's, while others are served: no outage.
    FaultKind.BUSY: _OWN,
    FaultKind.INTERNAL: _OURS,
    FaultKind.WITHHELD: _WAIT,
}
DOUBTFUL: Final = {
    # 409: the server is still at work on this key. Looked into, then repeated unchanged.
    FaultKind.IN_PROGRESS: _UNKNOWN,
    FaultKind.TIMEOUT: _UNKNOWN,
    FaultKind.DISCONNECTED: _UNKNOWN,
    FaultKind.SERVER_ERROR: _UNKNOWN,
    FaultKind.MALFORMED: _UNKNOWN,
    FaultKind.TOO_EARLY: _UNKNOWN,
    FaultKind.MISCONFIGURED: replace(_OURS, may_be_applied=True),
    FaultKind.INTERNAL: replace(_OURS, may_be_applied=True),
    FaultKind.UNPROCESSABLE: replace(_OWN, may_be_applied=True),
}


def treatment(fault: Fault) -> Treatment:
    """Look a fault up in the table."""
    match fault:
        case Throttled():
            return replace(THROTTLED, may_be_applied=fault.may_be_applied)
        case Misconfigured():
            return MISCONFIGURED
        case Unsent():
            # The token endpoint may fail in any way: the request itself was not sent.
            return UNSENT.get(fault.kind, _NOTHING_DONE)
        case Doubtful():
            return DOUBTFUL.get(fault.kind, _UNKNOWN)


def is_suspect(answer: object) -> bool:
    """Whether an answer is final for one customer and a fault of configuration for one after another."""
    return isinstance(answer, Refused) and any(error.code in SUSPECT_CODES for error in answer.errors)


def is_merged(answer: object) -> bool:
    """Whether the customer asked for was merged into another."""
    return isinstance(answer, Refused) and any(error.code in MERGED_CODES for error in answer.errors)


def is_inactive(answer: object) -> bool:
    """Whether the promotion asked for is not active, for nobody."""
    return isinstance(answer, Refused) and any(error.code == INACTIVE_CODE for error in answer.errors)


def names_of_survivor(answer: object) -> tuple[Identifier, ...]:
    """Return by what an answer names the customer that the one asked for was merged into."""
    survivor = answer.survivor_id if isinstance(answer, Refused) else None
    return () if survivor is None else (Identifier(IdentifierName.CUSTOMER_ID, str(survivor)),)


def is_busy(answer: object) -> bool:
    """Whether the API asks to be asked again, and did nothing."""
    return isinstance(answer, Unsent) and answer.kind is FaultKind.BUSY


def is_ours(answer: object) -> bool:
    """Whether the fault is our configuration's or our code's, and so never a reason for a dead letter."""
    return isinstance(answer, Fault) and treatment(answer).by_configuration


def describe(answer: Fault | Refused) -> str:
    """Return a fault in a few words, for logs: no identifier is in them."""
    match answer:
        case Throttled():
            return "throttled"
        case Refused(errors):
            return _text(errors)
        case Unsent() | Doubtful() | Misconfigured():
            return answer.detail


def _text(errors: tuple[Notice, ...]) -> str:
    return ", ".join(f"{error.code} {error.message}".strip() for error in errors)
