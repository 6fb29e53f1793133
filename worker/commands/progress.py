"""How long work shows that it goes on: one line that changes on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Final, Self

import click

_PAUSE_SECONDS: Final = 2.0
_PAUSE_ON_TERMINAL_SECONDS: Final = 0.1
_CLEARED: Final = "\r\x1b[K"


class Progress:
    """A context manager; what it is told within the block goes to standard error, not too often."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._told_at = time.monotonic()

    def __call__(self, line: str) -> None:
        """Tell how far it is."""
        now = time.monotonic()
        if now - self._told_at < (_PAUSE_ON_TERMINAL_SECONDS if self._live else _PAUSE_SECONDS):
            return
        self._told_at = now
        click.echo(f"{_CLEARED}{line}" if self._live else line, err=True, nl=not self._live)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            click.echo(_CLEARED, err=True, nl=False)
