"""`enrolment-worker dead-letters`: what lies there is shown without anybody's data, and goes back once."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced
from click.testing import CliRunner, Result

from tests.support.e2e.events import event
from tests.support.e2e.feeds import ActivityFeed, Message, TopicReader
from tests.support.e2e.lab import Lab, Stage
from tests.support.e2e.worker_process import environment
from tests.support.kafka.batches import raw_batch, raw_record
from tests.support.kafka.brokers import create_topic
from tests.support.waiting import wait_until
from topics.dead_letter import VALUE_OMITTED, DeadLetterReason, Failure, dead_letter_headers
from topics.names import ERROR_HEADERS_BYTES
from topics.record import Headers, Position, Record
from worker.commands.main import program
from worker.kafka.errors import KafkaFailed
from worker.operations.dead_letters import find
from worker.operations.redrive import Redriven, prepare, redrive
from worker.operations.redrive_plan import Wanted
from worker.settings import KafkaSettings, load_settings

pytestmark = pytest.mark.timeout(110)

_PARTITIONS = 3
_NOWHERE = "http://127.0.0.1:9"
_NOW = datetime.now(UTC).replace(microsecond=0)
_MS = round(_NOW.timestamp() * 1000)
_FOREIGN: Headers = (
    ("traceparent", b"00-1-2-01"),
    ("x", None),
    ("x", b"\xff\x00"),
    ("x", b"carol@example.com"),
)
_SECRETS = ("919845012345", "ann@example.com", "AB-77", "carol@example.com", "the key of Ann")


@dataclass(frozen=True)
class Office:
    """A group's activity and dead-letter topics, with dead letters written as a worker writes them."""

    stage: Stage
    letters: ActivityFeed
    activity: TopicReader
    """Sees what is committed."""
    put: list[Record] = field(default_factory=list)

    @property
    def group(self) -> str:
        return self.stage.names.group_id

    @property
    def environ(self) -> dict[str, str]:
        ours = environment(self.stage.settings)
        return {name: value for name, value in ours.items() if name.startswith("ENROLMENT_")}

    @property
    def settings(self) -> KafkaSettings:
        return load_settings(self.environ, KafkaSettings)

    def message(self, number: int, value: bytes | None = None, **changes: object) -> Message:
        """Return a dead letter of the event with that number; its changes are the failure's."""
        at = Position(self.stage.names.activity, number % _PARTITIONS, number)
        told: dict[str, Any] = {
            "reason": DeadLetterReason.RETRIES_EXHAUSTED,
            "message": "lookup: HTTP 500",
            "position": at,
            "timestamp_ms": 1_769_853_600_000 + number,
            "group": self.group,
            "attempts": 5,
            "first_failed_at": _NOW - timedelta(hours=2),
            "last_failed_at": _NOW - timedelta(hours=1, seconds=-number),
        } | changes
        return Message(
            event(f"event-{number}", {"customerId": number + 1}) if value is None else value,
            f"key {number}".encode(),
            dead_letter_headers(_FOREIGN, Failure(**told)),
        )

    def dead_letter(self, *messages: Message) -> list[Record]:
        """Write dead letters and return them as they lie."""
        return self.letters.send_all(messages)

    def call(self, *arguments: str, answer: str | None = None) -> Result:
        """Call the command in this process."""
        return CliRunner().invoke(
            program,
            ["dead-letters", *arguments],
            env=self.environ,
            input=answer,
            prog_name="enrolment-worker",
        )

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what `list --json` prints."""
        result = self.call("list", "--json", *arguments)
        assert result.exit_code == 0, result.output
        found: list[dict[str, Any]] = json.loads(result.stdout)
        return found

    def start(self) -> subprocess.Popen[str]:
        """Start a redrive of everything as a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "worker", "dead-letters", "redrive", "--yes"],
            env=environment(self.stage.settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def transactional(self) -> AIOKafkaProducer:
        """Return the producer of another redrive of the group."""
        return AIOKafkaProducer(
            bootstrap_servers=self.stage.lab.bootstrap_servers, transactional_id=f"{self.group}-redrive"
        )


@pytest.fixture
def office(lab: Lab) -> Iterator[Office]:
    """Give an office with empty topics."""
    with lab.stage(_NOWHERE, partitions=_PARTITIONS) as stage:
        names, servers = stage.names, lab.bootstrap_servers
        config = {"max.message.bytes": str(1_048_588 + ERROR_HEADERS_BYTES)}
        lab.loop.run(create_topic(servers, names.dead_letters, 2, config))
        letters = ActivityFeed(lab.loop, servers, names.dead_letters)
        activity = TopicReader(lab.loop, servers, names.activity, _PARTITIONS, committed=True)
        yield Office(stage, letters, activity)
        letters.close()
        activity.close()


def _sent_back(letter: Record) -> tuple[object, ...]:
    headers = dict(letter.headers)
    mark = f"{letter.position.topic}-{letter.position.partition}-{letter.position.offset}".encode()
    return (
        int(headers["enrolment.error.partition"] or b""),
        letter.key,
        letter.value,
        (*letter.headers, ("enrolment.redriven", mark)),
    )


def _seen(record: Record) -> tuple[object, ...]:
    return record.position.partition, record.key, record.value, record.headers


def test_a_redriven_record_is_the_dead_letter_on_the_partition_of_its_original(office: Office) -> None:
    """Key, value and every header byte for byte, plus the mark; a second redrive sends nothing."""
    odd = office.message(7, b"\xff\x00 not JSON", reason=DeadLetterReason.MALFORMED_EVENT)
    keyless = Message(b"{}", None, office.message(8).headers)
    named = (("caf\udce9", b"1"), *office.message(9).headers)
    letters = office.dead_letter(*map(office.message, range(5)), odd, keyless)
    at = office.letters.send_raw(raw_batch(raw_record(0, b"k", b"{}", named), 1, timestamp=_MS))
    letters.append(Record(position=at, timestamp_ms=_MS, key=b"k", value=b"{}", headers=named))

    rehearsed = office.call("redrive", "--dry-run")
    assert (rehearsed.exit_code, office.activity.read()) == (0, []), rehearsed.output
    assert rehearsed.stdout.startswith("to redrive: 8 of 8 dead letters (malformed_event: 1, retries_")

    result = office.call("redrive", "--yes")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "redriven: 8"
    assert set(map(_seen, office.activity.read())) == set(map(_sent_back, letters))

    again = office.call("redrive", "--yes")
    assert again.stdout == "to redrive: 0 of 8 dead letters\nredriven before: 8\n"
    assert len(office.activity.read()) == 8


def test_dead_letters_are_chosen_by_reason_time_customer_and_count(office: Office) -> None:
    """Each filter leaves out what it says, in `list` as in `redrive`; other groups' are never ours."""
    doubtful = office.message(9, reason=DeadLetterReason.IN_DOUBT, last_failed_at=_NOW - timedelta(days=9))
    foreign = office.message(10, group="another")
    office.dead_letter(*map(office.message, range(4)), doubtful, foreign, Message(b"no headers", b"k"))

    def ids(*filters: str) -> list[str]:
        return [each["eventId"] for each in office.listed(*filters)]

    assert ids() == ["event-9", "event-0", "event-1", "event-2", "event-3"]
    assert ids("--reason", "in_doubt", "--reason", "no_identifier") == ["event-9"]
    assert ids("--since", "8d", "--count", "2") == ["event-0", "event-1"]
    assert ids("--until", "8d") == ["event-9"]
    edge = (_NOW - timedelta(hours=1, seconds=-2)).isoformat()
    assert ids("--since", edge) == ["event-2", "event-3"]
    assert ids("--until", edge, "--since", "2026-01-01") == ["event-9", "event-0", "event-1"]
    assert ids("--customer-id", "3") == ["event-2"]

    result = office.call("redrive", "--yes", "--customer-id", "3")
    assert result.exit_code == 0, result.output
    assert [record.key for record in office.activity.read()] == [b"key 2"]
    assert "1 of other groups; 1 without readable headers" in office.call("list").stderr


def test_a_listing_shows_nobodys_data(office: Office) -> None:
    """No key, value or foreign header; nothing that a terminal obeys; lines of tabs, and objects."""
    names = {"customerId": 5, "mobile": _SECRETS[0], "email": _SECRETS[1], "externalId": _SECRETS[2]}
    value = event("id \x1b[2J\n", names)
    letter = Message(value, _SECRETS[4].encode(), office.message(1).headers)
    office.dead_letter(letter, office.message(2, _SECRETS[0].encode()))

    shown = [office.call("list"), office.call("list", "--json"), office.call("redrive", "--dry-run")]
    for result in shown:
        assert result.exit_code == 0, result.output
        assert not [secret for secret in _SECRETS if secret in result.output]
        assert "\x1b" not in result.output
    assert shown[0].stdout.splitlines()[0].split("\t")[1:6] == [
        *("retries_exhausted", "transactionAdded", "id \\x1b[2J", "5", "5")
    ]
    first = office.listed()[0]
    assert first["activity"] == {
        "topic": office.stage.names.activity,
        "partition": 1,
        "offset": 1,
        "timestamp": 1_769_853_600_001,
    }
    assert (first["keyBytes"], first["valueBytes"]) == (len(_SECRETS[4]), len(value))


def test_what_cannot_go_back_is_named_and_left(office: Office) -> None:
    """An omitted value, and a record that with its headers outgrows the activity topic."""
    omitted = office.message(1, b"")
    omitted = Message(omitted.value, omitted.key, (*omitted.headers, (VALUE_OMITTED, b"true")))
    large = office.message(2, b"x" * 1_048_000)
    letters = office.dead_letter(omitted, large, office.message(3))

    result = office.call("redrive", "--yes")
    assert result.exit_code == 0, result.output
    assert (
        "left: 1 without value, headers or key, which were too large for the dead-letter topic "
        f"({letters[0].position})" in result.stdout
    )
    assert f"larger max.message.bytes ({letters[1].position})" in result.stdout
    assert [record.key for record in office.activity.read()] == [b"key 3"]


def test_a_partition_that_is_no_more_is_refused(office: Office) -> None:
    """Nothing is sent, and one line says what to do."""
    gone = office.message(1, position=Position(office.stage.names.activity, 7, 1))
    office.dead_letter(office.message(0), gone)

    refused = office.call("redrive", "--yes")
    assert refused.exit_code == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "was made anew with 3, and had at least 8; give it 8 partitions" in refused.stderr
    assert office.activity.read() == []


def test_without_a_terminal_it_does_not_ask(office: Office) -> None:
    """One line, before any work; the same for a topic that is not there."""
    refused = office.call("redrive")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("enrolment-worker: there is no terminal to ask on: add --yes")
    other = {**office.environ, "ENROLMENT_ACTIVITY_TOPIC": "nowhere"}
    absent = CliRunner().invoke(program, ["dead-letters", "list"], env=other, prog_name="enrolment-worker")
    assert absent.exit_code == 1
    assert absent.stderr == (
        "enrolment-worker: topic nowhere-dlt does not exist; is ENROLMENT_ACTIVITY_TOPIC right?\n"
    )


@pytest.mark.long
def test_killed_again_and_again_it_redrives_each_once(office: Office) -> None:
    """Kill -9 in the middle, three times, then to the end: every dead letter is there exactly once."""
    letters = office.dead_letter(*map(office.message, range(5_000)))
    lab, names = office.stage.lab, office.stage.names
    every = TopicReader(lab.loop, lab.bootstrap_servers, names.activity, _PARTITIONS)

    def killed() -> int:
        before, process = len(every.read()), office.start()
        wait_until(lambda: len(every.read()) > before + 300 or process.poll() is not None, "records arrive")
        process.kill()
        process.communicate(timeout=10)
        return process.returncode

    # The last of them may be done before it can be killed.
    first, *more = [killed() for _ in range(3)]
    assert (first, set(more) <= {-9, 0}) == (-9, True)
    every.close()

    last = office.start()
    said, _ = last.communicate(timeout=60)
    assert last.returncode == 0, said
    found = [_seen(record) for record in office.activity.read()]
    assert len(found) == len(letters)
    assert set(found) == set(map(_sent_back, letters))


def test_an_open_transaction_of_an_earlier_redrive_ends_before_the_next_one_sends(office: Office) -> None:
    """What it had sent without committing does not count as redriven, and it can no longer commit."""
    letters = office.dead_letter(office.message(0), office.message(3))
    marked = (*letters[0].headers, ("enrolment.redriven", str(letters[0].position).encode()))

    async def steps() -> Result:
        async with office.transactional() as stale:
            await stale.begin_transaction()
            await stale.send_and_wait(
                office.stage.names.activity, letters[0].value, letters[0].key, 0, headers=list(marked)
            )
            result = await asyncio.to_thread(office.call, "redrive", "--yes")
            with pytest.raises(ProducerFenced):
                await stale.commit_transaction()
            return result

    result = office.stage.lab.loop.run(steps())
    assert result.exit_code == 0, result.output
    assert set(map(_seen, office.activity.read())) == set(map(_sent_back, letters))
    assert len(office.activity.read()) == 2


def test_of_two_redrives_at_once_one_ends_with_a_line(office: Office) -> None:
    """The older one is fenced and says so; the other sends what it had not committed."""
    letters = office.dead_letter(*map(office.message, range(1_200)))
    others: list[Result] = []

    def say(line: str) -> None:
        if line == "redriven: 500 of 1200":
            others.append(thread.submit(office.call, "redrive", "--yes").result())

    async def steps() -> None:
        prepared = await prepare(office.settings, (await find(office.settings, Wanted(), say)).letters, say)
        await redrive(office.settings, prepared, Redriven(), say)

    with (
        ThreadPoolExecutor() as thread,
        pytest.raises(KafkaFailed, match=rf"^another redrive of group {office.group} has begun"),
    ):
        asyncio.run(steps())
    assert others[0].stdout.endswith("redriven before: 500\nredriven: 700\n"), others[0].output
    assert len(office.activity.read()) == len(letters)


def test_a_redrive_that_waits_for_an_answer_sends_nothing_that_another_sent_meanwhile(office: Office) -> None:
    """Between its plan and its sending it looks once more."""
    office.dead_letter(*map(office.message, range(4)))

    async def steps() -> Redriven:
        prepared = await prepare(office.settings, (await find(office.settings, Wanted(), len)).letters, len)
        other = await asyncio.to_thread(office.call, "redrive", "--yes", "--count", "3")
        assert other.exit_code == 0, other.output
        done = Redriven()
        await redrive(office.settings, prepared, done, len)
        return done

    assert asyncio.run(steps()) == Redriven(sent=1, by_another=3)
    assert len(office.activity.read()) == 4
