"""Terminal output: the progress of a run, and its verdicts."""

import logging
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ..claims import Verdict

__all__ = ["Display", "print_claims"]

log = logging.getLogger("replicate")

_COLOURS = {"reproduced": "green", "contradicted": "red", "inconclusive": "yellow"}


class Display:
    """A live display with a progress bar for each training run; without a terminal, no bars.

    Args:
        console: the console to print on.
        total_epochs: the number of epochs of all training runs together.
        quiet: show nothing.
        verbose: print a line for every finished training run.
        live: show bars; False if several processes share one terminal.

    Example:
        >>> import io
        >>> console = Console(file=io.StringIO())
        >>> with Display(console, total_epochs=2, verbose=True) as display:
        ...     display.bar("T1", "seed 0, T1", total=2, epoch=1, accuracy=0.5)
        ...     display.end("T1", "seed 0, T1", "done")
        >>> console.file.getvalue()
        'seed 0, T1: done\\n'
    """

    def __init__(
        self,
        console: Console,
        total_epochs: int,
        quiet: bool = False,
        verbose: bool = False,
        live: bool = True,
    ) -> None:
        self.console = console
        self.verbose = verbose and not quiet
        self.live = console.is_terminal and not quiet and live
        self.bars: dict[Any, TaskID] = {}
        self.finished: dict[Any, int] = {}
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not self.live,
            expand=True,
        )
        self.all = self.progress.add_task("epochs of all runs", total=total_epochs, note="")

    def __enter__(self) -> "Display":
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def bar(self, name: Any, label: str, total: int, epoch: int, accuracy: float | None) -> None:
        """Show that a training run has finished `epoch` of its `total` epochs."""
        if name not in self.bars:
            self.bars[name] = self.progress.add_task(label, total=total, note="")
            self.finished[name] = 0
        note = "" if accuracy is None else f"accuracy {accuracy:.3f}"
        self.progress.update(self.bars[name], completed=epoch, note=note)
        self.progress.advance(self.all, epoch - self.finished[name])
        self.finished[name] = epoch

    def end(self, name: Any, label: str, how: str) -> None:
        """Remove the bar of a training run, and log how the run ended."""
        log.info("%s: %s", label, how)
        if name in self.bars:
            self.progress.remove_task(self.bars.pop(name))
        if self.verbose:
            self.console.print(f"{label}: {how}", highlight=False)


def print_claims(console: Console, verdicts: list[Verdict]) -> None:
    """Print a table with the verdict on every claim; a wide terminal also shows the statements.

    Example:
        >>> import io
        >>> from replicate.claims import judge
        >>> console = Console(file=io.StringIO())
        >>> print_claims(console, judge([]))
        >>> "inconclusive" in console.file.getvalue()
        True
    """
    wide = console.width >= 110
    table = Table(title="Claims of the paper", title_justify="left", expand=False)
    for name, justify in (
        ("id", "left"), ("claim", "left"), ("paper", "left"), ("ours", "right"),
        ("95 % interval", "right"), ("seeds", "right"), ("verdict", "left"),
    ):  # fmt: skip
        if wide or name != "claim":
            table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for verdict in verdicts:
        interval = f"{verdict.low:.3f} … {verdict.high:.3f}" if verdict.low == verdict.low else "–"
        if isinstance(verdict.ours, tuple):
            ours = ", ".join(f"{n:.0f}" for n in verdict.ours)
        else:
            ours = f"{verdict.ours:.3f}" if verdict.ours == verdict.ours else "–"
        statement = [verdict.claim.statement] if wide else []
        cells = [verdict.claim.id, *statement, verdict.claim.paper, ours, interval]
        colour = _COLOURS[verdict.verdict]
        table.add_row(*cells, str(verdict.seeds), Text(verdict.verdict, style=colour))
    console.print(table)
