"""The command ``replicate``: its sections, help and exit codes.

Exit codes: 0 done, 1 a claim failed, 2 wrong use or bad input, 3 a fault of the program,
130 interrupted by somebody.
"""

import contextlib
import inspect
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .environment import THREADS, conflicts

# Before NumPy is imported: the matrix library reads the number of its threads then.
# Workers get that of --threads.
os.environ.update(dict.fromkeys(THREADS, "1"))

#: What an interrupt is answered with.
INTERRUPTED = "interrupted; the same command again continues"

# They take half a second, in which somebody may interrupt: main() is not there yet.
try:
    import click

    from . import __version__
    from .commands.beyond import ceiling, choice, corpora, kim, questions, sweep, trust
    from .commands.experiment import explain, report, run, verify
    from .commands.machine import doctor, export, fetch, readings
    from .commands.own_data import select
    from .io.errors import InputError
    from .parallel import mpi
    from .show.terminal import escape_controls, printable
except KeyboardInterrupt:
    print(INTERRUPTED, file=sys.stderr)
    raise SystemExit(130) from None


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the console script; never returns."""
    if sys.stdout is sys.__stdout__:
        _take_streams()
    escape_controls()
    # Figures have no window. A name that Matplotlib does not know would stop its import,
    # when all is trained.
    os.environ.pop("MPLBACKEND", None)
    try:
        for line in conflicts():
            click.echo(line, err=True)
        code = cli.main(arguments, prog_name="replicate", standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        click.echo(f"error: {printable(str(error))}", err=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = 2
    except (OSError, MemoryError) as error:
        # Not expected where it happened; its traceback is in run.log.
        name = getattr(error, "filename", None)
        where = "" if name is None else f"{name}: "
        reason = getattr(error, "strerror", None) or str(error) or "not enough memory"
        message = " ".join(f"{where}the system refused ({reason})".split())
        message = f"error: {printable(message)}; fix that, then run the same command again"
        click.echo(message, err=True)
        code = 2
    except (KeyboardInterrupt, click.Abort) as error:
        # Click takes an EOFError, wherever it comes from, for somebody's interrupt.
        if isinstance(error.__cause__, EOFError):
            click.echo(_fault(error.__cause__), err=True)
            code = 3
        else:
            click.echo(INTERRUPTED, err=True)
            code = 130
    except Exception as error:
        click.echo(_fault(error), err=True)
        code = 3
    with contextlib.suppress(OSError):  # of what was written before an error
        sys.stdout.flush()
    mpi.leave(code or 0)


def _fault(error):
    """One line on an unexpected error."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    reason = " ".join(traceback.format_exception_only(error)[-1].split())[:300]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return (
        f"error: a fault of the program ({where}: {printable(reason)}); its traceback is in run.log of the "
        "run folder, if there is one: please report it"
    )


class _Stream(io.FileIO):
    """Standard output or error whose reader may have gone: what is written then is lost."""

    full = False

    def write(self, data: Any) -> int:
        try:
            return len(data) if self.full else super().write(data)
        except BrokenPipeError:
            return len(data)
        except OSError:
            self.full = True  # said once, not at every further line and at the end
            raise


def _take_streams():
    """Let no command fail, or end with another exit code, for what its output can take.

    Characters that the encoding of the output lacks are written as ``?``.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before the command began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
            continue
        stream.flush()
        raw = io.BufferedWriter(_Stream(stream.fileno(), "w", closefd=False))
        made = io.TextIOWrapper(
            raw, stream.encoding, "replace", line_buffering=name == "stderr" or stream.isatty()
        )
        setattr(sys, name, made)


#: Commands in the order of use, under what they are for.
SECTIONS = {
    "The experiment": {
        "run": "train, record, choose, train again, judge",
        "verify": "the claims: the paper's and ours",
        "report": "draw figures and report again",
        "explain": "word saliency of a sentence of yours",
    },
    "Your own data": {
        "select": "choose texts to label by unstable words",
    },
    "Beyond the paper": {
        "questions": "do words settle, are they rare, …",
        "trust": "does saliency show what the network uses?",
        "choice": "how much could any choice matter?",
        "ceiling": "could choosing ever pay?",
        "sweep": "many settings x seeds, judged together",
        "corpora": "do the claims hold on other corpora?",
        "kim": "is the network as good as Kim's?",
    },
    "Data, settings, machine": {
        "fetch": "download corpora and word vectors",
        "readings": "all settings with their alternatives",
        "doctor": "what this machine has, and lacks",
        "export": "describe a run for archives",
    },
}


class _Commands(click.Group):
    """Commands in sections and in the order of use."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Names in the order of the sections, then those that no section names."""
        named = [name for names in SECTIONS.values() for name in names if name in self.commands]
        return named + [name for name in sorted(self.commands) if name not in named]

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """A section of the help page for each kind of command."""
        width = max(map(len, self.commands))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                # Names of one width, so that all sections have one column.
                formatter.write_dl([(f"{n:{width}}", names[n]) for n in names])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""Begin with the sample, which needs no download:

    \b
    replicate run --out out/sample
    replicate explain out/sample "a great movie" --epochs 1,10,last

    A command's options: replicate COMMAND --help""",
)
@click.version_option(__version__)
def cli() -> None:
    """Replicate a paper on unstable word saliency, and decide its claims."""
    # As Numba reads it.
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        raise InputError(
            "NUMBA_DISABLE_JIT: is set, and the loops are there only as compiled code; unset it"
        )


for _command in (
    run, verify, report, explain, select, questions, trust, choice, ceiling, sweep, corpora, kim, fetch,
    readings, doctor, export,
):  # fmt: skip
    cli.add_command(_command)

#: Examples at the end of a command's help.
EXAMPLES = {
    "run": """
        replicate run                                       # the sample, about a minute
        replicate run --preset calibrated --corpus mr --vectors GoogleNews.bin.gz --seeds 50
        replicate run --preset paper --set n_filters=20 --epochs 30 --out out/twenty
    """,
    "verify": "replicate verify out/paper && echo agrees",
    "report": "replicate report out/paper",
    "explain": """
        replicate explain out/sample "a great movie" --epochs 1,10,last
        replicate explain out/paper "a great movie" > saliency.csv
        replicate explain out/paper "a great movie" "a dull plot" --html page.html
    """,
    "select": """
        replicate select --corpus labelled.tsv --vectors vectors.bin.gz --pool pool.txt --budget 10% --out out/mine
    """,
    "questions": """
        replicate run --preset paper --seeds 10 --record-arms --epoch-weights all --out out/q
        replicate questions out/q
    """,
    "fetch": """
        replicate fetch --dest data
        replicate fetch --corpus sst2,trec
    """,
    "sweep": """
        replicate sweep grid.toml --out out/sweep

        # grid.toml: a specification for each combination in [[grid]], and for each [[one]]
        seeds = [0, 1, 2]
        preset = "paper"          # what all other settings are; sample is another

        [base]                    # settings of all specifications
        epochs = 30

        [[grid]]                  # lists: every combination, here 2 x 2
        activation = ["relu", "tanh"]
        n_filters = [20, 100]

        [[one]]                   # one specification
        optimizer = "AdaDelta"
        learning_rate = 1.0
    """,
}

for _name, _text in EXAMPLES.items():
    # \b keeps the lines of a paragraph as they are.
    _parts = inspect.cleandoc(_text).split("\n\n")
    cli.commands[_name].epilog = "Examples:\n\n" + "\n\n".join(f"\b\n{part}" for part in _parts)


if __name__ == "__main__":
    main()
