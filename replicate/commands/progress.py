"""What commands show and log while they work."""

import contextlib
import logging
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from ..environment import inherited, versions
from ..io.errors import InputError
from ..parallel import mpi
from ..show.terminal import Display
from .options import cores

if TYPE_CHECKING:  # their modules are loaded by the commands that need them
    from ..experiment import OnRead
    from ..io.summary import Summary
    from ..parallel.pool import Outcome

#: The log of the package; :func:`log_file` gives it a file.
log = logging.getLogger("replicate")


def on_read(quiet: bool) -> "OnRead | None":
    """What prints the lines on what was read, on standard error; None where nothing is wanted."""

    def show(read: "Summary") -> None:
        console = Console(stderr=True)
        console.print(*read.lines(), sep="\n", markup=False, highlight=False, soft_wrap=True)

    return None if quiet else show


def display_on(console: Console, total: int, quiet: bool, verbose: bool) -> Display:
    """Bars of what is under way, or lines where the output is no terminal."""
    # mpiexec gives rank 0 a terminal of its own, wherever the output goes.
    return Display(console, total, quiet, verbose, live=not mpi.active())


def cost(
    place: Path, seconds: float, outcome: "Outcome", jobs: int, **asked: Any
) -> dict[str, Any]:
    """What a command took: seconds of all its starts, the greatest memory, the machine.

    Args:
        place: where the cost of its earlier starts is, if it is anywhere and not damaged.
        seconds: of this start.
        outcome: of its tasks.
        jobs: tasks at once.
        asked: what this start was asked for; it stands beside its seconds.
    """
    from ..run import timing_of

    before: dict[str, Any] = {
        "seconds": 0.0,
        "peak_memory_bytes": 0,
        "peak_together_bytes": 0,
        "starts": [],
        **(timing_of(place) or {}),
    }
    return {
        "seconds": before["seconds"] + seconds,
        "peak_memory_bytes": max(outcome.peak_memory, before["peak_memory_bytes"]),
        "peak_together_bytes": max(outcome.peak_together, before["peak_together_bytes"]),
        "jobs": jobs,
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        **({"starts": [*before["starts"], {**asked, "seconds": seconds}]} if asked else {}),
    }


class _LogFile(logging.FileHandler):
    """A log that stops no run when it cannot be written."""

    lost = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Report it once; logging would print a traceback for every line."""
        if not self.lost:
            self.lost = True
            reason = getattr(sys.exc_info()[1], "strerror", None) or sys.exc_info()[1]
            click.echo(
                f"{self.baseFilename}: cannot be written ({reason}); going on without", err=True
            )

    def close(self) -> None:
        """Close it, be it full or not."""
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def log_file(out: str | Path) -> Iterator[None]:
    """A log file in the run folder."""
    try:
        # A name of a file may have bytes that are not characters.
        handler = _LogFile(Path(out) / "run.log", encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(
            f"{out}: cannot be written ({error.strerror}); choose another --out"
        ) from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    except (InputError, click.ClickException, click.Abort):
        raise
    except Exception:
        log.exception("ended by an error")
        raise
    finally:
        log.removeHandler(handler)
        handler.close()


def report_differences(out: str | Path, settings: dict[str, Any]) -> None:
    """Say that results go on under other versions than they began with."""
    from ..settings import differences

    found = differences(settings, versions(), inherited())
    if found:
        line = f"{out}: goes on with another {', '.join(found)}; its settings keep both"
        log.warning(line)
        click.echo(line, err=True)


def report_failures(outcome: "Outcome", label: Callable[[Any], str]) -> None:
    """Log what failed and why, and print its last line on standard error.

    Args:
        outcome: of training runs.
        label: what the name of a training run is called.
    """
    for name, reason in outcome.failures.items():
        log.error("%s: %s", label(name), reason)
        click.echo(f"{label(name)}: {reason.strip().splitlines()[-1]}", err=True)
