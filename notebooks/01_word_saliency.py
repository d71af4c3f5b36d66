# %% [markdown]
# # 1. Word saliency: what does one word do to the answer?
#
# A network reads a film review and says *positive* or *negative*. Which words
# made it say so? The paper answers with one number for each word, its *saliency*
# (単語注目度): how strongly the loss of the sentence reacts when the vector of
# the word is moved a little.
#
# We train the network, compute that number for one sentence by hand, in NumPy,
# step by step, and then with the package. Both must agree.
#
# ![A sentence goes up through vectors, filters, maxima and outputs; the derivative of the loss comes back down to every word](diagrams/01_word_saliency.svg)
#
# | term | meaning |
# | --- | --- |
# | word vector | D numbers that stand for a word; learned elsewhere, and fixed here |
# | filter | a pattern of three word vectors that the network learns |
# | logit | a number for each label before it becomes a probability |
# | R | the label that the network itself predicts |
# | loss | −log p of a label: 0 if the network is certain of it, large if it is not |
# | saliency | mean size of the derivative of the loss by the D numbers of a word |
#
# The page [Concepts](../docs/concepts.md) has all terms.

# %%
import os
from html import escape
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML

import replicate

plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})
np.set_printoptions(precision=4, suppress=True)
pd.options.display.max_colwidth = None

# %% [markdown]
# ## A network that has learned
#
# The stored outputs were made with MR, 10,662 review sentences, and with
# **GoogleNews, 31,530 words (not the full file)**, the folder that `REPLICATE_DATA`
# names. Without that variable the notebook takes 200 sentences that come with
# gensim. They are enough to run every cell, and too few to learn much from.
#
# One call runs the whole experiment for one *seed*, the number that fixes
# everything that is drawn at random. Here we need its first phase only: the network
# learns the sentences of T1, and is tested on those of T3, which it has never seen.

# %%
mr = os.path.join(os.environ.get("REPLICATE_DATA", ""), "rt-polarity.pos")
preset = "paper" if os.path.isfile(mr) else "sample"
folder = TemporaryDirectory()
run = replicate.run_experiment(preset, seeds=1, out=f"{folder.name}/run")

corpus, names = run.corpus, run.corpus.label_titles
t1, t2, t3 = run.split(0)
accuracy = run.accuracies(0)["T1"][-1, 1]
print(f"{len(corpus)} sentences; word vectors: {run.title}")
print(f"T1 has {len(t1)} sentences, T3 {len(t3)}; labels: {', '.join(names)}")
print(
    f"accuracy on T3: {accuracy:.2f} (guessing: {np.bincount(corpus.labels[t3]).max() / len(t3):.2f})"
)

# %% [markdown]
# ## A sentence
#
# We take a short sentence of T3 that the network classifies rightly, without being
# certain. `replicate.explain` says what it thinks of any text; `epochs=[-1]` asks
# the network as it is after the last epoch.

# %%
short = [corpus.sentence(n) for n in t3 if 7 <= corpus.lengths[n] <= 10]
truth = [names[corpus.labels[n]] for n in t3 if 7 <= corpus.lengths[n] <= 10]
explained = replicate.explain(run, short, epochs=[-1])
right = [e.labels[-1] == label for e, label in zip(explained, truth)]
sure = np.array([e.probability[-1] if ok else 0 for e, ok in zip(explained, right)])

chosen = int(np.abs(sure - 0.85).argmin())
sentence, words = short[chosen], explained[chosen].words
print(sentence)
print(f"true label: {truth[chosen]}; predicted: {explained[chosen].labels[-1]}")

# %% [markdown]
# ## Forward, by hand
#
# **Words become vectors.** The sentence is now a table with a row for each of its L
# words. Two rows of zeros are put before it and two after it, so that a filter
# of three words may begin before the first word. (The paper does not say how it
# pads. Such an open choice is called a *reading* here, and is a setting of the
# package.)

# %%
weights = np.load(run.model_file(0, "T1"))
index = {word: row for row, word in enumerate(corpus.words)}
x = run.vectors_of(0)[1:][[index[word] for word in words]]  # row 0 is padding
W, b = weights["conv/W"][:, 0], weights["conv/b"]  # (F, h, D) and (F,)
h = W.shape[1]
padded = np.pad(x, ((h - 1, h - 1), (0, 0)))
print("L × D:", x.shape, "  padded:", padded.shape, "  filters:", W.shape)

# %% [markdown]
# **A filter looks at three words at a time.** Each of the F filters has as many
# weights as three word vectors have numbers. It gives one number for each window of
# three words:
#
# $$z_{pf} = b_f + \sum_{k=0}^{2} \langle W_{fk},\, w_{p+k} \rangle$$

# %%
windows = np.lib.stride_tricks.sliding_window_view(padded, h, axis=0)  # (windows, D, h)
z = np.einsum("pdk,fkd->pf", windows, W) + b
print("windows × filters:", z.shape)

# %% [markdown]
# **Max over time.** For each filter, only the largest number is kept. All other
# windows are ignored, which is why many words have no saliency at all. Then
# *ReLU* sets negative numbers to zero.

# %%
where = z.argmax(axis=0)  # the window that wins, for each filter
features = np.maximum(z.max(axis=0), 0)

line = ["–", "–", *words, "–", "–"]
labels = [" ".join(line[p : p + h]) for p in range(len(z))]
figure, axis = plt.subplots(figsize=(7, 5))
picture = axis.imshow(z, cmap="Greys", aspect="auto")
axis.scatter(np.arange(len(where)), where, s=60, color="#D55E00")
axis.set_yticks(np.arange(len(z)), labels)
axis.set_xticks([0, len(where) - 1], ["first filter", "last filter"])
axis.set_title("What filters make of windows; dot: the maximum", loc="left")
figure.colorbar(picture, label="z", fraction=0.04, pad=0.02)
plt.show()

# %% [markdown]
# **The output layer** turns the features into a logit for each label, and softmax
# turns logits into probabilities. The label of the higher probability is R.

# %%
U, c = weights["fc/W"], weights["fc/b"]  # (2, F) and (2,)
logits = U @ features + c
p = np.exp(logits - logits.max())
p /= p.sum()
R = int(p.argmax())

print("  ".join(f"p({name}) = {value:.3f}" for name, value in zip(names, p)))
print("R =", names[R])

# %% [markdown]
# ## Backward, by hand: eq. (4)
#
# The loss of the sentence is taken against R, the label that the network **itself**
# gives, not against the true label: $L(f(S), R) = -\log p_R$. So saliency needs no
# labels. It shows what the network thinks, right or wrong. Eq. (4) is the size of
# the derivative of that loss by every number of every word vector:
#
# $$\mathrm{Grad}_S(i,j) = \left| \frac{\partial L(f(S),R)}{\partial w_{ij}} \right|$$
#
# We go back through the network, one layer after another. For softmax and −log
# together, the derivative by the logits is the vector of probabilities, with 1
# subtracted at R.

# %%
by_logits = p - (np.arange(2) == R)
by_features = by_logits @ U
by_maxima = by_features * (features > 0)  # ReLU lets nothing back where it was zero
print("dL / d logits:", by_logits)
print(f"filters that take part: {(by_maxima != 0).sum()} of {len(by_maxima)}")

# %% [markdown]
# The maximum passes its derivative only to the window that won. There, each of the
# three words gets this derivative times the filter's weights at its place.
# The saliency of a word, eq. (6), is then the mean over its D numbers:
#
# $$wa_i = \frac{1}{D} \sum_{j} \mathrm{Grad}_S(i,j)$$

# %%
gradient = np.zeros_like(padded)
for f, start in enumerate(where):
    gradient[start : start + h] += by_maxima[f] * W[f]
gradient = gradient[h - 1 : -(h - 1)]  # the words, without the padding
wa = np.abs(gradient).mean(axis=1)

places, active = where - (h - 1), by_maxima != 0
chose = [int((active & (places <= i) & (i < places + h)).sum()) for i in range(len(words))]
pd.DataFrame({"word": words, "filters that chose it": chose, "saliency": wa.round(5)})

# %% [markdown]
# A word that no winning window covers has saliency 0: a small change of its vector
# does not change the output.
#
# ## The same with the package
#
# `replicate.explain` did all of the above. It must have the same numbers.

# %%
(told,) = replicate.explain(run, sentence, epochs=[-1])
assert told.labels[-1] == names[R]
np.testing.assert_allclose(told.probability[-1], p[R], rtol=1e-4)
np.testing.assert_allclose(told.saliency[-1], wa, rtol=1e-3, atol=1e-8)
print("by hand and by the package: the same label, probability and saliency")

# %% [markdown]
# And for earlier epochs? (A cell that ends with `replicate.explain(…)` shows a heat map.)

# %%
(e,) = replicate.explain(run, sentence, epochs=[1, 2, 5, 10, -1])
said = [f"epoch {n}: {label}" for n, label in zip(e.epochs, e.labels)]
pd.DataFrame(e.saliency.T, index=e.words, columns=said).round(4)

# %% [markdown]
# ## Does the number mean what it should? Eq. (5)
#
# The paper explains eq. (4) by a Taylor expansion: when a number of a word vector
# grows by a small δ, the loss grows by the derivative times δ.
#
# $$L(w_{ij} + \delta) \approx L(w_{ij}) + L'(w_{ij})\,\delta$$
#
# We can test this. We move *all* D numbers of one word by δ, each in the direction
# in which the loss rises. The loss should rise by δ · D · saliency. There is a copy of
# the sentence for each word, and one copy stays as it is.

# %%
delta, (n, D) = 1e-4, x.shape
pushed = np.repeat(padded[None].astype(float), n + 1, axis=0)
pushed[np.arange(n), h - 1 + np.arange(n)] += delta * np.sign(gradient)

cut = np.lib.stride_tricks.sliding_window_view(pushed, h, axis=1)  # copies, windows, D, h
peaks = np.maximum((np.einsum("cpdk,fkd->cpf", cut, W) + b).max(axis=1), 0)
outputs = peaks @ U.T + c
losses = np.log(np.exp(outputs).sum(axis=1)) - outputs[:, R]
rise = (losses[:-1] - losses[-1]) / (delta * D)

figure, axis = plt.subplots(figsize=(4.6, 4))
axis.axline((0, 0), slope=1, color="#BBBBBB", lw=1)
axis.scatter(wa, rise, color="#0072B2", zorder=3)
axis.set(
    xlabel="saliency, eq. (6)", ylabel="rise of the loss / (δ D)", title="One dot for each word"
)
plt.show()
assert np.abs(rise - wa).max() < 0.1 * wa.max()

# %% [markdown]
# The dots lie on the line: saliency is how fast the loss grows when a word is moved
# in the worst direction. It says nothing about large changes, such as leaving the
# word out (exercise 1).
#
# ## Uncertainty times influence
#
# With two labels, the derivative of $-\log p_R$ has a simple form:
#
# $$\mathrm{Grad}_S = (1 - p_R) \cdot \left| \frac{\partial (z_{other} - z_R)}{\partial w} \right|$$
#
# The second factor is how strongly the word moves the difference of the two logits.
# The first is the *uncertainty* of the network, and it is **the same for all words of
# the sentence**. When a network becomes certain of a sentence, the saliency of all
# its words shrinks, whatever they mean.

# %%
difference = (U[1 - R] - U[R]) * (features > 0)
by_words = np.zeros_like(padded)
for f, start in enumerate(where):
    by_words[start : start + h] += difference[f] * W[f]
influence = np.abs(by_words[h - 1 : -(h - 1)]).mean(axis=1)

np.testing.assert_allclose((1 - p[R]) * influence, wa, rtol=1e-3, atol=1e-8)
print(f"saliency = {1 - p[R]:.3f} × influence, for every word")

# %% [markdown]
# [Notebook 2](02_learning_dynamics.ipynb) comes back to this, because the paper
# compares saliency between epochs, and uncertainty changes from epoch to epoch.
#
# ## Several sentences
#
# Three that the network classifies rightly and three that it does not. A stronger colour is
# a higher saliency; each sentence has its own scale.

# %%
rightly, wrongly = ([k for k, ok in enumerate(right) if ok == value] for value in (True, False))
shown = ""
for k in rightly[:3] + wrongly[:3]:
    e = explained[k]
    shares = 0.75 * e.saliency[-1] / max(e.saliency[-1].max(), 1e-12)
    spans = (
        f'<span style="background: rgba(213, 94, 0, {share:.2f}); padding: 2px">{escape(word)}</span>'
        for word, share in zip(e.words, shares)
    )
    verdict = f"{e.labels[-1]}, p = {e.probability[-1]:.2f}: {'right' if right[k] else 'wrong'}"
    shown += f"<p>{' '.join(spans)}<br><small>{verdict}</small></p>"
HTML(shown)

# %% [markdown]
# ## Any network, not only this one
#
# Eqs (4) and (6) ask for a derivative by word vectors, and for nothing else. So
# `replicate.token_saliency` takes any Chainer function from word vectors to logits.
# Here is a network that reads a sentence word by word, an LSTM:

# %%
import chainer  # after the package, which supplies what Chainer needs of today's NumPy
import chainer.functions as F
import chainer.links as L


class Reader(chainer.Chain):
    """One LSTM layer; the mean of its states is classified."""

    def __init__(self, D, units=10):
        super().__init__()
        draw = chainer.initializers.LeCunNormal(rng=np.random.RandomState(0))
        with self.init_scope():
            self.lstm = L.NStepLSTM(1, D, units, dropout=0, initialW=draw)
            self.out = L.Linear(units, 2, initialW=draw)

    def forward(self, sentences):  # a list of (words, D) arrays
        _, _, states = self.lstm(None, None, sentences)
        return self.out(F.stack([F.mean(state, axis=0) for state in states]))


# %% [markdown]
# It is trained by Chainer's own Trainer on sentences of T1. `SaliencyRecorder` is one
# more extension of this Trainer: after every epoch it takes the saliency of every
# word, and changes nothing in the training.

# %%
table, part = run.vectors_of(0)[1:], t1[:: max(1, len(t1) // 600)]  # some 600 sentences
tokens, offsets = corpus.take(part)
embedded = np.split(table[tokens], offsets[1:-1])
pairs = list(zip(embedded, corpus.labels[part]))

reader, epochs = Reader(D), 8
order = chainer.iterators.ShuffleOrderSampler(np.random.RandomState(0))
updater = chainer.training.StandardUpdater(
    chainer.iterators.SerialIterator(pairs, 20, order_sampler=order),
    chainer.optimizers.Adam(alpha=0.01).setup(reader),
    converter=lambda batch, device: ([v for v, _ in batch], np.array([y for _, y in batch])),
    loss_func=lambda v, y: F.softmax_cross_entropy(reader(v), y),
)
trainer = chainer.training.Trainer(updater, (epochs, "epoch"), out=f"{folder.name}/lstm")
recorder = replicate.SaliencyRecorder(reader, table, tokens, offsets, epochs=epochs)
trainer.extend(recorder)
trainer.run()

seen = (recorder.predicted == corpus.labels[part]).mean(axis=1)
print(
    f"right after epoch 1: {seen[0]:.2f}, after epoch {epochs}: {seen[-1]:.2f} (of these sentences)"
)
print("recorded:", recorder.saliency.shape, "epochs × word occurrences")

# %%
(by_lstm,) = replicate.token_saliency(reader, [x])
pd.DataFrame({"word": words, "filters": wa.round(5), "LSTM": by_lstm.round(5)})

# %% [markdown]
# An LSTM reads every word, so no word has saliency 0.
#
# ## What to remember
#
# - Saliency is a derivative: how fast the loss of a sentence grows when one of its words
#   is moved, eq. (4), averaged over the numbers of its vector, eq. (6).
# - It is taken against the network's own label, so no true label is needed.
# - With filters and a maximum, only words in winning windows have a saliency above 0.
# - It is the uncertainty of the network times the influence of the word.
#
# ## Exercises
#
# **1.** Leave out one word after another. Does the probability of R fall most for the word
# of the highest saliency?
#
# <details><summary>Solution</summary>
#
# ```python
# without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
# fall = []
# for e in replicate.explain(run, without, epochs=[-1]):
#     still = e.probability[-1] if e.labels[-1] == names[R] else 1 - e.probability[-1]
#     fall.append(p[R] - still)
# print(pd.DataFrame({"word": words, "saliency": wa, "fall of p": fall}).round(4))
# ```
#
# Not always. A derivative speaks of small changes, and leaving a word out is a large one. It
# also brings its neighbours together, so that other windows arise. [Is the saliency to be
# trusted?](../docs/trust.md) measures this for many sentences.
#
# </details>
#
# **2.** Without padding (`padding="narrow"`), windows lie wholly inside the sentence. Which
# words lose windows, and is the answer still R?
#
# <details><summary>Solution</summary>
#
# ```python
# inside = z[h - 1 : len(z) - (h - 1)]  # windows that begin and end inside the sentence
# narrow = np.maximum(inside.max(axis=0), 0) @ U.T + c
# print("maxima that lay in the padding:", (inside.max(axis=0) < z.max(axis=0)).sum())
# print("answer without padding:", names[narrow.argmax()])
# ```
#
# The first and the last word are in one window each instead of three. A network that is
# *trained* without padding learns other filters; `replicate.run_experiment(preset,
# padding="narrow")` trains it.
#
# </details>
#
# **3.** Eq. (6) is a mean of sizes. Take the length of the gradient instead (the root of the
# sum of squares). Does the order of the words change?
#
# <details><summary>Solution</summary>
#
# ```python
# length = np.linalg.norm(gradient, axis=1)
# print("eq. (6):", [words[i] for i in np.argsort(-wa, kind="stable")])
# print("length: ", [words[i] for i in np.argsort(-length, kind="stable")])
# ```
#
# Hardly: both grow with the derivative and with the weights of the filters that chose the
# word. Words of saliency 0 are 0 in both.
#
# </details>
#
# ---
# Next: [2. Learning dynamics](02_learning_dynamics.ipynb) ·
# terms: [Concepts](../docs/concepts.md) · functions: [API](../docs/api.md)
