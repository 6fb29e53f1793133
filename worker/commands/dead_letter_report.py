"""How dead letters are shown: nothing of a key, a value or a foreign header but its size and its ids."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from topics.record import Position
from topics.times import written
from worker.operations.redrive_plan import ForeignLetter, Letter, Obstacle, Plan

_HEADINGS: Final = (
    "DEAD-LETTERED", "REASON", "EVENT", "EVENT ID", "CUSTOMER", "TRIES", "ORIGINAL", "DEAD LETTER", "MESSAGE"
)  # fmt: skip
_REMEDIES: Final = {
    Obstacle.OMITTED: "",
    Obstacle.TOO_LARGE: "; give it a larger max.message.bytes",
    Obstacle.FORGOTTEN: "; --past-retention redrives them all the same",
}
_WIDEST: Final = 40
_NAMED: Final = 5


def table(letters: Sequence[Letter]) -> Iterator[str]:
    """Yield aligned lines below their headings; ids are shortened if they are very long."""
    rows = [_HEADINGS, *([_shortened(cell) for cell in _cells(letter)] for letter in letters)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    for row in rows:
        yield "  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip()


def plain(letters: Iterable[Letter]) -> Iterator[str]:
    """Yield a line for each letter, fields separated by tabs, `-` for none."""
    return ("\t".join(_cells(letter)) for letter in letters)


def as_object(letter: Letter) -> dict[str, Any]:
    """Return a letter for programs, to be written as JSON; what is not there is null."""
    failure = letter.failure
    return {
        "position": _position(letter.position),
        "reason": failure.reason.value,
        "message": failure.message,
        "eventId": letter.event_id,
        "eventName": letter.event_name or None,
        "customerId": letter.customer_id,
        "attempts": failure.attempts,
        "firstFailedAt": written(failure.first_failed_at),
        "lastFailedAt": written(failure.last_failed_at),
        "activity": {**_position(failure.position), "timestamp": failure.timestamp_ms},
        "keyBytes": letter.key_bytes,
        "valueBytes": letter.value_bytes,
        "valueOmitted": letter.value_omitted,
        "headersOmitted": letter.headers_omitted,
        "keyOmitted": letter.key_omitted,
    }


def summary(letters: Sequence[Letter], not_ours: Counter[ForeignLetter]) -> str:
    """Return how many there are, by reason, and how many other records lie there."""
    reasons = Counter(letter.failure.reason.value for letter in letters)
    others = "".join(f"; {count} {why}" for why, count in sorted(not_ours.items()))
    return f"{_counted(len(letters))}{_listed(reasons)}{others}"


def plan_lines(plan: Plan, activity_topic: str, chosen: int) -> Iterator[str]:
    """Yield what a redrive is going to do."""
    reasons = Counter(letter.failure.reason.value for letter in plan.to_send)
    yield f"to redrive: {len(plan.to_send)} of {_counted(chosen)}{_listed(reasons)}"
    partitions = Counter(letter.failure.position.partition for letter in plan.to_send)
    if partitions:
        each = ", ".join(f"{number}: {count}" for number, count in sorted(partitions.items()))
        yield f"  to {activity_topic}, partition {each}"
    if plan.redriven_before:
        yield f"redriven before: {plan.redriven_before}"
    for why, letters in plan.left.items():
        named = ", ".join(str(letter.position) for letter in letters[:_NAMED])
        more = ", ..." if len(letters) > _NAMED else ""
        yield f"left: {len(letters)} {why}{_REMEDIES[why]} ({named}{more})"


def _counted(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"


def _listed(counts: Counter[str]) -> str:
    return f" ({', '.join(f'{name}: {count}' for name, count in sorted(counts.items()))})" if counts else ""


def _cells(letter: Letter) -> list[str]:
    failure = letter.failure
    cells = (
        written(failure.last_failed_at),
        failure.reason.value,
        letter.event_name,
        letter.event_id,
        "" if letter.customer_id is None else str(letter.customer_id),
        str(failure.attempts),
        str(failure.position),
        f"{letter.position.partition}-{letter.position.offset}",
        failure.message + _omitted(letter),
    )
    return [_printable(cell) or "-" for cell in cells]


def _omitted(letter: Letter) -> str:
    parts = {
        "value": letter.value_omitted,
        "headers": letter.headers_omitted,
        "key": letter.key_omitted,
    }
    named = ", ".join(part for part, is_omitted in parts.items() if is_omitted)
    return f" ({named} omitted)" if named else ""


def _position(position: Position) -> dict[str, Any]:
    return {"topic": position.topic, "partition": position.partition, "offset": position.offset}


def _printable(text: str) -> str:
    """Return text that can do nothing to a terminal: upstream chooses ids and names."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )


def _shortened(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"
