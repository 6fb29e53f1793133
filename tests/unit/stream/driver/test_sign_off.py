"""What is noted and sent as the group's coordinator answers our joins."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    MemberIdRequired,
    NoError,
    NotCoordinatorForGroupError,
    UnknownMemberIdError,
)
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest
from structlog.testing import capture_logs

from worker.stream.driver import sign_off
from worker.stream.member_note import MemberNote
from worker.stream.state_folder import Hold, StateFolder

_JOIN = JoinGroupRequest("group", 1, 1, "", "", "consumer", [])
_FIRST = SimpleNamespace(error_code=MemberIdRequired.errno, member_id="new")
_JOINED = SimpleNamespace(error_code=NoError.errno, member_id="new")


class _Coordinator:
    """Answers by a script: what each request in turn is answered with, or raises."""

    def __init__(self, *answers: Any) -> None:  # noqa: ANN401 - what aiokafka gives
        self._answers = list(answers)
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.noted: Callable[[], tuple[str, ...]] = tuple
        self._send_req: Callable[[Any], Awaitable[Any]] = self._answer

    async def _answer(self, request: Any) -> Any:  # noqa: ANN401 - as above
        member = getattr(request, "_member_id", "")
        self.asked.append((f"{type(request).__name__} {member}".strip(), self.noted()))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return await answer()
        return answer


def _note(path: Path) -> MemberNote:
    return MemberNote(StateFolder(path, Hold("boot", 1, 2)), "group")


def _play(path: Path, coordinator: _Coordinator, *requests: Any) -> list[Any]:  # noqa: ANN401 - as above
    """Send the requests, listened to by the note of a new process; return the log lines."""

    async def play() -> None:
        sign_off.listen(coordinator, _note(path))
        for request in requests:
            await coordinator._send_req(request)

    coordinator.noted = lambda: _note(path).predecessors
    with capture_logs() as lines:
        asyncio.run(play())
    return lines


@pytest.mark.parametrize("answer", [NoError, UnknownMemberIdError])
def test_predecessors_leave_between_the_two_requests_of_the_first_join(
    tmp_path: Path, answer: type[NoError]
) -> None:
    """With our id noted by then; one that the group does not know any more is no fault."""
    for old in ("a", "b"):
        _note(tmp_path).asks_for(old)
    gone = SimpleNamespace(error_code=answer.errno)
    coordinator = _Coordinator(_FIRST, gone, gone, _JOINED)
    lines = _play(tmp_path, coordinator, _JOIN, _JOIN)
    assert coordinator.asked == [
        ("JoinGroupRequest", ("a", "b")),
        ("LeaveGroupRequest a", ("a", "b", "new")),
        ("LeaveGroupRequest b", ("a", "b", "new")),
        ("JoinGroupRequest", ("new",)),
    ]
    assert _note(tmp_path).predecessors == ("new",)
    assert [line["log_level"] for line in lines] == ["info"]


def test_nobody_is_signed_off_without_a_note(tmp_path: Path) -> None:
    """Nor our own earlier ids, when we join anew."""
    coordinator = _Coordinator(_FIRST, _JOINED, _FIRST, _JOINED)
    assert _play(tmp_path, coordinator, *[_JOIN] * 4) == []
    assert {request for request, _ in coordinator.asked} == {"JoinGroupRequest"}


@pytest.mark.parametrize(
    "fault",
    [
        KafkaConnectionError(),
        SimpleNamespace(error_code=GroupAuthorizationFailedError.errno),
        SimpleNamespace(error_code=NotCoordinatorForGroupError.errno),
        lambda: asyncio.sleep(60),
    ],
)
def test_a_sign_off_that_fails_is_told_and_tried_with_the_next_join(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: object
) -> None:
    """The join goes on as ever, within bounded time, and the ids stay noted until a join is answered."""
    monkeypatch.setattr(sign_off, "_SIGN_OFF_SECONDS", 0.1)
    _note(tmp_path).joined("a")
    gone = SimpleNamespace(error_code=NoError.errno)
    moved = SimpleNamespace(error_code=NotCoordinatorForGroupError.errno)
    coordinator = _Coordinator(_FIRST, fault, moved, _FIRST, gone, _JOINED)
    lines = _play(tmp_path, coordinator, *[_JOIN] * 4)
    assert coordinator.asked[2] == ("JoinGroupRequest", ("a", "new"))
    assert coordinator.asked[4] == ("LeaveGroupRequest a", ("a", "new"))
    assert [line["log_level"] for line in lines] == ["warning", "info"]
    assert _note(tmp_path).predecessors == ("new",)


def test_a_broker_that_gives_no_id_first_is_joined_as_ever(tmp_path: Path) -> None:
    """Its answer says that the predecessor is gone."""
    _note(tmp_path).joined("a")
    coordinator = _Coordinator(_JOINED)
    assert _play(tmp_path, coordinator, _JOIN) == []
    assert _note(tmp_path).predecessors == ("new",)


@pytest.mark.parametrize(
    ("answer", "left"),
    [(NoError, True), (UnknownMemberIdError, True), (GroupAuthorizationFailedError, False)],
)
def test_whoever_leaves_needs_no_sign_off(tmp_path: Path, answer: type[NoError], *, left: bool) -> None:
    """Unless the group did not hear of it."""
    coordinator = _Coordinator(_FIRST, _JOINED, SimpleNamespace(error_code=answer.errno))
    _play(tmp_path, coordinator, _JOIN, _JOIN, LeaveGroupRequest("group", "new"))
    assert _note(tmp_path).predecessors == (() if left else ("new",))


def test_other_answers_change_nothing(tmp_path: Path) -> None:
    """Nor does an answer without a code."""
    coordinator = _Coordinator(_FIRST, _JOINED, SimpleNamespace(error_code=0), SimpleNamespace())
    _play(tmp_path, coordinator, _JOIN, _JOIN, *[HeartbeatRequest("group", 1, "new")] * 2)
    assert _note(tmp_path).predecessors == ("new",)


def test_a_disk_that_hangs_does_not_keep_us_from_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line tells of it."""
    monkeypatch.setattr(sign_off, "_DISK_SECONDS", 0.1)
    write = Path.write_text

    def hang(path: Path, text: str) -> int:
        asyncio.run(asyncio.sleep(0.5))
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", hang)
    coordinator = _Coordinator(_FIRST, _JOINED)
    lines = _play(tmp_path, coordinator, _JOIN, _JOIN)
    assert [line["event"][:42] for line in lines] == ["ENROLMENT_STATE_DIR does not answer; joini"] * 2
