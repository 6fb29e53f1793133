"""`enrolment-worker topics`: what the cluster has of our topics, and creating what it lacks."""

import asyncio
import json
import os
from datetime import timedelta
from typing import Any, Final

import click

from topics.names import all_topics
from worker.commands.configured import NEW_LEDGER, settings_or_exit
from worker.commands.failure import CommandFailed
from worker.commands.topic_report import as_object, lines, size
from worker.kafka.admin import TopicAdmin
from worker.kafka.errors import KafkaFailed
from worker.kafka.inventory import create_missing, inspect
from worker.kafka.lost_ledger import ensure_no_history
from worker.kafka.partition_admin import PartitionAdmin
from worker.settings import PREFIX, KafkaSettings

_IN_DOCUMENT: Final = (
    "ACTIVITY_TOPIC",
    "OUTCOME_TOPIC",
    "GROUP_ID",
    "TOPIC_PARTITIONS",
    "TOPIC_REPLICATION_FACTOR",
    "LEDGER_RETENTION_DAYS",
)
"""Settings that the AsyncAPI document tells of."""


@click.group(short_help="List the topics, create the missing ones, describe their records.")
def command() -> None:
    """List the worker's topics with their settings, create the missing ones, describe their records.

    \b
      export ENROLMENT_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092
      enrolment-worker topics list
      ENROLMENT_TOPIC_PARTITIONS=24 enrolment-worker topics create

    Needs the settings of Kafka and of the topics only (`enrolment-worker run --help` lists them).
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list with one object per topic.")
def list_topics(*, as_json: bool) -> None:
    """Show each topic: whether it exists, with how many partitions, and what differs."""
    settings = settings_or_exit(KafkaSettings)
    try:
        reports = asyncio.run(inspect(settings, TopicAdmin(settings)))
    except KafkaFailed as error:
        raise CommandFailed(str(error)) from None
    if as_json:
        click.echo(json.dumps([as_object(report) for report in reports], indent=2))
    else:
        for report in reports:
            click.echo("\n".join(lines(report)))


@command.command("create")
@click.option("--new-ledger", is_flag=True, help=NEW_LEDGER)
def create_topics(*, new_ledger: bool) -> None:
    """Create the topics that are missing. Those that exist stay as they are.

    If the activity topic exists, retry topics and the ledger get its number of partitions. An empty ledger
    for a group that has handled events is refused: it would forget whom the group has enrolled.
    """
    settings = settings_or_exit(KafkaSettings)

    async def create() -> Any:  # noqa: ANN401 - see `create_missing`
        admin, ledger = PartitionAdmin(settings), settings.topic_names.ledger
        if not new_ledger and ledger not in await admin.existing([ledger]):
            await ensure_no_history(settings, admin)
        return await create_missing(settings, admin)

    try:
        reports, refusals = asyncio.run(create())
    except KafkaFailed as error:
        raise CommandFailed(str(error)) from None
    for report in reports:
        if report.found is not None:
            click.echo(f"exists   {report.spec.name}  {size(report.found)}")
        elif report.spec.name not in refusals:
            click.echo(f"created  {report.spec.name}  {size(report.spec)}")
    if refusals:
        raise CommandFailed("not created: " + "; ".join(f"{name} ({why})" for name, why in refusals.items()))


@command.command("asyncapi")
def asyncapi() -> None:
    """Print the AsyncAPI 3 document of the topics, as JSON.

    Needs no settings; if topics, group or partitions are set, the document says so.
    """
    given = {
        name: os.environ[name] for name in (PREFIX + each for each in _IN_DOCUMENT) if name in os.environ
    }
    settings = settings_or_exit(
        KafkaSettings, {f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS": "not-asked:9092", **given}
    )

    from topics.asyncapi import document  # noqa: PLC0415 - the models of all records, for this command alone

    names, retention = settings.topic_names, timedelta(days=settings.ledger_retention_days)
    specs = all_topics(names, settings.topic_partitions, settings.topic_replication_factor, retention)
    click.echo(json.dumps(document(names, specs), indent=2))
