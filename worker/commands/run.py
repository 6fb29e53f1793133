"""`enrolment-worker run`."""

import os
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any, Final

import click

from worker.commands.configured import NEW_LEDGER, refused, settings_or_exit
from worker.settings import (
    PREFIX,
    GroupReference,
    SettingReference,
    Settings,
    SettingsError,
    reference,
)
from worker.stopping import STOP
from worker.timing import utc_now

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
    ]
    return f"{setting.description}  [{'; '.join(notes)}]" if notes else setting.description


class _Time(click.ParamType):
    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401 - click's signature
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-01-31T10:00Z", param, ctx)
        if time.tzinfo is None:
            self.fail(f"{value!r} names no time zone; append Z for UTC", param, ctx)
        return time


def _ensure_remembered(since: datetime, settings: Settings) -> None:
    """Raise UsageError if the ledger has forgotten what happened then."""
    if since < utc_now() - timedelta(days=settings.ledger_retention_days):
        raise click.UsageError(
            "--from is further back than the ledger remembers (ENROLMENT_LEDGER_RETENTION_DAYS): "
            "who was enrolled then may be enrolled again; confirm with --yes"
        )


@click.command(
    cls=_RunCommand,
    short_help="Run the worker.",
    epilog="A secret may come as a file: NAME_FILE holds its path. An empty variable counts as not given. "
    "Exit status: 0 after SIGTERM or SIGINT and a finished drain; 2 for bad settings; 1 when it gives up; "
    "70 when it finds itself stuck and wants a restart.",
)
@click.option("--from", "since", type=_Time(), help="Replay: events of this time and later.")
@click.option("--until", type=_Time(), help="Replay: and before this time. Then the process ends.")
@click.option("--group-id", help="Consumer group, in place of ENROLMENT_GROUP_ID.")
@click.option(
    "--retry-rejected",
    is_flag=True,
    help="Replay: ask once more for what was REJECTED or CUSTOMER_NOT_FOUND.",
)
@click.option("--yes", is_flag=True, help="Replay what the ledger does not know; may enrol customers again.")
@click.option("--new-ledger", is_flag=True, help=NEW_LEDGER)
def command(
    *,
    since: datetime | None,
    until: datetime | None,
    group_id: str | None,
    retry_rejected: bool,
    yes: bool,
    new_ledger: bool,
) -> None:
    """Run the worker until SIGTERM or SIGINT, then finish what is in flight.

    \b
      export ENROLMENT_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092,kafka-2:9092
      export ENROLMENT_API_BASE_URL=https://eu.api.capillarytech.com
      export ENROLMENT_API_USERNAME=... ENROLMENT_API_PASSWORD_FILE=/run/secrets/capillary
      enrolment-worker run

    Settings are environment variables, listed below. Logs go to standard error.

    \b
    Handle the events of a window of time once more, with all other workers of the group stopped:
      enrolment-worker run --from 2026-01-31T08:00Z --until 2026-01-31T12:00Z
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    if (since is None) != (until is None):
        raise click.UsageError("a replay needs both --from and --until")
    if since is None and (retry_rejected or yes):
        raise click.UsageError("--retry-rejected and --yes belong to a replay: give --from and --until")
    if since is not None and until is not None and until <= since:
        raise click.UsageError("--until must be later than --from")
    chosen = {} if group_id is None else {f"{PREFIX}GROUP_ID": group_id}
    settings = settings_or_exit(Settings, {**os.environ, **chosen})
    if since is not None and not (yes or settings.dry_run):
        _ensure_remembered(since, settings)
    import structlog  # noqa: PLC0415 - help and bad settings need not wait for this, nor for Faust

    from worker.composition.worker import run_worker  # noqa: PLC0415 - see above
    from worker.kafka.errors import KafkaFailed  # noqa: PLC0415 - see above
    from worker.stream.replay_window import Replay  # noqa: PLC0415 - see above
    from worker.stream.state_folder import FolderTaken  # noqa: PLC0415 - see above
    from worker.telemetry.export import BadVariable, start_export  # noqa: PLC0415 - see above
    from worker.telemetry.logs import configure_logging  # noqa: PLC0415 - see above

    configure_logging(settings.log_level, settings.log_format)
    log = structlog.get_logger(__name__)
    STOP.say_by(log.info)
    try:
        export = start_export(version("enrolment-worker"))
    except BadVariable as error:
        raise refused(SettingsError((str(error),))) from None
    try:
        replay = None
        if since is not None and until is not None:
            replay = Replay(since, until, without_ledger=yes, retry_rejected=retry_rejected)
        code = run_worker(settings, replay=replay, new_ledger=new_ledger)
    except SettingsError as error:
        raise refused(error) from None
    except (KafkaFailed, FolderTaken) as error:
        log.critical(str(error))
        code = 1
    except Exception:
        log.critical("the worker gave up on a fault of its own", exc_info=True)
        code = 1
    finally:
        export.close()
    raise SystemExit(STOP.status(code))
