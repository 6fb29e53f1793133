"""The `enrolment-worker` program: which commands there are, and how it refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import click
from click.exceptions import NoArgsIsHelpError

from worker.commands.failure import CommandFailed
from worker.telemetry.injected import take_back

_COMMANDS: Final = {
    "run": "Run the worker.",
    "demo": "Show everything on this machine, with nothing configured.",
    "check": "Look whether settings, Kafka and the API are as needed.",
    "explain": "Tell what the worker would do for a customer, and why.",
    "topics": "List the topics, create the missing ones, describe their records.",
    "dead-letters": "Look at dead letters, send them back to be handled again.",
    "ledger": "Move the ledger to another partition count.",
    "simulate": "Run the simulated Capillary API, for tests.",
}
"""Commands by name: the module of that name (with an underscore for a dash) has it as `command`."""


class _Refusal(CommandFailed):
    exit_code = 2


@contextmanager
def _one_line_refusals() -> Iterator[None]:
    try:
        yield
    except NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        help_of = error.ctx.command_path if error.ctx else "enrolment-worker"
        text = " ".join(error.format_message().split())
        raise _Refusal(f"{text} ({help_of} --help tells more)") from None


class _Program(click.Group):
    """Imports a command's module when the command is called for, so that help and version are quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = import_module(f"worker.commands.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def make_context(self, *args: Any, **extra: Any) -> click.Context:  # noqa: ANN401 - passed through to click
        with _one_line_refusals():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        with _one_line_refusals():
            return super().invoke(ctx)


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="enrolment-worker", message="%(prog)s %(version)s")
def program() -> None:
    """Enrol loyalty customers into Capillary promotions the moment they do something.

    It reads customer activity from Kafka, asks the Capillary API which promotions the customer may be
    enrolled into, enrols, and writes to Kafka what came of it.

    \b
    See it work, with nothing configured:
      enrolment-worker demo
    \b
    Run it:
      export ENROLMENT_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092
      export ENROLMENT_API_BASE_URL=https://eu.api.capillarytech.com
      export ENROLMENT_API_USERNAME=... ENROLMENT_API_PASSWORD_FILE=/run/secrets/capillary
      enrolment-worker topics create
      enrolment-worker run

    Settings come from the environment; `enrolment-worker run --help` lists them all.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    take_back()
