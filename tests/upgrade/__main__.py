"""`python -m tests.upgrade`: rehearse an upgrade and the way back; exit status 1 where the books disagree."""

import logging
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from tests.crash.books import reconcile
from tests.crash.choices import Options
from tests.crash.report import add_options, conclude, dump, figures, keep
from tests.upgrade.rehearsal import REPLICAS, rehearsal
from tests.upgrade.versions import default_ref, install, this_version

_SIZE: Final = Options(
    events=4_000, customers=1_000, promotions=5, workers=REPLICAS, refused=0.0, trust_seconds=0
)
"""Nothing is rejected: nobody asks for it again here. No setting that the other version may not have."""


@click.command()
@click.option("--old", help="Git ref of the other version.  [default: the newest tag, else HEAD's parent]")
@click.option("--keep", "folder", type=click.Path(path_type=Path), help="Folder for the books and the logs.")
def main(old: str | None, folder: Path | None, **size: Any) -> None:  # noqa: ANN401 - fields of Options
    """Let two versions of the worker take turns on one group and say whether the books agree."""
    options, started = replace(_SIZE, **size), time.monotonic()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    def tell(line: str) -> None:
        click.echo(f"{time.monotonic() - started:6.1f} s  {line}")

    with tempfile.TemporaryDirectory() as made_for:
        new = this_version()
        try:
            other = install(old or default_ref(), Path(made_for))
        except subprocess.CalledProcessError as error:
            raise click.ClickException(f"the other version cannot be installed: {error}") from None
        tell(f"old: {other.name}, installed from its lock file; new: {new.name}, this tree")
        with rehearsal(options, other, new, tell) as made:
            try:
                books = made.run()
            except AssertionError:
                keep(folder, made.logs())
                raise
            verdict = reconcile(books)
            keep(folder, made.logs() | {"books": dump(books)})
    killed = made.in_flight_at_kill
    handled = ", ".join(f"{name} {count}" for name, count in made.handled.items())
    lines = [
        f"old: {other.name}; new: {new.name}",
        f"replaced: {made.stopped} by SIGTERM, {len(killed)} by SIGKILL with {killed} events in flight",
        f"records taken: {handled}",
    ]
    status = conclude([*lines, *figures(options, made, verdict)], verdict)
    if len(+made.handled) < len({other.name, new.name}):
        raise click.ClickException("one of the versions handled nothing")
    raise SystemExit(status)


add_options(main, _SIZE, "events", "customers", "promotions", "partitions", "lost_answers", "seed")

if __name__ == "__main__":
    main()
