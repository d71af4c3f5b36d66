# %% [markdown]
# # 5. What jumps?
#
# [Notebook 2](02_learning_dynamics.ipynb) calls a word unstable if its saliency goes up
# and down, and the paper takes this for a word that is badly learned. But many curves there
# are not wavy. They stay at one height for a while, and then **jump**. This notebook asks
# what jumps, and what that means for instability.
#
# ![Before and after one epoch: the winning window moves away from a word, so its saliency falls to zero although the weights moved little](diagrams/05_what_jumps.svg)
#
# | term | meaning |
# | --- | --- |
# | winning window | the three words at which a filter has its maximum; only they get a gradient from it |
# | switch | from one epoch to the next, other filters touch the word, or at another place of their window |
# | smooth | no window of the sentence moved; only the weights did |
# | jump, drift | the part of a change that the windows made, and the part that the weights made |
# | wac | instability of a word: the variance of its changes over the epochs |
#
# [Is the saliency to be trusted?](../docs/trust.md) has the definitions in full, and
# `replicate trust` does all this for a whole run.

# %%
import os
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import replicate
from replicate.beyond import jumps

SWITCH, DRIFT = "#D55E00", "#0072B2"
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})

# %% [markdown]
# ## Two networks that have learned
#
# The stored outputs were made with MR and **GoogleNews, 31,530 words (not the full file)**;
# without `REPLICATE_DATA` the sample is used, which has too few sentences for conclusions.
# We train a network of 5 filters (the paper preset) and one of 100, all else the same. A run
# keeps the weights of every epoch for its first seed; from them the windows of every epoch
# are known exactly.

# %%
mr = os.path.join(os.environ.get("REPLICATE_DATA", ""), "rt-polarity.pos")
preset = "paper" if os.path.isfile(mr) else "sample"
folder = TemporaryDirectory()
runs, steps = {}, {}
for n in (5, 100):
    runs[n] = replicate.run_experiment(
        preset, seeds=1, out=f"{folder.name}/{n}", n_filters=n, epochs=30
    )
    steps[n] = jumps.recorded_steps(runs[n], 0)

print("word vectors:", runs[5].title)
for n, run in runs.items():
    print(f"{n} filters: accuracy on T3 {run.accuracies(0)['T1'][-1, 1]:.2f} (guessing: 0.50)")

# %% [markdown]
# ## Every step has a kind
#
# A *step* is what happens to one word occurrence from one epoch to the next.
#
# | kind | what changed |
# | --- | --- |
# | appears | no filter touched the word before, or none does after: saliency to or from 0 |
# | switches | other filters touch it, or at another place of their window |
# | neighbours | a window moved at another word of the sentence, not here |
# | smooth | no window of the sentence moved |

# %%
five = steps[5]
record, corpus = five.record, runs[5].corpus
saliency = record.saliency.astype(float)
change = np.diff(saliency, axis=0)
print("kinds:", jumps.KINDS)
print(five.kinds.shape, "steps × word occurrences")
print(f"no filter touches the word: {1 - five.touched.mean():.2f} of all epochs and occurrences")

# %% [markdown]
# ## Three words
#
# Of the words that move much, we take one whose change comes almost wholly from switches,
# one to which both contribute, and one that no switch ever touches. Lines mark the
# epochs at which the set of windows on the word changed.

# %%
squares = change**2
by_switch = (squares * five.switched).sum(axis=0) / np.maximum(squares.sum(axis=0), 1e-30)
moves = squares.sum(axis=0)
switches = five.switched.sum(axis=0)
alpha = np.array([word.isalpha() and len(word) > 3 for word in corpus.words[five.tokens]])
kinds_of_word = {
    "switches": alpha & (by_switch > 0.95) & (switches >= 3) & (switches <= 8),
    "both": alpha & (by_switch > 0.4) & (by_switch < 0.7) & (switches <= 5),
    "no switch": alpha & (switches == 0) & five.touched.all(axis=0),
}
three = {kind: int(np.argmax(np.where(ok, moves, -1))) for kind, ok in kinds_of_word.items()}

figure, axes = plt.subplots(3, 1, figsize=(6.5, 7), sharex=True, sharey=True)
for axis, (kind, place) in zip(axes, three.items()):
    for epoch in record.change_epochs[five.switched[:, place]]:
        axis.axvline(epoch - 0.5, color=SWITCH, lw=1, alpha=0.7)
    axis.plot(record.epochs, saliency[:, place], color="black", marker=".", ms=4)
    word = corpus.words[five.tokens[place]]
    axis.set_title(f"“{word}”: {kind} ({by_switch[place]:.0%} of its squared change)", loc="left")
    axis.set_ylabel("saliency")
axes[-1].set_xlabel("epoch (line: the windows on the word changed)")
figure.tight_layout()
plt.show()

# %%
t1 = runs[5].split(0)[0]
for kind, place in three.items():
    n = int(np.searchsorted(five.offsets, place, side="right")) - 1
    words = corpus.sentence(t1[n]).split()
    words[place - five.offsets[n]] = words[place - five.offsets[n]].upper()
    print(f"{kind}: {' '.join(words)}")

# %% [markdown]
# ## Jump and drift
#
# A switch and a movement of the weights happen in the same epoch. Which of them made
# the change? With S(w, P) for the saliency by weights w through windows P, and 0 and 1 for
# the epochs before and after, the change is split *exactly*:
#
# $$jump = \frac{1}{2}\left[(S(w_1, P_1) - S(w_1, P_0)) + (S(w_0, P_1) - S(w_0, P_0))\right]$$
#
# $$drift = \frac{1}{2}\left[(S(w_1,P_1) - S(w_0,P_1)) + (S(w_1,P_0) - S(w_0,P_0))\right]$$
#
# The jump is what the windows did, on average over old and new weights. The drift is what
# the weights did. Where nothing switched, the jump must be 0.

# %%
drift = change - five.jump
assert np.abs(five.jump[~five.switched]).max() < 1e-6 * np.abs(change).max()

figure, axes = plt.subplots(2, 1, figsize=(6.5, 4.6), sharex=True)
for axis, kind in zip(axes, ("switches", "both")):
    place = three[kind]
    axis.bar(record.change_epochs - 0.2, five.jump[:, place], 0.4, color=SWITCH, label="jump")
    axis.bar(record.change_epochs + 0.2, drift[:, place], 0.4, color=DRIFT, label="drift")
    axis.axhline(0, color="black", lw=0.6)
    axis.set_title(f"“{corpus.words[five.tokens[place]]}”", loc="left")
    axis.set_ylabel("change")
axes[0].legend()
axes[1].set_xlabel("epoch")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## How much of all change is jumps?
#
# wac is made of squared changes, eq. (9). So we ask for the share of each kind in the sum
# of all squared changes of T1, with 5 and with 100 filters.

# %%
shares = {n: jumps.shares(steps[n].record.saliency, steps[n].kinds) for n in runs}
table = {}
for n, found in shares.items():
    table[f"{n} filters: of the steps"] = found["steps"]
    table[f"{n} filters: of the squared change"] = found["squares"]
pd.DataFrame(table, index=jumps.KINDS).T.map("{:.1%}".format)

# %%
parts = {}
for n, found in steps.items():
    moved = np.diff(found.record.saliency.astype(float), axis=0)
    rest, whole = moved - found.jump, (moved**2).sum()
    parts[f"{n} filters"] = {
        "jump": (found.jump**2).sum() / whole,
        "drift": (rest**2).sum() / whole,
        "both together": 2 * (found.jump * rest).sum() / whole,
    }

figure, axes = plt.subplots(2, 1, figsize=(6.5, 4.4), sharex=True)
COLOURS = [SWITCH, "#E69F00", "#BBBBBB", DRIFT]
left = np.zeros(2)
for i, kind in enumerate(jumps.KINDS):
    size = np.array([shares[n]["squares"][i] for n in runs])
    axes[0].barh(list(parts), size, left=left, color=COLOURS[i], label=kind)
    left += size
pd.DataFrame(parts).T.plot.barh(ax=axes[1], color=[SWITCH, DRIFT, "#BBBBBB"], width=0.75)
axes[0].set_title("squared change by kind of step", loc="left")
axes[1].set_title("squared change by cause", loc="left")
axes[1].set_xlabel("share of all squared change")
for axis in axes:
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
figure.tight_layout()
plt.show()
pd.DataFrame(parts).T.map("{:.1%}".format)

# %% [markdown]
# Few steps of the network of 5 filters are switches, and these few make most of the
# squared change. With 100 filters two of three steps have a switch somewhere among the
# windows on a word; but one filter of a hundred moves saliency little, and the drift of the
# weights has the larger part here. How much is jumps depends on the training, too: in the
# calibrated network, which also has 100 filters, they make 60 % ([trust](../docs/trust.md)).
#
# ## What this means for instability
#
# wac can be divided in the same way. Each deviation in the variance of eq. (9) belongs to one
# step, and the two parts add up to wac.

# %%
V = len(corpus.words)
wac, count = replicate.word_instability(record.saliency, five.tokens, V)
switch, smooth = jumps.decomposed_instability(record.saliency, five.switched, five.tokens, V)
often = np.flatnonzero(count >= 5)
np.testing.assert_allclose((switch + smooth)[often], wac[often], rtol=1e-4, atol=1e-12)

top = often[np.argsort(-wac[often])][:8]
pd.DataFrame(
    {
        "word": corpus.words[top],
        "occurrences": count[top],
        "wac": [f"{value:.1e}" for value in wac[top]],
        "of it from switches": [f"{value:.0%}" for value in switch[top] / wac[top]],
    }
)

# %%
chosen = often[wac[often] > 0]
print(f"of wac from switches, mean of these words: {np.mean(switch[chosen] / wac[chosen]):.0%}")
for n, found in steps.items():
    print(
        f"{n} filters: {found.touched.any(axis=0).mean():.0%} of the occurrences are ever looked at"
    )

# %% [markdown]
# So with few filters an “unstable word” is mostly **a word on the border of a winning
# window**: it has a rival elsewhere in its sentence, and now one wins, now the other. That
# need not mean that the word is badly learned. In the network with 100 filters the same number
# measures something else, mostly the drift of the weights. Before you read wac as *badly learned*, look at
# what it is made of in *your* network.
#
# ## What to remember
#
# - Saliency changes because the weights move (drift) or because other windows win (jump).
# - The weights of every epoch tell the two apart exactly.
# - With 5 filters, few steps are switches, but they make most of wac.
# - With 100 filters, switches are frequent, and each is small.
#
# ## Exercises
#
# **1.** The paper says that saliency changes *roughly linearly* in correctly classified
# sentences. Look at misclassified and correctly classified ones: which part of the squared
# change comes from switches?
#
# <details><summary>Solution</summary>
#
# ```python
# correct = np.repeat(record.correct, record.lengths)
# for name, mask in (("correctly classified", correct), ("misclassified", ~correct)):
#     part = (squares * five.switched)[:, mask].sum() / squares[:, mask].sum()
#     print(f"{name}: {part:.0%} of the squared change from switches")
# ```
#
# On MR nearly nine tenths in both. A switch is a step of a staircase, not a piece of a line.
# `replicate trust` also measures how straight the curves are.
#
# </details>
#
# **2.** When do windows switch: early in training, or all the time?
#
# <details><summary>Solution</summary>
#
# ```python
# for n, found in steps.items():
#     plt.plot(found.record.change_epochs, found.switched.mean(axis=1), label=f"{n} filters")
# plt.xlabel("epoch")
# plt.ylabel("share of steps that are switches")
# plt.legend()
# plt.show()
# ```
#
# Mostly early, when the filters are still looking for their words. With 100 filters nearly
# every step of the first epochs is a switch.
#
# </details>
#
# **3.** Does the ranking of words stay if only the smooth part of wac counts?
#
# <details><summary>Solution</summary>
#
# ```python
# ranks = pd.DataFrame({"wac": wac[often], "smooth part": smooth[often]})
# print(ranks.corr(method="spearman").round(2))
# ```
#
# On MR the rank correlation is about 0.6: related, because a word of high saliency has more of
# both, but not the same.
#
# </details>
#
# ---
# Before: [4. Your own corpus](04_your_own_corpus.ipynb) ·
# next: [6. Deciding a claim](06_deciding_a_claim.ipynb) ·
# definitions: [Is the saliency to be trusted?](../docs/trust.md)
