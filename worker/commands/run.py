"""`enrolment-worker run`."""

from importlib.metadata import version
from typing import Final

import click

from worker.commands.configured import refused, settings_or_exit
from worker.settings import (
    GroupReference,
    SettingReference,
    Settings,
    SettingsError,
    not_yet_effective,
    reference,
)

_NAME_WIDTH: Final = 40


class _RunCommand(click.Command):
    """Lists every setting below its help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group in reference():
            _write(group, formatter)
        super().format_epilog(ctx, formatter)


def _write(group: GroupReference, formatter: click.HelpFormatter) -> None:
    with formatter.section(group.title):
        formatter.write_dl(
            [(setting.name, _text(setting)) for setting in group.settings], col_max=_NAME_WIDTH
        )


def _text(setting: SettingReference) -> str:
    notes = [
        *(["required"] if setting.required else []),
        *([f"default: {setting.default}"] if setting.default is not None else []),
        *(["or NAME_FILE"] if setting.secret else []),
        *(["not in effect yet"] if setting.later else []),
    ]
    return f"{setting.description}  [{'; '.join(notes)}]" if notes else setting.description


@click.command(
    cls=_RunCommand,
    short_help="Run the worker.",
    epilog="A secret may come as a file: NAME_FILE holds its path. An empty variable counts as not given. "
    "Exit status: 0 after SIGTERM or SIGINT and a finished drain; 2 for bad settings; 1 when it gives up; "
    "70 when it finds itself stuck and wants a restart.",
)
def command() -> None:
    """Run the worker until SIGTERM or SIGINT, then finish what is in flight.

    \b
      export ENROLMENT_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092,kafka-2:9092
      export ENROLMENT_API_BASE_URL=https://eu.api.capillarytech.com
      export ENROLMENT_API_USERNAME=... ENROLMENT_API_PASSWORD_FILE=/run/secrets/capillary
      enrolment-worker run

    Settings are environment variables, listed below. Logs go to standard error.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    settings = settings_or_exit(Settings)
    import structlog  # noqa: PLC0415 - help and bad settings need not wait for this, nor for Faust

    from worker.composition import run_worker  # noqa: PLC0415 - see above
    from worker.stream.admin import KafkaFailed  # noqa: PLC0415 - see above
    from worker.telemetry.export import BadVariable, start_export  # noqa: PLC0415 - see above
    from worker.telemetry.logs import configure_logging  # noqa: PLC0415 - see above

    configure_logging(settings.log_level, settings.log_format)
    log = structlog.get_logger(__name__)
    for line in not_yet_effective(settings):
        log.warning(line)
    try:
        export = start_export(version("enrolment-worker"))
    except BadVariable as error:
        raise refused(SettingsError((str(error),))) from None
    try:
        code = run_worker(settings)
    except SettingsError as error:
        raise refused(error) from None
    except KafkaFailed as error:
        log.critical(str(error))
        code = 1
    except Exception:
        log.critical("the worker gave up on a fault of its own", exc_info=True)
        code = 1
    finally:
        export.close()
    raise SystemExit(code)
