"""What was felt, as a table, and beside what is wanted."""

from collections.abc import Iterable, Iterator
from typing import Final

from tests.bench.felt.cases import LATE_SECONDS, Row
from tests.bench.table import table

_HEADING: Final = (
    "",
    "whose partitions",
    "events",
    "worst, s",
    "p99, s",
    f"later than {LATE_SECONDS:g} s",
    "wanted, s",
    "partitions moved",
    "had to",
)


def is_as_wanted(row: Row) -> bool:
    """Whether nobody waited longer than is wanted."""
    return all(row.felt[who].worst <= seconds for who, seconds in row.wanted.items())


def print_row(row: Row) -> None:
    """Print what a case cost, as soon as it is known."""
    told = "; ".join(f"{who} worst {felt.worst:.2f} s, {felt.late} late" for who, felt in row.felt.items())
    print(f"{row.title}: {told} (load {row.load:.1f})", flush=True)


def print_table(rows: Iterable[Row]) -> None:
    """Print all of it."""
    print(f"\n{table(_HEADING, (cells for row in rows for cells in _cells(row)))}", flush=True)


def _cells(row: Row) -> Iterator[tuple[str, ...]]:
    for who, felt in row.felt.items():
        wanted = row.wanted.get(who)
        yield (
            row.title,
            who,
            f"{felt.events:,}",
            f"{felt.worst:.2f}",
            f"{felt.p99:.2f}",
            f"{felt.late:,}",
            "" if wanted is None else f"{wanted:g}",
            f"{row.moved}",
            f"{row.needed}",
        )
