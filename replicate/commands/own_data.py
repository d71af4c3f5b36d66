"""The command for one's own data: select."""

from pathlib import Path

import click
from rich.console import Console

from ..config import PRESETS
from ..io.errors import InputError
from ..io.files import load_json
from .options import (
    config_of,
    data_of,
    data_options,
    read_seeds,
    setting_options,
)
from .progress import display_on, log_file, on_read


@click.command()
@click.option("--preset", default="own", show_default=True, metavar="own|sample|paper|as-written|calibrated|FILE.toml",
              help="Settings; a file changes those of own.")  # fmt: skip
@setting_options
@data_options
@click.option(
    "--pool", required=True, metavar="FILE", help="Texts to choose from: .tsv, .csv or .txt."
)
@click.option(
    "--budget", default="10%", show_default=True, metavar="N|P%", help="How many to select."
)
@click.option("--by", type=click.Choice(["instability", "entropy"]), default="instability", show_default=True,
              help="Unstable words (the paper), or how unsure the network is.")  # fmt: skip
@click.option("--seeds", callback=read_seeds, default="1", show_default=True,
              metavar="N|A,B,…|A-B", help="Networks; instability, or what they predict, is the mean over them.")  # fmt: skip
@click.option("--implementation", type=click.Choice(["fused", "reference"]), default="fused")
@click.option("--quiet", "-q", is_flag=True)
@click.option("--out", required=True, metavar="DIR", help="Where selected.csv goes.")
def select(
    preset: str, epochs: int | None, assignments: tuple[str, ...], corpus: tuple[str, ...],
    vectors: str | None, dimensions: int, pool: str, budget: str, by: str, seeds: list[int],
    implementation: str, quiet: bool, out: str,
) -> int:  # fmt: skip
    """Your own data: train on --corpus, and select texts of --pool by unstable words, or by doubt.

    Writes selected.csv (rank, score, text, its most unstable words),
    words.csv (all words by instability) and select.json (what was done).
    """
    from ..beyond import own_data as selecting

    presets = {"own": selecting.PRESET, **PRESETS}
    config = config_of(preset, epochs, assignments, presets, base="own")
    if not corpus:
        raise InputError(
            "--corpus: name the labelled texts, a .tsv or .csv with columns label and text"
        )
    paths, word_vectors = data_of("paper", corpus, vectors)
    console = Console(stderr=True)
    with selecting.locked(out), log_file(out):
        with display_on(console, config.epochs * len(seeds), quiet, False) as display:

            def on_progress(seed: int, epoch: int, accuracy: float) -> None:
                display.bar(seed, f"seed {seed}", config.epochs, epoch, accuracy)

            place = selecting.select(
                paths, pool, word_vectors, config, out, budget, seeds, dimensions, implementation, on_progress,
                on_read(quiet), by,
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
