"""What a signal does, from the first moment of `run` to its last."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from worker.stopping import Stop, Work


class Process:
    """A process that is told to stop; its seconds pass while the stop sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ends: list[tuple[int, float]] = []
        self.begun: list[float] = []
        self.said: list[str] = []
        self.stop = Stop(end=self._end, timer=lambda: self.now, sleep=self._sleep)
        self.stop.say_by(self.said.append)

    def works(self, drain_seconds: float, drained: Callable[[], bool]) -> None:
        """Begin to work."""
        self.stop.works(
            Work(drain_seconds=drain_seconds, begin=lambda: self.begun.append(self.now), drained=drained)
        )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _end(self, status: int) -> None:
        self.ends.append((status, self.now))


def test_before_there_is_work_it_ends_at_once() -> None:
    """Nothing is in work, and every moment is one at which it may be killed."""
    process = Process()
    process.stop.told("SIGTERM")
    assert process.ends == [(0, 0.0)]
    assert process.said == ["SIGTERM: stopped before any work began"]


@pytest.mark.parametrize("drain_seconds", [0.5, 5.0, 25.0])
def test_a_stop_that_hangs_is_ended_with_0_within_the_drain_and_five_seconds(drain_seconds: float) -> None:
    """Whatever it hangs on: Kafka is away, or a part of the process never ends."""
    process = Process()
    process.works(drain_seconds, drained=lambda: False)
    process.stop.told("SIGTERM")
    ((status, at),) = process.ends
    assert process.begun == [0.0]
    assert status == 0
    assert drain_seconds + 3.5 <= at < drain_seconds + 4.5
    assert "what is open will come again" in process.said[-1]


def test_a_stop_with_nothing_left_in_work_does_not_wait_for_long() -> None:
    """A Kafka that is away is not waited for when there is nothing to tell it."""
    process = Process()
    process.works(25.0, drained=lambda: process.now >= 2.0)
    process.stop.told("SIGINT")
    ((status, at),) = process.ends
    assert status == 0
    assert 5.0 <= at < 5.5


def test_who_was_told_to_stop_ends_with_0_whatever_goes_wrong_on_the_way() -> None:
    """And nobody else does: not one who gives up, nor one who is stuck."""
    process = Process()
    process.stop.end(70)
    assert (process.ends, process.stop.status(1)) == ([(70, 0.0)], 1)
    process.stop.told("SIGTERM")
    process.stop.end(70)
    assert (process.ends[-1], process.stop.status(1)) == ((0, 0.0), 0)


def test_work_that_is_done_ends_by_itself_and_takes_its_time() -> None:
    """A replay that got to its end has offsets to put back."""
    process = Process()
    process.works(5.0, drained=lambda: False)
    process.stop.finish()
    assert (process.begun, process.ends, process.stop.asked) == ([0.0], [], False)


def test_a_log_that_nobody_reads_does_not_keep_it() -> None:
    """A full pipe blocks whoever writes to it."""
    reads = threading.Event()
    process = Process()
    process.stop.say_by(lambda _: reads.wait(30.0))
    process.stop.told("SIGTERM")
    reads.set()
    assert process.ends == [(0, 0.0)]


def test_it_listens_before_anything_heavy_is_imported() -> None:
    """What comes before it is lost for process 1, and ends others with the signal's status."""
    code = "import sys, worker.__main__; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"click", "pydantic", "structlog", "faust", "aiokafka", "asyncio", "worker.commands"}
    assert heavy & set(done.stdout.split()) == set()


def test_a_thread_that_was_there_before_passes_a_signal_on() -> None:
    """An injected instrumentation starts threads first; the kernel may choose one of them."""
    code = """
import signal, threading, time
early = threading.Thread(target=time.sleep, args=(30,), daemon=True)
early.start()
from worker.stopping import STOP
STOP.listen()
signal.pthread_kill(early.ident, signal.SIGTERM)
while True:
    time.sleep(0.05)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=20)  # noqa: S603 - our own code
    assert done.returncode == 0
