"""Who gets a slot next."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.stream.delivery.slots import Slots


def given_out(slots: Slots) -> list[str]:
    """Return the keys that get slots now."""
    return [given[0].decode() for given in iter(slots.next, None)]


def test_a_backlog_leaves_half_of_the_slots_to_live_work() -> None:
    """However much of it waits, live work finds slots when it comes."""
    slots = Slots(5)
    for key in (b"old 1", b"old 2", b"old 3"):
        slots.wait(key, is_backlog=True)
    assert given_out(slots) == ["old 1", "old 2"]
    assert slots.waits_for_one(b"old 3")
    for key in (b"new 1", b"new 2", b"new 3", b"new 4"):
        slots.wait(key, is_backlog=False)
    assert given_out(slots) == ["new 1", "new 2", "new 3"]
    assert slots.waits_for_one(b"new 4")
    assert not slots.waits_for_one(b"new 3")


def test_live_work_goes_first_and_a_tenth_stays_the_backlogs() -> None:
    """As long as the backlog waits; its slot is given when one is free, whoever had it."""
    slots = Slots(20)
    for number in range(30):
        slots.wait(b"new %d" % number, is_backlog=False)
    assert len(given_out(slots)) == 20
    for number in range(5):
        slots.wait(b"old %d" % number, is_backlog=True)
    got = list[str]()
    for _ in range(6):
        slots.give_back(is_backlog=False)
        got += given_out(slots)
    assert got == ["old 0", "old 1", "new 20", "new 21", "new 22", "new 23"]
    slots.give_back(is_backlog=True)
    assert given_out(slots) == ["old 2"]


def test_a_single_slot_is_given_in_order() -> None:
    """There is nothing to share."""
    slots = Slots(1)
    slots.wait(b"old 1", is_backlog=True)
    slots.wait(b"new 1", is_backlog=False)
    slots.wait(b"old 2", is_backlog=True)
    order = given_out(slots)
    for _ in range(2):
        slots.give_back(is_backlog=False)
        order += given_out(slots)
    assert order == ["old 1", "new 1", "old 2"]


def test_what_becomes_live_changes_lines_and_keeps_its_place_there() -> None:
    """It waits once, behind those that were live before it."""
    slots = Slots(2)
    for key in (b"a", b"b"):
        slots.wait(key, is_backlog=False)
    assert given_out(slots) == ["a", "b"]
    for key, is_backlog in ((b"x", True), (b"y", True), (b"new", False), (b"y", False), (b"y", True)):
        slots.wait(key, is_backlog=is_backlog)
    order = list[str]()
    for _ in range(4):
        slots.give_back(is_backlog=False)
        order += given_out(slots)
    assert order == ["x", "new", "y"]


def test_who_waited_before_a_drain_waits_no_more() -> None:
    """Who has a slot keeps it until it is given back."""
    slots = Slots(2)
    for key in (b"a", b"b", b"c"):
        slots.wait(key, is_backlog=False)
    given_out(slots)
    slots.clear()
    slots.give_back(is_backlog=False)
    assert given_out(slots) == []
    assert not slots.waits_for_one(b"c")
    slots.wait(b"d", is_backlog=False)
    slots.wait(b"e", is_backlog=False)
    assert given_out(slots) == ["d"]


@pytest.mark.parametrize("number", [1, 2, 3, 10, 11, 64])
@given(steps=st.lists(st.sampled_from(["live", "backlog", "ends", "backlog ends"]), max_size=300))
def test_shares_hold_whatever_comes(number: int, steps: list[str]) -> None:
    """No slot is free that somebody may have; live work has half; the backlog has its tenth first."""
    slots, held, waiting, count = Slots(number), {True: 0, False: 0}, {True: 0, False: 0}, 0
    for step in steps:
        is_backlog = step.startswith("backlog") and number > 1
        if step.endswith("ends"):
            if not held[is_backlog]:
                continue
            held[is_backlog] -= 1
            slots.give_back(is_backlog=is_backlog)
        else:
            count += 1
            waiting[is_backlog] += 1
            slots.wait(b"%d" % count, is_backlog=is_backlog)
        while (got := slots.next()) is not None:
            if waiting[True] and held[True] < math.ceil(number / 10):
                assert got[1], "the backlog has less than a tenth"
            elif waiting[False]:
                assert not got[1], "live work goes first"
            held[got[1]] += 1
            waiting[got[1]] -= 1
        assert held[True] <= number // 2
        free = number - held[True] - held[False]
        assert free >= 0
        assert not free or (not waiting[False] and (not waiting[True] or held[True] == number // 2))
