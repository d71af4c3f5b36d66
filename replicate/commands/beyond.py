"""Commands beyond the paper, which train further models or compare runs."""

import contextlib
import time
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from ..config import ARMS
from ..environment import inherited, versions
from ..io.errors import InputError
from ..io.files import save_json
from ..parallel import mpi
from ..show.terminal import print_accuracies, print_table, working
from ..show.wording import seeds_counted
from .options import (
    cores,
    data_of,
    data_options,
    jobs_or_cores,
    machine_options,
    number_of_seeds,
    read_seeds,
    seeds_at_once,
)
from .progress import cost, display_on, log_file, on_read, report_differences, report_failures


def _shares(context, parameter, text):
    """``10,25,50`` per cent of T2."""
    try:
        shares = tuple(sorted({float(part) / 100 for part in text.split(",") if part.strip()}))
        if not shares or not 0 < min(shares) <= max(shares) < 1:
            raise ValueError
    except ValueError:
        raise click.BadParameter(f"{text!r}: write per cents above 0 and below 100") from None
    return shares


@click.command()
@click.argument("folder", metavar="DIR")
@number_of_seeds
@click.option("--shares", callback=_shares, default="10,25,50,75,90", show_default=True,
              metavar="P,P,…", help="Per cents of T2 that are selected.")  # fmt: skip
@click.option("--scores", default="", metavar="NAME,…",
              help="Only these scores select, for instance instability,el2n; default: all.")  # fmt: skip
@seeds_at_once
def questions(
    folder: str,
    number: int | None,
    shares: tuple[float, ...],
    scores: str,
    jobs: int | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """What the paper left open: do words settle, are they rare, do simpler scores do as well?

    DIR is a run made with --record-arms and --epoch-weights all.  Every score
    selects shares of T2, and a model is trained on T1 with each; resumable.
    What an earlier command has trained stays in the tables.
    """
    from ..beyond import questions as beyond
    from ..beyond import rivals
    from ..run import Run

    work = Run(folder)
    beyond.check_run(work)
    seeds = _finished(work, number)

    names = [name.strip() for name in scores.split(",") if name.strip()]
    train = partial(rivals.run_rivals, work, seeds, shares, names)
    write = partial(beyond.write_answers, work)
    each = rivals.trainings(shares, names)
    return _further_models(work, seeds, each, jobs, quiet, verbose, train, write)


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


def _further_models(work, seeds, each, jobs, quiet, verbose, train, write):
    """Train `each` further models for every seed of a run, and write what they say.

    Args:
        work (Run): whose folder is locked meanwhile.
        seeds, each: which seeds, and how many models for each.
        jobs, quiet, verbose: as of the command; no jobs are as many as there are cores.
        train: called with jobs and what reports progress; gives an ``Outcome`` by seed.
        write: called with the seeds that are done; gives the files that it wrote, in a
            folder that has ``timing.json`` then: what this took, and which code it was.

    Returns:
        int: exit code.
    """
    if not quiet:
        of = "each of " if len(seeds) > 1 else ""
        click.echo(
            f"{each} models for {of}{seeds_counted(len(seeds))}: about {each / len(ARMS):.1f} times "
            "as long as a run of as many seeds, less what is there already",
            err=True,
        )
    jobs, began = jobs or cores(), time.monotonic()
    with work.locked(work.out), log_file(work.out):
        with display_on(Console(), each * len(seeds), quiet, verbose) as display:

            def on_progress(seed, message):
                label = f"seed {seed}, models"
                if isinstance(message, tuple):
                    display.bar(seed, label, each, *message)
                else:
                    display.end(seed, label, message)

            outcome = train(jobs, on_progress)
        report_failures(outcome, "seed {}".format)
        done = [seed for seed in seeds if seed not in outcome.failures]
        with working(Console(), "writing the answers, drawing the figures", quiet):
            written = write(done) if done else []
        if written:
            place = work.timing_file(written[0].parent.name)
            taken = cost(place, time.monotonic() - began, outcome, jobs, models=each)
            made = {"versions": versions(), "environment": inherited()}
            save_json(place, {**taken, "seeds": done, **made})
    for title, name, columns in () if quiet else _ANSWERS:
        for place in (p for p in written if p.name == name):
            print_table(Console(), title, place, columns)
    for place in written:
        click.echo(place)
    return 3 if outcome.failures else 0


@click.command()
@click.argument("folder", metavar="DIR")
@number_of_seeds
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
@seeds_at_once
def choice(
    folder: str,
    number: int | None,
    halves: int,
    phases: int,
    jobs: int | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """How much could any choice of half of T2 matter?

    DIR is a run.  Further models are trained: on T1 with random halves of T2, and on T1
    with the half of the highest A_S, averaged over several first phases; resumable.
    """
    from ..beyond import choice as beyond
    from ..run import Run

    work = Run(folder)
    seeds = _finished(work, number)

    train = partial(beyond.run_choice, work, seeds, halves, phases)
    write = partial(beyond.write_choice, work, halves=halves, phases=phases)
    each = beyond.trainings(halves, phases)
    return _further_models(work, seeds, each, jobs, quiet, verbose, train, write)


@click.command()
@click.argument("folder", metavar="DIR")
@number_of_seeds
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
@seeds_at_once
def ceiling(
    folder: str,
    number: int | None,
    halves: int,
    trainings: int,
    sizes: str,
    filters: str,
    jobs: int | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Could choosing ever pay?

    DIR is a run.  Further networks are trained: random halves of T2, each several times,
    for where the accuracy comes from and what the best half gains; and networks with fewer
    sentences in T1, or other numbers of filters; resumable.
    """
    from ..beyond import ceiling as beyond
    from ..run import Run

    work = Run(folder)
    seeds = _finished(work, number)
    design = beyond.Design(
        halves, trainings, _whole_numbers("--sizes", sizes), _whole_numbers("--filters", filters)
    )

    train = partial(beyond.run_ceiling, work, seeds, design)
    write = partial(beyond.write_ceiling, work, design=design)
    each = design.networks(work.config.n_filters)
    return _further_models(work, seeds, each, jobs, quiet, verbose, train, write)


def _whole_numbers(option, text):
    """Positive whole numbers, separated by commas."""
    words = [word for word in text.split(",") if word.strip()]
    if not all(word.strip().isascii() and word.strip().isdigit() for word in words):
        raise InputError(f"{option} {text[:70]}: not whole numbers; write 5,15,45")
    return tuple(int(word) for word in words)


@click.command()
@click.argument("folder", metavar="DIR")
@number_of_seeds
@click.option(
    "--draws",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="Further first phases a seed with each thing changed.",
)
@seeds_at_once
def trust(
    folder: str, number: int | None, draws: int, jobs: int | None, quiet: bool, verbose: bool
) -> int:
    """Is the saliency to be trusted?

    DIR is a run made with --epoch-weights all.  How much of its change is jumps, does it
    show what the network does, and does another training agree?  For the last, further
    first phases are trained, with other weights, order, split or unknown words; resumable.
    """
    from ..beyond import trust as beyond
    from ..run import Run

    work = Run(folder)
    beyond.check_run(work)
    seeds = _finished(work, number)

    train = partial(beyond.run_trust, work, seeds, draws)
    write = partial(beyond.write_trust, work)
    each = beyond.trainings(work, draws)
    return _further_models(work, seeds, each, jobs, quiet, verbose, train, write)


@click.command()
@click.argument("grid", type=click.Path(dir_okay=False))
@data_options
@machine_options
@click.option("--out", required=True, metavar="DIR", help="Where sweep.csv goes.")
def sweep(
    grid: str, corpus: tuple[str, ...], vectors: str | None, dimensions: int, device: str,
    implementation: str, jobs: int | None, threads: int, quiet: bool, verbose: bool, out: str,
) -> int:  # fmt: skip
    """Readings x seeds of the TOML file GRID, side by side: a multiverse.

    DIR then has sweep.csv (a row a specification and seed), multiverse.csv (all of them
    judged together), verdicts.csv, the specification curve and timing.json (what it took).
    Under mpiexec, rows are spread over all ranks.
    """
    if mpi.active() and mpi.rank() > 0:
        return mpi.follow(jobs_or_cores(jobs), threads)
    from ..beyond import multiverse
    from ..beyond import sweep as sweeping
    from ..run import TIMING
    from ..settings import Options

    specifications, seeds = sweeping.read_grid(grid)
    data = (*data_of("paper", corpus, vectors), "", dimensions)
    folder = Path(out)
    options = Options(device, implementation)
    console = Console()
    jobs, began = jobs_or_cores(jobs), time.monotonic()
    with sweeping.locked(folder), log_file(folder):
        settings = sweeping.prepare_sweep(folder, specifications, data, options, on_read(quiet))
        report_differences(folder, settings)
        have = sweeping.collect_rows(folder)
        left = [s for s in specifications for n in seeds if (s.name, n) not in have]
        total = sum(s.config.epochs * len(ARMS) for s in left)
        done = {}
        with display_on(console, total, quiet, verbose) as display:
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
                folder,
                specifications,
                seeds,
                data,
                options,
                jobs,
                on_progress,
                threads,
            )
        place = folder / TIMING
        save_json(place, cost(place, time.monotonic() - began, outcome, jobs))
        rows = sweeping.sweep_rows(folder / sweeping.ROWS)
        multiverse.write_multiverse(rows, folder)
        report_failures(outcome, lambda failed: "{}, seed {}".format(*failed))
    if not quiet:
        effects = ("id", "part", "specifications", "mean", "low", "high", "between")
        print_table(console, "All specifications together", folder / "multiverse.csv", effects)
        click.echo(
            f"{len(specifications) * len(seeds) - len(outcome.failures)} rows: {folder / sweeping.ROWS}"
        )
    return 3 if outcome.failures else 0


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


@click.command()
@click.option("--corpus", "corpora", multiple=True, callback=_names(_KIMS), metavar="NAME,…",
              help=f"Of {', '.join(_KIMS)}; default: all.")  # fmt: skip
@click.option("--variant", "variants", multiple=True, metavar="NAME,…",
              callback=_names(("rand", "static", "non-static", "multichannel")),
              help="Word vectors: rand, static, non-static, multichannel; default: all.")  # fmt: skip
@click.option(
    "--vectors", metavar="FILE", help="Word vectors; default: those of the folder of data."
)
@click.option("--seeds", callback=read_seeds, default="1", show_default=True,
              metavar="N|A,B,…|A-B", help="A number of seeds, or which.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1, 100_000), default=25, show_default=True)
@click.option("--jobs", type=click.IntRange(1, 4096), default=None, help="Training runs at once.")
@click.option("--quiet", "-q", is_flag=True)
@click.option("--verbose", "-v", is_flag=True, help="Print a line for every training run.")
@click.option("--out", default="out/kim", show_default=True, metavar="DIR")
def kim(
    corpora: list[str],
    variants: list[str],
    vectors: str | None,
    seeds: list[int],
    epochs: int,
    jobs: int | None,
    quiet: bool,
    verbose: bool,
    out: str,
) -> int:
    """Is the network as good as Kim's?  His table (2014) on his corpora, by his protocol.

    Three heights of 100 filters, dropout, AdaDelta; ten folds, or the official test
    sentences.  DIR then has folds.csv (a row a training run) and table.csv; resumable.

    \b
    replicate fetch --corpus mr,trec
    replicate kim --corpus mr,trec --variant static --seeds 3
    """
    from ..beyond import kim as beyond

    folder, word_vectors = Path(out), str(data_of("paper", corpora[:1], vectors)[1])
    with beyond.locked(folder), log_file(folder):
        with contextlib.ExitStack() as stack:
            display = []

            def on_start(n):
                click.echo(f"{n} models of {epochs} epochs", err=True)
                display.append(
                    stack.enter_context(display_on(Console(), n * epochs, quiet, verbose))
                )

            def on_progress(name, message):
                label = f"{name[0]}, {name[1]}, seed {name[2]}, fold {name[3]}"
                if isinstance(message, tuple):
                    display[0].bar(name, label, epochs, *message)
                else:
                    display[0].end(name, label, message)

            outcome = beyond.run_kim(
                folder, corpora, variants, seeds, word_vectors, epochs, jobs or cores(), on_progress,
                on_start, on_read(quiet),
            )  # fmt: skip
        report_failures(outcome, str)
        place = beyond.write_kim(folder)
    if not quiet:
        print_accuracies(Console(), beyond.kim_table(beyond.fold_rows(folder)))
    click.echo(place)
    return 3 if outcome.failures else 0


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR…")
@click.option("--out", default="out/corpora", show_default=True, metavar="DIR")
@click.option("--quiet", "-q", is_flag=True)
def corpora(folders: tuple[str, ...], out: str, quiet: bool) -> int:
    """Do the claims hold on other corpora?  Runs on several, one by one and together.

    Each DIR is a run of the same readings and word vectors on another corpus.  Of corpora
    that share sentences (mr, sst1, sst2, subj), the first is pooled with the others.

    \b
    replicate run --preset paper --corpus subj --seeds 100 --out out/subj
    replicate run --preset paper --corpus cr --seeds 100 --out out/cr
    replicate corpora out/subj out/cr
    """
    from ..beyond import other_corpora as beyond

    place = Path(out)
    with beyond.locked(place), log_file(place):
        written = beyond.write_corpora(folders, place)
    for place in written:
        click.echo(place)
    return 0
