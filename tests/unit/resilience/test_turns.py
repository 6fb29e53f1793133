"""Turns by priority: who goes first, and that nobody starves."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.priority import Priority
from worker.resilience.turns import Turns

BEGUN, LIVE, BACKLOG = Priority


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        ([BEGUN], {BEGUN: 100}),
        ([BEGUN, LIVE], {BEGUN: 90, LIVE: 10}),
        ([BEGUN, BACKLOG], {BEGUN: 90, BACKLOG: 10}),
        ([LIVE, BACKLOG], {LIVE: 90, BACKLOG: 10}),
        ([BEGUN, LIVE, BACKLOG], {BEGUN: 80, LIVE: 10, BACKLOG: 10}),
    ],
)
def test_each_has_its_share(waiting: list[Priority], expected: dict[Priority, int]) -> None:
    """What is begun has most of it, then live events; of a hundred turns ten are those of each other."""
    turns = Turns()
    assert Counter(turns.next(waiting) for _ in range(100)) == expected


def test_the_first_turn_is_the_most_urgent() -> None:
    """However long nobody was there."""
    turns = Turns()
    for _ in range(50):
        turns.next([LIVE])
    assert turns.next([BEGUN, LIVE, BACKLOG]) is BEGUN
    assert turns.next([LIVE, BACKLOG]) is LIVE


@given(st.lists(st.sets(st.sampled_from(Priority), min_size=1), max_size=200))
def test_nobody_starves_and_nobody_pushes_in(rounds: list[set[Priority]]) -> None:
    """Who waits lets at most nine go by; a turn out of order comes after eight turns at least."""
    turns, passed_by = Turns(), dict.fromkeys(Priority, 0)
    for waiting in rounds:
        taken = turns.next(waiting)
        assert taken in waiting
        if taken is not min(waiting):
            assert passed_by[taken] >= 8
        for each in Priority:
            passed_by[each] = passed_by[each] + 1 if each in waiting and each is not taken else 0
        assert passed_by[LIVE] <= 9
        assert passed_by[BACKLOG] <= 9
