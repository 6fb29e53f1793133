"""What may happen to the logs themselves: they expire, end early, or are other ones."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.crash.api import SETTLE_SECONDS
from tests.crash.disaster import SHOWN_BY_A_TIMELINE, Disaster, DisasterRun
from tests.support.kafka.brokers import create_topic, delete_topics
from tests.support.kafka.logs import cut_tail, delete_records
from tests.support.waiting import wait_until

_ENDS_SECONDS: Final = 60.0


class LogDisasters(DisasterRun):
    """Two workers at work on a part of the events, and the rest of them."""

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
            servers, topic = self._ground.cluster.bootstrap_servers, stage.names.activity
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
        return len(SHOWN_BY_A_TIMELINE) * sum(int(one.settings["MAX_IN_FLIGHT"]) for one in self._workers)

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
        servers, partitions = self._ground.cluster.bootstrap_servers, self._ground.options.partitions
        self._ground.lab.loop.run(delete_topics(servers, [topic]))
        config = {"cleanup.policy": "compact,delete"} if topic.endswith("changelog") else None
        self._ground.lab.loop.run(create_topic(servers, topic, partitions, config))
        self._note(f"{topic} was deleted and made anew")

    def _cut(self, topic: str) -> None:
        """Let the broker die, and come back with four fifths of each log."""
        folders, ends = self._log_folders(topic), self._ends(topic)
        self._ground.cluster.kill(0)
        for partition, end in ends.items():
            cut_tail(folders[partition], end * 4 // 5)
        self._ground.cluster.start(0)
        self._note(f"{topic} has lost its end")

    def _log_folders(self, topic: str) -> list[Path]:
        return [self._ground.data / f"{topic}-{number}" for number in range(self._ground.options.partitions)]


LOG_DISASTERS: Final[Mapping[str, Disaster[LogDisasters]]] = {
    "retention-overtakes": Disaster(LogDisasters, LogDisasters.retention_overtakes),
    "activity-made-anew": Disaster(LogDisasters, LogDisasters.activity_made_anew),
    "activity-loses-its-end": Disaster(LogDisasters, LogDisasters.activity_loses_its_end),
    "ledger-made-anew": Disaster(LogDisasters, LogDisasters.ledger_made_anew),
    "ledger-loses-its-end": Disaster(LogDisasters, LogDisasters.ledger_loses_its_end),
}
