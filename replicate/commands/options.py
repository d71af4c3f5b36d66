"""Options that several commands share, and what their values mean."""

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import MOST_SEEDS, PRESETS, Config
from ..io.errors import InputError
from ..parallel import mpi

if TYPE_CHECKING:  # its module is loaded by the commands that need it
    from ..io.wordvectors import Vectors

#: What a container may use of the cores, in microseconds of each period: one file of both
#: numbers, or a file for each in version 1 of control groups.  "max" and -1 are no limit.
CGROUP = Path("/sys/fs/cgroup")
QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


def read_seeds(context: click.Context, parameter: click.Parameter, text: str) -> list[int]:
    """``5`` is the first five seeds; ``0,3,7`` and ``100-119`` are these."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in text.split(",") if part.strip()]
        first, last = [pair[0] for pair in ends], [pair[-1] for pair in ends]
        if not ends or max(map(len, ends)) > 2 or min(first) < 0 or max(last) > 2**31:
            raise ValueError
        if any(a > b for a, b in zip(first, last)) or sum(last) - sum(first) >= MOST_SEEDS:
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
    if number > MOST_SEEDS:
        raise click.BadParameter(
            f"{number} is a number of seeds, at most {MOST_SEEDS};"
            f" for this one seed write {number}-{number}"
        )
    return list(range(number))


def jobs_or_cores(jobs: int | None) -> int:
    """Training runs at once: one a core, or one a rank where there are several."""
    return jobs or (1 if mpi.active() else cores())


def cores() -> int:
    """Cores that this process may use: a container may have a share of them only."""
    number = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        number = len(os.sched_getaffinity(0))
    for names in QUOTAS:
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            text = " ".join((CGROUP / name).read_text(encoding="ascii") for name in names)
            quota, period = map(int, text.split())
            if quota > 0 < period:
                number = min(number, math.ceil(quota / period))
    return number


def _options(*options):
    def decorate(function):
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


#: Corpus and word vectors.
data_options = _options(
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
number_of_seeds = click.option(
    "--seeds", "number", type=click.IntRange(1, MOST_SEEDS), default=None, metavar="N",
    help="The first N finished seeds; default: all.",
)  # fmt: skip
#: The same commands: how many seeds at once, and how much they print.
seeds_at_once = _options(
    click.option("--jobs", type=click.IntRange(1, 4096), default=None, help="Seeds at once."),
    click.option("--quiet", "-q", is_flag=True),
    click.option("--verbose", "-v", is_flag=True, help="Print a line for every finished seed."),
)

#: Where and with how many processes.
machine_options = _options(
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

#: Single settings, beside those of a preset.
setting_options = _options(
    click.option("--epochs", type=click.IntRange(1, 100_000), help="Epochs of each phase."),
    click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE",
                 help="A reading; see `replicate readings`."),
)  # fmt: skip


def config_of(
    preset: str,
    epochs: int | None,
    assignments: Sequence[str],
    presets: Mapping[str, Config] = PRESETS,
    base: str = "paper",
) -> Config:
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


def data_of(
    preset: str, corpus: Sequence[str], vectors: str | None
) -> tuple[list[Path], "Vectors"]:
    """Corpus paths and vectors, searched for where not named."""
    from ..io.data import find_data

    return find_data(preset, corpus, vectors)[1:]
