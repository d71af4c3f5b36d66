"""A small finished run whose corpus is full of what a page must show as text.

And the naive reading of what the explorer makes of it.
"""

import numpy as np

from replicate import experiment
from replicate.config import Config, generator
from replicate.experiment import prepare, run_seed
from replicate.run import Options

#: Words that markup, templates, scripts and JSON would read as their own.
ODD_WORDS = (
    "<script>window.planted=1</script>",
    "</script><b>bold</b>",
    "<!--",
    "<img/src=x/onerror=window.planted=1>",
    "\"double\"'single'",
    "&amp;&lt;",
    "{{7*7}}{%raw%}",
    "back\\slash\\u003c",
    "😀👩‍👩‍👧",
    "שלום",
    "مرحبا",
    "日本語",
    "__proto__",
    "1e5",
)
PLAIN_WORDS = tuple(f"word{i}" for i in range(40)) + ("film", "a", "the", ",")
#: Names of the labels, in the order that corpora sort them.
LABELS = ("<i>bad</i>", 'good"')


def sentences(n=160, seed=0):
    """Texts and labels; labels are partly noise, so that some stay misclassified."""
    random = generator("odd corpus", seed)
    words = PLAIN_WORDS + ODD_WORDS
    made = []
    for i in range(n):
        length = 6 + random.randint(9)
        text = [words[random.randint(len(words))] for _ in range(length)]
        # Half of the sentences have such a word: a model of few epochs predicts both labels.
        label = int(any(w in text for w in ("film", "a", "the", ",")) ^ (random.rand() < 0.1))
        made.append((LABELS[label], " ".join([*text, ODD_WORDS[i % len(ODD_WORDS)]])))
    return made


def odd_run(folder, seeds=(0,), options=None, **settings):
    """A run of some seeds, done.

    Returns:
        Run: without claims and figures.
    """
    folder.mkdir(exist_ok=True)
    place = folder / "corpus.tsv"
    # Every field in quotes, inner ones doubled.
    quoted = [f'"{label}"\t"{text}"' for label, text in (
        (a.replace('"', '""'), b.replace('"', '""')) for a, b in sentences()
    )]  # fmt: skip
    place.write_text("label\ttext\n" + "\n".join(quoted) + "\n", encoding="utf-8")
    config = Config(
        **{"n_filters": 5, "epochs": 6, "batch_size": 10, "learning_rate": 0.2,
           "tokens": "whitespace", **settings}
    )  # fmt: skip
    run = prepare(
        folder / "run", config, options or Options(), list(seeds), [place], "random", dimensions=6
    )
    for seed in seeds:
        run_seed(run, seed)
    return run


def conclude(run):
    """Claims, figures and report, as the command makes them; the report's path."""
    experiment.conclude(run)
    return run.report_file


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def unpacked(text, width=2):
    """Naive inverse of ``packed``."""
    parts = [text[i : i + width] for i in range(0, len(text), width)]
    return np.array(
        [sum(ALPHABET.index(c) * 64 ** (width - 1 - k) for k, c in enumerate(p)) for p in parts]
    )


def saliency_of(data, text):
    """Saliency that the explorer's text stands for."""
    return data["top"] * (unpacked(text) / data["levels"]) ** 2


def sentence_words(data, s):
    """Words of a kept sentence, as the page puts them together."""
    words = data["words"]["word"] + data["others"]
    tokens = unpacked(data["sentences"]["tokens"], 3)
    start = sum(data["sentences"]["length"][:s])
    return [words[t] for t in tokens[start : start + data["sentences"]["length"][s]]]
