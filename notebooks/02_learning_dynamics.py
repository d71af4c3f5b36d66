# %% [markdown]
# # 2. Learning dynamics: which words do not settle?
#
# [Notebook 1](01_word_saliency.ipynb) looked at one sentence at one moment. Now we look
# at all sentences of T1 after **every epoch** of training. The paper's idea: a word
# whose saliency goes up and down instead of settling is badly learned, and may cause
# errors.
#
# ![The saliency of one word over the epochs, its changes from epoch to epoch, and the variance of these changes](diagrams/02_learning_dynamics.svg)
#
# | term | meaning |
# | --- | --- |
# | epoch | one pass over the training sentences |
# | T1, T3 | the sentences that the network learns from; those it is tested on |
# | change | difference of a word occurrence's saliency between two epochs, eq. (8) |
# | wac | instability of a word: variance of its changes, mean over its occurrences, eq. (9) |
# | misclassified | a sentence of T1 whose label the network gets wrong after the last epoch |
# | uncertainty | 1 − p of the predicted label |
#
# The page [Concepts](../docs/concepts.md) has all terms.

# %%
import os
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Image, display
from scipy.stats import spearmanr

import replicate

CORRECT, WRONG = "#0072B2", "#D55E00"
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})
pd.options.display.float_format = "{:.2e}".format

# %% [markdown]
# ## Train and record
#
# The stored outputs were made with MR and **GoogleNews, 31,530 words (not the full
# file)**; without `REPLICATE_DATA` the 200 sentences of the sample are used, which
# are too few for any conclusion.

# %%
mr = os.path.join(os.environ.get("REPLICATE_DATA", ""), "rt-polarity.pos")
preset = "paper" if os.path.isfile(mr) else "sample"
folder = TemporaryDirectory()
run = replicate.run_experiment(preset, seeds=1, out=f"{folder.name}/run")

corpus = run.corpus
t1, t2, t3 = run.split(0)
print(f"{len(corpus)} sentences, {len(t1)} of them in T1; word vectors: {run.title}")

# %% [markdown]
# While it learned T1, the network was looked at after every epoch. `run.record` has
# what was seen:
#
# | array | holds | shape |
# | --- | --- | --- |
# | `saliency` | saliency of every word occurrence of T1, eq. (6) | epochs × occurrences |
# | `predicted` | the label that the network gave | epochs × sentences |
# | `uncertainty` | 1 − p of that label | epochs × sentences |

# %%
record = run.record(0)
saliency, predicted, uncertainty = record.saliency, record.predicted, record.uncertainty
tokens, offsets = corpus.take(t1)  # which word each column of saliency is
print(saliency.shape, predicted.shape, uncertainty.shape)

# %% [markdown]
# **First of all: has it learned?** Guessing would be right for half of the sentences.

# %%
right = (predicted == corpus.labels[t1]).mean(axis=1)
accuracy = run.accuracies(0)["T1"]
epochs = accuracy[:, 0].astype(int)

figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(epochs, right, color="black", label="T1 (it learns from these)")
axis.plot(epochs, accuracy[:, 1], color="black", ls=":", label="T3 (it has not seen these)")
axis.axhline(0.5, color="#999999", lw=0.8)
axis.set(xlabel="epoch", ylabel="correctly classified", ylim=(0.4, 1.02))
axis.legend(loc="lower right")
plt.show()
print(f"after the last epoch: {right[-1]:.2f} of T1, {accuracy[-1, 1]:.2f} of T3")

# %% [markdown]
# ## From saliency to instability: eqs (7)–(9)
#
# Take one word. It occurs several times in T1, and each occurrence has its own curve
# over the epochs. That table is `wa_array`, eq. (7). The change from each epoch to the
# next is eq. (8):
#
# $$wad\_array[v,k] = wa\_array[v,k+1] - wa\_array[v,k]$$

# %%
wac, count = replicate.word_instability(saliency, tokens, len(corpus.words))
often = np.flatnonzero(count >= 5)
word = often[np.argmax(wac[often])]

wa_array = saliency[:, tokens == word].T.astype(float)  # occurrences × epochs
wad_array = np.diff(wa_array, axis=1)

figure, (first, second) = plt.subplots(2, 1, figsize=(6, 5), sharex=True)
first.plot(epochs, wa_array[:5].T, lw=1.3)
first.set(ylabel="saliency")
first.set_title(f"eq. (7): “{corpus.words[word]}”, one line for each occurrence", loc="left")
second.plot(epochs[1:], wad_array[:5].T, lw=1.3)
second.axhline(0, color="black", lw=0.6)
second.set(xlabel="epoch", ylabel="change")
second.set_title("eq. (8): change from the epoch before", loc="left")
figure.tight_layout()
plt.show()

# %% [markdown]
# Eq. (9) takes the variance of the changes over the epochs, for each occurrence, and
# then the mean over the occurrences:
#
# $$wac(w) = \frac{1}{n} \sum_{v} \mathrm{Var}_k\left(wad\_array[v,k]\right)$$

# %%
by_hand = wad_array.var(axis=1).mean()
np.testing.assert_allclose(by_hand, wac[word], rtol=1e-6)
np.testing.assert_allclose(run.instability(0)[0][word], wac[word], rtol=1e-6)
print(f"wac of “{corpus.words[word]}”: {by_hand:.2e}, by hand and by the package")

# %% [markdown]
# Why differences first? The variance of saliency itself would also be large for a word
# whose saliency only grows. Three invented curves show this:

# %%
k = np.arange(20)
curves = {
    "steady rise": 0.05 * k,
    "rise that settles": 1 - np.exp(-k / 4),
    "up and down": 0.5 + 0.3 * np.sin(1.5 * k),
}
scores, _ = replicate.word_instability(np.array(list(curves.values())).T, np.arange(3), 3)

figure, axis = plt.subplots(figsize=(6, 3))
for (name, curve), score in zip(curves.items(), scores):
    axis.plot(k, curve, label=f"{name}: {score:.4f}")
axis.set(xlabel="epoch", ylim=(-0.05, 1.75), xticks=k[::5])
axis.set_title("variance of the differences", loc="left")
axis.legend(loc="upper left")
plt.show()

# %% [markdown]
# ## The most and the least unstable words
#
# A word that occurs once or twice gets its number from very few curves, so the table
# leaves out words that occur fewer than five times. A wac of 0 means that no filter
# chose the word at any epoch.

# %%
table = pd.DataFrame({"word": corpus.words, "occurrences": count, "wac": wac})
table = table[table["occurrences"] >= 5].sort_values("wac", ascending=False, kind="stable")
print(f"{len(table)} words occur five times or more; the most unstable:")
table.head(8).reset_index(drop=True)

# %%
print("the most stable:")
table.tail(5).reset_index(drop=True)

# %% [markdown]
# Are the unstable words the rare ones, as the paper supposes in section 6.1? Each dot
# is a word of T1. That rare words spread widely is not an answer: a mean over few
# occurrences is noisier, so it spreads in both directions.

# %%
seen = (count > 0) & (wac > 0)
order = spearmanr(count[seen], wac[seen]).statistic

figure, axis = plt.subplots(figsize=(6, 3.4))
axis.scatter(count[seen], wac[seen], s=6, alpha=0.3, color="black", lw=0, rasterized=True)
axis.set(xscale="log", yscale="log", xlabel="occurrences in T1", ylabel="wac")
axis.set_title(f"rank correlation {order:.2f}", loc="left")
plt.show()

# %% [markdown]
# ## Figs 3 and 4: right and wrong sentences
#
# The paper shows the words of three sentences that the network classifies correctly,
# and of three that it does not. Saliency is *standardised* in each epoch (mean 0,
# deviation 1 within the sentence), so only the share of each word remains. The paper
# sees large changes up to epoch 20, then small ones in the correctly classified
# sentences (Fig. 3) and larger ones in the misclassified sentences (Fig. 4).

# %%
for number in (3, 4):
    display(Image(filename=f"{run.figure(f'fig{number}')}.png", width=760))

# %% [markdown]
# Three sentences of each kind are an illustration, not a proof. They are drawn at random
# from the seed; we did not choose them. Many curves stay at one height and then jump:
# [notebook 5](05_what_jumps.ipynb) asks what it is that jumps.
#
# ## Fig. 5: how much saliency changes
#
# For every sentence, the sizes of the changes of its words are added up, from one epoch
# to the next, now of raw saliency.

# %%
change = record.change["raw"]
figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(record.change_epochs, change[:, record.correct].mean(axis=1), color=CORRECT)
axis.plot(record.change_epochs, change[:, ~record.correct].mean(axis=1), color=WRONG)
axis.set(xlabel="epoch", ylabel="change of a mean sentence", ylim=(0, None))
axis.legend(["correctly classified", "misclassified"])
plt.show()

wrong = int((~record.correct).sum())
higher = change[:, ~record.correct].mean(axis=1) > change[:, record.correct].mean(axis=1)
print(f"misclassified after the last epoch: {wrong} of {len(t1)}")
print(f"they move more at {higher.mean():.3f} of the epochs")

# %% [markdown]
# ## What uncertainty has to do with it
#
# Notebook 1 found that with two labels
#
# $$\mathrm{Grad}_S = (1 - p_R) \cdot \left| \frac{\partial (z_{other} - z_R)}{\partial w} \right|$$
#
# The first factor is the uncertainty. Training makes the network certain of the sentences
# that it classifies correctly, and less so of the others:

# %%
figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(epochs, uncertainty[:, record.correct].mean(axis=1), color=CORRECT)
axis.plot(epochs, uncertainty[:, ~record.correct].mean(axis=1), color=WRONG)
axis.set(xlabel="epoch", ylabel="mean of 1 − p", ylim=(0, 0.55))
axis.legend(["correctly classified", "misclassified"], loc="lower left")
plt.show()

# %% [markdown]
# A small factor makes *changes* small, too. So the saliency of correctly classified
# sentences would change less even if their words were just as unstable. To remove the
# factor, we divide by it; what remains is the gradient of the logit difference.

# %%
without = record.change["logit"]
more = without[:, ~record.correct].mean(axis=1) > without[:, record.correct].mean(axis=1)
print(f"the misclassified move more at {higher.mean():.3f} of the epochs (saliency)")
print(f"the misclassified move more at {more.mean():.3f} of the epochs (divided by 1 − p)")

# %% [markdown]
# The distance between the two shares is the part of Fig. 5 that is uncertainty, not
# unstable words. The same question for the ranking of words:

# %%
influence = saliency / np.repeat(uncertainty, np.diff(offsets), axis=1)
wac_influence, _ = replicate.word_instability(influence, tokens, len(corpus.words))
agreement = spearmanr(wac[count > 0], wac_influence[count > 0]).statistic
print(f"rank correlation of wac with and without the factor: {agreement:.3f}")

# %% [markdown]
# ## What to remember
#
# - Instability, eq. (9), is the variance of the changes of saliency: a steady curve
#   scores 0, an irregular one scores high.
# - It needs the record of every epoch, and no true labels.
# - Words that occur rarely have noisy numbers. Always look at the count.
# - Part of the change is a change of the network's uncertainty about the whole sentence.
#
# ## Exercises
#
# **1.** Rank the words by the variance of saliency itself, without differences. How
# many of the first twenty (of those that occur five times or more) stay?
#
# <details><summary>Solution</summary>
#
# ```python
# level = pd.Series(saliency.var(axis=0, dtype=float)).groupby(tokens).mean()
# by_level = level[level.index.isin(often)].sort_values(ascending=False).index[:20]
# by_wac = often[np.argsort(-wac[often])][:20]
# print("in both:", len(set(by_level) & set(by_wac)))
# print("only by level:", *corpus.words[sorted(set(by_level) - set(by_wac))][:8])
# ```
#
# On MR three. What is only in the first list are words such as *lacks*, *forgotten* or
# *flawed*, whose saliency rises steadily: the network learns to look at them. The
# differences of eq. (8) keep such words out.
#
# </details>
#
# **2.** Leave out the first ten epochs, in which everything moves. Does the ranking of
# words change?
#
# <details><summary>Solution</summary>
#
# ```python
# late, _ = replicate.word_instability(saliency[10:], tokens, len(corpus.words))
# print(f"rank correlation: {spearmanr(wac[often], late[often]).statistic:.2f}")
# ```
#
# Hardly: the correlation is 0.99 on MR. In the first epochs all saliency is small, and so are
# its changes. wac is about what comes later.
#
# </details>
#
# **3.** Draw the curves of a word that you expect to be stable, for instance *brilliant* or
# *dull*. (Choose another one if it does not occur.)
#
# <details><summary>Solution</summary>
#
# ```python
# mine = next(w for w in ("brilliant", "dull", "best", "film") if (corpus.words[tokens] == w).any())
# curves_of_mine = saliency[:, corpus.words[tokens] == mine]
# plt.plot(epochs, curves_of_mine[:, :8])
# plt.title(mine)
# plt.show()
# print("share of occurrences that are never chosen:", (curves_of_mine == 0).all(axis=0).mean())
# ```
#
# On MR a filter chooses *brilliant* and *dull* wherever they occur, and their curves rise and
# level off. A fifth of the occurrences of *film* is never chosen.
#
# </details>
#
# ---
# Before: [1. Word saliency](01_word_saliency.ipynb) ·
# next: [3. Two phases](03_two_phases.ipynb) ·
# terms: [Concepts](../docs/concepts.md) · whether it is [to be trusted](../docs/trust.md)
