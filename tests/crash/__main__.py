"""`python -m tests.crash`: disturb the worker, then close the books; exit status 1 for a fault."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tests.crash.books import Verdict, reconcile
from tests.crash.choices import Options
from tests.crash.laboratory import Laboratory, laboratory
from tests.crash.report import add_options, conclude, dump, figures, keep


def lines(options: Options, made: Laboratory, verdict: Verdict) -> list[str]:
    """Return the figures of a run, a line each."""
    return [*made.chronicle.lines(), *figures(options, made, verdict)]


@click.command()
@click.option("--keep", "folder", type=click.Path(path_type=Path), help="Folder for the books and the logs.")
def main(folder: Path | None, **size: Any) -> None:  # noqa: ANN401 - the fields of Options
    """Run the crash laboratory and say whether the books agree."""
    options, started = replace(Options(), **size), time.monotonic()
    # Of our own clients, which see the broker go and come.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    def tell(line: str) -> None:
        click.echo(f"{time.monotonic() - started:6.1f} s  {line}")

    with laboratory(options, tell) as made:
        try:
            books = made.run()
        except AssertionError:
            keep(folder, made.logs())
            raise
        verdict = reconcile(books)
        keep(folder, made.logs() | {"books": dump(books)})
    raise SystemExit(conclude(lines(options, made, verdict), verdict))


add_options(main, Options())

if __name__ == "__main__":
    main()
