"""How often a library's line is written."""

import logging

import pytest

from worker.telemetry.repetitions import Repetitions


@pytest.fixture
def now() -> list[float]:
    """Give a clock that the test sets."""
    return [0.0]


def _written(lines: Repetitions, logger: str, text: str, *values: object, level: int = logging.ERROR) -> str:
    record = logging.LogRecord(logger, level, "", 0, text, values, None)
    return record.getMessage() if lines.filter(record) else ""


def test_one_line_of_a_kind_in_ten_seconds(now: list[float]) -> None:
    """Whatever its values; then it tells how many were left out."""
    lines = Repetitions(lambda: now[0])
    assert _written(lines, "aiokafka", "no node %s", 1) == "no node 1"
    for now[0] in (1, 5, 9.9):
        assert _written(lines, "aiokafka", "no node %s", 2) == ""
    now[0] = 10
    assert _written(lines, "aiokafka", "no node %s", 3) == "no node 3 (3 like it meanwhile)"
    now[0] = 30
    assert _written(lines, "aiokafka", "no node %s", 3) == "no node 3"


def test_kinds_do_not_hide_each_other(now: list[float]) -> None:
    """Another text, logger or level is another kind."""
    lines = Repetitions(lambda: now[0])
    assert _written(lines, "aiokafka", "a")
    assert _written(lines, "aiokafka", "b")
    assert _written(lines, "aiokafka.consumer", "a")
    assert _written(lines, "aiokafka", "a", level=logging.WARNING)


def test_kinds_are_forgotten_where_there_are_too_many(now: list[float]) -> None:
    """A text that is another each time must not fill the memory."""
    lines = Repetitions(lambda: now[0])
    for number in range(2_000):
        assert _written(lines, "aiokafka", f"record {number}")
    assert len(lines._quiet) < 1_100


def test_our_own_lines_are_all_written(now: list[float]) -> None:
    """Each is meant."""
    lines = Repetitions(lambda: now[0])
    assert [_written(lines, "worker.stream", "a") for _ in range(3)] == ["a"] * 3
