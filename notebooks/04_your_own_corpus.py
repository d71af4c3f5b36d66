# %% [markdown]
# # 4. Your own corpus
#
# You can do with your own labelled texts all that the other notebooks do with film
# reviews. You need a table with the columns `label` and `text`, and two labels or
# more. This notebook makes such a table, runs the experiment, and reads the results.
#
# The sentences are invented, so we know beforehand which words *should* be hard to
# learn. Try a method first on a case whose answer you know.
#
# ![A table of labels and texts and a file of word vectors go into a run, which gives unstable words, chosen sentences and verdicts](diagrams/04_your_own_corpus.svg)
#
# | term | meaning |
# | --- | --- |
# | corpus | labelled texts; here a file with one text in each line |
# | run | the folder with the results of one or more seeds under the same settings |
# | setting | what the paper leaves open, for instance the number of filters (a *reading*) |
# | wac, A_S | instability of a word, and of a sentence ([notebook 2](02_learning_dynamics.ipynb), [3](03_two_phases.ipynb)) |
#
# The pages [Data](../docs/data.md) and [Concepts](../docs/concepts.md) have the details.

# %%
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import replicate

plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})
pd.options.display.max_colwidth = None

# %% [markdown]
# ## A table of labelled texts
#
# Guests write about a meal. *Delicious* is always good, and *awful* is always bad. But
# *hot* is good for a soup and bad for a lemonade, and *cold* is the opposite. These two
# words alone do not show whether a text is good or bad.

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
print("\n".join(place.read_text(encoding="utf-8").splitlines()[:6]))

# %% [markdown]
# `read_corpus` reads the file, cleans the text as Kim (2014) does, and checks it.

# %%
corpus = replicate.read_corpus([place])
print(f"{len(corpus)} texts, {len(corpus.words)} different words")
print("labels:", ", ".join(corpus.label_titles))

# %% [markdown]
# If a line is wrong, the error names its number and says what to do. A setting with a
# wrong value is an error, too:

# %%
broken = Path(folder.name) / "broken.tsv"
broken.write_text("label\ttext\ngood\tthe soup was hot\nbad\t\n", encoding="utf-8")
for attempt in (
    lambda: replicate.read_corpus([broken]),
    lambda: replicate.Config(activation="rel"),
):
    try:
        attempt()
    except replicate.InputError as error:
        print(str(error).replace(folder.name, "…"))

# %% [markdown]
# ## Run
#
# Settings that differ from the paper's preset are named in the call. Word vectors come from
# a file in the format of word2vec, GloVe or fastText. These few words need no file:
# `"random"` draws a vector for each.
#
# On the command line:
#
#     replicate run --preset paper --corpus meals.tsv --vectors random --seeds 3 \
#         --set n_filters=20 --set learning_rate=0.003 --set batch_size=10 \
#         --set split=stratified --epochs 30 --out out/meals

# %%
seeds = [0, 1, 2]
run = replicate.run_experiment(
    "paper",
    corpus=[place],
    vectors="random",
    seeds=seeds,
    out=Path(folder.name) / "run",
    epochs=30,
    n_filters=20,
    learning_rate=0.003,
    batch_size=10,
    split="stratified",  # like shares of the labels in T1, T2 and T3
)
print("sentences in T1, T2, T3:", *(len(part) for part in run.split(0)))

# %% [markdown]
# **First check: has the network learned?** If it has not, instability means nothing.
# Guessing is right for half of the texts. Whoever knows only *delicious* and *awful* is
# right for three quarters (dotted).

# %%
figure, axis = plt.subplots(figsize=(6, 2.8))
for seed in seeds:
    curve = run.accuracies(seed)["T1andT2"]
    axis.plot(curve[:, 0], curve[:, 1], label=f"seed {seed}")
axis.axhline(0.5, color="black", lw=0.8)
axis.axhline(0.75, color="black", lw=0.8, ls=":")
axis.set(xlabel="epoch", ylabel="accuracy on T3", ylim=(0.4, 1.03))
axis.set_title("the model that learns T1 and T2", loc="left")
axis.legend(loc="lower right")
plt.show()

for arm in ("T1", "T1andT2"):
    final = [run.accuracies(seed)[arm][-1, 1] for seed in seeds]
    print(f"{arm}: {np.mean(final):.2f} after the last epoch")

# %% [markdown]
# ## The unstable words
#
# Every seed makes a new division of the texts, and gives every word of its T1 a wac,
# eq. (9). Look at several seeds before you trust the rank of a word.

# %%
wac = pd.DataFrame({f"seed {s}": run.instability(s)[0] for s in seeds}, index=run.corpus.words)
order = wac.mean(axis=1).sort_values().index

figure, axis = plt.subplots(figsize=(6, 5))
for name in wac:
    axis.scatter(wac.loc[order, name], np.arange(len(order)), s=16, alpha=0.7, label=name)
axis.set_yticks(np.arange(len(order)), order, fontsize=8)
axis.set(xscale="log", xlabel="wac, eq. (9)")
axis.legend(loc="lower right")
plt.show()
print("most unstable:", *order[::-1][:2])

# %% [markdown]
# The words without a fixed meaning are on top. Here the method finds what we put in.
#
# But remember what we put in. *Hot* and *cold* are neither errors nor noise: their
# meaning depends on their neighbours. And the network is **certain** of sentences with
# *delicious* or *awful* after a few epochs, which alone makes saliency small and steady
# (notebook 2).
#
# ## One text, epoch by epoch
#
# `explain` takes any text, also one that is not in the corpus, and shows the saliency
# of its words for the networks of the epochs that we name.

# %%
texts = ["the soup was cold", "the lemonade was cold", "the pizza was delicious"]
explained = replicate.explain(run, texts, epochs=[1, 5, 10, 15, 20, 25, 30])
top = max(e.saliency.max() for e in explained)

figure, axes = plt.subplots(3, 1, figsize=(6, 6))
for axis, e in zip(axes, explained):
    axis.imshow(e.saliency.T, cmap="Oranges", vmin=0, vmax=top, aspect="auto")
    axis.set_yticks(range(len(e.words)), [w + "?" * (not k) for w, k in zip(e.words, e.known)])
    axis.set_xticks(range(len(e.epochs)), e.epochs)
    axis.set_title(f"at last: {e.labels[-1]}, p = {e.probability[-1]:.2f}", loc="left")
axes[-1].set_xlabel("epoch")
figure.tight_layout()
plt.show()

# %% [markdown]
# *Pizza* is not in the corpus. It has a question mark, and its vector is all zeros. In
# Jupyter, a cell that ends with `replicate.explain(…)` shows such a heat map by itself.
#
# ## Which sentences does the method choose?
#
# How many sentences of T2h and T2l end with each of the four words, and what is their mean
# score A_S, eq. (10)?

# %%
A_S, half = run.sentence_scores(0)
table = pd.DataFrame({"A_S": A_S, "half": half})
table["last word"] = [corpus.sentence(n).split()[-1] for n in range(len(corpus))]
chosen = table[half != ""]
found = pd.crosstab(chosen["last word"], chosen["half"])
found.assign(**{"mean A_S": chosen.groupby("last word")["A_S"].mean().map("{:.1e}".format)})

# %% [markdown]
# ## Was it worth it?
#
# The models are compared as in notebook 3: `T1andT2h` against `T1andT2l` (claim H) and
# against a random half (O2).

# %%
verdicts = run.verdicts.to_pandas().set_index("id")
verdicts.loc[["H", "O2"], ["statement", "ours", "low", "high", "verdict"]]

# %% [markdown]
# Three seeds give a wide interval, and nothing is decided below fifty
# ([notebook 6](06_deciding_a_claim.ipynb)). Read the interval, not the mean: it has all
# effects that these seeds allow.
#
# ## What to remember
#
# - You only need a table with `label` and `text`.
# - Check that the network has learned before you interpret saliency.
# - Look at unstable words over several seeds, and read the sentences that contain them.
# - A word may be unstable because it *depends on its neighbours*, because it is *rare*, or
#   because the network is *uncertain* of its sentences. The number does not say which.
#
# ## Exercises
#
# **1.** Give a tenth of the texts a wrong label on purpose. Do *delicious* and *awful* become
# more unstable?
#
# <details><summary>Solution</summary>
#
# ```python
# noisy = pd.DataFrame(rows)
# flip = np.random.RandomState(0).permutation(len(noisy))[: len(noisy) // 10]
# noisy.loc[flip, "label"] = noisy.loc[flip, "label"].map({"good": "bad", "bad": "good"})
# noisy.to_csv(Path(folder.name) / "noisy.tsv", sep="\t", index=False)
# settings = dict(epochs=30, n_filters=20, learning_rate=0.003, batch_size=10, split="stratified")
# second = replicate.run_experiment(
#     "paper", corpus=[Path(folder.name) / "noisy.tsv"], vectors="random", out=f"{folder.name}/noisy", **settings
# )
# noise = pd.Series(second.instability(0)[0], index=second.corpus.words)
# both = pd.DataFrame({"clean": wac["seed 0"], "noisy": noise})
# print(both.loc[["delicious", "awful", "hot", "cold"]].map("{:.1e}".format))
# ```
#
# Yes: the network can no longer be certain of them. Instability points at wrong labels,
# too, and does not tell them apart from hard words.
#
# </details>
#
# **2.** Which setting has the name `padding`, and what are its values? List all settings with a
# word of yours in their description.
#
# <details><summary>Solution</summary>
#
# ```python
# settings_table = pd.DataFrame(replicate.Config.readings(), columns=["name", "default", "others", "about"])
# print(settings_table[settings_table["about"].str.contains("zero vectors|batch")].to_string(index=False))
# ```
#
# `padding` is *wide* or *narrow*. [Readings](../docs/readings.md) has all of them.
#
# </details>
#
# **3.** What does the network make of a text that says nothing, *the soup was*? And of one
# that says two things, *the soup was hot and awful*?
#
# <details><summary>Solution</summary>
#
# ```python
# for e in replicate.explain(run, ["the soup was", "the soup was hot and awful"], epochs=[-1]):
#     print(f"{e.text}: {e.labels[-1]}, p = {e.probability[-1]:.2f}")
#     print("  ", *(f"{word} {value:.4f}" for word, value in zip(e.words, e.saliency[-1])))
# ```
#
# It must answer, and often answers with confidence. A probability is no proof that the
# network has seen anything like the text.
#
# </details>
#
# ---
# Before: [3. Two phases](03_two_phases.ipynb) ·
# next: [5. What jumps?](05_what_jumps.ipynb) ·
# your data: [Data](../docs/data.md), [Commands](../docs/usage.md)
