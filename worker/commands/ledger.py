"""`enrolment-worker ledger`: looking after what the worker remembers."""

import asyncio
import logging

import click

from worker.commands.configured import settings_or_exit
from worker.commands.failure import CommandFailed
from worker.kafka.errors import KafkaFailed
from worker.kafka.partitioners import Partitioner
from worker.operations.ledger_move import move_ledger
from worker.settings import KafkaSettings


@click.group(short_help="Move the ledger to another partition count.")
def command() -> None:
    """Look after the ledger, in which the worker remembers enrolments.

    \b
      export ENROLMENT_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092
      enrolment-worker ledger move --dry-run
      enrolment-worker ledger move

    Needs the settings of Kafka and of the topics only (`enrolment-worker run --help` lists them).
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped


@command.command("move")
@click.option(
    "--partitioner",
    type=click.Choice(["murmur2", "crc32"]),
    default="murmur2",
    show_default=True,
    help="How upstream's client chooses a key's partition: murmur2 for Java's, crc32 for librdkafka's.",
)
@click.option("--dry-run", is_flag=True, help="Only count; change nothing.")
def move(*, partitioner: str, dry_run: bool) -> None:
    """Bring ledger and retry topics to the activity topic's partition count, each entry to its place.

    For after the activity topic got more partitions. Stop all workers first, and read 'More partitions' in
    the manual. Interrupted, it is simply run again; no worker starts before it got to its end.
    """
    settings = settings_or_exit(KafkaSettings)
    # Its lines are for logs; what matters of them is in our own line.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        moved = asyncio.run(move_ledger(settings, Partitioner(partitioner), _progress, dry_run=dry_run))
    except KafkaFailed as error:
        raise CommandFailed(str(error)) from None
    click.echo(
        f"{'to copy' if dry_run else 'copied'}: {moved.copied}, already there: {moved.already_there}, "
        f"stay where they are: {moved.stayed}, without a key: {moved.without_lane}, "
        f"left behind by earlier moves: {moved.left_behind}"
    )
    if moved.without_lane:
        click.echo(
            f"warning: {moved.without_lane} entries come from records without a key and stay where they are",
            err=True,
        )


def _progress(line: str) -> None:
    click.echo(line, err=True)
