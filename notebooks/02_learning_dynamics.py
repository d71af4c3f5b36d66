# %% [markdown]
# # 2. Learning dynamics: which words do not settle?
#
# Notebook 1 looked at one sentence at one moment. Now we look at all sentences
# of T1 after **every epoch** of training. The paper's idea: a word whose
# saliency goes up and down instead of settling is badly learned, and may cause
# errors.
#
# This notebook trains a network, reads what was recorded, draws Figs 3–5, and
# finds the unstable words. At the end it asks what it is that changes.

# %%
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Image, display
from scipy.stats import spearmanr

from replicate.config import PRESETS
from replicate.experiment import prepare, run_seed, statistics_of
from replicate.instability import logit_saliency, token_instability, word_instability
from replicate.io.data import find_data
from replicate.run import Options
from replicate.show.figures import STYLE, draw_figures

CORRECT, WRONG = "#0072B2", "#D55E00"
plt.rcParams.update({**STYLE, "figure.dpi": 90})
pd.options.display.float_format = "{:.2e}".format

# %% [markdown]
# ## Train and record
#
# `prepare` creates the folder of a run: settings, corpus, vectors. `run_seed`
# runs everything for one seed: the first phase on T1, and the models of the
# second phase, which are the subject of notebook 3. It takes seconds on the
# 200 sentences of the sample, and less than a minute on MR.

# %%
preset, paths, vectors = find_data()
folder = TemporaryDirectory()
run = prepare(folder.name, PRESETS[preset], Options(), [0], paths, vectors, preset)
run_seed(run, 0)

corpus = run.corpus
t1 = np.flatnonzero(run.subset(0) == 1)
print(f"{len(corpus)} sentences, {len(t1)} of them in T1; {run.config.epochs} epochs")

# %% [markdown]
# The first phase has recorded, after every epoch, and `run.record` reads it back:
#
# | array | holds | shape |
# | --- | --- | --- |
# | `saliency` | saliency of every word occurrence of T1, eq. (6) | epochs × words of T1 |
# | `predicted` | the label that the model gave | epochs × sentences of T1 |
# | `uncertainty` | 1 − p of that label | epochs × sentences of T1 |

# %%
record = run.record(0)
saliency, predicted, uncertainty = record.saliency, record.predicted, record.uncertainty
tokens, offsets = corpus.take(t1)  # which word each column of saliency is

print(saliency.shape, predicted.shape, uncertainty.shape)

# %%
right = (predicted == corpus.labels[t1]).mean(axis=1)
accuracy = run.accuracies(0)["T1"]
epochs = accuracy[:, 0]
ticks = epochs[4::5]

figure, axis = plt.subplots(figsize=(6.5, 3))
axis.plot(epochs, right, color="black", label="T1 (it learns from these)")
axis.plot(epochs, accuracy[:, 1], color="black", ls=":", label="T3 (it has not seen these)")
axis.set(xlabel="epoch", ylabel="correctly classified", ylim=(0, 1.02), xticks=ticks)
axis.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## From saliency to instability: eqs (7)–(9)
#
# Take one word. It occurs several times in T1, and each occurrence has its own
# curve over the epochs. That table is `wa_array`, eq. (7). The change from
# each epoch to the next is eq. (8):
#
# $$wad\_array[v,k] = wa\_array[v,k+1] - wa\_array[v,k]$$

# %%
wac, count = word_instability(saliency, tokens, len(corpus.words))
often = np.flatnonzero(count >= 4)
word = often[np.argmax(wac[often])]

wa_array = saliency[:, tokens == word].T.astype(float)  # occurrences × epochs
wad_array = np.diff(wa_array, axis=1)

figure, (first, second) = plt.subplots(1, 2, figsize=(10, 3))
first.plot(epochs, wa_array[:8].T, lw=1.3)
first.set(xlabel="epoch", ylabel="saliency", xticks=ticks)
first.set_title(f"eq. (7): “{corpus.words[word]}”, a line an occurrence")
second.plot(epochs[1:], wad_array[:8].T, lw=1.3)
second.axhline(0, color="black", lw=0.6)
second.set(xlabel="epoch", ylabel="change", xticks=ticks)
second.set_title("eq. (8): change from the epoch before")
figure.tight_layout()
plt.show()

# %% [markdown]
# Eq. (9) takes the variance of the changes over the epochs, for each
# occurrence, and then the mean over the occurrences:
#
# $$wac(w) = \frac{1}{n} \sum_{v} \mathrm{Var}_k\left(wad\_array[v,k]\right)$$

# %%
by_hand = wad_array.var(axis=1).mean()

np.testing.assert_allclose(by_hand, wac[word], rtol=1e-6)
print(f"wac of “{corpus.words[word]}”: {by_hand:.2e}, by hand and by the package")

# %% [markdown]
# Why differences first? The variance of saliency itself would also be large for
# a word whose saliency only grows. Three invented curves show this:

# %%
k = np.arange(20)
courses = {
    "steady rise": 0.05 * k,
    "rise that settles": 1 - np.exp(-k / 4),
    "up and down": 0.5 + 0.3 * np.sin(1.5 * k),
}
scores = token_instability(np.array(list(courses.values())).T)

figure, axis = plt.subplots(figsize=(6.5, 3))
for (name, course), score in zip(courses.items(), scores):
    axis.plot(k, course, label=f"{name}: {score:.4f}")
axis.set(xlabel="epoch", title="variance of the differences", ylim=(-0.05, 1.75))
axis.set_xticks(k[::5])
axis.legend(loc="upper left")
plt.show()

# %% [markdown]
# ## The most and the least unstable words
#
# A word that occurs once or twice gets its number from very few curves, so the
# table leaves out words that occur fewer than three times. A wac of exactly 0
# means that no filter chose the word at any epoch.

# %%
table = pd.DataFrame({"word": corpus.words, "occurrences": count, "wac": wac})
table = table[table["occurrences"] >= 3].sort_values("wac", ascending=False, kind="stable")
print(f"{len(table)} words occur three times or more; the most unstable:")
table.head(8).reset_index(drop=True)

# %%
print("the most stable:")
table.tail(8).reset_index(drop=True)

# %% [markdown]
# Are the unstable words the rare ones, as the paper supposes in section 6.1?
# Each dot is a word of T1. The wide spread of rare words is not an answer: a mean
# over few occurrences is noisier, so it spreads in both directions.

# %%
seen = (count > 0) & (wac > 0)
order = spearmanr(count[seen], wac[seen]).statistic

figure, axis = plt.subplots(figsize=(6.5, 3.4))
axis.scatter(count[seen], wac[seen], s=9, alpha=0.4, color="black", lw=0)
axis.set(xscale="log", yscale="log", xlabel="occurrences in T1", ylabel="wac")
axis.set_title(f"rank correlation {order:.2f}", loc="left")
plt.show()

# %% [markdown]
# ## Figs 3 and 4: right and wrong sentences
#
# The paper shows the words of three sentences that the model classifies
# correctly, and of three that it does not. Saliency is *standardised* in each
# epoch (mean 0, deviation 1 in the sentence), so only the share of each word
# remains. The paper sees large changes up to epoch 20, then small ones in the
# correctly classified sentences (Fig. 3) and larger ones in the misclassified
# sentences (Fig. 4).

# %%
draw_figures(run)
for number in (3, 4):
    display(Image(filename=run.out / "figures" / f"fig{number}.png", width=760))

# %% [markdown]
# Three sentences of each kind are an illustration, not a proof. They are drawn at
# random from the seed; we did not choose them.
#
# ## Fig. 5: how much saliency changes
#
# The sum over the words of |change| from one epoch to the next, now of raw
# saliency, for correctly classified and for misclassified sentences. The left panel
# sums over 100 sentences of each kind, as in the paper. The middle panel shows the
# mean over all sentences of T1.
#
# The title of the left panel gives the numbers of sentences. If there are fewer
# than 100 of one kind, as in the sample, equally many of both are drawn.

# %%
display(Image(filename=run.out / "figures" / "fig5.png", width=900))

# %% [markdown]
# The third panel is our addition. The next part says why.
#
# ## What (1 − p) has to do with it
#
# Notebook 1 ended with
#
# $$\mathrm{Grad}_S = (1 - p_R) \cdot \left| \frac{\partial (z_{other} - z_R)}{\partial w} \right|$$
#
# The first factor is the uncertainty of the model. Training makes the model
# certain of the sentences that it classifies correctly, and less of the others:

# %%
print(f"misclassified at the last epoch: {(~record.correct).sum()} of {len(record.correct)}")

figure, axis = plt.subplots(figsize=(6.5, 3))
axis.plot(epochs, uncertainty[:, record.correct].mean(axis=1), color=CORRECT)
axis.plot(epochs, uncertainty[:, ~record.correct].mean(axis=1), color=WRONG)
axis.set(xlabel="epoch", ylabel="mean of 1 − p", ylim=(0, 0.55), xticks=ticks)
axis.legend(["correctly classified", "misclassified"], loc="lower left")
plt.show()

# %% [markdown]
# A small factor makes *changes* small, too. So the saliency of correctly classified
# sentences would change less even if their words were just as unstable. To remove
# the factor, divide by it: `logit_saliency` is the gradient of the logit difference
# alone.

# %%
lengths = np.diff(offsets)
influence = np.array([logit_saliency(s, d, lengths) for s, d in zip(saliency, uncertainty)])

figure, axes = plt.subplots(1, 2, figsize=(10, 3))
titles = ("saliency, eq. (6)", "divided by 1 − p")
for axis, kind, title in zip(axes, ("raw", "logit"), titles):
    change = record.change[kind]
    axis.plot(record.change_epochs, change[:, record.correct].mean(axis=1), color=CORRECT)
    axis.plot(record.change_epochs, change[:, ~record.correct].mean(axis=1), color=WRONG)
    axis.set(xlabel="epoch", title=title, ylim=(0, None), xticks=ticks)
axes[0].set_ylabel("|change| of a mean sentence")
axes[0].legend(["correctly classified", "misclassified"])
figure.tight_layout()
plt.show()

# %%
statistics = statistics_of(run, 0)
share, without = statistics["F5.share"], statistics["F5.share.logit"]
print(f"the misclassified move more at {share:.3f} of the epochs (saliency)")
print(f"the misclassified move more at {without:.3f} of the epochs (divided by 1 − p)")

# %% [markdown]
# If the second share is well below the first, much of what Fig. 5 shows is
# uncertainty, not unstable words. The same question for the ranking of words:

# %%
wac_influence, _ = word_instability(influence, tokens, len(corpus.words))
seen = count > 0
agreement = spearmanr(wac[seen], wac_influence[seen]).statistic
print(f"rank correlation of wac with and without the factor: {agreement:.3f}")

# %% [markdown]
# A correlation well below 1 means that the ranking depends on the factor: a word
# can count as unstable because the model's uncertainty about its whole *sentence*
# went up and down.
#
# ## What to remember
#
# - Instability, eq. (9), is the variance of the changes of saliency: a steady
#   curve scores 0, an irregular one scores high.
# - It needs the record of every epoch, and no true labels.
# - Words that occur rarely have noisy numbers. Always look at the count.
# - Part of the change is a change of the model's uncertainty about the whole
#   sentence.
#
# **To try.** Record with another seed: are the same words on top? Train longer
# (`PRESETS[preset].replace(epochs=60)`): does the distance between the two curves of
# uncertainty grow?
