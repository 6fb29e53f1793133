"""Where the group goes on behind a replay."""

from worker.stream.replay_window import Window


def test_an_offset_that_the_replay_did_not_reach_keeps_its_text() -> None:
    """What is finished behind it stays finished; one that moves has another text, or none."""
    before = {0: (9, "done=1:9:x"), 1: (5, "done=1:5:x"), 2: (5, "")}
    window = Window("activity", {0: 1, 1: 1, 2: 5, 3: 0}, {0: 7, 1: 6, 2: 5, 3: 0}, before)
    assert window.after == {0: (9, "done=1:9:x"), 1: (6, ""), 2: (5, ""), 3: (0, "")}
