"""What a run tells: its figures, and on demand its books and logs."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from tests.crash.books import Books, Verdict
from tests.crash.choices import Options
from tests.crash.run import Run


def figures(options: Options, made: Run[Any], verdict: Verdict) -> list[str]:
    """Return the figures that every run has, a line each."""
    named = {
        "seed": options.seed,
        "events": f"{options.events} of {options.customers} customers, {options.workers} workers",
        "took": f"{made.seconds:.0f} s, {options.events / made.seconds:.0f} events/s",
        "workers that ended by themselves": made.ended_by_themselves or "none",
        "known customers": _known(options, made, verdict),
        "lost answers": f"{options.lost_answers:.0%}, {verdict.reconciled} enrolments reconciled",
        "outcomes": ", ".join(f"{name} {count}" for name, count in sorted(verdict.told.items())),
        "repeated outcomes": verdict.repeats,
        "repeated on demand (replays, redrives)": verdict.repeats.asked_for,
        "enrolments applied": f"{verdict.applied}, by {verdict.posts} requests",
        "lost": verdict.lost,
        "enrolled twice": verdict.applied_twice,
        "out of order": verdict.out_of_order,
        "applied and not told": verdict.not_told,
    }
    return [f"{name}: {value}" for name, value in named.items()]


def _known(options: Options, made: Run[Any], verdict: Verdict) -> str:
    if not options.trusts:
        return "every event is looked up"
    trusted = f"trusted for {options.trusts:g} s, {verdict.known} events were told without a lookup"
    return f"{trusted}, {made.notified} notifications were fed"


def conclude(lines: list[str], verdict: Verdict) -> int:
    """Print the figures and the verdict; return the exit status."""
    for line in lines:
        click.echo(line)
    for finding in verdict.findings:
        click.echo(f"FAULT: {finding}")
    click.echo("the books disagree" if verdict.findings else "the books agree")
    return 1 if verdict.findings else 0


def dump(books: Books) -> str:
    """Return the books as JSON."""
    return json.dumps(
        {
            "outcomes": books.outcomes,
            "enrolments": books.enrolments,
            "requests": books.requests,
            "overlaps": books.overlaps,
            "windows": [asdict(window) for window in books.windows],
            "standstills": books.promise.standstills if books.promise else (),
            "thawed": books.thawed,
            "replays": [
                {"told": [one.told.start, one.told.stop], "setBack": one.set_back}
                for one in books.asked.replays
            ],
            "redriven": books.asked.redriven,
        },
        default=str,
    )


def keep(folder: Path | None, texts: Mapping[str, str]) -> None:
    """Write the texts to the folder, where there is one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.log").write_text(text)


def add_options(command: click.Command, defaults: Options, *names: str) -> None:
    """Give a command an option for each part of a run's size, or for those named."""
    for field in fields(Options):
        if names and field.name not in names:
            continue
        name, default = "--" + field.name.replace("_", "-"), getattr(defaults, field.name)
        command.params.append(
            click.Option([name, field.name], type=field.type, default=default, show_default=True)
        )
