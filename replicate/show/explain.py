"""The saliency of every word of a text, for the models after each epoch of T1."""

import csv
import html
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from ..corpus import tokenize
from ..io.errors import InputError
from ..model import Batch, TextCNN, initial_model, load_weights
from ..run import Run
from ..saliency import classify, word_saliency

__all__ = [
    "Explanation",
    "Explanations",
    "explain",
    "light_terminal",
    "render_html",
    "render_terminal",
    "to_csv",
    "to_json",
]


@dataclass(frozen=True)
class Explanation:
    """A text of T words, as the models after E epochs see it; see :func:`explain`.

    Attributes:
        text: the text as given.
        words: its T words, after the run's cleaning.
        known: (T,), whether the run's corpus has the word; a word that it does not
            have has a vector of zeros.
        epochs: (E,) int64; only the last epoch if the weights of every epoch were
            not kept.
        labels: E names of predicted labels.
        probability: (E,) float32, the probability of that label.
        saliency: (E, T) float32, wa of eq. (6).
    """

    text: str
    words: list[str]
    known: NDArray[np.bool_]
    epochs: NDArray[np.integer]
    labels: list[str]
    probability: NDArray[np.float32]
    saliency: NDArray[np.float32]


class Explanations(list[Explanation]):
    """Explanations of some texts, which Jupyter displays as heat maps."""

    def _repr_html_(self) -> str:
        # In a frame, so that the style of the page does not change the notebook.
        page = html.escape(render_html(self), quote=True)
        # As measured in a browser of 390 pixels; upright words take 8 a letter.
        maps = (24 * len(e.epochs) + max(48, 9 * max(map(len, e.words))) for e in self)
        height = 330 + sum(110 + one for one in maps)
        return f'<iframe srcdoc="{page}" width="100%" height="{height}" frameborder="0"></iframe>'


def explain(
    run: Run | str | os.PathLike[str],
    texts: list[str] | str,
    seed: int | None = None,
    epochs: Sequence[int] | None = None,
) -> Explanations:
    """Explain texts with the models of the first phase: saliency of each word at each epoch.

    Args:
        run: a run in which the first phase of the seed is complete, or its folder.
        texts: one text or several; they need not be in the corpus.
        seed: a seed of the run; None takes the first.
        epochs: epochs to look at, one or more, -1 for the last; None takes all that were kept.

    Returns:
        One :class:`Explanation` for each text; Jupyter displays the list as heat maps.

    Raises:
        InputError: if a text has no words, the seed is not finished, the weights of an epoch
            were not kept, no epoch is named, or a folder has no run.

    Example:
        >>> explanation = explain(sample_run(), "a film without zorblax")[0]
        >>> explanation.words, explanation.known.tolist()
        (['a', 'film', 'without', 'zorblax'], [True, True, True, False])
        >>> explanation.saliency.shape  # epochs, words
        (3, 4)
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    texts = [texts] if isinstance(texts, str) else texts
    seed = run.seeds[0] if seed is None else seed
    if seed not in run.seeds or not run.finished(seed, "T1"):
        raise InputError(f"{run.out}: seed {seed} is not finished; run it, or name another --seed")
    model = initial_model(run, seed)
    kept, weights = _weights(run, seed, model)
    if epochs is not None:
        rows_kept = _rows_of(run, kept, epochs)
        kept, weights = kept[rows_kept], [weights[i] for i in rows_kept]
    index = {word: i for i, word in enumerate(run.corpus.words.tolist())}
    names = run.corpus.label_titles
    made = Explanations()
    for text in texts:
        words = tokenize(text, run.config.tokens)
        if not words:
            raise InputError(_wordless(text, run.config.tokens))
        # Row 0 of the embedding is all zeros; words that the corpus does not have use it.
        rows = np.array([index.get(word, -1) + 1 for word in words], dtype=np.int32)
        batch = _one_sentence(model, rows)
        labels, probability, saliency = [], [], []
        for arrays in weights:
            model.set_weights(arrays)
            classified = classify(model, batch)
            labels.append(names[classified.predicted[0]])
            probability.append(classified.probabilities[0].max())
            saliency.append(word_saliency(model, batch).token_saliency)
        made.append(
            Explanation(
                text,
                words,
                rows > 0,
                kept,
                labels,
                np.array(probability),
                np.array(saliency),
            )  # fmt: skip
        )
    return made


def _rows_of(run: Run, kept: NDArray[np.integer], epochs: Sequence[int]) -> list[int]:
    """Rows of some epochs among those that were kept, in ascending order."""
    last = int(kept[-1])
    if len(epochs) == 0:
        raise InputError(f"epochs = {epochs!r}: none to look at; name some, or None for all")
    wanted = sorted({last if epoch == -1 else epoch for epoch in epochs})
    for epoch in wanted:
        if epoch not in kept:
            offered = f"1 to {last}" if len(kept) > 1 else f"{last} only"
            raise InputError(
                f"{run.out}: the weights of epoch {epoch} were not kept; this run has epochs {offered}"
            )
    return [int(np.flatnonzero(kept == epoch)[0]) for epoch in wanted]


def _wordless(text: str, tokens: str) -> str:
    """Why a text has no words, and what helps: Kim's cleaning drops letters that are not Latin."""
    if tokens == "kim" and any(character.isalpha() for character in text):
        return (
            f"{text!r}: no words are left after cleaning, which keeps Latin letters; for another "
            "script, make the run with --set tokens=whitespace, on texts with blanks between words"
        )
    return f"{text!r}: no words are left after cleaning; give a longer text"


def _one_sentence(model: TextCNN, rows: NDArray[np.int32]) -> Batch:
    """A batch of one sentence, in which every occurrence counts as a word of its own."""
    length = len(rows)
    places, label = np.arange(length, dtype=np.int32), np.zeros(1, dtype=np.int32)
    return Batch.on(model.xp, rows, places, np.array([0, length]), label)


def _weights(
    run: Run, seed: int, model: TextCNN
) -> tuple[NDArray[np.integer], list[dict[str, NDArray[np.float32]]]]:
    """Epochs and their weights: every epoch if they were kept, else only the last."""
    arrays = run.epoch_weights(seed, model.shapes())
    if arrays is None:
        load_weights(run.model_file(seed, "T1"), model)
        return np.array([run.config.epochs]), [model.weights(embedding=True)]
    epochs = np.arange(1, run.config.epochs + 1)
    return epochs, [{n: value[i] for n, value in arrays.items()} for i in range(len(epochs))]


def to_json(explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Explanations as dictionaries and lists that JSON can represent.

    Args:
        explanations: the result of :func:`explain`.

    Returns:
        One dictionary for each text, with the attributes of :class:`Explanation`.

    Example:
        >>> to_json(explain(sample_run(), "good film"))[0]["words"]
        ['good', 'film']
    """
    return [
        {
            "text": e.text,
            "words": e.words,
            "known": e.known.tolist(),
            "epochs": e.epochs.tolist(),
            "labels": e.labels,
            "probability": [float(p) for p in e.probability],
            "saliency": [[float(v) for v in row] for row in e.saliency],
        }
        for e in explanations
    ]


def shades(saliency: NDArray[np.floating]) -> NDArray[np.floating]:
    """Saliency divided by the largest value of the text, so that all epochs share one scale.

    Args:
        saliency: (E, T).

    Returns:
        (E, T), from 0 to 1.

    Example:
        >>> shades(np.array([[1.0, 2.0], [4.0, 0.0]])).tolist()
        [[0.25, 0.5], [1.0, 0.0]]
    """
    top = saliency.max()
    return saliency / top if top > 0 else saliency * 0.0


def light_terminal() -> bool:
    """Whether the terminal says that its background is light: by the variable ``COLORFGBG``.

    Many terminals set it to their colours of text and background, such as ``0;15``.

    Example:
        >>> isinstance(light_terminal(), bool)
        True
    """
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return background in ("7", "9", "10", "11", "12", "13", "14", "15")


def render_terminal(
    explanations: Sequence[Explanation], console: Console, light: bool | None = None
) -> None:
    """Print one line for each epoch: words in colours on a terminal, else CSV.

    Args:
        explanations: the result of :func:`explain`.
        console: the console to print on.
        light: whether its background is light; None asks :func:`light_terminal`.

    Example:
        >>> import io
        >>> console = Console(file=io.StringIO())
        >>> render_terminal(explain(sample_run(), "good film"), console)
        >>> console.file.getvalue().splitlines()[0]
        'text,epoch,label,probability,position,word,known,saliency'
    """
    if not console.is_terminal:
        # Into the file of the console, which would break long lines.
        console.file.write(to_csv(explanations))
        return
    light = light_terminal() if light is None else light
    for e in explanations:
        console.print(Text(_one_line(e.text), style="bold"))
        legend = Text("Influence on the label, eq. (6): ", style="dim")
        for i in range(5):
            legend.append("  ", style=_style(i / 4, light))
        legend.append(f" 0 to {e.saliency.max():.2g}", style="dim")
        if not e.known.all():
            legend.append("; ?: not in the corpus", style="dim")
        console.print(legend)
        width = max(5, *map(len, e.labels))
        console.print(Text(f"epoch  {'label':{width}}     p  words", style="dim"))
        for i, share in enumerate(shades(e.saliency)):
            line = Text(f"{e.epochs[i]:5d}  {e.labels[i]:{width}}  {e.probability[i]:.2f}  ")
            for word, known, value in zip(e.words, e.known, share):
                line.append(word + ("" if known else "?"), style=_style(value, light))
                line.append(" ")
            console.print(line)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _style(share: float, light: bool = False) -> str:
    """Background from dark grey or white to strong orange, and a text colour that is readable on it.

    Example:
        >>> _style(0.0), _style(1.0), _style(0.0, light=True)
        ('#ffffff on rgb(40,40,40)', '#000000 on rgb(230,120,20)', '#000000 on rgb(255,255,255)')
    """
    least = 255 if light else 40
    ground = [round(least + share * (c - least)) for c in (230, 120, 20)]
    # Relative luminance of WCAG 2: above 0.179, black has more contrast than white.
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in ground]
    ink = "#000000" if linear @ np.array([0.2126, 0.7152, 0.0722]) > 0.179 else "#ffffff"
    return f"{ink} on rgb({','.join(map(str, ground))})"


def to_csv(explanations: Sequence[Explanation]) -> str:
    """A table with a row for each word at each epoch, all digits, in the order of the words.

    Args:
        explanations: the result of :func:`explain`.

    Returns:
        CSV with the columns text, epoch, label, probability, position (from 1), word,
        known (1 if the corpus has the word) and saliency.

    Example:
        >>> to_csv(explain(sample_run(), "good film", epochs=[-1])).count("\\n")
        3
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    header = ("text", "epoch", "label", "probability", "position", "word", "known", "saliency")
    writer.writerow(header)
    for e in explanations:
        for i, epoch in enumerate(e.epochs.tolist()):
            for k, (word, known) in enumerate(zip(e.words, e.known.tolist())):
                p, value = float(e.probability[i]), float(e.saliency[i, k])
                row = (_one_line(e.text), epoch, e.labels[i], p, k + 1, word, int(known), value)
                writer.writerow(row)
    return file.getvalue()


def render_html(explanations: Sequence[Explanation]) -> str:
    """One self-contained HTML page with a heat map for each text, epochs from top to bottom.

    Args:
        explanations: the result of :func:`explain`.

    Returns:
        The page; every word is escaped.

    Example:
        >>> page = render_html(explain(sample_run(), "<b>good</b> film"))
        >>> "&lt;b&gt;good&lt;/b&gt; film" in page, "<b>good" in page
        (True, False)
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    texts = [
        {
            "text": e.text,
            "words": list(zip(e.words, e.known.tolist())),
            "rows": [
                {
                    "epoch": int(e.epochs[i]),
                    "label": e.labels[i],
                    "probability": f"{e.probability[i]:.2f}",
                    "cells": [
                        {"level": round(float(v) * 20), "value": f"{raw:.2e}"}
                        for v, raw in zip(share, e.saliency[i])
                    ],
                }
                for i, share in enumerate(shades(e.saliency))
            ],
        }
        for e in explanations
    ]
    return environment.get_template("explain.html").render(texts=texts)
