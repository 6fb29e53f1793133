"""Kafka as the worker would find it: reached, let in, with topics that are fit and rights that suffice."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

from worker.kafka.admin import TopicAdmin
from worker.kafka.errors import KafkaFailed
from worker.kafka.inventory import inspect
from worker.kafka.permissions import Permissions, Verdict
from worker.operations.findings import Finding, fault, ok, warning
from worker.operations.topic_fitness import Needs, judge_topics
from worker.settings import KafkaSettings

_CONNECT_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 10.0


async def examine_kafka(
    settings: KafkaSettings, needs: Needs, ledger_group: str | None = None
) -> AsyncIterator[Finding]:
    """Yield findings as they are made; writes nothing, joins no group. Raises nothing; waits within bounds.

    `ledger_group` is another group whose ledger is read.
    """
    reached = [await _reach(server) for server in settings.kafka_bootstrap_servers]
    some = any(finding.remedy is None for finding in reached)
    for finding in reached:
        yield (
            warning(finding.subject, finding.text, finding.remedy or "")
            if some and finding.remedy
            else finding
        )
    if not some:
        return
    admin, stage = Permissions(settings, _PATIENCE_SECONDS), "Kafka login"
    try:
        brokers = await admin.brokers()
        yield ok(stage, f"{_protocol(settings)}; brokers: {brokers}")
        stage = "Kafka"
        names = needs.names if ledger_group is None else replace(needs.names, group_id=ledger_group)
        ledger = None if needs.dry_run and ledger_group is None else names.ledger
        existing = await admin.existing([*needs.used(), needs.names.move_mark, names.ledger])
        for finding in judge_topics(needs, existing, brokers):
            yield finding
        if ledger_group is not None and names.ledger not in existing:
            yield fault(
                f"topic {names.ledger}",
                "does not exist, or may not be seen",
                "correct ENROLMENT_DRY_RUN_LEDGER_GROUP to the consumer group of the worker in production",
            )
        async for finding in _rights(settings, needs, admin, existing, ledger):
            yield finding
    except KafkaFailed as error:
        yield fault(
            stage,
            str(error),
            "check ENROLMENT_KAFKA_SECURITY_PROTOCOL, the SASL and SSL settings that go with it, and that "
            "the addresses that the brokers advertise can be reached from here",
        )


async def _reach(server: str) -> Finding:
    host, _, port = server.rpartition(":")
    started = time.monotonic()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        why = f"no answer within {_CONNECT_SECONDS:g} s"
    except OSError as error:
        # asyncio's own text repeats the address; of a name that cannot be resolved it tells why.
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else error.strerror or str(error)
    else:
        writer.close()
        return ok(f"Kafka {server}", f"reached in {(time.monotonic() - started) * 1000:.0f} ms")
    return fault(
        f"Kafka {server}",
        f"cannot be reached: {why}",
        "correct ENROLMENT_KAFKA_BOOTSTRAP_SERVERS, or open the way to it",
    )


def _protocol(settings: KafkaSettings) -> str:
    mechanism = settings.kafka_sasl_mechanism
    return settings.kafka_security_protocol + (f" with {mechanism}" if mechanism else "")


async def _rights(
    settings: KafkaSettings,
    needs: Needs,
    may: Permissions,
    existing: Mapping[str, object],
    ledger: str | None,
) -> AsyncIterator[Finding]:
    names = needs.names
    reads = [names.activity, *needs.reads_back(), *([ledger] if ledger else [])]
    writes = [name for name in needs.used() if name != names.activity]
    can_read, can_write = await may.read(reads), await may.write(writes)
    for name in dict.fromkeys([*reads, *writes]):
        tried = {"Read": can_read.get(name), "Write": can_write.get(name)}
        yield _verdict(f"rights on {name}", {right: may for right, may in tried.items() if may is not None})
    group = f"rights on group {settings.group_id}"
    yield _verdict(group, {"Read": await may.join(settings.group_id)})
    yield _verdict("rights of a producer", {"IdempotentWrite on the cluster": await may.number_records()})
    reports = await inspect(settings, TopicAdmin(settings, _PATIENCE_SECONDS))
    missing = [r.spec for r in reports if r.spec.name in needs.used() and r.spec.name not in existing]
    for name, verdict in (await may.create_none(missing)).items() if missing else ():
        if isinstance(verdict, str):
            yield fault(
                f"creating {name}", f"refused: {verdict}", "correct the settings, or create it yourself"
            )
        else:
            yield _verdict(f"creating {name}", {"Create": verdict})


def _verdict(subject: str, tried: Mapping[str, Verdict]) -> Finding:
    missing = [right for right, verdict in tried.items() if verdict is False]
    unclear = [f"{right} ({verdict})" for right, verdict in tried.items() if isinstance(verdict, str)]
    if missing:
        return fault(subject, f"not allowed: {', '.join(missing)}", f"allow {', '.join(missing)} (ACL)")
    if unclear:
        return warning(
            subject, f"could not be tried: {', '.join(unclear)}", "look at the cluster's log, and try again"
        )
    return ok(subject, ", ".join(tried))
