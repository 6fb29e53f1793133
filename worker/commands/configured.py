"""Settings for the commands: read, or refused in a line for each fault."""

import os
from collections.abc import Mapping
from typing import Final, TypeVar

import click

from worker.settings import KafkaSettings, SettingsError, load_settings

NEW_LEDGER: Final = "Make an empty ledger although the group has handled events; they may be enrolled again."
"""Help of the option by which `run` and `topics create` accept that a ledger is gone."""

S = TypeVar("S", bound=KafkaSettings)


def settings_or_exit(model: type[S], environ: Mapping[str, str] = os.environ) -> S:
    """Return the settings of this process; with bad ones, say each fault in a line and exit with 2."""
    try:
        return load_settings(environ, model)
    except SettingsError as error:
        raise refused(error) from None


def refused(error: SettingsError) -> SystemExit:
    """Say each fault in a line; return the exit for it."""
    for fault in error.faults:
        click.echo(f"enrolment-worker: {fault}", err=True)
    return SystemExit(2)
