"""Terminal output: the progress of a run, and its verdicts."""

import logging
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import rich.text
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

from ..config import PAPER
from ..io.files import read_csv
from ..verdicts import LEAST_SEEDS, Judged, Verdict
from .wording import epochs_note, seeds_note, shown_number, shown_range

__all__ = [
    "Display",
    "escape_controls",
    "one_run",
    "print_accuracies",
    "print_claims",
    "print_table",
    "printable",
    "summary",
    "working",
]

log = logging.getLogger("replicate")

_COLOURS = {
    **dict.fromkeys(("reproduced", "alike", "checked"), "green"),
    **dict.fromkeys(("weaker", "direction only"), "cyan"),
    **dict.fromkeys(("no such effect", "not alike", "reversed", "failed"), "red"),
    **dict.fromkeys(("undecided", "not applicable"), "yellow"),
}


#: Characters that a terminal obeys, and how they are shown; a tab and a line break do no harm.
_CONTROLS = {
    code: ascii(chr(code))[1:-1]
    for code in (*range(32), *range(127, 160))
    if chr(code) not in "\t\n"
}


def printable(text: str) -> str:
    """A text in which a terminal obeys nothing: control characters are written as escapes.

    Example:
        >>> print(printable("\\x1b[31mred"))
        \\x1b[31mred
    """
    return text.translate(_CONTROLS)


def escape_controls() -> None:
    """Let Rich show the control characters of labels and words, in all that it prints.

    Of those it drops five, and sends the others to the terminal, which would change its
    colours or title.  The codes of Rich's own colours are added later and stay.

    Example:
        >>> escape_controls()
        >>> print(Text("\\x07bell"))
        \\x07bell
    """
    vars(rich.text)["strip_control_codes"] = printable


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
            TextColumn("+"),
            TimeRemainingColumn(),
            TextColumn("left"),
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
        note = "" if accuracy is None else f"T3 accuracy {accuracy:.3f}"
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


@contextmanager
def working(console: Console, what: str, quiet: bool = False) -> Iterator[None]:
    """Say on a terminal what is being done, while it is done.

    Example:
        >>> import io
        >>> console = Console(file=io.StringIO())
        >>> with working(console, "drawing figures"):
        ...     pass
        >>> console.file.getvalue()
        ''
    """
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def summary(verdicts: Sequence[Verdict], out: Path, sample: bool, asked: int) -> str:
    """A run in one line: its verdicts, and what to do next.

    Args:
        verdicts: the result of :func:`replicate.verdicts.judge`.
        out: the folder of the run.
        sample: whether its corpus is the sample's 200 sentences.
        asked: the number of seeds that were asked for.

    Example:
        >>> from replicate.verdicts import judge
        >>> summary(judge([]), Path("out/paper"), False, 1)
        '17 claims: 17 undecided. Next: the same command with --seeds 50, which a verdict needs.'
    """
    counts = Counter(v.verdict for v in verdicts)
    said = ", ".join(f"{counts[name]} {name}" for name in _COLOURS if counts[name])
    place = shlex.quote(str(out))
    if sample:
        following = (
            f'200 sentences decide nothing. Next: replicate explain {place} "a great movie", '
            "or the paper's corpus: replicate fetch"
        )
    elif asked < LEAST_SEEDS:
        following = f"Next: the same command with --seeds {LEAST_SEEDS}, which a verdict needs"
    else:
        following = f"Next: replicate verify {place}"
    return f"{len(verdicts)} claims: {said}. {following}."


def print_table(console: Console, title: str, place: Path, columns: Sequence[str]) -> None:
    """Print some columns of a CSV file, with three digits of each number.

    Args:
        console: where to print.
        title: what the rows are.
        place: the file.
        columns: names of the columns, in the order wanted.

    Example:
        >>> import io, tempfile
        >>> place = Path(tempfile.mkdtemp()) / "t.csv"
        >>> _ = place.write_text("id,mean,seeds\\nH,0.12345,5\\n")
        >>> console = Console(file=io.StringIO(), width=80)
        >>> print_table(console, "Effects", place, ["id", "mean"])
        >>> "0.123" in console.file.getvalue()
        True
    """
    with open(place, encoding="utf-8") as file:
        header = file.readline().rstrip("\r\n").split(",")
    rows = read_csv(place, header)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        numeric = all(re.fullmatch(_NUMBER, row[name]) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_digits(row[name])) for name in columns))
    console.print(table)


_NUMBER = r"-?\d+(\.\d+)?(e[-+]?\d+)?|nan|"


def _digits(cell: str) -> str:
    """A cell with three digits, if it is a number that is not whole."""
    if re.fullmatch(_NUMBER, cell) and not cell.lstrip("-").isdigit() and cell:
        return "–" if cell == "nan" else f"{float(cell):.3g}"
    return cell


def print_claims(
    console: Console,
    verdicts: list[Verdict],
    seeds: Sequence[int] = (),
    epochs: int = PAPER["epochs"],
) -> None:
    """Print every claim, its parts, its verdict, and what one run could have shown.

    Args:
        console: where to print; only one of 110 columns or more gets all parts of a claim.
        verdicts: the result of :func:`replicate.verdicts.judge`.
        seeds: of the run; a note is printed if they are not a full range.
        epochs: of the run; a note is printed if they are not as many as the paper's.

    Example:
        >>> import io
        >>> from replicate.verdicts import judge
        >>> console = Console(file=io.StringIO())
        >>> print_claims(console, judge([]))
        >>> "undecided" in console.file.getvalue()
        True
    """
    if console.width >= 110:
        _print_wide(console, verdicts)
    else:
        _print_narrow(console, verdicts)
    for note in (epochs_note(epochs), seeds_note(seeds)):
        if note:
            console.print(note, highlight=False)


def _print_wide(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Claims with all their parts, a row for each."""
    table = Table(title="Claims of the paper", title_justify="left", expand=False)
    for name, justify in (
        ("id", "left"), ("claim", "left"), ("paper", "left"), ("ours, on average", "right"),
        ("interval", "right"), ("verdict", "left"), ("one run", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for verdict in verdicts:
        claim = verdict.claim
        about = [claim.statement, claim.paper]
        word = Text(verdict.reason or verdict.verdict, style=_COLOURS[verdict.verdict])
        cells = [", ".join(f"{n:.0f}" for n in verdict.sizes), ""]
        several = len(verdict.parts) > 1
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


def _print_narrow(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Claims under one another: what is claimed, the paper against ours, and the verdict."""
    table = Table(
        title="Claims of the paper", title_justify="left", box=None, pad_edge=False,
        show_header=False, padding=(0, 1, 1, 0),
    )  # fmt: skip
    table.add_column("id", style="bold", no_wrap=True)
    table.add_column("claim", ratio=1)
    table.add_column("verdict", width=20)
    for verdict in verdicts:
        claim = verdict.claim
        lines = Text(claim.statement)
        ours = ", ".join(f"{n:.0f}" for n in verdict.sizes)
        title = ""
        if verdict.parts:
            number, interval, _ = _of_part(verdict.parts[0])
            ours = f"{number} ({interval})" if interval != "–" else number
            if len(verdict.parts) > 1:
                title = f", {verdict.parts[0].part.title}"
        lines.append(f"\npaper: {claim.paper}\nours{title}: {ours or '–'}", style="dim")
        word = Text(verdict.verdict, style=_COLOURS[verdict.verdict])
        reason = verdict.reason.partition(": ")[2]
        if reason:
            word.append(f"\n{reason}", style="dim")
        if verdict.runs:
            word.append(f"\none run: {one_run(verdict)}", style="dim")
        table.add_row(claim.id, lines, word)
    console.print(table)
    console.print(
        "All parts: claims.json, or a terminal of 110 columns.", style="dim", highlight=False
    )


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
