"""Everything about a run that a seed decides: what happens to whom, and which disturbance comes when."""

from dataclasses import dataclass
from random import Random
from typing import Final

from tests.crash.broker_faults import BrokerFault, broker_faults
from tests.crash.changes import Change, LetIn, changes
from tests.support.kafka.cluster import Controllers
from worker.enrolment.checkpoints import Checkpoint

_FIRST, _LAST = 0.02, 0.95
"""Disturbances come while this share of the events is settled: never before work, never after it."""
_NAMED_SHARE: Final = 1 / 3
_NEW_DISK_SHARE: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 0.3
_SECOND_HALF: Final = 0.4
_MOST_KILLS_OF_A_REPLAY: Final = 3
_RESTS: Final = 2
BY_THE_SEED: Final = -1.0
_TRUST_SECONDS: Final = 20.0
_AHEAD: Final = 400
_AHEAD_OF_A_CLUSTER: Final = 200
"""Not much goes on unfed while brokers come back: else all was settled before the last of them is away."""


def trusted(given: float, seed: int, seconds: float = _TRUST_SECONDS) -> float:
    """Return for how long workers trust what they know; unless it is given, only those of even seeds do."""
    if given >= 0:
        return given
    return 0.0 if seed % 2 else seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The size of a run."""

    events: int = 20_000
    customers: int = 2_000
    kills: int = 30
    workers: int = 2
    lost_answers: float = 0.10
    brokers: int = 1
    """With three or more each topic has three replicas, two of which must have what is acknowledged."""
    controllers: str = ""
    """Of several brokers: "together" with them or "apart", else as the seed has it."""
    broker_restarts: int = 3
    """For each broker; of several brokers, of all kinds that `broker_faults` has."""
    freezes: int = 2
    guests: int = 2
    promotions: int = 10
    partitions: int = 8
    refused: float = 0.03
    """Share of the enrolments that the API refuses for good, until the run's end."""
    hapless: float = 0.01
    """Share of the customers whose enrolments nearly always fail, until the run's end: dead letters."""
    redrives: int = 3
    replays: int = 2
    """How often a part of the events is handled once more with `--retry-rejected`."""
    reenrol: str = "once"
    session_seconds: float = 6.0
    most_repeated: float = 0.10
    """Share of the outcomes that may be repeated unasked."""
    trust_seconds: float = BY_THE_SEED
    """How long the workers trust what they know of a customer, 0 for off, -1 for as the seed has it."""
    seed: int = 1

    @property
    def trusts(self) -> float:
        """How long they trust it."""
        return trusted(self.trust_seconds, self.seed)

    @property
    def where_controllers_are(self) -> Controllers:
        """Where the controllers of several brokers are: each for two seeds, of which one trusts."""
        drawn = Controllers.TOGETHER if self.seed // 2 % 2 else Controllers.APART
        return Controllers(self.controllers) if self.controllers else drawn

    @property
    def ahead(self) -> int:
        """How many events wait to be handled, 0 if all are written at the beginning.

        What is notified comes behind them.
        """
        if self.brokers > 1:
            return _AHEAD_OF_A_CLUSTER
        return _AHEAD if self.trusts else 0


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL one worker: at a checkpoint, or so many seconds after it was seen to have work in flight.

    It starts again at once, on an empty disk or on its own.
    """

    worker: int
    checkpoint: Checkpoint | None
    passing: int
    pause: float
    new_disk: bool


@dataclass(frozen=True, slots=True)
class RestartBroker:
    """Let the only broker end, in order or by SIGKILL, and start again."""

    killed: bool


@dataclass(frozen=True, slots=True)
class Freeze:
    """SIGSTOP one worker for longer than the session time-out, then SIGCONT."""

    worker: int


@dataclass(frozen=True, slots=True)
class Join:
    """One more worker joins."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The worker that joined last leaves, by SIGTERM."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One more promotion comes into the world."""

    number: int


@dataclass(frozen=True, slots=True)
class Redrive:
    """Send all dead letters back, then kill a worker that works on them."""

    kill: Kill


@dataclass(frozen=True, slots=True)
class Replay:
    """Stop all workers, handle this share of the events once more, being killed in between, and go on."""

    share: float
    kills: tuple[Kill, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """No event comes for longer than the workers trust what they know."""


Happening = (
    Kill | RestartBroker | BrokerFault | Freeze | Join | Leave | Offer | Redrive | Replay | Rest | Change
)


@dataclass(frozen=True, slots=True)
class Due:
    """What happens once so many events are settled."""

    settled: int
    what: Happening


def customers_of_events(options: Options) -> list[int]:
    """Return the customer of each event, in the order of the events."""
    random = Random(f"{options.seed}/customers")  # noqa: S311 - repeatable, and no secret
    return [random.randint(1, options.customers) for _ in range(options.events)]


def schedule(options: Options) -> list[Due]:
    """Return what happens to the workers, the broker and the world, in order."""
    random = Random(f"{options.seed}/schedule")  # noqa: S311 - repeatable, and no secret

    def moment() -> int:
        return round(random.uniform(_FIRST, _LAST) * options.events)

    due = [Due(moment(), _kill(random, options)) for _ in range(options.kills)]
    due += [
        Due(moment(), RestartBroker(random.random() < 0.5))
        for _ in range(options.broker_restarts if options.brokers == 1 else 0)
    ]
    due += [Due(moment(), Freeze(random.randrange(options.workers))) for _ in range(options.freezes)]
    # One guest at a time: each has a stretch of the run of its own.
    for number in range(options.guests):
        low, high = number / options.guests, (number + 1) / options.guests
        come, go = sorted(random.uniform(low, high) * _LAST * options.events for _ in range(2))
        due += [Due(round(come), Join()), Due(round(go), Leave())]
    due += [
        Due(number * options.events // options.promotions, Offer(number))
        for number in range(options.promotions)
    ]
    again = Random(f"{options.seed}/again")  # noqa: S311 - repeatable, and no secret
    for number in range(options.redrives):
        due.append(Due(_late(again, options, number, options.redrives), Redrive(_kill(again, options))))
    for number in range(options.replays):
        kills = tuple(_kill(again, options) for _ in range(again.randint(1, _MOST_KILLS_OF_A_REPLAY)))
        replay = Replay(again.uniform(0.1, 0.4), kills)
        due.append(Due(_late(again, options, number, options.replays), replay))
    if options.trusts:
        changing = changes(options.seed, options.customers, revokes=options.reenrol == "once")
        due += [Due(round(share * options.events), change) for share, change in changing]
        # Else there is always something new for all, for which everybody is looked up before that.
        let_in = [share for share, change in changing if isinstance(change, LetIn)]
        due += [Due(round(share * options.events), Rest()) for share in let_in[-_RESTS:]]
    if options.brokers > 1:
        count = options.broker_restarts * options.brokers
        faults = broker_faults(options.seed, count, options.brokers, options.workers)
        due += [Due(round(share * options.events), fault) for share, fault in faults]
    return sorted(due, key=lambda one: one.settled)


def hapless_customers(options: Options) -> list[int]:
    """Return the customers whose enrolments nearly always fail."""
    random = Random(f"{options.seed}/hapless")  # noqa: S311 - repeatable, and no secret
    return sorted(random.sample(range(1, options.customers + 1), round(options.hapless * options.customers)))


def _late(random: Random, options: Options, number: int, of: int) -> int:
    """Return a moment in the n-th stretch of what comes after the first dead letters."""
    stretch = (_LAST - _SECOND_HALF) / of
    return round((_SECOND_HALF + stretch * (number + random.random())) * options.events)


def _kill(random: Random, options: Options) -> Kill:
    named = random.random() < _NAMED_SHARE
    return Kill(
        worker=random.randrange(options.workers),
        checkpoint=random.choice(list(Checkpoint)) if named else None,
        passing=random.randint(1, 5),
        pause=random.uniform(0.0, _LONGEST_PAUSE_SECONDS),
        new_disk=random.random() < _NEW_DISK_SHARE,
    )
