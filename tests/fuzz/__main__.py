"""`make fuzz`: a million records and answers of the API, none of which may raise or be out of bounds.

Hypothesis draws records; beside well-formed ones of every shape each is then made worse many times. What
fails is shown with its bytes; the printed seed draws the same again.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.bench.memory import resident_mib
from tests.fuzz.answers import Answers
from tests.fuzz.mutations import mutated
from tests.support.unit.activities import BINARY, CLOUD, ENVELOPED, FLAT, PLAIN
from tests.support.unit.letters import FAILURE, dead_letter
from tests.support.unit.readings import check_shown, checked_activity, checked_letter
from tests.support.unit.strategies import RECORDS
from topics.dead_letter import PREFIX, REDRIVEN
from topics.record import Headers, Record
from worker.operations.redrive_plan import Letter

_ROUND = 20
"""Records that hypothesis draws between two looks at the clock."""
_EACH = 1000
"""How often each of them is made worse, or a well-formed one beside it."""
_ANSWERS = 3
"""One of so many inputs is an answer of the API."""
_WARM_SHARE = 0.1
"""Of the inputs; after these memory must not grow any more."""
_GROWTH_MIB = 50.0
_SHOWN = 16
"""Of so many dead letters one is also shown as `dead-letters list` does."""
_HEADERS: Headers = (*BINARY, ("traceparent", None), (REDRIVEN, b"customer-activity-dlt-1-7"))


def _well_formed() -> Iterator[Record]:
    """Yield each shape of an event, as it comes and as a dead letter."""
    failure = replace(FAILURE, group="enrolment-worker", message="lookup: nicht für uns")
    for shape in (FLAT, ENVELOPED, PLAIN, CLOUD | {"data": FLAT["data"]}, ENVELOPED["attributes"]["data"]):
        letter = dead_letter(shape, failure, foreign=_HEADERS)
        yield replace(letter, headers=_HEADERS)
        yield letter


class _Run:
    def __init__(self, wanted: int, seconds: float) -> None:
        self._wanted = wanted
        self._deadline = time.monotonic() + seconds
        self._shapes = list(_well_formed())
        self._answers = Answers()
        self.results = self._answers.results
        self.inputs = 0
        self.warm_mib = 0.0

    @property
    def over(self) -> bool:
        return self.inputs >= self._wanted or time.monotonic() > self._deadline

    def feed(self, drawn: Record, dice: random.Random) -> None:
        """Check the drawn record, and what becomes of it and of the well-formed ones."""
        if self.over:
            return
        self._check(drawn)
        pool = [*self._shapes, drawn]
        for _ in range(min(_EACH, self._wanted - self.inputs)):
            if dice.randrange(_ANSWERS) == 0:
                self._answers.check(dice)
                self._count()
                continue
            worse = mutated(dice, dice.choice(pool), pool)
            self._check(worse)
            pool[dice.randrange(len(pool))] = worse if dice.random() < 0.1 else dice.choice(self._shapes)

    def _count(self) -> None:
        self.inputs += 1
        if self.inputs == max(1, round(_WARM_SHARE * self._wanted)):
            self.warm_mib = resident_mib(os.getpid())

    def _check(self, source: Record) -> None:
        self._count()
        try:
            self.results[f"activity: {type(checked_activity(source)).__name__.lower()}"] += 1
            if any(name.startswith(PREFIX) for name, _ in source.headers):
                letter = checked_letter(source)
                self.results["dead letter: " + ("readable" if isinstance(letter, Letter) else letter)] += 1
                if isinstance(letter, Letter) and self.inputs % _SHOWN == 0:
                    check_shown(letter)
        except Exception as error:
            error.add_note(f"value={source.value!r}\nheaders={source.headers!r}")
            raise


def main() -> int:
    """Run until the inputs or the time are over; return the exit status."""
    options = argparse.ArgumentParser(prog="make fuzz FUZZ_ARGS=...")
    options.add_argument("--inputs", type=int, default=1_000_000)
    options.add_argument("--seconds", type=float, default=1800.0, help="give up after so long")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given_ = options.parse_args()
    run, started, rounds = _Run(given_.inputs, given_.seconds), time.monotonic(), 0
    print(f"seed {given_.seed}", flush=True)
    while not run.over:
        _round(run, given_.seed + rounds)
        rounds += 1
        if rounds % 5 == 0:
            print(f"{run.inputs} inputs after {time.monotonic() - started:.0f} s", flush=True)
    memory = f"{run.warm_mib:.0f} MiB after a tenth of them, {resident_mib(os.getpid()):.0f} MiB at the end"
    print(f"{run.inputs} inputs in {time.monotonic() - started:.0f} s, no unhandled exception; {memory}")
    print(json.dumps(dict(sorted(run.results.items())), indent=2))
    if run.warm_mib and (grown := resident_mib(os.getpid()) - run.warm_mib) > _GROWTH_MIB:
        print(f"memory grew by {grown:.0f} MiB since the first tenth of the inputs", file=sys.stderr)
        return 1
    if run.inputs < given_.inputs:
        print(f"time is up: {given_.inputs - run.inputs} inputs are missing", file=sys.stderr)
        return 1
    return 0


def _round(run: _Run, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=_ROUND,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(RECORDS, st.integers(0, 2**64))
    def examine(drawn: Record, dice: int) -> None:
        run.feed(drawn, random.Random(dice))  # noqa: S311 - must be repeatable

    examine()


if __name__ == "__main__":
    sys.exit(main())
