# %% [markdown]
# # 3. Two phases: do sentences with unstable words make a better model?
#
# Notebook 2 found unstable words. The paper proposes that new sentences which are
# rich in such words are worth more than others. To test this, half of the new
# sentences (T2) are chosen by their words. Then six models are trained, and
# compared on sentences that none of them has seen (T3).
#
# Here we choose the sentences, train the models with several seeds, and give a
# verdict on each claim. Then we ask what 200 sentences can decide at all.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Image, display

from replicate.claims import column, judge
from replicate.config import PRESETS
from replicate.experiment import prepare, run_seed, statistics_of
from replicate.instability import sentence_instability
from replicate.io.data import find_data
from replicate.run import Options
from replicate.selection import arm_sentences, median_halves
from replicate.show.figures import ARM_COLOURS, STYLE, draw_figures
from replicate.show.report import write_claims

plt.rcParams.update({**STYLE, "figure.dpi": 90, "axes.axisbelow": True})
pd.options.display.max_colwidth = None

# %% [markdown]
# ## Run it with several seeds
#
# A *seed* determines everything that is drawn at random: the sentences of T1, T2
# and T3, the initial weights, the order of training. All models of a seed share
# these, so they differ only in their training sentences. The paper reports a single
# run and no spread. This takes seconds on the sample, and some minutes on MR.

# %%
preset, paths, vectors = find_data()
seeds = [0, 1, 2, 3, 4]
folder = TemporaryDirectory()
run = prepare(folder.name, PRESETS[preset], Options(), seeds, paths, vectors, preset)
for seed in seeds:
    run_seed(run, seed)

corpus = run.corpus
print(f"{len(seeds)} seeds of {len(corpus)} sentences, {run.config.epochs} epochs in each phase")

# %% [markdown]
# ## Score the new sentences: eq. (10)
#
# The score of a sentence of T2 is the mean wac of its words:
#
# $$A_S = \frac{1}{n} \sum_{i} wac(w_i)$$
#
# Words that T1 does not have, have no wac. They are left out of the mean (the
# paper does not say; it is a reading). One sentence by hand:

# %%
subset = run.subset(0)
t1, t2, t3 = (np.flatnonzero(subset == k) for k in (1, 2, 3))
words = pd.read_csv(run.seed_folder(0) / "instability.csv", keep_default_na=False)
wac_of = dict(zip(words["word"], words["wac"]))

sentence = corpus.sentence(t2[0]).split()
scores = [wac_of[word] for word in sentence if word in wac_of]
A_S = np.mean(scores)

print(" ".join(word if word in wac_of else f"({word})" for word in sentence))
print(f"{len(scores)} of {len(sentence)} words have a wac; A_S = {A_S:.2e}")

# %% [markdown]
# The words in brackets are not in T1. Now all sentences of T2 by the package:

# %%
wac = np.array([wac_of.get(word, np.nan) for word in corpus.words])
instability = sentence_instability(wac, *corpus.take(t2))

np.testing.assert_allclose(instability[0], A_S)
print(f"{len(instability)} sentences of T2 have a score")

# %% [markdown]
# ## Two halves
#
# T2h has the sentences above the median of the score (the line), T2l those
# below. Both have the same size. A few scores are too high for the picture.

# %%
h, l = median_halves(instability, t2)
in_h = np.isin(t2, h)

figure, axis = plt.subplots(figsize=(7, 3))
bins = np.linspace(0, np.quantile(instability, 0.98), 31)
parts, names = [instability[~in_h], instability[in_h]], ["T2l", "T2h"]
axis.hist(parts, bins, stacked=True, color=[ARM_COLOURS[name] for name in names], label=names)
axis.axvline(np.median(instability), color="black", lw=1)
axis.set(xlabel="A_S, eq. (10)", ylabel="sentences of T2")
axis.legend()
plt.show()

# %% [markdown]
# The highest and the lowest sentence:

# %%
print("highest:", corpus.sentence(t2[instability.argmax()]))
print("lowest: ", corpus.sentence(t2[instability.argmin()]))

# %% [markdown]
# Before we train: do the halves also differ in other ways? If they do, unstable
# words need not be the reason for a gain of T2h.

# %%
rows = {}
for name, half in (("T2h", h), ("T2l", l)):
    tokens, _ = corpus.take(half)
    rows[name] = {
        "words a sentence": corpus.lengths[half].mean(),
        "share of label 1": corpus.labels[half].mean(),
        "share of words not in T1": np.isnan(wac[tokens]).mean(),
    }
pd.DataFrame(rows).round(3)

# %% [markdown]
# ## The models
#
# `T2h` and `T2l` continue from the weights of the first phase. The other four
# start from new weights. `T1andT2ran` has a random half of T2. It is the fair
# comparison for `T1andT2h`: it has the same number of sentences, chosen at random.

# %%
arms = arm_sentences(subset, h, l, seed=0)
pd.DataFrame(
    {
        "training sentences": {arm: len(s) for arm, s in arms.items()},
        "of T1": {arm: np.isin(s, t1).sum() for arm, s in arms.items()},
        "of T2h": {arm: np.isin(s, h).sum() for arm, s in arms.items()},
        "of T2l": {arm: np.isin(s, l).sum() for arm, s in arms.items()},
    }
)

# %% [markdown]
# ## Fig. 6
#
# Accuracy on T3 after every epoch of the second phase, mean over the seeds. The
# vertical bars are 95 % intervals of the mean at some epochs, shifted
# sideways so that they do not overlap. The dashed lines are the levels that the
# paper reports.

# %%
draw_figures(run)
display(Image(filename=run.out / "figures" / "fig6.png", width=800))

# %% [markdown]
# The main result of the paper is the difference between `T1andT2h` and
# `T1andT2l`. Both share seed and T3, so we may subtract them seed by seed.

# %%
table = [statistics_of(run, seed) for seed in seeds]
gain = 100 * column(table, "A.T1andT2h - A.T1andT2l")

print("T1andT2h − T1andT2l, in points, last epochs (the paper's 40 to 50):")
print("  ".join(f"seed {seed}: {points:+.1f}" for seed, points in zip(seeds, gain)))

# %% [markdown]
# ## Verdicts
#
# Every claim is judged over the seeds, by the interval of its mean and by the smallest
# effect that matters, half of the paper's own. *Reproduced*: the effect is at least so
# large. *No such effect*: it is smaller. *Undecided*: the interval allows both, or there
# are fewer than 50 seeds. `docs/statistics.md` has all verdicts.

# %%
write_claims(run, judge(table))
verdicts = pd.read_csv(run.out / "claims.csv", keep_default_na=False).set_index("id")
verdicts[["statement", "paper", "verdict", "reason"]]

# %% [markdown]
# S1 and A1–A3 are about the sizes and the levels of accuracy of MR. Another corpus
# has others, so they are *not applicable* here.
#
# ## Why 200 sentences decide nothing
#
# An accuracy is a share of right answers. The share on T3 is only an estimate, with
# a standard error of
#
# $$\sqrt{a(1-a)/n}$$
#
# for accuracy a and n sentences. The paper's levels are 0.78, 0.76 and 0.75:
# differences of one to three points.

# %%
n = np.geomspace(10, 20_000, 100)
error = 100 * np.sqrt(0.76 * 0.24 / n)

figure, axis = plt.subplots(figsize=(7, 3.4))
axis.loglog(n, error, color="black")
axis.axhspan(1, 3, color=ARM_COLOURS["T2h"], alpha=0.25, lw=0)
axis.text(11, 1.6, "differences that the paper reports")
for size, name in ((20, "sample: 20"), (1067, "MR: 1,067")):
    here = 100 * np.sqrt(0.76 * 0.24 / size)
    axis.plot(size, here, "o", color=ARM_COLOURS["T1andT2h"])
    axis.annotate(
        f"{name}\n{here:.1f} points", (size, here), xytext=(8, 3), textcoords="offset points"
    )
axis.set(xlabel="sentences in T3", ylabel="standard error, points")
plt.show()

# %% [markdown]
# With 20 sentences in T3, one answer changes the accuracy by five points. Two models
# that are tested on the same T3 share a part of the error, which is why we subtract
# them. More seeds help, too.
#
# The same difference as above, for the 200 seeds of MR in `results/`:

# %%
results = Path("../results/fresh-googlenews-31530")
of_mr = pd.read_csv(results / "statistics.csv")
of_mr = 100 * (of_mr["A.T1andT2h"] - of_mr["A.T1andT2l"])

figure, axis = plt.subplots(figsize=(8, 2.2))
for height, values in enumerate((of_mr, gain)):
    axis.scatter(values, np.full(len(values), height), color="#0072B2", alpha=0.6)
    axis.plot(np.mean(values), height, "|", color="#D55E00", ms=24, mew=2)
axis.axvline(0, color="black", lw=0.8)
axis.axvline(1, color="black", lw=0.8, ls=":")
axis.set_yticks([0, 1], [f"MR, {len(of_mr)} seeds", f"this run, {len(gain)} seeds"])
axis.set(ylim=(-0.5, 1.5), xlabel="T1andT2h − T1andT2l, points (line: mean; dotted: the paper)")
plt.show()

# %% [markdown]
# And the verdicts on the claims, from those 200 seeds. `hits` of `runs` single runs show
# the claim. Compare the claims about changes
# of saliency (F3 to F5b), which are measured on thousands of words, with those about
# accuracy (A1 to H): the former are shown by every run, the latter by some.

# %%
mr = pd.read_csv(results / "claims.csv", index_col="id").drop("S1")
mr["ours"] = mr["ours"].astype(float)
mr[["paper", "ours", "low", "high", "verdict", "hits", "runs"]].round(3)

# %% [markdown]
# ## What to remember
#
# - T2 is ranked by the mean wac of a sentence's words, eq. (10), and divided into
#   two halves.
# - Compare within a seed, over many seeds, and with a random half.
# - Check how else the halves differ.
# - *No such effect* is shown by an interval that excludes every effect that matters, and
#   single runs may show one all the same. *Undecided* is not *false*: the interval
#   allows the effect, and its absence too.
#
# **To try.** Run ten seeds: how much shorter are the bars? Change a reading, for
# example `PRESETS[preset].replace(repeated_words="once")`: does any verdict change?
