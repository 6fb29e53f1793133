"""The measurement of what is felt: it must count late events and moved partitions, and miss no limit."""

import json
from dataclasses import replace

from tests.bench.felt.cases import ALL, OTHERS, OWN, Felt, Row
from tests.bench.felt.owners import Assigned, assignments, moves, owners
from tests.bench.felt.report import is_as_wanted
from tests.bench.felt.traffic import Waited, waits
from tests.support.e2e.feeds import OutcomeRecord
from topics.record import Position, Record

FELT = Felt(events=2, worst=1.5, p99=1.4, late=1)
ROW = Row(
    title="kill",
    felt={OWN: FELT, OTHERS: FELT},
    wanted={OWN: 8.0, OTHERS: 2.0},
    moved=0,
    needed=0,
    load=0.1,
)


def _line(second: int, *partitions: int) -> str:
    said = {
        "message": "partitions assigned",
        "partitions": partitions,
        "time": f"2026-01-31T10:00:0{second}Z",
    }
    return json.dumps(said)


def _record(at_ms: int, value: object, partition: int = 0) -> Record:
    return Record(
        position=Position("topic", partition, 0),
        timestamp_ms=at_ms,
        key=None,
        value=json.dumps(value).encode(),
        headers=(),
    )


def _outcome(at_ms: int, event_id: str) -> OutcomeRecord:
    return OutcomeRecord(_record(at_ms, {"activity": {"eventId": event_id}}))


def test_owners_are_told_by_the_logs() -> None:
    """Whoever took a partition up last has it; other lines of a log count for nothing."""
    logs = [f"{_line(1, 0, 1, 2, 3)}\nstarting\n{_line(4, 0, 1)}", _line(3, 2, 3)]
    told = assignments(logs)
    assert [(each.worker, each.partitions) for each in told] == [(0, (0, 1, 2, 3)), (1, (2, 3)), (0, (0, 1))]
    assert owners(told) == {0: 0, 1: 0, 2: 1, 3: 1}


def test_each_change_of_owner_is_a_move() -> None:
    """There and back are two; the same owner again is none."""
    there, back = Assigned("1", 0, (0, 1)), Assigned("2", 1, (1,))
    assert moves({0: 0, 1: 1}, [there]) == 1
    assert moves({0: 0, 1: 1}, [there, back]) == 2
    assert moves({0: 0, 1: 1}, [Assigned("1", 0, (0,)), Assigned("1", 1, (1,))]) == 0


def test_an_event_has_waited_for_its_first_outcome() -> None:
    """What is told again later changes nothing; without an outcome it waits."""
    activity = [_record(1_000, {"eventId": "a"}, 3), _record(2_000, {"eventId": "b"})]
    outcomes = [_outcome(9_000, "a"), _outcome(1_500, "a")]
    assert waits(activity, outcomes) == [Waited(3, 1_000, 0.5), Waited(0, 2_000, None)]


def test_a_limit_is_each_ones_own() -> None:
    """The measurement fails for whoever waited longer than is wanted, and for nobody else."""
    slow = replace(FELT, worst=2.1)
    assert is_as_wanted(ROW)
    assert is_as_wanted(replace(ROW, felt={OWN: slow, OTHERS: FELT}))
    assert not is_as_wanted(replace(ROW, felt={OWN: FELT, OTHERS: slow}))
    assert not is_as_wanted(replace(ROW, felt={OWN: replace(FELT, worst=8.1), OTHERS: FELT}))
    assert is_as_wanted(replace(ROW, felt={ALL: slow}, wanted={}))
