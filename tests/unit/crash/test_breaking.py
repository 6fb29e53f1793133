"""How brokers are broken and mended, in which order."""

import signal
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.crash.breaking import Breaking
from tests.crash.broker_faults import Away, BrokerFault, End, NobodyFollows, Rolling
from tests.crash.chronicle import Chronicle
from tests.support.kafka.cluster import Cluster
from worker.demo.broker import Broker


class _Server:
    """Writes down what is done to it."""

    def __init__(self, number: int, done: list[str]) -> None:
        self._number, self._done = number, done

    @property
    def bootstrap_servers(self) -> str:
        return f"host:{self._number}"

    def start(self, timeout: float) -> None:
        assert timeout > 0
        self._done.append(f"start {self._number}")

    def stop(self) -> None:
        self._done.append(f"stop {self._number}")

    def kill(self) -> None:
        self._done.append(f"kill {self._number}")

    def send(self, signal_number: signal.Signals) -> None:
        self._done.append(f"{signal_number.name} {self._number}")

    def log_tail(self, lines: int = 40) -> str:
        return f"{lines} lines"


class _Loop:
    """Answers what lacks replicas, without asking anybody."""

    def __init__(self, done: list[str], *answers: list[str]) -> None:
        self._done, self._answers = done, list(answers)

    def run(self, steps: Coroutine[Any, Any, list[str]]) -> list[str]:
        steps.close()
        self._done.append("whole?")
        return self._answers.pop(0) if self._answers else []


def _cluster(done: list[str]) -> Cluster:
    return Cluster(
        [
            Broker(
                kind="fake", bootstrap_servers=f"host:{number}", started_in=0, server=_Server(number, done)
            )
            for number in range(3)
        ]
    )


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Away(End.KILLED, (2,), 0), ["kill 2", "then", "stop 2", "start 2"]),
        (Away(End.STOPPED, (1,), 0), ["stop 1", "then", "stop 1", "start 1"]),
        (Away(End.FROZEN, (0, 2), 0), ["SIGSTOP 0", "SIGSTOP 2", "then", "SIGCONT 0", "SIGCONT 2"]),
        (
            NobodyFollows(1, (0, 2), 0),
            ["SIGSTOP 0", "SIGSTOP 2", "kill 1", "SIGCONT 0", "SIGCONT 2", "stop 1", "start 1"],
        ),
        (
            Rolling((2, 0)),
            ["whole?", "stop 2", "stop 2", "start 2", "whole?", "stop 0", "stop 0", "start 0"],
        ),
    ],
)
def test_what_is_done_to_brokers(
    fault: BrokerFault, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that ended start again, those that were frozen go on; a restart in turn waits for replicas."""
    monkeypatch.setattr("tests.crash.breaking._GONE_SECONDS", 0.0)
    done: list[str] = []
    breaking = Breaking(_cluster(done), _Loop(done), lambda: None)  # type: ignore[arg-type] # stand-in
    breaking.let(fault, lambda: done.append("then"))
    assert done == expected


def test_it_waits_until_nothing_lacks_replicas() -> None:
    """And goes on meanwhile."""
    done: list[str] = []
    loop = _Loop(done, ["topic-0", "topic-1"], ["topic-1"])
    breaking = Breaking(_cluster(done), loop, lambda: done.append("meanwhile"))  # type: ignore[arg-type] # stand-in
    assert breaking.wait_whole() > 0
    assert (done.count("whole?"), done[-1]) == (3, "whole?")
    assert "meanwhile" in done


def test_a_cluster_is_named_by_all_its_brokers() -> None:
    """Clients must find it while some are away."""
    assert _cluster([]).bootstrap_servers == "host:0,host:1,host:2"


def test_the_chronicle_tells_how_many_brokers_were_broken_and_how() -> None:
    """Or how often the only one was restarted."""
    chronicle = Chronicle(broker_restarts=2)
    assert "broker restarts: 2" in chronicle.lines()
    chronicle.broker_faults.update(["2 killed", "1 frozen", "2 killed"])
    chronicle.in_flight_at_fault += [5, 60, 7]
    chronicle.kills_without_brokers = 1
    assert chronicle.lines()[1:4] == [
        "broker events: 3 (1 frozen: 1, 2 killed: 2)",
        "events in flight at them: 5 to 60 (median 7)",
        "workers killed while brokers were away: 1",
    ]
