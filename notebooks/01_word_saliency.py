# %% [markdown]
# # 1. Word saliency: what eqs (4)–(6) do to one sentence
#
# A network reads a film review and says *positive* or *negative*. Which words
# made it say so? The paper answers with one number a word, its *saliency*
# (単語注目度): how strongly the loss of the sentence reacts when the vector of
# the word is moved a little.
#
# We compute that number twice for one sentence: by hand, in NumPy, step by
# step, and with the package. Both must agree.
#
# The notebook uses 200 review sentences that come with gensim. If the
# environment variable `REPLICATE_DATA` names a folder with the whole corpus
# (MR, 10,662 sentences) and word vectors, it uses those.

# %%
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import replicate
from replicate.config import PRESETS
from replicate.corpus import read_corpus
from replicate.fast.compat import F, L, chainer
from replicate.io.data import find_data
from replicate.model import TextCNN
from replicate.saliency import classify, flat_batch, word_saliency
from replicate.split import split_corpus
from replicate.training import train
from replicate.vectors import coverage, embedding_matrix

np.set_printoptions(precision=4, suppress=True)

# %% [markdown]
# ## The data and the network
#
# A sentence is a sequence of words (2), and a word is a vector of D numbers
# (3). The vectors are given: they were learned elsewhere and stay as they are.
# A word without a vector gets a random one.

# %%
preset, paths, vectors = find_data()
config = PRESETS[preset]
corpus = read_corpus(paths, config.tokens)
matrix, known = embedding_matrix(corpus.words, vectors, config)

of_tokens = coverage(known, corpus.tokens)[1]
print(f"{len(corpus)} sentences, {len(corpus.words)} different words")
print(f"labels {corpus.label_names}: 0 is negative, 1 is positive")
print(f"vectors of D = {matrix.shape[1]} numbers; {of_tokens:.0%} of the words have one")

# %% [markdown]
# The corpus is divided 4.5 : 4.5 : 1 into T1, T2 and T3 (section 4.2). Here we
# train on T1 and take our sentence from T3, which the network has not seen.

# %%
subset = split_corpus(corpus.labels, seed=0)
t1, t2, t3 = (np.flatnonzero(subset == k) for k in (1, 2, 3))

model = TextCNN(matrix, n_labels=2, config=config, seed=0)
with TemporaryDirectory() as folder:
    rows, _ = train(model, corpus, t1, t3, seed=0, folder=folder)

print(f"T1 {len(t1)}, T2 {len(t2)}, T3 {len(t3)} sentences")
print(f"after {rows[-1][0]} epochs, accuracy on T3: {rows[-1][1]:.2f}")

# %% [markdown]
# We take the first short sentence of T3.

# %%
chosen = next(n for n in t3 if 7 <= corpus.lengths[n] <= 10)
tokens, offsets = corpus.take(np.array([chosen]))
words = corpus.words[tokens].tolist()

print(corpus.sentence(chosen))
print("true label:", corpus.label_names[corpus.labels[chosen]])

# %% [markdown]
# ## Forward, by hand
#
# **Words become vectors.** The sentence is now a table with a row for each of
# its L words. Two rows of zeros are put before it and two after it, so that a
# filter of three words may begin before the first word. (The paper does not say
# how it pads. Such an open point is called a *reading* here, and is a setting
# of the package.)

# %%
x = matrix[tokens + 1]  # row 0 of the matrix is padding
h = config.filter_height
padded = np.pad(x, ((h - 1, h - 1), (0, 0)))

print("L × D:", x.shape, "  padded:", padded.shape)

# %% [markdown]
# **A filter looks at three words at a time.** Each of the F filters has as many
# weights as three word vectors have numbers. It gives one number for each
# window of three words:
#
# $$z_{pf} = b_f + \sum_{k=0}^{2} \langle W_{fk},\, w_{p+k} \rangle$$

# %%
W, b = model.conv.W.array[:, 0], model.conv.b.array  # (F, h, D) and (F,)
windows = np.lib.stride_tricks.sliding_window_view(padded, h, axis=0)  # (windows, D, h)
z = np.einsum("pdk,fkd->pf", windows, W) + b

print("windows × filters:", z.shape)

# %% [markdown]
# **Max over time.** For each filter, only the largest number is kept. All other
# windows are ignored, and this is why many words will have no saliency. Then
# ReLU sets negative numbers to zero.

# %%
where = z.argmax(axis=0)  # the window that wins, for each filter
features = np.maximum(z.max(axis=0), 0)

line = ["–", "–", *words, "–", "–"]
names = [" ".join(line[p : p + h]) for p in range(len(z))]

figure, axis = plt.subplots(figsize=(9, 4))
picture = axis.imshow(z.T, cmap="Greys", aspect="auto")
axis.scatter(where, np.arange(len(where)), s=26, color="#D55E00")
axis.set_xticks(np.arange(len(z)), names, rotation=40, ha="right")
axis.set_yticks([0, len(where) - 1], ["first filter", "last"])
axis.set_title("What each filter makes of each window; the dot is its maximum", loc="left")
figure.colorbar(picture, label="z", fraction=0.03, pad=0.02)
plt.show()

# %% [markdown]
# **The output layer** turns the features into two numbers, and softmax turns
# these into probabilities. The label with the higher probability is R.

# %%
U, c = model.fc.W.array, model.fc.b.array  # (C, F) and (C,)
logits = U @ features + c
p = np.exp(logits - logits.max())
p /= p.sum()
R = int(p.argmax())

print("probabilities of", corpus.label_names, "are", p)
print("R =", corpus.label_names[R])

# %% [markdown]
# ## Backward, by hand: eq. (4)
#
# The loss of the sentence is taken against R, **the label that the model itself
# gives**, not against the true label: $L(f(S), R) = -\log p_R$. So saliency
# needs no labels, and it shows what the model *thinks*, right or wrong.
#
# Eq. (4) is the absolute value of the derivative of that loss by every number
# of every word vector:
#
# $$\mathrm{Grad}_S(i,j) = \left| \frac{\partial L(f(S),R)}{\partial w_{ij}} \right|$$
#
# We go back through the network, one layer after another. For softmax and
# $-\log$ together, the derivative by the logits is the vector of probabilities,
# with 1 subtracted at R.

# %%
by_logits = p.copy()
by_logits[R] -= 1
by_features = by_logits @ U
by_maxima = by_features * (features > 0)  # ReLU lets nothing back where it was zero

print("dL / d logits:", by_logits)
print(f"filters that take part: {(by_maxima != 0).sum()} of {len(by_maxima)}")

# %% [markdown]
# The maximum passes its derivative only to the window that won. In that window,
# each of the three words gets this derivative times the filter's weights at its
# position.

# %%
gradient = np.zeros_like(padded)
for f, start in enumerate(where):
    gradient[start : start + h] += by_maxima[f] * W[f]

gradient = gradient[h - 1 : -(h - 1)]  # the words, without the padding
Grad = np.abs(gradient)  # eq. (4), one number for each word and dimension
print("Grad:", Grad.shape)

# %% [markdown]
# ## One number a word: eq. (6)
#
# $$wa_i = \frac{1}{D} \sum_{j} \mathrm{Grad}_S(i,j)$$
#
# The saliency of a word is the mean over all dimensions.

# %%
wa = Grad.mean(axis=1)

taking_part = by_maxima != 0
covers = [taking_part & (i <= where) & (where < i + h) for i in range(len(words))]
pd.DataFrame({"word": words, "filters that chose it": [c.sum() for c in covers], "wa": wa.round(6)})

# %% [markdown]
# A word that is in no winning window has saliency 0: a small change of its vector
# does not change the output of the network.
#
# ## The same with the package
#
# `flat_batch` makes a batch of sentences, `word_saliency` does all of the above
# for every word of it at once. It calls Chainer's own `chainer.grad` for the
# output layer and then goes back through the winning windows only, as we did.

# %%
batch = flat_batch(model, tokens, offsets)
looked = word_saliency(model, batch)
told = classify(model, batch)

assert looked.predicted[0] == R
np.testing.assert_allclose(told.probabilities[0], p, rtol=1e-4)
np.testing.assert_allclose(looked.token_saliency, wa, rtol=1e-4, atol=1e-8)
print("by hand and by the package: the same label, probabilities and saliency")

# %% [markdown]
# ## The picture
#
# A darker word has more influence on the answer.

# %%
figure, axis = plt.subplots(figsize=(9, 1.3))
axis.imshow(wa[None], cmap="Oranges", vmin=0, aspect="auto")
for i, word in enumerate(words):
    colour = "white" if wa[i] > 0.7 * wa.max() else "black"
    axis.text(i, 0, f"{word}\n{wa[i]:.1e}", ha="center", va="center", color=colour, fontsize=9)
axis.set_axis_off()
axis.set_title(f"R = {corpus.label_names[R]}, p = {p[R]:.2f}", loc="left")
plt.show()

# %% [markdown]
# ## Does the number mean what it should? Eq. (5)
#
# The paper explains eq. (4) by a Taylor expansion: when a number of a word
# vector grows by a small δ, the loss grows by the derivative times δ.
#
# $$L(w_{ij} + \delta) \approx L(w_{ij}) + L'(w_{ij})\,\delta$$
#
# We can test this. We change *all* D numbers of one word by δ, each in the
# direction in which the loss rises. The loss should rise by δ · D · wa. We make
# a copy of the sentence for every word, change a different word in each copy, and
# let the network compute all the losses.

# %%
delta = 1e-3
n, D = x.shape
pushed = np.repeat(padded[None], n + 1, axis=0)  # the last copy stays as it is
for i in range(n):
    pushed[i, h - 1 + i] += delta * np.sign(gradient[i])

lengths = np.arange(n + 2) * n  # where each copy begins: all have n words
outputs = model.head(model.features_of_padded(pushed, lengths))
losses = model.loss(outputs, np.full(n + 1, R, dtype=np.int32), reduce="no").array.astype(float)
rise = (losses[:-1] - losses[-1]) / (delta * D)

figure, axis = plt.subplots(figsize=(5, 4.2))
axis.axline((0, 0), slope=1, color="#BBBBBB", lw=1)
axis.scatter(wa, rise, color="#0072B2", zorder=3)
axis.set(xlabel="saliency, eq. (6)", ylabel="rise of the loss / (δ D)", title="One dot a word")
plt.show()
assert np.abs(rise - wa).max() < 0.1 * wa.max()

# %% [markdown]
# The dots are on the line: saliency is how fast the loss of the sentence grows
# when that word is moved in the worst direction. It says nothing about large
# changes, such as removing the word.
#
# ## Uncertainty times influence
#
# With two labels, the derivative of $-\log p_R$ has a simple form:
#
# $$\mathrm{Grad}_S = (1 - p_R) \cdot \left| \frac{\partial (z_{other} - z_R)}{\partial w} \right|$$
#
# The second factor is how strongly the word changes the difference of the two
# outputs. The first is the uncertainty of the model, and it is **the same for all
# words of the sentence**. When a model becomes certain of a sentence, the saliency
# of all its words shrinks, whatever they mean. Let us compute the two factors.

# %%
difference = (U[1 - R] - U[R]) * (features > 0)  # of z_other - z_R, by the maxima
by_words = np.zeros_like(padded)
for f, start in enumerate(where):
    by_words[start : start + h] += difference[f] * W[f]

of_logits = np.abs(by_words[h - 1 : -(h - 1)]).mean(axis=1)
doubt = 1 - p[R]

np.testing.assert_allclose(doubt * of_logits, wa, rtol=1e-3, atol=1e-8)
np.testing.assert_allclose(doubt, looked.uncertainty[0], rtol=1e-3)
print(f"wa = {doubt:.3f} × the gradient of the logit difference, for every word")

# %% [markdown]
# Notebook 2 comes back to this, because the paper compares saliency between
# epochs, and uncertainty changes from epoch to epoch.
#
# ## Several sentences
#
# Short sentences of T3, each with its own colour scale. The package computes all
# of them in one call.

# %%
short = [n for n in t3 if 5 <= corpus.lengths[n] <= 13]
shown = short[:: -(-len(short) // 6)]  # six at most, spread over T3
tokens, offsets = corpus.take(np.array(shown))
batch = flat_batch(model, tokens, offsets)
looked, told = word_saliency(model, batch), classify(model, batch)

figure, axes = plt.subplots(len(shown), 1, figsize=(10, 0.95 * len(shown)), squeeze=False)
for k, axis in enumerate(axes[:, 0]):
    part = slice(offsets[k], offsets[k + 1])
    values, label = looked.token_saliency[part], looked.predicted[k]
    axis.imshow(values[None], cmap="Oranges", vmin=0, aspect="auto")
    for i, word in enumerate(corpus.words[tokens[part]]):
        colour = "white" if values[i] > 0.7 * values.max() else "black"
        axis.text(i, 0, word, ha="center", va="center", fontsize=8, color=colour)
    right = "right" if label == corpus.labels[shown[k]] else "wrong"
    title = f"says {corpus.label_names[label]}, p = {told.probabilities[k].max():.2f}: {right}"
    axis.set_title(title, loc="left", fontsize=9)
    axis.set_axis_off()
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Any network, not only this one
#
# Eqs (4) and (6) ask for a derivative with respect to word vectors, and for
# nothing else. So they can be taken of any network. Here is a classifier that
# reads a sentence word by word, an LSTM, written in Chainer:


# %%
class Reader(chainer.Chain):
    """One LSTM layer; its last state is classified."""

    def __init__(self, D, units=10):
        super().__init__()
        random = chainer.initializers.LeCunNormal(rng=np.random.RandomState(0))
        with self.init_scope():
            self.lstm = L.NStepLSTM(1, D, units, dropout=0, initialW=random)
            self.out = L.Linear(units, 2, initialW=random)

    def forward(self, sentences):  # a list of (words, D) arrays
        last, _, _ = self.lstm(None, None, sentences)
        return self.out(last[0])


# %% [markdown]
# It is trained by Chainer's own Trainer, on the first sentences of T1.
# `SaliencyRecorder` is one more extension of this Trainer: after every epoch it
# takes the saliency of every word, and changes nothing in the training.

# %%
sentences = t1[:90]
tokens, offsets = corpus.take(sentences)
embedded = np.split(matrix[1:][tokens], offsets[1:-1])
pairs = list(zip(embedded, corpus.labels[sentences]))

reader = Reader(D)
order = chainer.iterators.ShuffleOrderSampler(np.random.RandomState(0))
iterator = chainer.iterators.SerialIterator(pairs, 10, order_sampler=order)
optimizer = chainer.optimizers.Adam(alpha=0.01).setup(reader)
updater = chainer.training.StandardUpdater(
    iterator,
    optimizer,
    converter=lambda batch, device: ([x for x, _ in batch], np.array([y for _, y in batch])),
    loss_func=lambda x, y: F.softmax_cross_entropy(reader(x), y),
)
with TemporaryDirectory() as folder:
    trainer = chainer.training.Trainer(updater, (15, "epoch"), out=folder)
    recorder = replicate.SaliencyRecorder(reader, matrix[1:], tokens, offsets, epochs=15)
    trainer.extend(recorder)
    trainer.run()

right = (recorder.predicted == corpus.labels[sentences]).mean(axis=1)
print(f"right after epoch 1: {right[0]:.2f}, after epoch 15: {right[-1]:.2f}")
print("recorded:", recorder.saliency.shape, "epochs × words")

# %%
wac, count = recorder.word_instability()
often = np.flatnonzero(count >= 5)
most = often[np.argsort(-wac[often])][:8]
pd.DataFrame({"word": corpus.words[most], "count": count[most], "wac": wac[most]})

# %% [markdown]
# These are the words, among those that occur five times or more, whose saliency
# jumped most while the LSTM learned. Notebook 2 does this with the network of
# the paper.
#
# ## What to take along
#
# - Saliency is a derivative: how fast the loss of a sentence grows when one of
#   its words is moved, eq. (4), averaged over dimensions, eq. (6).
# - It is taken against the model's own label, so it also exists where no true
#   label is known.
# - Only words in winning windows have a saliency above 0.
# - It is the uncertainty of the model times the influence of the word.
#
# **To try.** Change the number of epochs (`config.replace(epochs=3)`) and train
# again: is the same word still the darkest? Remove the padding
# (`config.replace(padding="narrow")`): which line of the computation by hand
# must change?
