"""The states of a standing: what each move makes of each, and what each says to the next request.

The expected values are written out from docs/design.md ("The ledger") and the contract, not computed.
"""

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final, get_args

import pytest

from worker.domain import ledger
from worker.domain.evidence import Evidence
from worker.domain.identity import Reenrol
from worker.domain.ledger import (
    Advice,
    Ask,
    Attempt,
    CoolingDown,
    Enrolment,
    FindOut,
    Limit,
    NotAgain,
    OwnEnrolment,
    Standing,
    advise,
)
from worker.domain.limits import LimitReason

NOW: Final = datetime(2026, 1, 31, 10, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)

ENROLMENT: Final = Enrolment(
    key="old key", event_id="old event", attempts=1, enrolment_id=11, settled_at=NOW - 9 * HOUR
)
LIMIT: Final = Limit(NOW - 8 * HOUR, LimitReason.CUSTOMER_LIMIT)
OPEN: Final = Attempt(event_id="event", key="key", number=3, noted=Evidence((11,)), opening=1)
STATES: Final = {
    "unknown": Standing(),
    "limited": Standing(limit=LIMIT, settled_limits=2),
    "enrolled": Standing(ENROLMENT, settled_limits=2),
    "enrolled, limited": Standing(ENROLMENT, LIMIT, 2),
    "open": Standing(attempt=OPEN),
    "limited, open": Standing(limit=LIMIT, settled_limits=2, attempt=OPEN),
    "enrolled, open": Standing(ENROLMENT, settled_limits=2, attempt=OPEN),
    "enrolled, limited, open": Standing(ENROLMENT, LIMIT, 2, OPEN),
}

NEXT_TRY: Final = Attempt(event_id="event", key="key", number=4, noted=Evidence((11, 12)), opening=1)
ANOTHERS: Final = Attempt(event_id="another event", key="key", number=1, noted=Evidence())
ANOTHER_KEY: Final = Attempt(event_id="event", key="another key", number=1, noted=Evidence())
NEW_LIMIT: Final = Limit(NOW, LimitReason.PROMOTION_LIMIT)
MOVES: Final[dict[str, Callable[[Standing], Standing]]] = {
    "begin": lambda before: ledger.begin(before, NEXT_TRY),
    "begin another's": lambda before: ledger.begin(before, ANOTHERS),
    "begin another key": lambda before: ledger.begin(before, ANOTHER_KEY),
    "enrolled": lambda before: ledger.enrolled(before, NOW, 12),
    "enrolled unseen": lambda before: ledger.enrolled(before, NOW),
    "limited": lambda before: ledger.limited(before, NEW_LIMIT),
    "released": ledger.released,
}
"""Each by the name of its function first."""

NEW: Final = Enrolment(key="key", event_id="event", attempts=3, enrolment_id=12, settled_at=NOW)
UNSEEN: Final = Enrolment(key="key", event_id="event", attempts=3, enrolment_id=None, settled_at=NOW)
NOT_OPEN: Final = "no attempt is open"
NOT_SETTLED: Final = "another attempt is not settled"
AFTERWARDS: Final[dict[tuple[str, str], Standing | str]] = {
    ("unknown", "begin"): Standing(attempt=NEXT_TRY),
    ("unknown", "begin another's"): Standing(attempt=ANOTHERS),
    ("unknown", "begin another key"): Standing(attempt=ANOTHER_KEY),
    ("unknown", "enrolled"): NOT_OPEN,
    ("unknown", "enrolled unseen"): NOT_OPEN,
    ("unknown", "limited"): NOT_OPEN,
    ("unknown", "released"): NOT_OPEN,
    ("limited", "begin"): Standing(None, LIMIT, 2, NEXT_TRY),
    ("limited", "begin another's"): Standing(None, LIMIT, 2, ANOTHERS),
    ("limited", "begin another key"): Standing(None, LIMIT, 2, ANOTHER_KEY),
    ("limited", "enrolled"): NOT_OPEN,
    ("limited", "enrolled unseen"): NOT_OPEN,
    ("limited", "limited"): NOT_OPEN,
    ("limited", "released"): NOT_OPEN,
    ("enrolled", "begin"): Standing(ENROLMENT, None, 2, NEXT_TRY),
    ("enrolled", "begin another's"): Standing(ENROLMENT, None, 2, ANOTHERS),
    ("enrolled", "begin another key"): Standing(ENROLMENT, None, 2, ANOTHER_KEY),
    ("enrolled", "enrolled"): NOT_OPEN,
    ("enrolled", "enrolled unseen"): NOT_OPEN,
    ("enrolled", "limited"): NOT_OPEN,
    ("enrolled", "released"): NOT_OPEN,
    ("enrolled, limited", "begin"): Standing(ENROLMENT, LIMIT, 2, NEXT_TRY),
    ("enrolled, limited", "begin another's"): Standing(ENROLMENT, LIMIT, 2, ANOTHERS),
    ("enrolled, limited", "begin another key"): Standing(ENROLMENT, LIMIT, 2, ANOTHER_KEY),
    ("enrolled, limited", "enrolled"): NOT_OPEN,
    ("enrolled, limited", "enrolled unseen"): NOT_OPEN,
    ("enrolled, limited", "limited"): NOT_OPEN,
    ("enrolled, limited", "released"): NOT_OPEN,
    ("open", "begin"): Standing(None, None, 0, NEXT_TRY),
    ("open", "begin another's"): NOT_SETTLED,
    ("open", "begin another key"): NOT_SETTLED,
    ("open", "enrolled"): Standing(NEW, None, 0, None),
    ("open", "enrolled unseen"): Standing(UNSEEN, None, 0, None),
    ("open", "limited"): Standing(None, NEW_LIMIT, 1, None),
    ("open", "released"): Standing(None, None, 0, None),
    ("limited, open", "begin"): Standing(None, LIMIT, 2, NEXT_TRY),
    ("limited, open", "begin another's"): NOT_SETTLED,
    ("limited, open", "begin another key"): NOT_SETTLED,
    ("limited, open", "enrolled"): Standing(NEW, None, 2, None),
    ("limited, open", "enrolled unseen"): Standing(UNSEEN, None, 2, None),
    ("limited, open", "limited"): Standing(None, NEW_LIMIT, 3, None),
    ("limited, open", "released"): Standing(None, LIMIT, 2, None),
    ("enrolled, open", "begin"): Standing(ENROLMENT, None, 2, NEXT_TRY),
    ("enrolled, open", "begin another's"): NOT_SETTLED,
    ("enrolled, open", "begin another key"): NOT_SETTLED,
    ("enrolled, open", "enrolled"): Standing(NEW, None, 2, None),
    ("enrolled, open", "enrolled unseen"): Standing(UNSEEN, None, 2, None),
    ("enrolled, open", "limited"): Standing(ENROLMENT, NEW_LIMIT, 3, None),
    ("enrolled, open", "released"): Standing(ENROLMENT, None, 2, None),
    ("enrolled, limited, open", "begin"): Standing(ENROLMENT, LIMIT, 2, NEXT_TRY),
    ("enrolled, limited, open", "begin another's"): NOT_SETTLED,
    ("enrolled, limited, open", "begin another key"): NOT_SETTLED,
    ("enrolled, limited, open", "enrolled"): Standing(NEW, None, 2, None),
    ("enrolled, limited, open", "enrolled unseen"): Standing(UNSEEN, None, 2, None),
    ("enrolled, limited, open", "limited"): Standing(ENROLMENT, NEW_LIMIT, 3, None),
    ("enrolled, limited, open", "released"): Standing(ENROLMENT, LIMIT, 2, None),
}


def test_each_state_has_a_row_for_each_move() -> None:
    """A field of a standing, a function that makes one, or a row that is missing here fails."""
    assert {field.name for field in fields(Standing)} == {
        *("enrolment", "limit", "settled_limits", "attempt"),
        # Moved by notifications alone: see test_feedback.py.
        *("revocations", "heeded"),
    }
    what_is_there = {
        (one.enrolment is not None, one.limit is not None, one.attempt is not None) for one in STATES.values()
    }
    assert what_is_there == set(product([False, True], repeat=3))
    functions = inspect.getmembers(ledger, inspect.isfunction)
    movers = {name for name, each in functions if each.__annotations__.get("return") is Standing}
    assert movers == {move.split()[0] for move in MOVES}
    assert set(AFTERWARDS) == set(product(STATES, MOVES))


@pytest.mark.parametrize(("state", "move"), AFTERWARDS, ids=" > ".join)
def test_each_move_from_each_state(state: str, move: str) -> None:
    """It leads to the state of its row, or is refused as a fault of the caller."""
    before, after = STATES[state], AFTERWARDS[state, move]
    if isinstance(after, Standing):
        assert MOVES[move](before) == after
    else:
        with pytest.raises(ValueError, match=after):
            MOVES[move](before)


OURS: Final = ("key", "event")
SAME_KEY: Final = ("key", "another event")
SAME_EVENT: Final = ("old key", "event")
ANOTHER: Final = ("old key", "another event")
NOT_ENROLLED: Final = (None, None)

LIMITS: Final[dict[str, Limit | None]] = {
    "none": None,
    "recent": Limit(NOW - HOUR / 2, LimitReason.CUSTOMER_LIMIT),
    "over": Limit(NOW - HOUR, LimitReason.CUSTOMER_LIMIT),
    "ahead": Limit(NOW + HOUR, LimitReason.CUSTOMER_LIMIT),
}
ONCE, AFTER_EXPIRY, EVERY_EVENT = Reenrol
ASK: Final = (Ask, CoolingDown, Ask, Ask)
"""By what is known of a limit: none, recent, over, ahead of our clock."""
OWN: Final = (OwnEnrolment,) * 4
NOT: Final = (NotAgain,) * 4

# The latest enrolment; the key of the latest one when the request was planned; the policy; then the advice.
ADVICE: Final[dict[tuple[tuple[str | None, str | None], str | None, Reenrol], tuple[type, ...]]] = {
    (NOT_ENROLLED, None, ONCE): ASK,
    (NOT_ENROLLED, None, AFTER_EXPIRY): ASK,
    (NOT_ENROLLED, None, EVERY_EVENT): ASK,
    (NOT_ENROLLED, "old key", ONCE): ASK,
    (NOT_ENROLLED, "old key", AFTER_EXPIRY): ASK,
    (NOT_ENROLLED, "old key", EVERY_EVENT): ASK,
    (NOT_ENROLLED, "key", ONCE): ASK,
    (NOT_ENROLLED, "key", AFTER_EXPIRY): ASK,
    (NOT_ENROLLED, "key", EVERY_EVENT): ASK,
    (OURS, None, ONCE): OWN,
    (OURS, None, AFTER_EXPIRY): OWN,
    (OURS, None, EVERY_EVENT): OWN,
    (OURS, "old key", ONCE): OWN,
    (OURS, "old key", AFTER_EXPIRY): OWN,
    (OURS, "old key", EVERY_EVENT): OWN,
    (OURS, "key", ONCE): OWN,
    (OURS, "key", AFTER_EXPIRY): OWN,
    (OURS, "key", EVERY_EVENT): OWN,
    (SAME_KEY, None, ONCE): NOT,
    (SAME_KEY, None, AFTER_EXPIRY): NOT,
    (SAME_KEY, None, EVERY_EVENT): NOT,
    (SAME_KEY, "old key", ONCE): NOT,
    (SAME_KEY, "old key", AFTER_EXPIRY): NOT,
    (SAME_KEY, "old key", EVERY_EVENT): NOT,
    (SAME_KEY, "key", ONCE): NOT,
    (SAME_KEY, "key", AFTER_EXPIRY): NOT,
    (SAME_KEY, "key", EVERY_EVENT): NOT,
    (SAME_EVENT, None, ONCE): NOT,
    (SAME_EVENT, None, AFTER_EXPIRY): NOT,
    (SAME_EVENT, None, EVERY_EVENT): ASK,
    (SAME_EVENT, "old key", ONCE): NOT,
    (SAME_EVENT, "old key", AFTER_EXPIRY): ASK,
    (SAME_EVENT, "old key", EVERY_EVENT): ASK,
    (SAME_EVENT, "key", ONCE): NOT,
    (SAME_EVENT, "key", AFTER_EXPIRY): NOT,
    (SAME_EVENT, "key", EVERY_EVENT): ASK,
    (ANOTHER, None, ONCE): NOT,
    (ANOTHER, None, AFTER_EXPIRY): NOT,
    (ANOTHER, None, EVERY_EVENT): ASK,
    (ANOTHER, "old key", ONCE): NOT,
    (ANOTHER, "old key", AFTER_EXPIRY): ASK,
    (ANOTHER, "old key", EVERY_EVENT): ASK,
    (ANOTHER, "key", ONCE): NOT,
    (ANOTHER, "key", AFTER_EXPIRY): NOT,
    (ANOTHER, "key", EVERY_EVENT): ASK,
}


def test_each_state_has_a_row_of_advice() -> None:
    """Each enrolment by key and event, each plan, policy and limit; and no kind of advice is left out."""
    enrolments = [NOT_ENROLLED, *product(["key", "old key"], ["event", "another event"])]
    assert set(ADVICE) == set(product(enrolments, [None, "old key", "key"], Reenrol))
    assert all(len(row) == len(LIMITS) for row in ADVICE.values())
    given = {advice for row in ADVICE.values() for advice in row}
    assert given | {FindOut} == set(get_args(Advice))


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(("latest", "after", "reenrol"), ADVICE)
def test_each_advice_of_each_state(
    latest: tuple[str | None, str | None], after: str | None, reenrol: Reenrol, limit: str
) -> None:
    """Of a standing without an attempt it is that of its row; with one, whosever, that comes first."""
    key, event_id = latest
    enrolment = None if key is None or event_id is None else Enrolment(key=key, event_id=event_id, attempts=1)
    standing = Standing(enrolment, LIMITS[limit])

    def said(standing: Standing) -> Advice:
        return advise(
            standing, event_id="event", key="key", after=after, reenrol=reenrol, cool_down=HOUR, now=NOW
        )

    expected = ADVICE[latest, after, reenrol][list(LIMITS).index(limit)]
    evidence = {
        OwnEnrolment: standing.enrolment,
        NotAgain: standing.enrolment,
        CoolingDown: standing.limit,
        Ask: None,
    }[expected]
    assert said(standing) == (Ask() if evidence is None else expected(evidence))
    for attempt in (OPEN, ANOTHERS, ANOTHER_KEY):
        assert said(replace(standing, attempt=attempt)) == FindOut(attempt)


@pytest.mark.parametrize(
    ("ago", "advice"),
    [
        (timedelta(), CoolingDown),
        (HOUR - timedelta(microseconds=1), CoolingDown),
        (HOUR, Ask),
        (-timedelta(seconds=1), Ask),
        (-48 * HOUR, Ask),
        (NOW - datetime.max.replace(tzinfo=UTC), Ask),
    ],
)
def test_an_8890_is_trusted_for_the_cool_down_and_no_longer(ago: timedelta, advice: type) -> None:
    """One that a wrong clock noted ahead of now is asked for again: nobody knows how old it is."""
    limit = Limit(NOW - ago, LimitReason.CUSTOMER_LIMIT)
    said = advise(
        Standing(limit=limit),
        event_id="e",
        key="k",
        after=None,
        reenrol=Reenrol.ONCE,
        cool_down=HOUR,
        now=NOW,
    )
    assert type(said) is advice


SETTLE: Final = timedelta(seconds=5)


@pytest.mark.parametrize(
    ("settled", "read", "wait"),
    [
        (0, 5, None),
        (0, 10, None),
        (0, 10.001, 0),
        (0, 4.999, 0),
        (6, 10, 1),
        (10, 10, 5),
        (12, 10, 5),
        (12, 18, 5),
        (-20, -21, 0),
        (0, None, 0),
        (8, None, 3),
        (None, 10, 5),
        (None, None, 5),
    ],
)
def test_a_reading_shows_an_enrolment_once_the_settle_time_is_over(
    settled: float | None, read: float | None, wait: float | None
) -> None:
    """It is ten seconds later now. None if the reading was late enough, else how long one has to wait."""
    enrolment = Enrolment(key="key", event_id="event", attempts=1, enrolment_id=None, settled_at=_at(settled))
    expected = None if wait is None else timedelta(seconds=wait)
    assert enrolment.unshown_for(_at(read), NOW + timedelta(seconds=10), SETTLE) == expected


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOW + timedelta(seconds=seconds)
