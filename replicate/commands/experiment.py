"""Commands of the experiment: run, verify, report, explain."""

import contextlib
import json
import shlex
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from ..config import ARMS, MOST_SEEDS
from ..io.errors import InputError
from ..io.files import save_json
from ..parallel import mpi
from ..parallel.pool import start_server
from ..show.terminal import print_claims, printable, summary, working
from .options import (
    config_of,
    data_of,
    data_options,
    jobs_or_cores,
    machine_options,
    read_seeds,
    setting_options,
)
from .progress import cost, display_on, log, log_file, on_read, report_differences, report_failures


@click.command()
@click.option("--preset", default="sample", show_default=True, metavar="sample|paper|as-written|calibrated|FILE.toml",
              help="Settings; a file changes those of paper.")  # fmt: skip
@setting_options
@data_options
@click.option("--seeds", callback=read_seeds, default="1", show_default=True,
              metavar="N|A,B,…|A-B", help="A number of seeds, or which.")  # fmt: skip
@machine_options
@click.option("--streaming", is_flag=True, help="Keep no saliency.npy: 8 bytes a token instead.")
@click.option("--epoch-weights", type=click.Choice(["first", "all", "none"]), default="first",
              show_default=True, help="Seeds whose T1 weights of every epoch are kept.")  # fmt: skip
@click.option("--record-arms", is_flag=True, help="Record T1's saliency in the second phase too.")
@click.option("--until", type=click.Choice(["decided"]),
              help="Add seeds, ten at a time, until all claims are decided.")  # fmt: skip
@click.option("--max-seeds", type=click.IntRange(1, MOST_SEEDS), default=400, show_default=True,
              help="With --until: the most seeds.")  # fmt: skip
@click.option("--data-parallel", is_flag=True,
              help="Under mpiexec: all ranks train each model together.")  # fmt: skip
@click.option("--out", default=None, metavar="DIR", help="Run folder; default: out/PRESET.")
def run(
    preset: str, epochs: int | None, assignments: tuple[str, ...], corpus: tuple[str, ...],
    vectors: str | None, dimensions: int, seeds: list[int], device: str, implementation: str,
    jobs: int | None, threads: int, quiet: bool, verbose: bool, streaming: bool,
    epoch_weights: str, record_arms: bool, data_parallel: bool, out: str | None,
    until: str | None, max_seeds: int,
) -> int:  # fmt: skip
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
            from ..parallel import data_parallel as together

            return together.follow(out or Path("out") / Path(preset).stem)
        return mpi.follow(jobs_or_cores(jobs), threads)
    if until:
        seeds = _first_seeds(seeds, max_seeds)
    config = config_of(preset, epochs, assignments)
    paths, word_vectors = data_of(preset, corpus, vectors)
    folder = Path(out or Path("out") / Path(preset).stem)
    console = Console()
    # Chainer and Numba take seconds to import: not before the words are known to be
    # right, and then here and where workers come from at once.
    if not data_parallel:
        start_server(threads)
    from ..experiment import conclude, prepare
    from ..io.data import SAMPLE_FILE
    from ..parallel.schedule import run_all
    from ..run import Run
    from ..settings import Options

    options = Options(device, implementation, not streaming, epoch_weights, record_arms)
    with Run.locked(folder), log_file(folder):
        began = time.monotonic()
        work = prepare(
            folder, config, options, seeds, paths, word_vectors, preset, dimensions, on_read(quiet)
        )
        report_differences(work.out, work.settings)
        log.info("command: %s", " ".join(sys.argv[1:]))
        statistics: dict[int, dict[str, float]] = {}
        while True:
            total = config.epochs * sum(
                not work.finished(seed, arm) for seed in work.seeds for arm in ARMS
            )
            with display_on(console, total, quiet, verbose) as display:

                def on_progress(name, message, display=display):
                    label = f"seed {name[0]}, {name[1]}"
                    if isinstance(message, tuple):
                        display.bar(name, label, config.epochs, *message)
                    else:
                        display.end(name, label, message)

                if data_parallel:
                    from ..parallel import data_parallel as together

                    outcome = together.lead(work, on_progress)
                else:
                    outcome = run_all(work, jobs_or_cores(jobs), on_progress, threads)
            if not until or outcome.failures or not _goes_on(work, max_seeds, statistics):
                break
        seconds = time.monotonic() - began
        place = work.timing_file()
        save_json(place, cost(place, seconds, outcome, jobs_or_cores(jobs)))
        report_failures(outcome, lambda failed: "seed {}, {}".format(*failed))
        with working(console, "judging the claims, drawing the figures and the report", quiet):
            verdicts = conclude(work)
        if not quiet:
            print_claims(console, verdicts, work.seeds, config.epochs)
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
    from ..show.wording import seeds_note
    from ..verdicts import LEAST_SEEDS

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
    from ..claims import is_paper_corpus
    from ..experiment import statistics_of
    from ..verdicts import decided, judge

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


@click.command()
@click.argument("folder", metavar="DIR")
def verify(folder: str) -> int:
    """Print the claims, paper against ours.

    Exit 0 when the run agrees with the committed results, or nothing is committed for
    its settings; 1 when it does not agree, 2 with too few seeds.
    """
    from .. import verdicts as judging
    from ..experiment import verdicts_of
    from ..run import Run

    work = Run(folder)
    verdicts = verdicts_of(work)
    print_claims(Console(), verdicts, work.seeds, work.config.epochs)
    _report_unfinished(work, verdicts)
    code, lines = judging.verify(verdicts, _committed(work.identity))
    for line in lines:
        click.echo(line)
    return code


def _report_unfinished(work, verdicts):
    """Say how many seeds were judged, where some are unfinished."""
    from ..show.report import command, unplaced

    done = verdicts[0].seeds
    if done < len(work.seeds):
        again = command(work).replace("--out DIR", f"--out {shlex.quote(str(work.out))}")
        names = ", ".join(map(printable, unplaced(work)))
        paths = f" (with your paths of {names})" if names else ""
        click.echo(f"{done} of {len(work.seeds)} seeds; continue with{paths}: {again}", err=True)


def _committed(identity):
    """What is committed of runs like this: (claim, statistic) -> numbers, or None."""
    from ..io.files import read_csv
    from ..verdicts import Committed

    numbers = {"low": float, "high": float, "rounding": float, "seeds": int}
    header = ("identity", "id", "statistic", *numbers)
    rows = read_csv(Path(__file__).parents[1] / "data" / "expected.csv", header, numbers)
    return {
        (row["id"], row["statistic"]): Committed(**{name: row[name] for name in numbers})
        for row in rows
        if row["identity"] == identity
    } or None


@click.command()
@click.argument("folder", metavar="DIR")
@click.option(
    "--lang",
    type=click.Choice(["en", "ja"]),
    default="en",
    help="report.html, or report.ja.html too",
)
def report(folder: str, lang: str) -> int:
    """Redraw figures and report from stored results."""
    from ..experiment import conclude
    from ..run import Run

    work = Run(folder)
    with Run.locked(work.out), log_file(work.out):
        _report_unfinished(work, conclude(work, lang))
    click.echo(f"report: {work.report_in(lang)}")
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


@click.command()
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
def explain(
    folder: str,
    texts: tuple[str, ...],
    seed: int | None,
    epochs: list[int] | None,
    background: str,
    as_json: bool,
    html: str | None,
) -> int:
    """A sentence's word saliency, epoch by epoch.

    In colours on a terminal; in a pipe as CSV, a row for each word at each epoch.
    """
    from ..io.files import save_text
    from ..run import Run
    from ..show import explain as explaining

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
