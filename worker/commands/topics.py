"""`enrolment-worker topics`: what the cluster has of our topics, and creating what it lacks."""

import asyncio
import json

import click

from worker.commands.configured import settings_or_exit
from worker.commands.failure import Failure
from worker.settings import KafkaSettings


@click.group(short_help="List the topics, create the missing ones.")
def command() -> None:
    """List the worker's topics with their settings, and create the missing ones.

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
    from worker.commands.topic_report import as_object, lines  # noqa: PLC0415 - brings Faust, 0.5 s
    from worker.stream.admin import KafkaFailed, TopicAdmin  # noqa: PLC0415 - see above
    from worker.stream.inventory import inspect  # noqa: PLC0415 - see above

    try:
        reports = asyncio.run(inspect(settings, TopicAdmin(settings)))
    except KafkaFailed as error:
        raise Failure(str(error)) from None
    if as_json:
        click.echo(json.dumps([as_object(report) for report in reports], indent=2))
    else:
        for report in reports:
            click.echo("\n".join(lines(report)))


@command.command("create")
def create_topics() -> None:
    """Create the topics that are missing. Those that exist stay as they are.

    Where the activity topic exists, retry topics and the ledger get its number of partitions.
    """
    settings = settings_or_exit(KafkaSettings)
    from worker.commands.topic_report import size  # noqa: PLC0415 - brings Faust, 0.5 s
    from worker.stream.admin import KafkaFailed, TopicAdmin  # noqa: PLC0415 - see above
    from worker.stream.inventory import create_missing  # noqa: PLC0415 - see above

    try:
        reports, refusals = asyncio.run(create_missing(settings, TopicAdmin(settings)))
    except KafkaFailed as error:
        raise Failure(str(error)) from None
    for report in reports:
        if report.found is not None:
            click.echo(f"exists   {report.spec.name}  {size(report.found)}")
        elif report.spec.name not in refusals:
            click.echo(f"created  {report.spec.name}  {size(report.spec)}")
    if refusals:
        raise Failure("not created: " + "; ".join(f"{name} ({why})" for name, why in refusals.items()))
