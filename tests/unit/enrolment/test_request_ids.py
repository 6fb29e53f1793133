"""Which request an outcome names for Capillary to look at: kept for replays, absent where none settled it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.use_case.answers import DOUBTFUL, LIMIT, REFUSED, STANDING, UNKNOWN
from tests.support.use_case.notifications import TRUSTING
from tests.support.use_case.scripted import Scripted
from tests.support.use_case.values import AT, event, found, promotion, record
from worker.domain.answers import Found, IssueAnswer, Issued, LookupAnswer
from worker.domain.promotions import Promotion
from worker.enrolment.rules import Rules

pytestmark = pytest.mark.asyncio

OPEN = promotion(1, request_id="read-1")
SHOWN = promotion(1, timeline=[STANDING], request_id="read-2")
ISSUED = Issued(7, (), request_id="post-1")


def _nothing(request_id: str) -> Found:
    nothing = found()
    return replace(nothing, customer=replace(nothing.customer, request_id=request_id))


def _ids(scene: Scripted) -> list[object]:
    return [value.get("apiRequestId") for value in scene.values]


@pytest.mark.parametrize(
    ("lookups", "issues", "name", "request_id"),
    [
        ([found(OPEN)], [ISSUED], "ENROLLED", "post-1"),
        ([found(OPEN), found(SHOWN)], [DOUBTFUL], "ENROLLED", "read-2"),
        ([found(OPEN)], [replace(LIMIT, request_id="post-1")], "LIMIT_EXHAUSTED", "post-1"),
        ([found(OPEN)], [replace(REFUSED, request_id="post-1")], "REJECTED", "post-1"),
        ([found(OPEN)], [replace(UNKNOWN, request_id="post-1")], "CUSTOMER_NOT_FOUND", "post-1"),
        ([replace(UNKNOWN, request_id="read-1")], [], "CUSTOMER_NOT_FOUND", "read-1"),
    ],
)
async def test_a_replay_tells_the_identical_outcome(
    lookups: Sequence[LookupAnswer], issues: Sequence[IssueAnswer], name: str, request_id: str
) -> None:
    """What Capillary is asked about does not change because Kafka delivered the event again."""
    scene = Scripted(lookups, {1: issues})
    await scene.handle()
    asked = len([entry for entry in scene.journal if entry[0] in ("lookup", "issue")])
    await scene.handle()
    first, second = scene.values
    assert (first["outcome"], first["apiRequestId"]) == (name, request_id)
    assert second == first
    assert len([entry for entry in scene.journal if entry[0] in ("lookup", "issue")]) == asked


async def test_a_replay_of_what_was_told_beside_an_enrolment() -> None:
    """A promotion that the lookup settled lies in the plan with its reading's id."""
    other = promotion(2, timeline=[STANDING], request_id="read-1b")
    scene = Scripted([found(OPEN, other)], {1: [ISSUED]})
    await scene.handle()
    await scene.handle()
    assert _ids(scene) == ["post-1", "read-1b"] * 2
    assert scene.values[2:] == scene.values[:2]


async def test_nothing_to_enrol_into() -> None:
    """The reading that left nothing is what it rests on, page by page or as a whole."""
    scene = Scripted([_nothing("read-9")])
    await scene.handle()
    assert _ids(scene) == ["read-9"]


async def test_a_dry_run() -> None:
    """What it would enrol into was listed by this answer."""
    scene = Scripted([found(OPEN)], rules=Rules(dry_run=True))
    await scene.handle()
    assert [(value["outcome"], value["apiRequestId"]) for value in scene.values] == [
        ("WOULD_ENROL", "read-1")
    ]


async def test_what_is_known_names_no_request() -> None:
    """A cached outcome rests on an answer to another event; its own event asked nobody."""
    scene = Scripted([found(SHOWN)], rules=TRUSTING)
    await scene.handle()
    await scene.handle(record(event(eventId="evt-2"), at=replace(AT, offset=43)))
    assert [(value.get("cached"), value.get("apiRequestId")) for value in scene.values] == [
        (None, "read-2"),
        (True, None),
    ]


async def test_what_the_ledger_alone_knows_names_no_request() -> None:
    """The lookup of the second event listed the promotion as open: not that answer settled it."""
    scene = Scripted([found(OPEN)], {1: [ISSUED]})
    await scene.handle()
    await scene.handle(record(event(eventId="evt-2"), at=replace(AT, offset=43)))
    told = [(value["outcome"], value.get("apiRequestId")) for value in scene.values]
    assert told == [("ENROLLED", "post-1"), ("ALREADY_ENROLLED", None)]


@pytest.mark.parametrize(("shown", "request_id"), [(SHOWN, "read-2"), (None, "read-9")])
async def test_what_could_not_be_found_out(shown: Promotion | None, request_id: str) -> None:
    """An enrolment in doubt names the reading that showed it, or the one that could tell nothing."""
    reading = _nothing("read-9") if shown is None else found(shown)
    scene = Scripted([found(OPEN), reading], {1: [replace(DOUBTFUL, request_id="post-1")]})
    await scene.handle()
    assert _ids(scene) == [request_id]
    assert scene.values[0]["outcome"] == ("DEAD_LETTERED" if shown is None else "ENROLLED")
