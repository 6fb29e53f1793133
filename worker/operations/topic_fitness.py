"""Fitness of topics, as the cluster has them, for what the worker promises. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from topics.names import LARGEST_ACTIVITY_BYTES, LARGEST_RECORD, TopicNames
from topics.outcome import LARGEST_OUTCOME_BYTES
from worker.kafka.admin import ExistingTopic
from worker.kafka.inventory import cut_off, room_needed
from worker.kafka.sizes import LARGEST_ENTRY_BYTES
from worker.operations.findings import Finding, Level, ok

_DAY_MS: Final = 86_400_000
_SHORTEST_MS: Final = 3 * _DAY_MS
"""What the activity topic should keep at least: an outage is waited out, and may last over a weekend."""
_CREATE: Final = "`enrolment-worker topics create` creates it"


@dataclass(frozen=True, slots=True)
class Needs:
    """What the settings ask of the topics."""

    names: TopicNames
    ledger_days: float
    retry_delays_seconds: tuple[float, ...] = ()
    dry_run: bool = False
    """Then only activity is read and outcomes are written."""

    def used(self) -> tuple[str, ...]:
        """Return the topics that are used, activity first."""
        names = self.names
        if self.dry_run:
            return (names.activity, names.outcomes)
        return (names.activity, *names.retries, names.dead_letters, names.outcomes, names.ledger)

    def reads_back(self) -> tuple[str, ...]:
        """Return the topics of our own making that are read too; dead letters tell what was redriven."""
        return () if self.dry_run else (*self.names.retries, self.names.dead_letters)


@dataclass(frozen=True, slots=True)
class _Flaw:
    level: Level
    text: str
    remedy: str


def judge_topics(needs: Needs, existing: Mapping[str, ExistingTopic], brokers: int) -> Iterator[Finding]:
    """Yield a finding for each topic that is used, and one if the ledger is cut off from its keys."""
    for name in needs.used():
        topic = existing.get(name)
        yield _missing(needs, name) if topic is None else _found(needs, name, topic, existing, brokers)
    if not needs.dry_run and needs.names.activity in existing:
        refusal = cut_off(needs.names, {name: topic.partitions for name, topic in existing.items()})
        if refusal is not None:
            text, _, remedy = refusal.rpartition(": ")
            yield Finding(Level.FAULT, "partitions", text, remedy)


def _missing(needs: Needs, name: str) -> Finding:
    if name == needs.names.activity:
        remedy = f"correct ENROLMENT_ACTIVITY_TOPIC; or {_CREATE}; or allow Describe on it (ACL)"
        return Finding(Level.FAULT, f"topic {name}", "does not exist, or may not be seen", remedy)
    return Finding(Level.WARNING, f"topic {name}", "does not exist yet", f"`run` or {_CREATE}")


def _found(
    needs: Needs, name: str, topic: ExistingTopic, existing: Mapping[str, ExistingTopic], brokers: int
) -> Finding:
    flaws = [*_flaws(needs, name, topic, existing, brokers)]
    text = f"partitions: {topic.partitions}, replicas: {topic.replication_factor}"
    if topic.config is not None:
        text += f", keeps {_kept(topic.config)}, records up to {_largest(topic)} bytes"
    if not flaws:
        return ok(f"topic {name}", text)
    worst = Level.FAULT if any(flaw.level is Level.FAULT for flaw in flaws) else Level.WARNING
    return Finding(
        worst,
        f"topic {name}",
        f"{text}: " + "; ".join(flaw.text for flaw in flaws),
        "; ".join(dict.fromkeys(flaw.remedy for flaw in flaws)),
    )


def _flaws(
    needs: Needs, name: str, topic: ExistingTopic, existing: Mapping[str, ExistingTopic], brokers: int
) -> Iterator[_Flaw]:
    names = needs.names
    if topic.config is None:
        yield _Flaw(Level.WARNING, "its settings may not be read", "allow DescribeConfigs on it")
        return
    if name == names.activity:
        yield from _keeps(topic, _SHORTEST_MS, Level.WARNING, "an outage that lasts longer loses events")
    elif name == names.ledger:
        yield from _ledger_flaws(needs, topic)
    elif name in names.retries:
        hop = names.retries.index(name)
        delay = needs.retry_delays_seconds[hop] if hop < len(needs.retry_delays_seconds) else 0.0
        least = round(delay * 1000) + _DAY_MS
        yield from _keeps(topic, least, Level.FAULT, "events are gone before they are tried again")
    elif name == names.outcomes and _largest(topic) < LARGEST_OUTCOME_BYTES:
        needed = str(LARGEST_OUTCOME_BYTES)
        yield _Flaw(Level.FAULT, "an outcome may be larger", _set(LARGEST_RECORD, needed))
    if name in names.record_topics:
        yield from _room(topic, existing.get(names.activity))
    if name != names.ledger and "compact" in _policy(topic):
        yield _Flaw(
            Level.FAULT, "compaction drops all but a key's latest record", _set("cleanup.policy", "delete")
        )
    if name != names.activity and topic.replication_factor == 1 and brokers > 1:
        yield _Flaw(
            Level.WARNING,
            "one replica: what is on that broker is lost with it",
            "give it three replicas, with min.insync.replicas=2",
        )


def _ledger_flaws(needs: Needs, topic: ExistingTopic) -> Iterator[_Flaw]:
    least = round(needs.ledger_days * _DAY_MS)
    if "compact" not in _policy(topic):
        yield _Flaw(Level.WARNING, "it is not compacted and grows", _set("cleanup.policy", "compact,delete"))
    if "delete" in _policy(topic):
        yield from _keeps(topic, least, Level.FAULT, "who was enrolled before may be enrolled again")
    if _largest(topic) < LARGEST_ENTRY_BYTES:
        yield _Flaw(
            Level.FAULT, "an entry may be larger", _set("max.message.bytes", str(LARGEST_ACTIVITY_BYTES))
        )


def _keeps(topic: ExistingTopic, least_ms: int, level: Level, harm: str) -> Iterator[_Flaw]:
    config = topic.config or {}
    kept = int(config.get("retention.ms", -1))
    if 0 <= kept < least_ms:
        yield _Flaw(
            level, f"it should keep {_span(least_ms)}, or {harm}", _set("retention.ms", str(least_ms))
        )
    if int(config.get("retention.bytes", -1)) >= 0:
        yield _Flaw(level, f"a limit in bytes drops records sooner: {harm}", _set("retention.bytes", "-1"))


def _room(topic: ExistingTopic, activity: ExistingTopic | None) -> Iterator[_Flaw]:
    least = room_needed(activity)
    if least is not None and _largest(topic) < least:
        yield _Flaw(
            Level.FAULT,
            "the activity topic's largest record and our headers do not fit",
            _set("max.message.bytes", str(least)),
        )


def _policy(topic: ExistingTopic) -> str:
    return (topic.config or {}).get("cleanup.policy", "delete")


def _largest(topic: ExistingTopic) -> int:
    return int((topic.config or {}).get("max.message.bytes", LARGEST_ACTIVITY_BYTES))


def _kept(config: Mapping[str, str]) -> str:
    kept = int(config.get("retention.ms", -1))
    return "everything" if kept < 0 else _span(kept)


def _span(milliseconds: int) -> str:
    hours = milliseconds / 3_600_000
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"  # noqa: PLR2004 - two days


def _set(name: str, value: str) -> str:
    return f"set {name}={value} on it"
