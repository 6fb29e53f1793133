"""What notifications of enrolments do to a standing: each once, by its time, in whatever order they come."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.evidence import Evidence
from worker.domain.feedback import Notice, issued, proves, revoked
from worker.domain.identity import Reenrol
from worker.domain.ledger import Ask, Attempt, Enrolment, Limit, NotAgain, Standing, advise
from worker.domain.limits import LimitReason

NOW: Final = datetime(2026, 1, 31, 10, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
OURS: Final = Enrolment(key="key", event_id="event", attempts=1, settled_at=NOW, issual_id=5)
UNTOLD: Final = replace(OURS, issual_id=None)
ATTEMPT: Final = Attempt(event_id="event", key="key", number=1, noted=Evidence(), begun_at=NOW)
LIMIT: Final = Limit(NOW, LimitReason.CUSTOMER_LIMIT)


def _told(issual_id: int | None, at: datetime, revoked_at: datetime | None = None) -> Enrolment:
    return Enrolment(
        key="", event_id="told", attempts=0, settled_at=at, issual_id=issual_id, revoked_at=revoked_at
    )


@pytest.mark.parametrize(
    ("before", "issual_id", "seconds", "after"),
    [
        (None, 7, 0, _told(7, NOW)),
        (None, None, 0, _told(None, NOW)),
        (OURS, 5, 1, OURS),
        (OURS, 7, 1, OURS),
        (UNTOLD, 7, 1, UNTOLD),
        (_told(5, NOW), 7, 1, _told(7, NOW + SECOND)),
        (_told(5, NOW), 7, -1, _told(5, NOW)),
        (_told(5, NOW), 5, 1, _told(5, NOW)),
        (replace(OURS, revoked_at=NOW), 7, 1, _told(7, NOW + SECOND)),
        (replace(OURS, revoked_at=NOW), 7, 0, replace(OURS, revoked_at=NOW)),
        (replace(OURS, revoked_at=NOW), 5, 1, replace(OURS, revoked_at=NOW)),
    ],
)
def test_an_enrolment_is_told(
    before: Enrolment | None, issual_id: int | None, seconds: int, after: Enrolment
) -> None:
    """It is entered if it is news; one of ours that stands stays, with its key."""
    standing = Standing(before, LIMIT, 2, ATTEMPT)
    told = issued(standing, _notice(issual_id, seconds))
    assert told == replace(standing, enrolment=after)


@pytest.mark.parametrize(
    ("before", "issual_id", "seconds", "after"),
    [
        (None, 7, 0, _told(7, NOW, NOW)),
        (OURS, 5, -9, replace(OURS, revoked_at=NOW - 9 * SECOND)),
        (OURS, 7, 9, None),
        (OURS, None, 1, replace(OURS, revoked_at=NOW + SECOND)),
        (OURS, None, 0, None),
        (UNTOLD, 7, 1, replace(UNTOLD, revoked_at=NOW + SECOND)),
        (UNTOLD, 7, -1, None),
        (replace(OURS, revoked_at=NOW), 5, 1, None),
        (
            replace(OURS, settled_at=None),
            None,
            -9,
            replace(OURS, settled_at=None, revoked_at=NOW - 9 * SECOND),
        ),
    ],
)
def test_an_enrolment_is_taken_back(
    before: Enrolment | None, issual_id: int | None, seconds: int, after: Enrolment | None
) -> None:
    """It is the one that is meant by id or time, and once: the next request has a key of its own."""
    standing = Standing(before, LIMIT, 2, ATTEMPT)
    notice = _notice(issual_id, seconds)
    told = revoked(standing, notice)
    if after is None:
        assert told == replace(standing, heeded=(notice.mark,))
    else:
        assert told == Standing(after, None, 2, ATTEMPT, 1, (notice.mark,))
    assert revoked(told, notice) == told


def test_without_a_time_of_its_own_a_revocation_is_known_by_its_id_alone() -> None:
    """When we heard of it says nothing about what it came after."""
    untimed = replace(_notice(None, 9), is_timed=False)
    assert revoked(Standing(UNTOLD), untimed).enrolment == UNTOLD
    assert revoked(Standing(OURS), replace(untimed, issual_id=5)).revocations == 1
    assert not proves(ATTEMPT, Standing(attempt=ATTEMPT), untimed)
    before = Standing(replace(OURS, revoked_at=NOW))
    assert issued(before, replace(untimed, issual_id=7)) == before


def test_what_was_taken_back_before_it_was_told_of_is_not_entered() -> None:
    """Order is not promised: the enrolment's own notification may come last."""
    standing = revoked(Standing(OURS), _notice(7, 2))
    assert issued(replace(standing, enrolment=None), _notice(7, 1)).enrolment is None


def test_the_revocations_that_are_kept_are_bounded() -> None:
    """A customer may have a hundred enrolments."""
    standing = Standing()
    for number in range(100):
        standing = revoked(standing, _notice(number, number))
    assert len(standing.heeded) == 8


@pytest.mark.parametrize(
    ("attempt", "known", "issual_id", "seconds", "expected"),
    [
        (ATTEMPT, None, 7, 0, True),
        (ATTEMPT, None, None, 1, True),
        (ATTEMPT, None, 7, -1, False),
        (ATTEMPT, OURS, 5, 1, False),
        (ATTEMPT, OURS, 7, 1, True),
        (replace(ATTEMPT, begun_at=None), None, 7, 1, False),
    ],
)
def test_what_proves_an_attempt(
    attempt: Attempt,
    known: Enrolment | None,
    issual_id: int | None,
    seconds: int,
    expected: bool,  # noqa: FBT001 - a table
) -> None:
    """What was made since it began, and was not known before."""
    notice = _notice(issual_id, seconds)
    assert proves(attempt, Standing(known, attempt=attempt), notice) is expected


def _notice(issual_id: int | None, seconds: int) -> Notice:
    return Notice(event_id="told", issual_id=issual_id, at=NOW + seconds * SECOND)


STORY: Final = (("issued", 1, 1), ("revoked", 1, 2), ("issued", 2, 3), ("revoked", 2, 4))


@pytest.mark.parametrize("upto", [1, 2, 3, 4])
def test_the_order_in_which_they_come_does_not_matter(upto: int) -> None:
    """Whatever comes first, the customer is enrolled at the end if the last word of the story is that."""
    ends = {_end(order) for order in permutations(STORY[:upto])}
    assert {is_enrolled for is_enrolled, _ in ends} == {upto % 2 == 1}
    if upto == 3:
        assert ends == {(True, 2)}


@given(st.permutations(STORY), st.integers(0, 3))
def test_what_comes_again_changes_nothing(story: list[tuple[str, int, int]], which: int) -> None:
    """A notification that was just heeded may come again."""
    standing = _after(story[: which + 1])
    assert _heed(standing, story[which]) == standing


@pytest.mark.parametrize(("after_revoke", "kind"), [(False, NotAgain), (True, Ask)])
def test_once_after_a_revocation(after_revoke: bool, kind: type) -> None:  # noqa: FBT001 - a table
    """Only if the operator wants it, and never under the key that was used."""
    standing = Standing(replace(OURS, revoked_at=NOW), revocations=1)

    def said(key: str, revocations: int) -> object:
        return advise(
            standing,
            event_id="next",
            key=key,
            after="key",
            reenrol=Reenrol.ONCE,
            after_revoke=after_revoke,
            revocations=revocations,
            cool_down=SECOND,
            now=NOW,
        )

    assert isinstance(said("key/v1", 1), kind)
    assert isinstance(said("key", 1), NotAgain)
    # Planned before the revocation: its key may have been used, by whomever.
    assert isinstance(said("another key", 0), NotAgain)


def _heed(standing: Standing, told: tuple[str, int, int]) -> Standing:
    what, issual_id, second = told
    change = issued if what == "issued" else revoked
    return change(standing, replace(_notice(issual_id, second), event_id=f"{what}-{issual_id}"))


def _after(story: Sequence[tuple[str, int, int]]) -> Standing:
    standing = Standing()
    for told in story:
        standing = _heed(standing, told)
    return standing


def _end(story: Sequence[tuple[str, int, int]]) -> tuple[bool, int | None]:
    enrolment = _after(story).enrolment
    assert enrolment is not None
    return enrolment.revoked_at is None, enrolment.issual_id
