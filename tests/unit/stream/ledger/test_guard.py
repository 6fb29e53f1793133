"""When a running worker takes its ledger for lost: certainly, once, and with a line that tells the remedy."""

import asyncio
from collections.abc import Mapping

import pytest

from worker.kafka.topic_identity import Identity
from worker.stream.ledger.guard import LedgerGuard, LedgerWatch
from worker.stream.ledger.noted_end import NotedEnd

OURS, THEIRS = Identity("cluster", "ours"), Identity("cluster", "theirs")


class _Topic:
    """A topic as Kafka tells of it, and a watch that looks at it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.identity: Identity | None = OURS
        self.held: Mapping[int, int] = {}
        self.ends: Mapping[int, int] = {}
        guard = LedgerGuard("changelog", OURS, self.lines.append)
        self.watch = LedgerWatch(guard, lambda: True, self._identify, lambda: self.held, self._ends)

    def look(self, times: int = 1) -> int:
        """Look so many times in a row; return how many lines were written in all."""
        for _ in range(times):
            asyncio.run(self.watch.look())
        return len(self.lines)

    async def _identify(self) -> Identity | None:
        return self.identity

    async def _ends(self) -> Mapping[int, int]:
        return self.ends


@pytest.fixture
def topic() -> _Topic:
    """Give a topic that is all right."""
    return _Topic()


def test_the_topic_as_it_was(topic: _Topic) -> None:
    """With its end right behind what is held, or further, or not known of a partition."""
    topic.held, topic.ends = {0: 4, 1: 9, 2: 7}, {0: 5, 1: 100, 3: 0}
    assert topic.look(5) == 0


def test_another_topic_of_that_name(topic: _Topic) -> None:
    """Seen once is certain; said once."""
    topic.identity = THEIRS
    assert topic.look() == 1
    assert topic.look(5) == 1
    assert topic.lines[0].startswith("the ledger's topic changelog was made anew under this worker: ")
    assert "`enrolment-worker run --new-ledger`" in topic.lines[0]


def test_a_topic_that_is_missing(topic: _Topic) -> None:
    """A broker may not know of it yet; three that do not in a row are right."""
    for _ in range(3):
        topic.identity = None
        assert topic.look(2) == 0
        topic.identity = OURS
        assert topic.look() == 0
    topic.identity = None
    assert topic.look(3) == 1
    assert "was deleted" in topic.lines[0]


def test_an_end_that_went_back(topic: _Topic) -> None:
    """A leader that is none any more may tell an old end; it does not do so for long."""
    topic.held, topic.ends = {0: 4}, {0: 4}
    assert topic.look(2) == 0
    topic.ends = {0: 5}
    assert topic.look() == 0
    topic.ends = {0: 2}
    assert topic.look(3) == 1
    assert "partition 0: offset 4 was written, and now it goes on at 2" in topic.lines[0]


def test_a_cluster_that_tells_no_ids(topic: _Topic) -> None:
    """What is not known decides nothing."""
    for identity in (Identity(), Identity("cluster"), Identity(None, "ours")):
        topic.identity = identity
        assert topic.look(3) == 0
    topic.identity = Identity("another")
    assert topic.look() == 1


@pytest.mark.parametrize("identity", [OURS, Identity(), Identity("cluster"), Identity(None, "topic")])
def test_an_identity_is_read_back(identity: Identity) -> None:
    """As the local copy keeps it."""
    assert Identity.read(str(identity)) == identity


@pytest.mark.parametrize("text", ["", "one", "one two three"])
def test_what_is_no_identity(text: str) -> None:
    """As where the file was cut."""
    with pytest.raises(ValueError, match="unpack"):
        Identity.read(text)


def test_what_is_noted_beside_a_commit_is_read_back_of_the_same_topic_only() -> None:
    """It shares the text with other notes; a topic that was made anew owes nothing to the one before."""
    ours, theirs = "1" * 32, "2" * 32
    guard = LedgerGuard("changelog", Identity("cluster", ours), lambda _: None)
    text = f"log={theirs}/3 {guard.noted(41)}"
    assert text == f"log={theirs}/3 ledger={ours}:41"
    assert guard.rests_on(NotedEnd.read(text)) == 41
    assert LedgerGuard("changelog", Identity("cluster", theirs), print).rests_on(NotedEnd.read(text)) is None


@pytest.mark.parametrize(
    "text", [None, "", "log=/3", f"ledger={'1' * 31}:4", "ledger=:4", f"ledger={'1' * 32}:"]
)
def test_a_commit_without_the_note_tells_nothing(text: str | None) -> None:
    """Earlier releases wrote none."""
    assert LedgerGuard("changelog", Identity(None, "1" * 32), print).rests_on(NotedEnd.read(text)) is None


def test_nothing_is_noted_of_what_is_not_known() -> None:
    """A cluster that tells no ids, and a partition that nothing was written to."""
    assert LedgerGuard("changelog", Identity(), print).noted(41) is None
    assert LedgerGuard("changelog", OURS, print).noted(None) is None


def test_a_lost_end_is_told_with_the_remedy(topic: _Topic) -> None:
    """What is left of it would lead to requests whose results are gone."""
    guard = LedgerGuard("changelog", OURS, topic.lines.append)
    guard.lost_its_end(2, 41, 30)
    (line,) = topic.lines
    assert "has lost its end (partition 2: offset 41 was acknowledged, it ends at 30)" in line
    assert "delete it before" in line
    assert guard.is_lost
