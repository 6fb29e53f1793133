"""Who was in the group, as a process tells the one that comes after it."""

import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from worker.stream.member_note import MemberNote
from worker.stream.state_folder import Hold, StateFolder

_HOLD = Hold("boot", 8, 15)


def _note(path: Path, hold: Hold | None = _HOLD, group: str = "group") -> MemberNote:
    return MemberNote(StateFolder(path, hold), group)


def _left_behind(path: Path, hold: Hold | None = _HOLD, group: str = "group") -> tuple[str, ...]:
    return _note(path, hold, group).predecessors


def test_the_successor_knows_whom_the_group_may_wait_for(tmp_path: Path) -> None:
    """An id from before the join on; the current one alone once a join was answered; nobody after leaving."""
    note = _note(tmp_path)
    assert _left_behind(tmp_path) == ()
    note.asks_for("a")
    assert _left_behind(tmp_path) == ("a",)
    note.asks_for("b")
    note.asks_for("b")
    assert _left_behind(tmp_path) == ("a", "b")
    note.joined("b")
    assert _left_behind(tmp_path) == ("b",)
    note.left()
    assert _left_behind(tmp_path) == ()
    assert not list(tmp_path.iterdir())


def test_predecessors_stay_noted_until_the_group_has_let_go_of_them(tmp_path: Path) -> None:
    """A process that is killed while it joins leaves them, and itself, to the next one."""
    _note(tmp_path).joined("a")
    second = _note(tmp_path)
    second.asks_for("b")
    third = _note(tmp_path)
    assert list(third.predecessors) == ["a", "b"]
    third.asks_for("c")
    third.signed_off()
    assert not third.predecessors
    assert _left_behind(tmp_path) == ("c",)
    fourth = _note(tmp_path)
    fourth.left()
    assert _left_behind(tmp_path) == ("c",)
    fourth.joined("d")
    assert not fourth.predecessors
    assert _left_behind(tmp_path) == ("d",)


def test_each_group_has_a_note_of_its_own(tmp_path: Path) -> None:
    """A replay with another group in between changes nothing."""
    _note(tmp_path).joined("a")
    _note(tmp_path, group="other").joined("b")
    assert (_left_behind(tmp_path), _left_behind(tmp_path, group="other")) == (("a",), ("b",))


@pytest.mark.parametrize(
    "hold", [Hold("another", 8, 15), Hold("boot", 9, 15), Hold("boot", 8, 16), None], ids=str
)
def test_nobody_who_may_live_is_named(tmp_path: Path, hold: Hold | None) -> None:
    """Noted on another machine, in another volume or a copy, or where a lock proves nothing: one line."""
    _note(tmp_path).joined("a")
    with capture_logs() as lines:
        assert _left_behind(tmp_path, hold) == ()
    assert [(line["log_level"], "may live elsewhere" in line["event"]) for line in lines] == [("info", True)]


def test_without_proof_nothing_is_noted(tmp_path: Path) -> None:
    """It would be of no use."""
    note = _note(tmp_path, None)
    note.asks_for("a")
    note.joined("a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\n",
        b"boot 8 15\n",
        b"boot 8\na\n",
        b"boot 8 x\na\n",
        b"boot 8 15\na\n\n",
        b"boot 8 15\na\x00\n",
        b"boot 8 15\n\xff\n",
        b"boot 8 15\n" + b"a" * 40_000,
    ],
)
def test_a_damaged_note_is_told_and_passed_over(tmp_path: Path, damage: bytes) -> None:
    """In one line; the next join writes a new one."""
    (tmp_path / "group+members").write_bytes(damage)
    with capture_logs() as lines:
        note = _note(tmp_path)
    assert note.predecessors == ()
    assert [(line["log_level"], "cannot be read" in line["event"]) for line in lines] == [("warning", True)]
    note.joined("a")
    assert _left_behind(tmp_path) == ("a",)


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was noted before stays whole, whatever of the new one was written."""
    note = _note(tmp_path)
    note.joined("a")
    write = Path.write_text

    def full(path: Path, text: str) -> int:
        write(path, text[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with capture_logs() as lines:
        note.asks_for("b")
    assert [line["log_level"] for line in lines] == ["warning"]
    monkeypatch.undo()
    assert _left_behind(tmp_path) == ("a",)
    note.joined("b")
    assert _left_behind(tmp_path) == ("b",)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    """At the start, and at each join; neither is kept from going on."""
    (tmp_path / "group+members" / "within").mkdir(parents=True)
    with capture_logs() as lines:
        _note(tmp_path).joined("a")
    assert [line["log_level"] for line in lines] == ["warning", "warning"]


def test_a_write_that_was_kept_waiting_writes_what_holds_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hung must not bring an old id back."""
    note = _note(tmp_path)
    hangs, write = threading.Event(), Path.write_text

    def slow(path: Path, text: str) -> int:
        if "a\n" in text:
            hangs.wait(10)
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", slow)
    threads = [
        threading.Thread(target=change, args=[member])
        for change, member in ((note.asks_for, "a"), (note.joined, "b"))
    ]
    for thread in threads:
        thread.start()
    hangs.set()
    for thread in threads:
        thread.join(10)
    assert _left_behind(tmp_path) == ("b",)


def test_a_process_that_never_gets_in_does_not_fill_the_disk(tmp_path: Path) -> None:
    """The group has long let go of the oldest."""
    for number in range(100):
        _note(tmp_path).asks_for(f"{number}")
    assert len(_left_behind(tmp_path)) == 32
    assert _left_behind(tmp_path)[-1] == "99"
