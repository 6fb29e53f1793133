"""A request is never simply repeated: whatever its answer says of itself, at most one is applied."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.use_case.honest_api import Shop
from tests.support.use_case.values import NOW, PROGRAM
from worker.capillary.reply import Reply
from worker.capillary.verdict import judge_issue
from worker.domain.answers import Doubtful, FaultKind, IssueAnswer, Unsent
from worker.enrolment.checkpoints import Checkpoint

_STATUSES: list[int] = [
    *[100, 101, 200, 201, 202, 204, 206, 300, 301, 302, 303, 304, 307, 308],
    *[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 412, 413, 415, 418, 422, 423, 425, 428, 429],
    *[431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 511, 520, 522, 599, 600, 999],
]
_HEADERS: list[dict[str, str]] = [{}, {"Retry-After": "7"}, {"Location": "/login"}]
_BODIES: list[bytes] = [
    b"",
    b"null",
    b"{}",
    b"[]",
    b"<html>sign in</html>",
    b'{"status": {"code": 200}',
    b'{"error": "invalid_token"}',
    b'{"sideEffects": [], "errors": [], "warnings": []}',
]
"""None of them is in the API's own words, which alone say what was done."""
_BUSY: list[bytes] = [
    b'{"errors": [{"code": 521, "message": "try after some time"}]}',
    b'{"warnings": [{"code": 461, "message": "try after some time"}]}',
    b'{"errors": [{"code": 310144, "message": "connected organisations are not set up"}]}',
]
"""In the API's own words nothing was done, and it may be asked again."""


def _answer(status: int, headers: dict[str, str], body: bytes) -> IssueAnswer:
    reply = Reply(status, headers, body)
    return judge_issue(reply, NOW, lambda text: text, program_id=PROGRAM, promotion_id=1)


_OPEN = st.builds(
    _answer, st.sampled_from(_STATUSES), st.sampled_from(_HEADERS), st.sampled_from(_BODIES)
) | st.builds(
    Doubtful, st.sampled_from([FaultKind.TIMEOUT, FaultKind.DISCONNECTED]), st.just("nothing came back")
)
_NOTHING_DONE = st.builds(
    _answer, st.sampled_from([200, 400]), st.sampled_from(_HEADERS), st.sampled_from(_BUSY)
) | st.builds(Unsent, st.sampled_from([FaultKind.NOT_CONNECTED, FaultKind.WITHHELD]), st.just("not sent"))
_SCRIPTS = st.lists(
    st.tuples(st.booleans(), _OPEN) | st.tuples(st.just(value=False), _NOTHING_DONE), min_size=1, max_size=5
)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", _STATUSES)
@pytest.mark.parametrize("with_timeline", [True, False])
async def test_a_request_that_was_applied_and_answered_otherwise(status: int, with_timeline: bool) -> None:  # noqa: FBT001 - a parameter
    """By a portal, a firewall, a gateway: the event is enrolled once, and told so."""
    for headers in _HEADERS:
        for body in _BODIES:
            shop = Shop(with_timeline=with_timeline)
            shop.api.script.append((True, _answer(status, headers, body)))
            await shop.handle("evt-1")
            assert len(shop.api.applied) == 1, (headers, body)
            assert shop.finals("evt-1") <= {"ENROLLED"}, (headers, body)


@pytest.mark.asyncio
@settings(deadline=None)
@given(
    _SCRIPTS,
    st.none() | st.sampled_from(Checkpoint),
    st.sampled_from([0.0, 4.0]),
    st.booleans(),
)
async def test_whatever_is_answered_at_most_one_enrolment_is_applied(
    script: Sequence[tuple[bool, IssueAnswer]],
    dies: Checkpoint | None,
    shows_after: float,
    with_timeline: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Answers in a row, applied or not, a process that dies, the customer's next event, a redrive."""
    shop = Shop(with_timeline=with_timeline, shows_after=shows_after)
    shop.api.script.extend(script)
    await shop.handle("evt-1", die_at=dies)
    for source in ("evt-2", "evt-1"):
        await shop.handle(source)
        await shop.handle(source, reopens=True)
    assert len(shop.api.applied) <= 1
