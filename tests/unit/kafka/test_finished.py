"""Which offsets are finished, written beside a committed one and read back."""

import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.kafka.commit_note import MOST_CHARACTERS, Note
from worker.kafka.finished import (
    MOST_OFFSETS,
    Doubt,
    Doubtful,
    Finished,
    NothingTold,
    ensure_same_log,
    read,
    write,
)
from worker.kafka.positions import Extent, Mark
from worker.stream.ledger.noted_end import NotedEnd

ONE, OTHER = "1" * 32, "2" * 32


@st.composite
def finished(draw: st.DrawFn) -> Finished:
    """Draw runs behind some offset, near each other or far."""
    base = draw(st.integers(0, 2**62))
    at, runs = base, []
    for gap, length in draw(
        st.lists(st.tuples(st.integers(1, 2**40) | st.integers(1, 3), st.integers(1, 9)))
    ):
        runs.append(range(at + gap, at + gap + length))
        at += gap + length
    return Finished.of(base, runs)


def _scattered(number: int, seed: int = 1) -> Finished:
    """Return every second offset of so many, by chance: no rule that could be compressed."""
    random = Random(seed)  # noqa: S311 - repeatable, and no secret
    return Finished.of(100, [range(at, at + 1) for at in range(101, 101 + number) if random.random() < 0.5])


def _packed(body: bytes) -> str:
    return urlsafe_b64encode(zlib.compress(body)).rstrip(b"=").decode()


@given(finished())
def test_what_was_written_is_read_back(those: Finished) -> None:
    """Beside whatever else stands there; nothing at all is written of nothing."""
    text = write(those, 10**6)
    for whole in (text, f"log={ONE}/3 ledger={OTHER}:7 {text}", f"{text} more"):
        assert read(whole, those.base) == (those if those.runs else NothingTold())
    assert text.isascii()


@given(finished(), st.integers(0, 200))
def test_what_fits_is_what_is_nearest(those: Finished, room: int) -> None:
    """Never more than there is room for, and never anything else."""
    text = write(those, room)
    told = read(text, those.base)
    assert len(text) <= room
    runs = told.runs if isinstance(told, Finished) else ()
    assert runs == those.runs[: len(runs)]


@given(finished(), st.integers(0, 400))
def test_more_room_never_tells_less(those: Finished, room: int) -> None:
    """Down to the first run, and up to all of them."""
    assert bool(write(those, 120)) == bool(those.runs)
    if len(write(those, 10**6)) <= room:
        assert read(write(those, room), those.base) == read(write(those, 10**6), those.base)


def test_what_does_not_fit_is_soon_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for every second, for each partition: packing thousands takes milliseconds each time."""
    packed: list[int] = []
    pack = zlib.compress

    def compress(body: bytes, level: int) -> bytes:
        packed.append(len(body))
        return pack(body, level)

    monkeypatch.setattr(zlib, "compress", compress)
    assert len(write(_scattered(120_000), 4000)) > 3600
    assert len(packed) <= 6
    packed.clear()
    assert write(_scattered(20_000), 4000)
    assert len(packed) == 1


@given(st.text() | st.text().map("done=1:7:{}".format) | st.text().map("done={}".format))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    """Whoever wrote it."""
    assert isinstance(read(text, 7), Finished | NothingTold | Doubtful)


@settings(max_examples=300)
@given(finished(), st.data())
def test_damaged_text_is_found_damaged(those: Finished, data: st.DataObject) -> None:
    """One character changed, or the end lost: never other offsets than those that were written."""
    text = write(those, 2000)
    if not text:
        return
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCabc019_-=: "))
    for damaged in (text[:at], text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :]):
        told = read(damaged, those.base)
        assert isinstance(told, NothingTold | Doubtful) or told == those


@settings(max_examples=300)
@given(st.sampled_from([0, 1]), st.binary(max_size=300))
def test_hostile_text_never_names_what_it_should_not(kind: int, body: bytes) -> None:
    """Well-formed on the outside: runs in order, apart, and none before the offset."""
    told = read(f"done=1:9:{_packed(bytes((kind,)) + body)}", 9)
    if isinstance(told, Finished):
        assert told == Finished.of(9, told.runs)
        assert len(told) <= MOST_OFFSETS


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, NothingTold()),
        ("", NothingTold()),
        (f"log={ONE}/3", NothingTold()),
        ("undone=1:7:x", NothingTold()),
        ("done=2:7:whatever it is", Doubtful(Doubt.VERSION)),
        ("done=", Doubtful(Doubt.VERSION)),
        ("done=1", Doubtful(Doubt.DAMAGED)),
        ("done=1:7", Doubtful(Doubt.DAMAGED)),
        ("done=1:7:", Doubtful(Doubt.DAMAGED)),
        ("done=1:-7:AAAA", Doubtful(Doubt.DAMAGED)),
        ("done=1:\u0667:AAAA", Doubtful(Doubt.DAMAGED)),
        (f"done=1:{'9' * 5000}:AAAA", Doubtful(Doubt.DAMAGED)),
        ("done=1:7:A", Doubtful(Doubt.DAMAGED)),
        (f"done=1:7:{_packed(b'')}", Doubtful(Doubt.DAMAGED)),
        (f"done=1:7:{_packed(bytes((2, 1)))}", Doubtful(Doubt.DAMAGED)),
        # Half a number; a run of none; two that are next to each other; one beyond all offsets.
        (f"done=1:7:{_packed(bytes((1, 1, 0x80)))}", Doubtful(Doubt.DAMAGED)),
        (f"done=1:7:{_packed(bytes((1, 1, 0)))}", Doubtful(Doubt.DAMAGED)),
        (f"done=1:7:{_packed(bytes((1, 1, 1, 0, 1)))}", Doubtful(Doubt.DAMAGED)),
        (f"done=1:7:{_packed(bytes((1, *(0xFF,) * 9, 1, 1)))}", Doubtful(Doubt.DAMAGED)),
        (f"done=1:7:{_packed(bytes((1, *(0xFF,) * 30)))}", Doubtful(Doubt.DAMAGED)),
        (f"done=1:8:{_packed(bytes((1, 1, 1)))}", Doubtful(Doubt.OFFSET)),
        (f"done=1:7:{_packed(bytes((1, 1, 1)))}", Finished(7, (range(8, 9),))),
        (f"done=1:7:{_packed(bytes((0, 0b110)))}", Finished(7, (range(8, 10),))),
    ],
)
def test_what_a_text_tells(text: str | None, told: object) -> None:
    """Of another release, cut, of another offset: known as what it is."""
    assert read(text, 7) == told


@pytest.mark.parametrize(
    "body",
    [
        bytes(10**8),
        bytes((0, *(0xFF,) * 65_000)),
        bytes((1, 1, 0xFF, 0xFF, 0xFF, 0x7F)),
    ],
    ids=["a bomb", "more bits than offsets", "a run that is too long"],
)
def test_no_text_takes_more_memory_than_a_window_does(body: bytes) -> None:
    """It would be read into as many runs, or passed over as one."""
    assert read(f"done=1:7:{_packed(body)}", 7) == Doubtful(Doubt.DAMAGED)


@pytest.mark.parametrize("number", [1, 100, 5_000, 20_000])
def test_a_whole_window_fits(number: int) -> None:
    """However it was finished: every offset of it is told of, beside the longest log and ledger."""
    those = _scattered(number)
    note = Note(f"{Mark(ONE, 2**31 - 1)} {NotedEnd(OTHER, 10**12)}", those)
    text = note.text(MOST_CHARACTERS)
    assert len(text) <= MOST_CHARACTERS
    assert read(text, 100) == (those if those.runs else NothingTold())
    assert Mark.read(text) == Mark(ONE, 2**31 - 1)
    assert NotedEnd.read(text) == NotedEnd(OTHER, 10**12)


def test_what_has_no_room_is_left_out_from_the_end() -> None:
    """Twice a window by chance: a part of it; then nothing of it; then nothing at all."""
    those, about = _scattered(40_000), f"{Mark(ONE, 3)}"
    told = read(Note(about, those).text(MOST_CHARACTERS), 100)
    assert isinstance(told, Finished)
    assert len(those) / 3 < len(told) < len(those)
    assert told.runs == those.runs[: len(told.runs)]
    assert [Note(about, those).text(most) for most in (len(about), len(about) - 1)] == [about, ""]


def test_no_text_can_be_taken_for_the_marks() -> None:
    """What earlier releases read of a commit, they read of this one too."""
    for seed in range(200):
        text = write(_scattered(300, seed), 4096)
        assert "=" not in text.removeprefix("done=")
        assert (Mark.read(text), NotedEnd.read(text)) == (Mark(), None)


@pytest.mark.parametrize(
    ("runs", "kept"),
    [
        ([range(3, 5), range(5, 5), range(5, 7)], (range(5, 7),)),
        ([range(3, 9), range(9, 10), range(11, 12)], (range(5, 10), range(11, 12))),
        ([], ()),
    ],
)
def test_runs_are_kept_apart(runs: Iterable[range], kept: tuple[range, ...]) -> None:
    """So that equal sets are equal values; what lies before the committed offset is finished anyway."""
    those = Finished.of(5, runs)
    assert (those.runs, those.end, len(those)) == (kept, kept[-1].stop if kept else 5, sum(map(len, kept)))


@pytest.mark.parametrize(
    ("mark", "extent", "is_relied_on"),
    [
        (Mark(ONE, 3), Extent(0, 9, ONE, parted_at=9), True),
        (Mark(ONE, 3), Extent(0, 20, ONE, parted_at=8), True),
        # Lost between the committed offset and what was finished behind it, and grown since.
        (Mark(ONE, 3), Extent(0, 20, ONE, parted_at=7), False),
        (Mark(ONE, 3), Extent(0, 7, ONE, parted_at=8), False),
        (Mark(ONE, 3), Extent(0, 20, OTHER, parted_at=20), False),
        # What is not known is not taken for good.
        (Mark(ONE, 3), Extent(0, 20, ONE), False),
        (Mark(ONE, 3), Extent(0, 20, None, parted_at=20), False),
        (Mark(None, 3), Extent(0, 20, None, parted_at=20), False),
        (Mark(None, 3), Extent(0, 20, ONE, parted_at=20), False),
    ],
)
def test_in_which_log_it_is_relied_on(mark: Mark, extent: Extent, *, is_relied_on: bool) -> None:
    """A committed offset may fit a log in which what lies behind it is new."""
    told = Finished(5, (range(7, 8),))
    assert ensure_same_log(told, mark, extent) == (told if is_relied_on else Doubtful(Doubt.LOG))
    assert ensure_same_log(NothingTold(), mark, extent) == NothingTold()
