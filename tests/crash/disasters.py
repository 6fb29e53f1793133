"""`python -m tests.crash.disasters`: what may happen to the logs themselves, under load; then the books.

Each disaster is a run of its own: a broker, a simulator that loses answers, two workers. Exit status 1 if the
books of one of them disagree.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import click

from tests.crash.api import SETTLE_SECONDS
from tests.crash.books import Books, reconcile
from tests.crash.choices import Options
from tests.crash.ground import Ground, ground
from tests.crash.run import Run
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.brokers import create_topic, delete_topics
from tests.support.kafka.logs import cut_tail, delete_records
from tests.support.waiting import wait_until

_SIZE: Final = Options(
    events=2_000,
    customers=300,
    partitions=4,
    promotions=4,
    refused=0,
    hapless=0,
    redrives=0,
    replays=0,
    trust_seconds=0,
)
_SHOWN_BY_A_TIMELINE: Final = (0, 1, 3, 4)
"""Numbers of promotions with a timeline: all that tells who is enrolled once the ledger is gone."""
_ENDS_SECONDS: Final = 60.0
_NOT_TOLD: Final = "enrolments were applied and not told"
_IN_TWO_WAYS: Final = "told in two ways"


class _Run(Run[WorkerProcess]):
    """Two workers at work on a part of the events, and the rest of them."""

    def __init__(self, on: Ground) -> None:
        super().__init__(on)
        self._random: Final = Random(on.options.seed)  # noqa: S311 - repeatable, and no secret
        self._workers += [
            WorkerProcess(on.lab.household, on.worker_settings()) for _ in range(on.options.workers)
        ]
        self.findings: list[str] = []

    def _begin(self, share: float) -> None:
        """Offer all promotions, feed this share of the events and let the workers begin."""
        for number in _SHOWN_BY_A_TIMELINE:
            self._offer(number)
        self._feed(self._fed[: round(share * len(self._fed))])
        for worker in self._workers:
            worker.start()

    def _stop(self) -> None:
        for worker in self._workers:
            assert worker.stop() == 0, worker.tail()

    def _end(self, most_not_told: int = 0) -> None:
        """Let everything that is not gone come to its end; close the books."""
        self.findings += _judged(self._finish(time.monotonic()), most_not_told)

    def _log_folders(self, topic: str) -> list[Path]:
        return [self._ground.data / f"{topic}-{number}" for number in range(self._ground.options.partitions)]

    def retention_overtakes(self) -> None:
        """Delete records unread while all workers are away: they are counted, all others handled."""
        self._begin(1.0)
        self._wait_for(self._random.randrange(400, 800))
        self._stop()
        self._outlook.look()
        stage, deleted = self._ground.stage, 0
        ends, committed = self._ends(), stage.committed()
        firsts = {at: committed.get(at, 0) + (end - committed.get(at, 0)) // 3 for at, end in ends.items()}
        for partition, first in firsts.items():
            servers, topic = self._ground.broker.bootstrap_servers, stage.names.activity
            self._ground.lab.loop.run(delete_records(servers, topic, first, partition))
            deleted += first - committed.get(partition, 0)
        self._gone = frozenset(
            fed
            for fed, at in self._upstream.positions
            if at.offset < firsts[at.partition] and fed.event_id not in self._outlook.settled
        )
        self._note(f"{deleted} records are deleted unread, {len(self._gone)} of events without an outcome")
        for worker in self._workers:
            worker.start()
            worker.wait_ready()
        self._wait_for(len(self._fed) - len(self._gone))
        counted = sum(worker.metric("enrolment_records_expired_total") for worker in self._workers)
        if counted != deleted:
            self.findings.append(f"{counted:g} records were counted as expired, and {deleted} were")
        self._end()

    def activity_made_anew(self) -> None:
        """Delete the activity topic under the workers and make it again: its events are new ones."""
        share = self._random.uniform(0.3, 0.7)
        self._begin(share)
        self._wait_for(round(share * len(self._fed)))
        wait_until(self._all_committed, "all offsets are committed", evidence=self.tails)
        self._make_anew(self._ground.stage.names.activity)
        self._feed(self._fed[round(share * len(self._fed)) :])
        self._end()

    def activity_loses_its_end(self) -> None:
        """Let the broker come back without the end of each partition, as after an unclean election."""
        self._begin(0.5)
        self._wait_for(len(self._fed) // 2)
        wait_until(self._all_committed, "all offsets are committed", evidence=self.tails)
        self._cut(self._ground.stage.names.activity)
        self._feed(self._fed[len(self._fed) // 2 :])
        self._end()

    def ledger_made_anew(self) -> None:
        """Delete the ledger's topic under the workers and make it again: they end, and begin if told to."""
        self._begin(1.0)
        self._wait_for(self._random.randrange(400, 800))
        self._make_anew(self._ground.stage.names.ledger)
        self._all_end("the ledger's topic is another one")
        self._start()
        self._all_end("no start goes on without being told to")
        self._accept_the_loss()

    def ledger_loses_its_end(self) -> None:
        """Let the broker come back without the end of the ledger: no start goes on by the rest of it."""
        self._begin(1.0)
        self._wait_for(self._random.randrange(400, 800))
        self._stop()
        self._cut(self._ground.stage.names.ledger)
        self._start()
        self._all_end("what is left of the ledger would mislead")
        self._make_anew(self._ground.stage.names.ledger)
        self._start()
        self._all_end("no start goes on without being told to")
        self._accept_the_loss()

    def _start(self) -> None:
        for worker in self._workers:
            worker.start()

    def _accept_the_loss(self) -> None:
        time.sleep(SETTLE_SECONDS)
        for worker in self._workers:
            worker.options = ("--new-ledger",)
            worker.start()
            worker.wait_ready()
        self._end(most_not_told=self._in_work)

    @property
    def _in_work(self) -> int:
        """How many enrolments may have been under way: what became of them only the ledger knew."""
        return len(_SHOWN_BY_A_TIMELINE) * sum(int(one.settings["MAX_IN_FLIGHT"]) for one in self._workers)

    def _all_end(self, why: str) -> None:
        wait_until(
            lambda: all(worker.poll() is not None for worker in self._workers),
            f"all workers end: {why}",
            seconds=_ENDS_SECONDS,
            evidence=self.tails,
        )
        statuses = [worker.poll() for worker in self._workers]
        assert statuses == [1] * len(statuses), f"they ended with {statuses}\n{self.tails()}"
        self._note(f"all workers ended with 1: {why}")

    def _make_anew(self, topic: str) -> None:
        servers, partitions = self._ground.broker.bootstrap_servers, self._ground.options.partitions
        self._ground.lab.loop.run(delete_topics(servers, [topic]))
        config = {"cleanup.policy": "compact,delete"} if topic.endswith("changelog") else None
        self._ground.lab.loop.run(create_topic(servers, topic, partitions, config))
        self._note(f"{topic} was deleted and made anew")

    def _cut(self, topic: str) -> None:
        """Let the broker die, and come back with four fifths of each log."""
        folders, ends = self._log_folders(topic), self._ends(topic)
        self._ground.broker.kill()
        for partition, end in ends.items():
            cut_tail(folders[partition], end * 4 // 5)
        self._ground.broker.restart()
        self._note(f"{topic} has lost its end")


def _judged(books: Books, most_not_told: int) -> list[str]:
    """Return the findings; without a ledger some are no faults.

    Then what was under way is not told as enrolled, and what was told and not committed is told again as what
    Capillary shows: already enrolled.
    """
    verdict = reconcile(books)
    if not most_not_told or verdict.not_told > most_not_told:
        return list(verdict.findings)
    return [
        finding for finding in verdict.findings if _NOT_TOLD not in finding and _IN_TWO_WAYS not in finding
    ]


DISASTERS: Final[Mapping[str, Callable[[_Run], None]]] = {
    "retention-overtakes": _Run.retention_overtakes,
    "activity-made-anew": _Run.activity_made_anew,
    "activity-loses-its-end": _Run.activity_loses_its_end,
    "ledger-made-anew": _Run.ledger_made_anew,
    "ledger-loses-its-end": _Run.ledger_loses_its_end,
}


@contextmanager
def _running(options: Options, tell: Callable[[str], None]) -> Iterator[_Run]:
    with ground(options, tell) as on:
        made = _Run(on)
        try:
            yield made
        finally:
            made.close()


@click.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--only", type=click.Choice(list(DISASTERS)), help="This one alone.")
def main(seed: int, only: str | None) -> None:
    """Let each disaster happen and say whether the books agree."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    started, findings = time.monotonic(), list[str]()

    def tell(line: str) -> None:
        click.echo(f"{time.monotonic() - started:6.1f} s  {line}")

    for name, happens in DISASTERS.items():
        if only not in {None, name}:
            continue
        tell(name)
        with _running(replace(_SIZE, seed=seed), tell) as made:
            happens(made)
        findings += [f"{name}: {finding}" for finding in made.findings]
    for finding in findings:
        click.echo(f"FAULT: {finding}")
    click.echo("the books disagree" if findings else "the books agree")
    raise SystemExit(1 if findings else 0)


if __name__ == "__main__":
    main()
