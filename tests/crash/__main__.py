"""`python -m tests.crash`: disturb the worker, then close the books; exit status 1 for a fault."""

import json
import logging
import time
from dataclasses import fields, replace
from pathlib import Path
from statistics import median
from typing import Any

import click

from tests.crash.books import Books, Verdict, reconcile
from tests.crash.choices import Options
from tests.crash.laboratory import Chronicle, laboratory


def lines(options: Options, chronicle: Chronicle, verdict: Verdict) -> list[str]:
    """Return the figures of a run, a line each."""
    moments = chronicle.in_flight_at_kill
    kills = f"kills: {len(moments) + chronicle.named_kills}, {chronicle.named_kills} of them at named points"
    if moments:
        span = f"{min(moments)} to {max(moments)} events in flight (median {median(moments):g})"
        kills += f", {len(moments)} at random moments with {span}"
    figures = {
        "seed": options.seed,
        "events": f"{options.events} of {options.customers} customers, {options.workers} workers",
        "took": f"{chronicle.seconds:.0f} s, {options.events / chronicle.seconds:.0f} events/s",
        "broker restarts": chronicle.broker_restarts,
        "workers frozen past the session": chronicle.freezes,
        "workers that joined and left": chronicle.guests,
        "workers that ended by themselves": chronicle.ended_by_themselves or "none",
        "lost answers": f"{options.lost_answers:.0%}, {verdict.reconciled} enrolments reconciled",
        "outcomes": ", ".join(f"{name} {count}" for name, count in sorted(verdict.told.items())),
        "repeats of outcomes": verdict.repeats,
        "enrolments applied": f"{verdict.applied}, by {verdict.posts} requests",
        "lost": verdict.lost,
        "enrolled twice": verdict.applied_twice,
        "out of order": verdict.out_of_order,
        "applied and not told": verdict.not_told,
    }
    return [kills, *(f"{name}: {value}" for name, value in figures.items())]


@click.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the books and the logs.")
def main(keep: Path | None, **size: Any) -> None:  # noqa: ANN401 - the fields of Options
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
            _keep(keep, made.logs())
            raise
        verdict = reconcile(books)
        _keep(keep, made.logs() | {"books": _dump(books)})
    for line in lines(options, made.chronicle, verdict):
        click.echo(line)
    for finding in verdict.findings:
        click.echo(f"FAULT: {finding}")
    click.echo("the books disagree" if verdict.findings else "the books agree")
    raise SystemExit(1 if verdict.findings else 0)


def _dump(books: Books) -> str:
    return json.dumps(
        {
            "outcomes": books.outcomes,
            "enrolments": books.enrolments,
            "requests": books.requests,
            "overlaps": books.overlaps,
        }
    )


def _keep(folder: Path | None, texts: dict[str, str]) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.log").write_text(text)


for _field in fields(Options):
    _name = "--" + _field.name.replace("_", "-")
    main.params.append(
        click.Option([_name, _field.name], type=_field.type, default=_field.default, show_default=True)
    )

if __name__ == "__main__":
    main()
