"""The live view: a calm screen on a terminal, a line every two seconds elsewhere."""

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from topics.outcome import SEVERITY, OutcomeName
from worker.demo.progress import Progress

_LINE_SECONDS = 2.0
_BAR_WIDTH = 30
_WIDEST = 100
_SPARKS = "▁▂▃▄▅▆▇█"
_STYLE = {"info": "green", "warning": "yellow", "error": "red"}
_SHOWN = (
    OutcomeName.ENROLLED,
    OutcomeName.ALREADY_ENROLLED,
    OutcomeName.NO_PROMOTION_AVAILABLE,
    OutcomeName.LIMIT_EXHAUSTED,
    OutcomeName.CUSTOMER_NOT_FOUND,
    OutcomeName.REJECTED,
    OutcomeName.DEAD_LETTERED,
)
"""Always in this order, so that nothing jumps; others follow once they occur."""


class View(Protocol):
    """Shows progress while its block lasts."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, progress: Progress) -> None:
        """Show it; called as often as one likes."""


def view_for(console: Console) -> View:
    """Return the view that suits the console."""
    return _LiveView(console) if console.is_terminal else _Lines(console)


class _LiveView:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        self._live.update(screen(progress, min(self._console.width, _WIDEST)), refresh=True)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, progress: Progress) -> None:
        if progress.elapsed >= self._due:
            self._due = progress.elapsed + _LINE_SECONDS
            self._console.print(line(progress), soft_wrap=True, highlight=False, markup=False)


def line(progress: Progress) -> str:
    """Return the progress as one line."""
    named = "  ".join(
        f"{name} {progress.outcomes[name]}" for name in _names(progress) if progress.outcomes[name]
    )
    return (
        f"{progress.elapsed:5.1f} s  produced {progress.produced}/{progress.total}"
        f"  handled {progress.handled}  {progress.rate:.0f}/s"
        f"  in flight {progress.in_flight}  lag {progress.lag}  {named}"
    ).rstrip()


def screen(progress: Progress, width: int) -> RenderableType:
    """Return the progress as a screen of seventeen lines."""
    figures = Table.grid(padding=(0, 2))
    figures.add_column(style="dim", width=22)
    figures.add_column(justify="right", width=7)
    figures.add_column()
    spark = Text(sparkline(progress.rates, max(0, width - 42)), style="cyan")
    bar = ProgressBar(
        total=max(1, progress.total),
        completed=progress.handled,
        width=max(10, width - 42),
        complete_style="cyan",
        finished_style="green",
    )
    figures.add_row("produced", f"{progress.produced:,}", Text(f"of {progress.total:,}", style="dim"))
    figures.add_row("handled", f"{progress.handled:,}", bar)
    figures.add_row("events per second", f"{progress.rate:.0f}", spark)
    figures.add_row("in flight", f"{progress.in_flight:,}", "")
    figures.add_row("lag", f"{progress.lag:,}", "")
    figures.add_row("API calls repeated", f"{progress.retries:,}", "")
    figures.add_row("elapsed", f"{progress.elapsed:.0f} s", "")
    return Padding(Group(figures, Text(), outcome_table(progress, width)), (1, 2), expand=False)


def outcome_table(progress: Progress, width: int) -> Table:
    """Return the outcomes by kind, with bars."""
    table = Table.grid(padding=(0, 2))
    table.add_column(width=22)
    table.add_column(justify="right", width=7)
    table.add_column()
    most = max(1, *progress.outcomes.values()) if progress.outcomes else 1
    room = max(10, width - 42)
    for name in _names(progress):
        number = progress.outcomes[name]
        style = _STYLE[SEVERITY[name]] if number else "dim"
        length = -(-number * room // most)
        table.add_row(Text(name, style=style), f"{number:,}", Text("━" * length, style=style))
    return table


def sparkline(rates: Iterable[float], width: int) -> str:
    """Return the latest rates as a row of bars, at most `width` of them."""
    shown = list(rates)[-width:] if width else []
    most = max(shown, default=0.0) or 1.0
    return "".join(_SPARKS[round(rate / most * (len(_SPARKS) - 1))] for rate in shown)


def _names(progress: Progress) -> tuple[OutcomeName, ...]:
    return (*_SHOWN, *(name for name in OutcomeName if name not in _SHOWN and progress.outcomes[name]))
