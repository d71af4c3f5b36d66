"""The saliency of every word of a text, by the models of the epochs of T1."""

import html
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from rich.text import Text

from ..corpus import tokenize
from ..io.errors import InputError
from ..model import Batch, initial_model, load_weights
from ..run import Run
from ..saliency import classify, word_saliency

__all__ = ["Explanation", "Explanations", "explain", "render_html", "render_terminal", "to_json"]


@dataclass(frozen=True)
class Explanation:
    """A text as the models of E epochs see it.

    Attributes:
        text (str): as given.
        words (list of str): L, after the run's cleaning.
        known (numpy.ndarray): (L,) bool; a word that the run's corpus lacks
            has no vector in the run, and counts as zeros.
        epochs (numpy.ndarray): (E,), or the last epoch only where the weights
            of every epoch were not kept.
        labels (list of str): E, the name of the predicted label.
        probability (numpy.ndarray): (E,) of that label.
        saliency (numpy.ndarray): (E, L), eq. (6).
    """

    text: str
    words: list
    known: np.ndarray
    epochs: np.ndarray
    labels: list
    probability: np.ndarray
    saliency: np.ndarray


class Explanations(list):
    """Explanations of some texts; in Jupyter they show themselves as heat maps."""

    def _repr_html_(self) -> str:
        # A frame of its own: the page's style must not reach the notebook's.
        page = html.escape(render_html(self), quote=True)
        height = 120 + sum(70 + 22 * len(e.epochs) for e in self)
        return f'<iframe srcdoc="{page}" width="100%" height="{height}" frameborder="0"></iframe>'


def explain(run: Run, texts: list[str] | str, seed: int | None = None) -> Explanations:
    """Explain texts by the first phase's models.

    Args:
        run: with T1 of the seed done.
        texts: any texts; one alone will do.
        seed: of the run; None takes the first.

    Returns:
        One :class:`Explanation` a text; the list shows itself as heat maps in Jupyter.

    Raises:
        InputError: for a text without words, or a seed that is not done.
    """
    texts = [texts] if isinstance(texts, str) else texts
    seed = run.seeds[0] if seed is None else seed
    if seed not in run.seeds or not run.finished(seed, "T1"):
        raise InputError(f"{run.out}: seed {seed} is not finished; run it, or name another --seed")
    model = initial_model(run, seed)
    epochs, weights = _weights(run, seed, model)
    index = {word: i for i, word in enumerate(run.corpus.words.tolist())}
    names = run.corpus.label_titles
    made = Explanations()
    for text in texts:
        words = tokenize(text, run.config.tokens)
        if not words:
            raise InputError(f"{text!r}: no words are left after cleaning; give a longer text")
        # Row 0 of the embedding is zeros: that of a word without a vector.
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
                epochs,
                labels,
                np.array(probability),
                np.array(saliency),
            )  # fmt: skip
        )
    return made


def _one_sentence(model, rows):
    """A batch of one sentence; every word is its own distinct word."""
    length = len(rows)
    places, label = np.arange(length, dtype=np.int32), np.zeros(1, dtype=np.int32)
    return Batch.on(model.xp, rows, places, np.array([0, length]), label)


def _weights(run, seed, model):
    """Epochs and the weights of each: all that were kept, else the last."""
    arrays = run.epoch_weights(seed, model.shapes())
    if arrays is None:
        load_weights(run.model_file(seed, "T1"), model)
        return np.array([run.config.epochs]), [model.weights(embedding=True)]
    epochs = np.arange(1, run.config.epochs + 1)
    return epochs, [{n: value[i] for n, value in arrays.items()} for i in range(len(epochs))]


def to_json(explained):
    """Plain lists of what :class:`Explanation` holds.

    Returns:
        list of dict: one a text; floats as they are in float32.
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
        for e in explained
    ]


def shades(saliency):
    """Saliency as shares of the text's greatest, 0 to 1; one scale for all epochs.

    Example:
        >>> shades(np.array([[1.0, 2.0], [4.0, 0.0]])).tolist()
        [[0.25, 0.5], [1.0, 0.0]]
    """
    top = saliency.max()
    return saliency / top if top > 0 else saliency * 0.0


def render_terminal(explained, console):
    """Print heat maps, a line an epoch: colours on a terminal, numbers elsewhere.

    Args:
        explained (list of Explanation): of :func:`explain`.
        console (rich.console.Console): where to.
    """
    for e in explained:
        if not console.is_terminal:
            print_numbers(e, console)
            continue
        console.print(Text(_one_line(e.text), style="bold"))
        told = "label, probability; the brighter a word, the more it drives the label"
        lacking = "; ?: not in the corpus" if not e.known.all() else ""
        console.print(Text(told + lacking, style="dim"))
        width = max(map(len, e.labels))
        for i, share in enumerate(shades(e.saliency)):
            line = Text(f"epoch {e.epochs[i]:3d}  {e.labels[i]:{width}} {e.probability[i]:.2f}  ")
            for word, known, value in zip(e.words, e.known, share):
                line.append(word + ("" if known else "?"), style=_style(value))
                line.append(" ")
            console.print(line)


def _one_line(text):
    return " ".join(text.split())


def _style(share):
    """Ground from the terminal's dark to a strong orange; ink that can be read on it.

    Example:
        >>> _style(0.0), _style(1.0)
        ('#ffffff on rgb(40,40,40)', '#000000 on rgb(230,120,20)')
    """
    ground = [round(40 + share * (c - 40)) for c in (230, 120, 20)]
    # Relative luminance (WCAG 2): black is the easier to read above 0.179.
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in ground]
    ink = "#000000" if linear @ np.array([0.2126, 0.7152, 0.0722]) > 0.179 else "#ffffff"
    return f"{ink} on rgb({','.join(map(str, ground))})"


def print_numbers(e, console):
    """The text after ``#``, then a line an epoch: epoch, label, probability, word and saliency."""
    # To its file: a console makes blanks of tabs.
    lines = [f"# {_one_line(e.text)}"]
    for i, epoch in enumerate(e.epochs):
        cells = [
            f"{word}{'' if known else '?'}={value:.3e}"
            for word, known, value in zip(e.words, e.known, e.saliency[i])
        ]
        line = f"{epoch}\t{e.labels[i]}\t{e.probability[i]:.4f}\t" + " ".join(cells)
        lines.append(line)
    console.file.write("\n".join(lines) + "\n")


def render_html(explained):
    """One self-contained page of heat maps, epochs from top to bottom.

    Returns:
        str: HTML; every word is escaped.
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
        for e in explained
    ]
    return environment.get_template("explain.html").render(texts=texts)
