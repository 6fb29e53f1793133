"""The disturbances: what is done, to how many workers, and for how long it is watched."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Final

from tests.bench.felt.owners import moves, owners
from tests.bench.felt.scene import Scene
from tests.bench.felt.traffic import Waited

LATE_SECONDS: Final = 1.0
ALL: Final = "all"
OWN: Final = "its own"
OTHERS: Final = "the others"
_STRUCK: Final = 1
"""The number of the worker that something happens to; not the first, which may lead the group."""
_PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """How long the events of some partitions waited for their outcomes, in seconds."""

    events: int
    worst: float
    p99: float
    late: int
    """Of them later than a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a case cost."""

    title: str
    felt: Mapping[str, Felt]
    """By whose partitions they were."""
    wanted: Mapping[str, float]
    """The worst that is wanted, in seconds, of those of whom anything is."""
    moved: int
    needed: int
    """How often a partition had to go from one worker to another."""
    load: float
    """Of the machine in the last minute, processes that want a core."""


@dataclass(frozen=True, slots=True)
class Blow:
    """What was done."""

    needed: int
    """How often a partition has to move for it."""
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A disturbance."""

    name: str
    title: str
    workers: int
    """How many run before it."""
    strike: Callable[[Scene], Blow]
    """Does it. May block while it goes on."""
    seconds: float
    """For how long events are watched at least, from the blow on; until nothing is late any more."""
    strikes_one: bool = False
    """Whether it is one worker's partitions more than the others'."""
    wanted: Mapping[str, float] = field(default_factory=dict)

    def measured(self, scene: Scene) -> Row:
        """Let it happen; blocks until each event that was written meanwhile has an outcome."""
        scene.have(self.workers)
        told = scene.assignments()
        its_own = scene.owned_by(scene.workers[_STRUCK]) if self.strikes_one else frozenset[int]()
        began = time.time()
        blow = self.strike(scene)
        time.sleep(max(0.0, began + self.seconds - time.time()))
        scene.wait_until_well()
        waited = scene.waits_since(round(began * 1000), round(time.time() * 1000))
        whose = {ALL: waited}
        if self.strikes_one:
            whose = {
                OWN: [each for each in waited if each.partition in its_own],
                OTHERS: [each for each in waited if each.partition not in its_own],
            }
        after = scene.assignments()
        return Row(
            title=self.title + blow.remark,
            felt={who: _felt(events) for who, events in whose.items()},
            wanted=self.wanted,
            moved=moves(owners(told), after[len(told) :]),
            needed=blow.needed,
            load=os.getloadavg()[0],
        )


def _felt(waited: list[Waited]) -> Felt:
    seconds = [each.seconds or 0.0 for each in waited]
    return Felt(
        events=len(seconds),
        worst=max(seconds),
        p99=quantiles(seconds, n=100)[98],
        late=sum(each > LATE_SECONDS for each in seconds),
    )


def _nothing(_: Scene) -> Blow:
    return Blow(0)


def _join(scene: Scene) -> Blow:
    scene.join()
    return Blow(len(owners(scene.assignments())) // len(scene.workers))


def _sigterm(scene: Scene) -> Blow:
    own = len(scene.owned_by(scene.workers[_STRUCK]))
    scene.leave()
    return Blow(own)


def _kill(scene: Scene) -> Blow:
    worker = scene.workers[_STRUCK]
    worker.kill()
    worker.start()
    return Blow(0)


def _lose(scene: Scene) -> Blow:
    worker = scene.workers[_STRUCK]
    worker.settings["STATE_DIR"] = scene.new_volume()
    return _kill(scene)


def _restart_broker(scene: Scene) -> Blow:
    began = time.monotonic()
    scene.broker.restart()
    return Blow(0, f", away for {time.monotonic() - began:.1f} s")


def _roll(scene: Scene) -> Blow:
    """Restart one after another, as a StatefulSet does; what one had must go, and as much come back."""
    needed = 0
    for worker in scene.workers:
        needed += 2 * len(scene.owned_by(worker))
        assert worker.stop() == 0, worker.tail()
        worker.start()
        worker.wait_ready(_PATIENCE_SECONDS)
    return Blow(needed)


CASES: Final = (
    Case(name="join", title="one joins one", workers=1, strike=_join, seconds=20),
    Case(name="steady", title="steady, two workers", workers=2, strike=_nothing, seconds=20),
    Case(
        name="kill",
        title="kill -9, started at once",
        workers=2,
        strike=_kill,
        seconds=30,
        strikes_one=True,
        wanted={OWN: 8.0, OTHERS: 2.0},
    ),
    Case(
        name="lost",
        title="kill -9, started without its volume",
        workers=2,
        strike=_lose,
        seconds=30,
        strikes_one=True,
    ),
    Case(name="broker", title="the broker restarts", workers=2, strike=_restart_broker, seconds=30),
    Case(
        name="sigterm",
        title="SIGTERM of one of two",
        workers=2,
        strike=_sigterm,
        seconds=20,
        strikes_one=True,
    ),
    Case(
        name="rolling",
        title="rolling restart of 3",
        workers=3,
        strike=_roll,
        seconds=20,
        wanted={ALL: 2.0},
    ),
    Case(
        name="six",
        title="rolling restart of 6",
        workers=6,
        strike=_roll,
        seconds=20,
        wanted={ALL: 2.0},
    ),
)
"""In an order in which few workers have to be started in between."""
