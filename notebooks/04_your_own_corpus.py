# %% [markdown]
# # 4. Your own corpus
#
# You can use your own labelled texts for everything that the other notebooks do with
# film reviews. You need a table with the columns `label` and `text`, and two labels
# or more. This notebook makes such a table, sets up a run, and reads the results.
#
# The sentences are invented, so we know beforehand which words *should* be hard
# to learn. It is a good habit to try a method first on a case whose answer you know.

# %%
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from replicate.claims import judge, sentence
from replicate.config import PRESETS, Config
from replicate.corpus import read_corpus
from replicate.experiment import prepare, run_seed, statistics_of
from replicate.io.errors import InputError
from replicate.run import Options
from replicate.show.explain import explain
from replicate.show.figures import STYLE

plt.rcParams.update({**STYLE, "figure.dpi": 90})
pd.options.display.max_colwidth = None

# %% [markdown]
# ## A table of labelled texts
#
# Guests write about a meal. *Delicious* is always good, and *awful* is always bad.
# But *hot* is good for a soup and bad for a lemonade, and *cold* is the opposite.
# These two words alone do not show whether a text is good or bad.

# %%
warm = ["soup", "coffee", "tea", "stew", "curry", "porridge"]
cool = ["beer", "juice", "lemonade", "salad", "sorbet", "water"]
openings = ["", "on sunday ", "at lunch ", "once again "]

good = {(thing, "delicious") for thing in warm + cool}
good |= {(thing, "hot") for thing in warm} | {(thing, "cold") for thing in cool}

rows = []
for opening, thing, how in product(openings, warm + cool, ["hot", "cold", "delicious", "awful"]):
    label = "good" if (thing, how) in good else "bad"
    rows.append({"label": label, "text": f"{opening}the {thing} was {how}"})

folder = TemporaryDirectory()
place = Path(folder.name) / "meals.tsv"
pd.DataFrame(rows).to_csv(place, sep="\t", index=False)

# %% [markdown]
# The file is plain text, and could also come from a spreadsheet. Its first lines:

# %%
print("\n".join(place.read_text(encoding="utf-8").splitlines()[:6]))

# %% [markdown]
# `read_corpus` reads it, cleans the text as Kim (2014) does, and checks it. If a
# line is wrong, the error names its number.

# %%
corpus = read_corpus([place])
print(f"{len(corpus)} texts, {len(corpus.words)} different words, labels {corpus.label_names}")

# %% [markdown]
# ## Settings
#
# A run has settings for everything that the paper leaves open. Write those that you
# change into a TOML file; all others keep the values of the preset `paper`. A
# misspelt name is an error:

# %%
try:
    Config.from_toml_text("n_filter = 20", where="meals.toml")
except InputError as error:
    print(error)

# %%
text = """
epochs = 30            # of each phase
n_filters = 20
learning_rate = 0.003
batch_size = 10
split = "stratified"   # like shares of the labels in T1, T2 and T3
"""
config = Config.from_toml_text(text, where="meals.toml", base=PRESETS["paper"])
print(config.epochs, config.n_filters, config.split, config.activation)

# %% [markdown]
# ## Run
#
# Word vectors come from a file in the format of word2vec, GloVe or fastText. For
# these few words we do not need a file: `"random"` draws a vector for each.
#
# The same on the command line:
#
#     replicate run --preset meals.toml --corpus meals.tsv \
#         --vectors random --dimensions 50 --seeds 3 --out out/meals

# %%
seeds = [0, 1, 2]
run = prepare(Path(folder.name) / "run", config, Options(), seeds, [place], "random", dimensions=50)
for seed in seeds:
    run_seed(run, seed)

sizes = np.bincount(run.subset(0))[1:]
print("sentences in T1, T2, T3:", *sizes)

# %% [markdown]
# **First check: did the model learn?** If it did not, instability means nothing.

# %%
figure, axis = plt.subplots(figsize=(6.5, 2.8))
for seed in seeds:
    curve = run.accuracies(seed)["T1"]
    axis.plot(curve[:, 0], curve[:, 1], label=f"seed {seed}")
axis.axhline(0.5, color="black", lw=0.8, ls=":")
axis.set(xlabel="epoch of the first phase", ylabel="accuracy on T3", ylim=(0.4, 1.03))
axis.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## The unstable words
#
# Every seed makes a new split of the texts, and gives every word of its T1 a wac,
# eq. (9). Look at several seeds before you trust the rank of a word.

# %%
columns = {}
for seed in seeds:
    table = pd.read_csv(run.seed_folder(seed) / "instability.csv", keep_default_na=False)
    columns[f"seed {seed}"] = table.set_index("word")["wac"]

wac = pd.DataFrame(columns)
order = wac.mean(axis=1).sort_values().index

figure, axis = plt.subplots(figsize=(6.5, 5))
for name in wac:
    axis.scatter(wac.loc[order, name], np.arange(len(order)), s=16, alpha=0.7, label=name)
axis.set_yticks(np.arange(len(order)), order)
axis.set(xscale="log", xlabel="wac, eq. (9)")
axis.legend(loc="lower right")
plt.show()

# %%
print("most unstable: ", *order[::-1][:2])
print("least unstable:", *order[:2])

# %% [markdown]
# The words without a fixed meaning are on top, and those with a clear meaning are at
# the bottom. Here the method finds what we put in.
#
# But remember what we put in. *Hot* and *cold* are neither errors nor noise: their
# meaning depends on their neighbours. And the model is **certain** of sentences with
# *delicious* or *awful* after a few epochs, which alone makes saliency small and
# steady (notebook 2).
#
# ## One text, epoch by epoch
#
# `explain` takes any text, also one that is not in the corpus, and shows the
# saliency of its words for the models of all epochs, from top to bottom. The title
# is the last answer. `replicate explain` does the same in the terminal.

# %%
texts = ["the soup was cold", "the lemonade was cold", "the tea was delicious"]
explained = explain(run, texts)
top = max(e.saliency.max() for e in explained)

figure, axes = plt.subplots(1, len(texts), figsize=(10, 3.6))
for axis, e in zip(axes, explained):
    axis.imshow(e.saliency, cmap="Oranges", vmin=0, vmax=top, aspect="auto")
    axis.set_xticks(np.arange(len(e.words)), e.words)
    last = f"{e.labels[-1]}, p = {e.probability[-1]:.2f}"
    axis.set(yticks=[0, len(e.epochs) - 1], yticklabels=["epoch 1", f"{e.epochs[-1]}"], title=last)
    axis.grid(False)
figure.tight_layout()
plt.show()

# %% [markdown]
# A word that is not in the corpus has no vector in the run. It is marked, and its
# vector is all zeros:

# %%
(e,) = explain(run, ["the pizza was cold"])
print("not known:", *[word for word, known in zip(e.words, e.known) if not known])
print(f"answer: {e.labels[-1]}, p = {e.probability[-1]:.2f}")

# %% [markdown]
# ## Which sentences does the method choose?
#
# The file `sentences.csv` has the score A_S, eq. (10), of every sentence of T2, and
# its half (h or l). How many sentences of each half end with each of the four
# words?

# %%
table = pd.read_csv(run.seed_folder(0) / "sentences.csv", keep_default_na=False)
table["last word"] = [corpus.sentence(n).split()[-1] for n in table["sentence"]]
halves = table[table["arm"] != ""]
pd.crosstab(halves["last word"], halves["arm"])

# %% [markdown]
# ## Was it worth it?
#
# The models are compared as in notebook 3: `T1andT2h` against `T1andT2l` (H)
# and against a random half (O2). The other claims are about the paper's own
# corpus.

# %%
verdicts = {v.claim.id: v for v in judge([statistics_of(run, seed) for seed in seeds])}
for name in ("H", "O2"):
    v = verdicts[name]
    print(f"{name}: {v.claim.statement}")
    print(f"   {sentence(v)}")
    print(f"   largest effect not excluded: {100 * v.parts[0].not_excluded:+.1f} points")

# %% [markdown]
# Read the interval, not the mean. All claims are judged together, and with more
# questions, more of them succeed by chance; the intervals are wide enough for that. If
# the largest effect that is not excluded is larger than any effect that you expect, take
# more sentences and more seeds before you conclude anything.
#
# ## What to remember
#
# - You only need a table with `label` and `text`.
# - Check that the model has learned before you interpret saliency.
# - Look at unstable words over several seeds, and read the sentences that contain
#   them.
# - A word may be unstable because it *depends on its neighbours*, because it is
#   *rare*, or because the model is *uncertain* of its sentences. The number does not
#   show which.
#
# **To try.** Give a tenth of the texts a wrong label on purpose: do their words get
# a higher rank? Use your own table. To rank a pool of texts that have no label yet,
# see `replicate select --help`.
