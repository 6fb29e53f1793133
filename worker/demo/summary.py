"""The demo's last words: the three books side by side, some outcomes, the addresses."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import indent

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from topics.outcome import OutcomeName
from topics.record import Record
from worker.demo.generator import DeadLettered, Handled, PassedOver, Unknown
from worker.demo.reconcile import Report, Told, origin_of, place_of

_SAMPLES = (OutcomeName.ENROLLED, OutcomeName.LIMIT_EXHAUSTED, OutcomeName.DEAD_LETTERED)
_Row = tuple[str, int, bool | None]
"""Label, figure, and whether the figure is as it must be (None: it may be anything)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds since the command was given."""

    broker: float
    first_outcome: float
    all_handled: float
    end: float


def print_summary(console: Console, report: Report, timing: Timing, requests: int) -> None:
    """Print the reconciliation, then the verdict."""
    console.print(Rule("The books", style="dim", align="left"))
    console.print(Padding(_books(report, requests), (1, 2), expand=False))
    for finding in report.findings:
        console.print(f"  [red]✗[/] {finding}", soft_wrap=True, highlight=False)
    if not report.findings:
        console.print(
            "  [green]✓[/] every event has its outcome, and nobody was enrolled twice", highlight=False
        )
    console.print(
        f"    [dim]{timing.end:.0f} s in all: broker {timing.broker:.1f} s, first outcome after "
        f"{timing.first_outcome:.1f} s, last after {timing.all_handled:.1f} s[/]",
        soft_wrap=True,
    )


def print_samples(console: Console, told: Iterable[Told], dead_letters: Iterable[Record]) -> None:
    """Print an outcome record of each kind that is worth a look, and a dead letter's headers."""
    of_kind = {one.outcome.outcome: one for one in told}
    for name in _SAMPLES:
        if name in of_kind:
            _print_record(console, f"An outcome: {name}", of_kind[name].record)
    dead = of_kind.get(OutcomeName.DEAD_LETTERED)
    for letter in dead_letters:
        if dead is not None and origin_of(letter) == str(place_of(dead.outcome)):
            _print_headers(console, "Its dead letter: the value is the record's, byte for byte", letter)
    console.print()


def _books(report: Report, requests: int) -> Table:
    """Return the three books side by side, in 80 columns."""
    books = Table.grid(padding=(0, 1, 0, 0))
    books.add_row(_book(_events(report)), _book(_outcomes(report)), _book(_enrolments(report, requests)))
    return books


def _book(rows: Iterable[_Row]) -> Table:
    book = Table.grid(padding=(0, 1, 0, 0))
    book.add_column()
    book.add_column(justify="right", no_wrap=True)
    book.add_column(width=1)
    for row, (label, number, good) in enumerate(rows):
        mark = {True: Text("✓", style="green"), False: Text("✗", style="red"), None: Text()}[good]
        book.add_row(Text(label, style="dim" if row else "bold"), f"{number:,}", mark)
    return book


def _events(report: Report) -> Iterator[_Row]:
    counts = report.counts
    yield "Events", sum(counts.values()), None
    yield "known customer", counts.get(Handled, 0), None
    yield "unknown one", counts.get(Unknown, 0), None
    yield "bad record", counts.get(DeadLettered, 0), None
    yield "passed over", counts.get(PassedOver, 0), None
    yield "no outcome", report.without_outcome, report.without_outcome == 0


def _outcomes(report: Report) -> Iterator[_Row]:
    by_name = Counter(one.outcome.outcome for one in report.told)
    yield "Outcomes", len(report.told), None
    for name in OutcomeName:
        if by_name[name]:
            yield name, by_name[name], None
    same = report.dead_letters
    yield "same bytes dead-lettered", same, same == by_name[OutcomeName.DEAD_LETTERED]
    if report.repeats:
        yield "records that repeat", report.repeats, None


def _enrolments(report: Report, requests: int) -> Iterator[_Row]:
    told = sum(one.outcome.outcome is OutcomeName.ENROLLED for one in report.told)
    yield "Enrolments", report.applied, report.applied == told
    yield "answers lost", sum(bool(one.outcome.reconciled) for one in report.told), None
    yield "applied twice", report.applied_twice, report.applied_twice == 0
    yield "overlapping", report.overlaps, report.overlaps == 0
    yield "API requests", requests, None


def _print_record(console: Console, title: str, record: Record) -> None:
    _print_headers(console, title, record)
    text = json.dumps(json.loads(record.value or b"null"), indent=2, ensure_ascii=False)
    console.print(JSONHighlighter()(indent(text, "  ")), soft_wrap=True)


def _print_headers(console: Console, title: str, record: Record) -> None:
    console.print()
    console.print(Rule(title, style="dim", align="left"))
    place = ("  record ", "dim"), str(record.position), ("  key ", "dim"), _shown(record.key)
    console.print(Text.assemble(*place), soft_wrap=True)
    for name, value in record.headers:
        console.print(Text.assemble((f"  {_shown(name.encode())}: ", "dim"), _shown(value)), soft_wrap=True)


def _shown(given: bytes | None) -> str:
    """Return bytes from outside as text in which nothing steers the terminal."""
    text = (given or b"").decode(errors="backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
