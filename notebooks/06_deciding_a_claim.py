# %% [markdown]
# # 6. Deciding a claim
#
# The paper trains one time and reports 0.76 for the model with unstable sentences
# (`T1andT2h`) and 0.75 for the one with stable sentences (`T1andT2l`). Is that a
# difference of one point, or the luck of one run? This notebook decides it, step by step,
# from the tables of 200 seeds that are stored in `results/`: the network with 100 filters that
# is called *calibrated* ([readings](../docs/readings.md#three-specifications)). Nothing is
# trained, so it runs in seconds and needs no data.
#
# ![An interval beside the band of effects too small to matter: inside it there is no such effect, above it the claim is reproduced, across its border it is undecided](diagrams/06_deciding_a_claim.svg)
#
# | term | meaning |
# | --- | --- |
# | seed | one repetition of the whole procedure, with everything drawn again |
# | point | a hundredth of accuracy |
# | effect | here `T1andT2h` less `T1andT2l`, in points; the paper says +1 |
# | interval | where the *mean over seeds* lies, with 95 % confidence |
# | smallest effect that matters | D; half of the paper's own effect, fixed before the runs: 0.5 |
# | equivalence | the whole interval lies between −D and D: the effect is too small to matter |
# | prediction interval | where *one further run* lies, with probability 95 % |
#
# [Statistics](../docs/statistics.md) has the rule for all claims.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import replicate
from replicate.beyond import ceiling

OURS, PAPER, BAND = "#0072B2", "#D55E00", "#BBBBBB"
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})
pd.options.display.max_colwidth = None

# %% [markdown]
# ## The table
#
# One row for each seed. The networks read MR with **GoogleNews, 31,530 words (not the full
# file)**. They have learned: guessing would give 0.50.

# %%
results = Path("../results")
table = pd.read_csv(results / "calibrated-googlenews-31530" / "statistics.csv")
arms = ["A.T1", "A.T1andT2h", "A.T1andT2l", "A.T1andT2ran", "A.T1andT2"]
print(f"{len(table)} seeds; accuracy on T3, mean of epochs 40 to 50:")
table[arms].agg(["mean", "std"]).round(4)

# %%
effect = 100 * (table["A.T1andT2h"] - table["A.T1andT2l"]).to_numpy()
D, reported = 0.5, 1.0
print("the first twelve seeds:", *(f"{value:+.2f}" for value in effect[:12]))

# %% [markdown]
# ## One seed
#
# The fifth seed says +0.78: the paper is right! The eleventh says −1.21, the opposite. A single
# number has no interval, so it cannot say how far it is from the next one.

# %%
figure, axis = plt.subplots(figsize=(6.5, 2.6))
axis.hist(effect, bins=np.arange(-3.5, 4, 0.25), color=OURS, alpha=0.5)
axis.axvline(0, color="black", lw=0.8)
axis.axvline(reported, color=PAPER, lw=1.5, label="the paper's effect")
axis.axvline(effect[4], color=OURS, lw=1.5, ls="--", label="the fifth seed")
axis.set(xlabel="T1andT2h − T1andT2l, points", ylabel="seeds")
axis.legend(fontsize=8)
plt.show()
print(f"at least the paper's effect: {(effect >= reported).sum()} of {len(effect)} single runs")

# %% [markdown]
# ## Ten, fifty, two hundred seeds
#
# Seeds are independent draws of the procedure, so the mean of S seeds has the usual t
# interval. It becomes narrower with the root of S.
#
# $$\bar{x} \pm t_{S-1} \cdot \frac{s}{\sqrt{S}}$$


# %%
def mean_interval(x, alpha=0.05):
    reach = stats.t.ppf(1 - alpha / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return x.mean() - reach, x.mean() + reach


for S in (10, 50, 200):
    low, high = mean_interval(effect[:S])
    print(f"{S:3} seeds: mean {effect[:S].mean():+.2f}, interval {low:+.2f} … {high:+.2f}")

# %%
number = np.arange(5, len(effect) + 1)
bounds = np.array([mean_interval(effect[:S]) for S in number])
means = np.cumsum(effect)[number - 1] / number

figure, axis = plt.subplots(figsize=(6.5, 3.4))
axis.axhspan(-D, D, color=BAND, alpha=0.4, lw=0, label="too small to matter")
axis.fill_between(number, *bounds.T, color=OURS, alpha=0.25, lw=0, label="interval of the mean")
axis.plot(number, means, color=OURS)
axis.axhline(reported, color=PAPER, lw=1.2, label="the paper's effect")
axis.axhline(0, color="black", lw=0.6)
axis.set(xlabel="seeds", ylabel="points", xlim=(5, 200), ylim=(-1, 2))
axis.legend(fontsize=8)
plt.show()

# %% [markdown]
# After ten seeds the mean is below 0, after fifty it is 0, and after two hundred the interval, for this
# one number alone, excludes 0: **if there is a difference, it is tiny.** (Corrected for eleven numbers,
# below, it includes 0.) Whoever asks only whether an effect is
# "significant" gets another answer with every number of seeds: with enough of them, any
# difference is significant. And whoever looks again after every seed, and stops when the result
# is clear, is wrong much more often than one time in twenty (exercise 3). So the number of seeds
# is fixed beforehand ([plan](../results/PLAN.md)), and the rule decides nothing below fifty.
#
# ## No effect: equivalence
#
# “Above 0” does not say that an effect matters, and “not above 0” is no proof of 0. An interval
# never is a single point, so we must say which effects are too small to matter: those below D.
# Half of the paper's own effect is a choice; it was made before the runs. Then the interval
# decides:
#
# | interval | verdict |
# | --- | --- |
# | wholly at D or above | reproduced |
# | wholly between −D and D | no such effect |
# | wholly below 0, and reaching −D | reversed |
# | above 0, but not wholly at D or above | weaker, or direction only: its size is open |
# | all else | undecided |

# %%
for S in (10, 50, 200):
    low, high = mean_interval(effect[:S])
    rules = {
        "reproduced": low >= D,
        "no such effect": -D < low and high < D,
        "above 0, its size open": low > 0,
    }
    word = next((word for word, holds in rules.items() if holds), "undecided or reversed")
    print(f"{S:3} seeds, by the interval alone: {word}")

# %% [markdown]
# All three intervals lie between −D and D. More seeds made the interval narrower. They did not
# change what it means.

# %% [markdown]
# ## Many claims at once
#
# The more one asks, the more often chance answers. Eleven numbers belong to the three main
# claims (H, O2, R1). So each gets an interval that errs in 5 % / 11 of the cases:
# then *all eleven* are right in 95 % (Bonferroni). `replicate.judge` applies the whole rule to
# rows of such tables.

# %%
rows = table.to_dict("records")
claims = {S: {v.claim.id: v for v in replicate.judge(rows[:S])} for S in (10, 50, 200)}
for S, judged in claims.items():
    found = judged["H"].parts[0]
    print(f"{S:3} seeds: {found.verdict:15} {100 * found.low:+.2f} … {100 * found.high:+.2f}")

low, high = mean_interval(effect, alpha=0.05 / 11)
np.testing.assert_allclose([low, high], [100 * found.low, 100 * found.high], rtol=1e-6)
print(f"by hand: {low:+.2f} … {high:+.2f}, the same as the package")

# %% [markdown]
# The same for another claim, F5b: summed over training, the saliency of misclassified sentences
# changes more than that of correctly classified ones. Its effect is a ratio, and the paper gives
# no figure; a tenth more is the smallest that matters. Here every single run says the same.

# %%
for S, judged in claims.items():
    found, claim = judged["F5b"].parts[0], judged["F5b"]
    print(
        f"{S:3} seeds: {found.verdict:15} ratio {found.mean:.2f} ({found.low:.2f} … {found.high:.2f})"
    )
print(f"single runs that show it: {claim.hits} of {claim.runs}")

# %% [markdown]
# ## And the paper's single run?
#
# The mean is one question. What one further run may show is another, and it has another
# interval: the spread of single runs and the uncertainty of the mean together.
#
# $$\bar{x} \pm t_{S-1} \cdot s \cdot \sqrt{1 + 1/S}$$
#
# It does not become narrow, however many seeds there are.

# %%
S = len(effect)
reach = stats.t.ppf(0.975, S - 1) * effect.std(ddof=1) * np.sqrt(1 + 1 / S)
predicted = effect.mean() - reach, effect.mean() + reach
inside = predicted[0] <= reported <= predicted[1]
print(
    f"mean of {S} seeds:  {effect.mean():+.2f}, interval {mean_interval(effect)[0]:+.2f} … {mean_interval(effect)[1]:+.2f}"
)
print(f"one further run: {predicted[0]:+.2f} … {predicted[1]:+.2f}")
print("the paper's +1.00 lies inside:", inside)

figure, axis = plt.subplots(figsize=(6.5, 2.2))
axis.axvspan(-D, D, color=BAND, alpha=0.4, lw=0)
for height, ends in enumerate((predicted, mean_interval(effect))):
    axis.plot(ends, [height, height], color=OURS, lw=5, solid_capstyle="butt")
axis.plot(reported, 0, "D", color=PAPER)
axis.annotate("the paper", (reported, 0), xytext=(0, 9), textcoords="offset points", ha="center")
axis.set_yticks([0, 1], ["one further run", "mean of 200"])
axis.set(ylim=(-0.6, 1.6), xlabel="T1andT2h − T1andT2l, points (grey: too small to matter)")
plt.show()

# %% [markdown]
# Both are true at once: **on average there is no such effect, and the paper's run is an
# ordinary one.** Nobody made an error; one run was not enough.
#
# Does another network say something else? The same 200 seeds with the network as Kim (2014)
# wrote it, which learns T1 by heart:

# %%
answers = {}
for name in ("calibrated-googlenews-31530", "as-written-googlenews-31530"):
    of = pd.read_csv(results / name / "statistics.csv")
    judged = {v.claim.id: v for v in replicate.judge(of.to_dict("records"))}
    for claim in ("F5b", "F4", "H", "O2"):
        v = judged[claim]
        answers.setdefault(f"{claim}: {v.claim.statement}", {})[name] = (
            f"{v.verdict} ({v.hits}/{v.runs})"
        )
pd.DataFrame(answers).transpose()

# %% [markdown]
# In brackets: single runs that show the claim.
#
# ## Could any choice gain?
#
# The chosen half is no better than the other. Is the score bad, or is there nothing to gain?
# Random halves tell, without any score. For each of 20 divisions of the corpus, 6 random
# halves of T2 were each trained 3 times (`replicate ceiling`): a *crossed design*, since
# training j starts from the same weights in the same order for all halves. The accuracy of
# half i in training j is
#
# $$y_{ij} = \text{division} + \text{half}_i + \text{training}_j + \text{rest}_{ij}$$
#
# A choice among these halves can only use the second part. Here is the table of one division:

# %%
crossed = pd.read_csv(results / "calibrated-googlenews-31530" / "ceiling" / "crossed.csv")
crossed["accuracy"] = 100 * (crossed["first"] + crossed["second"]) / 2
one = crossed[crossed["seed"] == crossed["seed"].min()]
one.pivot(index="half", columns="training", values="accuracy").round(2)

# %% [markdown]
# The means of the rows differ, but they would differ by chance alone too. So we ask by how much
# more. With M for mean squares and R trainings, the variance of the part of the half is
#
# $$\hat\sigma^2_{\text{half}} = (M_{\text{half}} - M_{\text{rest}}) \, / \, R$$
#
# It is negative in some divisions: an estimate of something small may be. The mean over
# divisions counts.

# %%
H, R = 6, 3
y = crossed["accuracy"].to_numpy().reshape(-1, H, R)  # division, half, training
of_half, of_training = y.mean(axis=2, keepdims=True), y.mean(axis=1, keepdims=True)
rest = y - of_half - of_training + y.mean(axis=(1, 2), keepdims=True)
M_rest = (rest**2).sum(axis=(1, 2)) / ((H - 1) * (R - 1))
M_half = R * of_half[:, :, 0].var(axis=1, ddof=1)
variance = (M_half - M_rest) / R
low, high = mean_interval(variance)
print(f"variance of the half: {variance.mean():.3f} ({low:.3f} … {high:.3f}) points²")

found = ceiling.components(y)
np.testing.assert_allclose(found["half"], [variance.mean(), low, high])

# %%
figure, axis = plt.subplots(figsize=(6.5, 2.6))
for place, bounds in enumerate(found.values()):
    deviation, *ends = np.sqrt(np.maximum(bounds, 0))
    axis.plot(ends, [-place, -place], color=OURS, lw=5, solid_capstyle="butt", alpha=0.5)
    axis.plot(deviation, -place, "o", color=OURS)
axis.axvline(reported, color=PAPER, lw=1.5, label="the paper's effect")
axis.set_yticks(-np.arange(4), list(found))
axis.set(xlim=(0, None), xlabel="standard deviation of accuracy, points; bars: 95 % intervals")
axis.legend(fontsize=8)
plt.show()

# %% [markdown]
# The best of six halves must be above their mean. But if the sentences that choose it also
# measure it, part of that is luck, and so it is if the networks that choose it do. So one part of
# T3 and two trainings choose, and the other part and the third training measure.

# %%
first, second = (100 * crossed[part].to_numpy().reshape(-1, H, R) for part in ("first", "second"))
gains = ceiling.best_half(first, second)
for what, gain in gains.items():
    low, high = mean_interval(gain)
    print(f"the best of {H} halves, {what}: {gain.mean():+.2f} ({low:+.2f} … {high:+.2f}) points")

# %% [markdown]
# The half does matter, but little: its standard deviation is a fifth of a point, less than that of
# the division, and less than that of initial weights and order. The best of six halves seems to
# gain 0.4 points, nine tenths of which are luck. So a score that knew the best of six random
# halves would gain a fraction of the paper's point. To gain more, a score must make halves that
# are unlike random ones ([more](../docs/results.md#could-choosing-ever-pay), also with fewer
# sentences in T1).
#
# ## What to remember
#
# - One run has no interval. Report several seeds, and fix their number beforehand.
# - Say which effect would matter *before* you look. Without that, nothing can be excluded.
# - “No such effect” needs an interval inside of −D … D; “not significant” is not enough.
# - Mean and single run are two questions with two intervals.
#
# ## Exercises
#
# **1.** A claim of your own: *more training sentences make a better model*. Compare `T1andT2`
# with `T1`. Choose D, then decide.
#
# <details><summary>Solution</summary>
#
# ```python
# more = 100 * (table["A.T1andT2"] - table["A.T1"]).to_numpy()
# low, high = mean_interval(more)
# print(f"interval {low:+.2f} … {high:+.2f}; wholly at D = {D} or above: {low >= D}")
# ```
#
# `T1andT2` has twice as many sentences as `T1`, and the interval tells whether that is worth
# D = 0.5 points. Did you choose D before you ran the cell?
#
# </details>
#
# **2.** How many seeds does it take until an interval is at most D to each side?
#
# <details><summary>Solution</summary>
#
# ```python
# spread = effect.std(ddof=1)
# needed = next(S for S in range(3, 500) if stats.t.ppf(0.975, S - 1) * spread / np.sqrt(S) <= D)
# wide = next(S for S in range(3, 500) if stats.t.ppf(1 - 0.025 / 11, S - 1) * spread / np.sqrt(S) <= D)
# print(f"spread of single runs: {spread:.2f} points; seeds: {needed}, for eleven numbers: {wide}")
# ```
#
# And an interval of that width is only inside of −D … D if the mean is exactly 0. Two
# hundred seeds make it a third as wide.
#
# </details>
#
# **3.** Two models are truly alike. Add seeds one by one, and stop as soon as the interval excludes
# 0. How often do you find an effect within 200 seeds?
#
# <details><summary>Solution</summary>
#
# ```python
# draws = np.random.RandomState(0).standard_normal((1000, 200))
# S = np.arange(1, 201)
# m = np.cumsum(draws, axis=1) / S
# s = np.sqrt(np.maximum(np.cumsum(draws**2, axis=1) / S - m**2, 0) * S / np.maximum(S - 1, 1))
# t = np.abs(m[:, 4:]) / (s[:, 4:] / np.sqrt(S[4:]))
# found = t > stats.t.ppf(0.975, S[4:] - 1)
# print(f"at 200 seeds: {found[:, -1].mean():.2f}; at any time from 5 on: {found.any(axis=1).mean():.2f}")
# ```
#
# One in twenty if you look once; several times as many if you look all the time.
# `replicate run --until decided` uses intervals that allow for looking.
#
# </details>
#
# ---
# Before: [5. What jumps?](05_what_jumps.ipynb) ·
# first: [1. Word saliency](01_word_saliency.ipynb) ·
# rule: [Statistics](../docs/statistics.md) · results: [in detail](../docs/results.md)
