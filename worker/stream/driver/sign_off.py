"""The predecessor's end in the group, at the moment at which it costs nobody a rebalance of its own.

A group gives a newcomer its id first, and then waits for it to join under that id. In between the
predecessor leaves: the others join once, and the group is never empty, which would delay the first join by
`group.initial.rebalance.delay.ms`. A broker that gives no id first (before Kafka 2.3) waits as ever.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import structlog
from aiokafka.errors import KafkaError, MemberIdRequired, NoError, UnknownMemberIdError, for_code
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest

from worker.stream.member_note import MemberNote

_SIGN_OFF_SECONDS: Final = 5.0
"""Shorter than any session time-out, within which the group waits for us to join."""
_DISK_SECONDS: Final = 1.0
_GONE: Final = (NoError, UnknownMemberIdError)

Send = Callable[[Any], Awaitable[Any]]

log = structlog.get_logger(__name__)


class Coordinator(Protocol):
    """What is used of aiokafka's."""

    _send_req: Send


def listen(coordinator: Coordinator, note: MemberNote) -> None:
    """Have our ids noted as the coordinator tells them, and our predecessors signed off as we first join."""
    send = coordinator._send_req  # noqa: SLF001 - aiokafka offers no listener for this

    async def send_and_heed(request: Any) -> Any:  # noqa: ANN401 - aiokafka has no types
        answer = await send(request)
        match request, for_code(getattr(answer, "error_code", 0)):
            case JoinGroupRequest(), error if error is MemberIdRequired:
                await _noted(lambda: note.asks_for(answer.member_id))
                await _sign_off(note, send)
            case JoinGroupRequest(), error if error is NoError:
                await _noted(lambda: note.joined(answer.member_id))
            case LeaveGroupRequest(), error if error in _GONE:
                await _noted(note.left)
        return answer

    coordinator._send_req = send_and_heed  # noqa: SLF001 - see above


async def _sign_off(note: MemberNote, send: Send) -> None:
    """Have the group let go of those whose ids the note has; if it does not, we wait for them as ever."""
    if not note.predecessors:
        return
    try:
        async with asyncio.timeout(_SIGN_OFF_SECONDS):
            for member in note.predecessors:
                error = for_code((await send(LeaveGroupRequest(note.group, member))).error_code)
                if error not in _GONE:
                    raise error
    except (KafkaError, TimeoutError) as error:
        log.warning(
            "the process that was here before could not be signed off: the group waits for it until its "
            "session time-out is over",
            error=type(error).__name__,
        )
        return
    await _noted(note.signed_off)
    log.info("signed off the process that was here before: the group does not wait for it", group=note.group)


async def _noted(change: Callable[[], None]) -> None:
    """Write to the note beside the event loop: a disk that hangs must not keep us from the group."""
    try:
        async with asyncio.timeout(_DISK_SECONDS):
            await asyncio.to_thread(change)
    except TimeoutError:
        log.warning("ENROLMENT_STATE_DIR does not answer; joining the group without it")
