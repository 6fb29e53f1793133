"""Which repeats of outcomes were asked for."""

from typing import Any

import pytest

from tests.crash.repeats import Asked, Repeats, Replayed, count_repeats


def _told(*names: str) -> list[dict[str, Any]]:
    """Return outcomes by event and name; an event's letter tells its offset."""
    parts = [name.split("/") for name in names]
    return [
        {
            "outcomeId": "/".join(part),
            "outcome": part[1],
            "activity": {"eventId": part[0], "partition": 0, "offset": ord(part[0]) - ord("a")},
        }
        for part in parts
    ]


@pytest.mark.parametrize(
    ("told", "asked", "repeats"),
    [
        ([], Asked(), (0, 0, 0)),
        (["a/ENROLLED", "b/ENROLLED"], Asked(), (2, 0, 0)),
        (["a/ENROLLED", "a/ENROLLED", "a/ENROLLED"], Asked(), (1, 0, 2)),
        # By a replay, and once more behind it.
        (["a/ENROLLED", "a/ENROLLED", "a/ENROLLED"], Asked(replays=[Replayed(range(1, 2))]), (1, 1, 1)),
        # A replay may tell first; who tells again then was not asked.
        (["a/ENROLLED", "a/ENROLLED"], Asked(replays=[Replayed(range(1))]), (1, 0, 1)),
        # Sent back once, and told thrice.
        (["a/REJECTED"] * 3, Asked(redriven={"a": 1}), (1, 1, 1)),
        (["a/DEAD_LETTERED"] * 3, Asked(redriven={"a": 2}), (1, 2, 0)),
        (["a/DEAD_LETTERED"] * 2, Asked(redriven={"b": 1}), (1, 0, 1)),
        # What is settled is not reopened by that.
        (["a/ENROLLED"] * 2, Asked(redriven={"a": 1}), (1, 0, 1)),
        # Deferred by a replay, tried again by the group; only once for each replay.
        (
            ["a/REJECTED", "a/DEFERRED", "a/REJECTED", "a/REJECTED"],
            Asked(replays=[Replayed(range(1, 2))]),
            (2, 1, 1),
        ),
        # Killed in between, a replay has set the group back before the second event: once more.
        (["a/ENROLLED", "b/ENROLLED"] * 2, Asked(replays=[Replayed(range(2, 2), {0: 1})]), (2, 1, 1)),
        (["b/ENROLLED"] * 3, Asked(replays=[Replayed(range(1, 1), {0: 1})]), (1, 1, 1)),
        (["b/ENROLLED"] * 2, Asked(replays=[Replayed(range(1, 1), {1: 0})]), (1, 0, 1)),
        (["b/ENROLLED"] * 2, Asked(replays=[Replayed(range(2, 2), {0: 1})]), (1, 0, 1)),
        (["b/ENROLLED"] * 2, Asked(replays=[Replayed(range(0), {0: 1})]), (1, 0, 1)),
    ],
)
def test_what_nobody_asked_for_is_counted(
    told: list[str], asked: Asked, repeats: tuple[int, int, int]
) -> None:
    """An outcome is told once; each further record was asked for or not."""
    once, asked_for, unasked = repeats
    counted = count_repeats(_told(*told), asked)
    assert counted == Repeats(once=once, asked_for=asked_for, unasked=unasked)
    assert counted.share == (unasked / once if once else 0)
