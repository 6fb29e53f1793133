"""What former owners have finished is passed over, as long as it certainly is the log that they read."""

from worker.kafka.positions import Mark
from worker.stream.delivery.inherited import Inherited
from worker.stream.delivery.leaders import Leaders

AT, OTHER = ("activity", 0), ("activity", 1)


def _begun(*runs: range, epoch: int | None = 3) -> tuple[Inherited, Leaders]:
    leaders = Leaders()
    leaders.began(AT, Mark("1" * 32, epoch), 5)
    inherited = Inherited(leaders)
    inherited.begin(AT, runs, epoch)
    return inherited, leaders


def test_what_is_finished_is_passed_once_and_forgotten() -> None:
    """Of its partition only; a record that comes again, as it was not due, is judged as before."""
    inherited, _ = _begun(range(6, 8), range(10, 11))
    assert not inherited.passes(OTHER, 6)
    judged = [(offset, inherited.passes(AT, offset)) for offset in (5, 6, 7, 8, 8, 10, 10, 11)]
    assert [offset for offset, passes in judged if passes] == [6, 7, 10, 10]
    assert list(inherited.behind(AT, Mark(None, 3), 4)) == []


def test_what_has_not_come_yet_is_told_to_the_next_owner() -> None:
    """Behind what was taken: nothing is lost by a crash before the records were read."""
    inherited, _ = _begun(range(6, 8), range(10, 13))
    marked = Mark(None, 3)
    assert list(inherited.behind(AT, marked, 5)) == [range(6, 8), range(10, 13)]
    assert inherited.passes(AT, 6)
    assert [run for run in inherited.behind(AT, marked, 6) if run] == [range(7, 8), range(10, 13)]
    assert inherited.passes(AT, 11)
    assert list(inherited.behind(AT, marked, 11)) == [range(12, 13)]
    assert list(inherited.behind(OTHER, marked, 0)) == []


def test_nothing_is_passed_behind_another_leader() -> None:
    """The one before may have lost these records: others lie at their offsets, and nobody has read them."""
    inherited, leaders = _begun(range(6, 8), range(10, 11))
    assert inherited.passes(AT, 6)
    leaders.read(*AT, epoch=4, end=20)
    assert list(inherited.behind(AT, leaders.mark(AT), 6)) == []
    assert not inherited.passes(AT, 7)
    assert not inherited.passes(AT, 10)


def test_nothing_outlives_its_assignment() -> None:
    """The next one is told anew what holds."""
    inherited, _ = _begun(range(6, 8))
    inherited.forget()
    assert not inherited.passes(AT, 6)
