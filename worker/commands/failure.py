"""How a command says that it could not do it."""

from typing import IO, Any

import click


class CommandFailed(click.ClickException):
    """Ends the program with one line on standard error and exit status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the line."""
        click.echo(f"enrolment-worker: {self.format_message()}", file=file, err=file is None)
