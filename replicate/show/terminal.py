"""Terminal output: the progress of a run, and its verdicts."""

import logging
from collections.abc import Sequence
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

from ..claims import Judged, Verdict, seeds_note, shown_number, shown_range

__all__ = ["Display", "one_run", "print_accuracies", "print_claims"]

log = logging.getLogger("replicate")

_COLOURS = {
    **dict.fromkeys(("reproduced", "alike", "checked"), "green"),
    **dict.fromkeys(("weaker", "direction only"), "cyan"),
    **dict.fromkeys(("no such effect", "not alike", "reversed", "failed"), "red"),
    **dict.fromkeys(("undecided", "not applicable"), "yellow"),
}


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


def print_claims(console: Console, verdicts: list[Verdict], seeds: Sequence[int] = ()) -> None:
    """Print every claim, its parts, its verdict, and what one run could have shown.

    Args:
        console: where to print; only a wide one gets statements and titles of parts.
        verdicts: the result of :func:`replicate.claims.judge`.
        seeds: of the run; a note is printed if they are not a full range.

    Example:
        >>> import io
        >>> from replicate.claims import judge
        >>> console = Console(file=io.StringIO())
        >>> print_claims(console, judge([]))
        >>> "undecided" in console.file.getvalue()
        True
    """
    wide = console.width >= 110
    table = Table(title="Claims of the paper", title_justify="left", expand=False)
    for name, justify in (
        ("id", "left"), ("claim", "left"), ("paper", "left"), ("ours, on average", "right"),
        ("interval", "right"), ("verdict", "left"), ("one run", "left"),
    ):  # fmt: skip
        if wide or name not in ("claim", "paper"):
            table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for verdict in verdicts:
        claim = verdict.claim
        about = [claim.statement, claim.paper] if wide else []
        word = Text(verdict.reason or verdict.verdict, style=_COLOURS[verdict.verdict])
        cells = [", ".join(f"{n:.0f}" for n in verdict.sizes), ""]
        several = wide and len(verdict.parts) > 1
        if verdict.parts and not several:
            cells = list(_of_part(verdict.parts[0])[:2])
        table.add_row(claim.id, *about, *cells, word, one_run(verdict))
        for judged in verdict.parts if several else ():
            ours, interval, how = _of_part(judged)
            title = judged.part.title + (" (beside)" if judged.part.beside else "")
            how = "" if verdict.reason else how
            table.add_row(
                "", f"  {title}", "", ours, interval, Text(how, style=_COLOURS[judged.verdict]), ""
            )
    console.print(table)
    note = seeds_note(seeds)
    if note:
        console.print(note, highlight=False)


def print_accuracies(console: Console, rows: Sequence[Sequence[Any]]) -> None:
    """Print accuracies in per cent beside those that others report.

    Args:
        console: where to print.
        rows: of :func:`replicate.beyond.kim.kim_table`.

    Example:
        >>> import io
        >>> console = Console(file=io.StringIO(), width=80)
        >>> row = ("mr", "static", 81.0, 79.7, 80.5, 2, 78.1, 1.2, "", 10, 1, -2.9, 0.75)
        >>> print_accuracies(console, [(*row, 9.0, 77.9, 78.8)])
        >>> "78.1 ± 1.2" in console.file.getvalue()
        True
    """
    table = Table(title="Accuracy, per cent", title_justify="left")
    for name in ("corpus", "vectors", "Kim", "others", "ours ± runs", "difference", "coverage"):
        side = "left" if name in ("corpus", "vectors") else "right"
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for corpus, variant, his, low, high, n, ours, spread, _, _, _, difference, known, *_ in rows:
        others = f"{low:.1f}" if n == 1 else f"{low:.1f}–{high:.1f}" if n else "–"
        table.add_row(
            corpus, variant, f"{his:.1f}" if his != "" else "–", others,
            f"{ours:.1f} ± {spread:.1f}" if spread != "" else f"{ours:.1f}",
            f"{difference:+.1f}" if difference != "" else "–",
            "–" if variant == "rand" else f"{known:.0%}",
        )  # fmt: skip
    console.print(table)


def _of_part(judged: Judged) -> tuple[str, str, str]:
    part = judged.part
    ours = shown_number(part, judged.mean)
    return ours, shown_range(part, judged.low, judged.high), judged.verdict


def one_run(verdict: Verdict) -> str:
    """How many single runs show a claim, in words."""
    if not verdict.runs:
        return "–"
    return f"{verdict.hits} of {verdict.runs}: {verdict.one_run.partition(' in ')[0]}"
