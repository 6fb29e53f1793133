"""`python -m tests.crash`: disturb the worker, then close the books; exit status 1 for a fault."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import click

from tests.crash.books import Verdict, reconcile
from tests.crash.choices import Options
from tests.crash.laboratory import Laboratory, laboratory
from tests.crash.report import add_options, conclude, dump, figures, keep


def lines(options: Options, made: Laboratory, verdict: Verdict) -> list[str]:
    """Return the figures of a run, a line each."""
    chronicle = made.chronicle
    moments = chronicle.in_flight_at_kill
    kills = f"kills: {len(moments) + chronicle.named_kills}, {chronicle.named_kills} of them at named points"
    if moments:
        span = f"{min(moments)} to {max(moments)} events in flight (median {median(moments):g})"
        kills += f", {len(moments)} at random moments with {span}"
    return [
        kills,
        f"broker restarts: {chronicle.broker_restarts}",
        f"workers frozen past the session: {chronicle.freezes}",
        f"workers that joined and left: {chronicle.guests}",
        f"redrives of all dead letters: {chronicle.redrives}",
        f"replays with --retry-rejected: {chronicle.replays}, killed {chronicle.replays_killed} times",
        f"changes at Capillary: {chronicle.changes}",
        *figures(options, made, verdict),
    ]


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
