"""Golden arrays of the paper's CNN, made with the paper's own Chainer 2.0.2.

Runs under Python 3.6, NumPy 1.13.3 and Chainer 2.0.2, imports nothing of this
project, and is written to be checked by eye rather than to be fast.  README.md
beside it says how to run it and what each array is.  No text is stored.

    python generate.py DATA [--out chainer2.npz]

DATA is the folder of ``rt-polarity.pos`` and ``rt-polarity.neg``.
"""

import argparse
import io
import os
import re
import zipfile

import numpy as np

from replicate.fast.compat import F, L, chainer

N_EACH = 120  # sentences of each label
N_T1, N_T2, N_T3 = 160, 60, 20
DIM, FILTERS = 20, 8
EPOCHS, BATCH = 5, 20
WIDE_DIM, WIDE_FILTERS, WIDE_SENTENCES = 50, 16, 40
TIES_DIM, TIES_FILTERS, TIES_SENTENCES, TIES_WORDS = 4, 6, 27, 2

# What a window without a word has after the activation: below any activation.
NEVER_MAX = np.float32(-1e30)

OPTIMIZERS = [
    ("SGD", lambda: chainer.optimizers.SGD(lr=0.1)),
    ("MomentumSGD", lambda: chainer.optimizers.MomentumSGD(lr=0.05)),
    ("Adam", lambda: chainer.optimizers.Adam(alpha=0.01)),
    ("AdaGrad", lambda: chainer.optimizers.AdaGrad(lr=0.05)),
    ("AdaDelta", lambda: chainer.optimizers.AdaDelta()),
]

# Kim (2014), process_data.py, clean_str with TREC=False, in his order.  He
# writes " \( " where " ( " stands here: the token is spelt with a backslash
# there, which changes no id, for no other token has one.
RULES = [
    (r"[^A-Za-z0-9(),!?'`]", " "),
    (r"'s", " 's"),
    (r"'ve", " 've"),
    (r"n't", " n't"),
    (r"'re", " 're"),
    (r"'d", " 'd"),
    (r"'ll", " 'll"),
    (r",", " , "),
    (r"!", " ! "),
    (r"\(", " ( "),
    (r"\)", " ) "),
    (r"\?", " ? "),
    (r"\s{2,}", " "),
]


def clean(text):
    """Kim's cleaning of one sentence, in lower case."""
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    return text.strip().lower()


def read_lines(path):
    """The sentences of a file, cut at LF only: 0x85 is an ellipsis in them."""
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    assert lines.pop() == b""  # the file ends in LF
    return [line.decode("cp1252", "replace") for line in lines]


def read_sentences(folder):
    """240 sentences as word ids, in a random order, with a random subset each.

    Ids count word types by first occurrence, so that the first n sentences use
    the ids 0 .. max without a gap.
    """
    random = np.random.RandomState(1)
    chosen = []
    for label, name in [(1, "rt-polarity.pos"), (0, "rt-polarity.neg")]:
        lines = read_lines(os.path.join(folder, name))
        for line in random.permutation(len(lines))[:N_EACH]:
            chosen.append((label, line, clean(lines[line]).split()))
    chosen = [chosen[i] for i in random.permutation(len(chosen))]
    subset = random.permutation(np.repeat([1, 2, 3], [N_T1, N_T2, N_T3]))

    ids = {}
    tokens = [ids.setdefault(word, len(ids)) for _, _, words in chosen for word in words]
    lengths = [len(words) for _, _, words in chosen]
    assert min(lengths) > 0
    return {
        "tokens": np.array(tokens, np.int32),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        "labels": np.array([label for label, _, _ in chosen], np.int32),
        "line": np.array([line for _, line, _ in chosen], np.int32),
        "subset": subset.astype(np.int32),
    }


class CNN(chainer.Chain):
    """Convolution of height 3, activation, max over time, two logits."""

    def __init__(self, dim, filters, activation):
        super().__init__()
        self.activation = activation
        with self.init_scope():
            # Conv before fc: the order in which default weights are drawn.
            self.conv = L.Convolution2D(1, filters, (3, dim))
            self.fc = L.Linear(filters, 2)

    def __call__(self, x, mask):
        """Logits (B, 2) of x (B, 1, L + 4, D); mask (B, L + 2) of its windows."""
        h = self.activation(self.conv(x))  # (B, F, L + 2, 1)
        mask = np.ascontiguousarray(np.broadcast_to(mask[:, None, :, None], h.shape))
        h = F.where(mask, h, np.full(h.shape, NEVER_MAX, np.float32))
        h = F.max_pooling_2d(h, (h.shape[2], 1))  # (B, F, 1, 1)
        return self.fc(h)


def weights(model):
    """Copies of the four parameters, by name."""
    return {name[1:]: param.data.copy() for name, param in model.namedparams()}


def set_weights(model, values):
    """Put copies of `values` (by name) into the model."""
    for name, param in model.namedparams():
        param.data[...] = values[name[1:]]


def pad(sentences, vectors):
    """Embedded batch (B, 1, L + 4, D) and the mask of real windows (B, L + 2).

    Two zero vectors stand before and after each sentence; shorter sentences get
    more after that.  Window p covers words p - 2 .. p, so a sentence of n words
    has the windows 0 .. n + 1, and the mask is False from n + 2 on.
    """
    longest = max(len(sentence) for sentence in sentences)
    x = np.zeros((len(sentences), 1, longest + 4, vectors.shape[1]), np.float32)
    mask = np.zeros((len(sentences), longest + 2), bool)
    for i, sentence in enumerate(sentences):
        x[i, 0, 2 : 2 + len(sentence)] = vectors[sentence]
        mask[i, : len(sentence) + 2] = True
    return x, mask


def evaluate(model, sentences, labels, vectors):
    """Mean loss, probabilities (n, 2) and flat saliency (occurrences,).

    Saliency is eqs 4 and 6: the gradient of the summed losses between each
    output and its own argmax, by the embedded words; absolute; mean over D.
    """
    losses, probabilities, saliency = [], [], []
    for start in range(0, len(sentences), BATCH):
        batch = sentences[start : start + BATCH]
        x, mask = pad(batch, vectors)
        x = chainer.Variable(x)
        logits = model(x, mask)
        losses.append(
            F.softmax_cross_entropy(logits, labels[start : start + BATCH], reduce="no").data
        )
        probabilities.append(F.softmax(logits).data)

        own = logits.data.argmax(axis=1).astype(np.int32)
        model.cleargrads()
        F.sum(F.softmax_cross_entropy(logits, own, reduce="no")).backward()
        word = np.abs(x.grad[:, 0].astype(np.float64)).mean(axis=2)
        saliency += [word[i, 2 : 2 + len(sentence)] for i, sentence in enumerate(batch)]
    return {
        "loss": np.float32(np.concatenate(losses).mean(dtype=np.float64)),
        "probability": np.concatenate(probabilities),
        "saliency": np.concatenate(saliency).astype(np.float32),
    }


def train(optimizer, initial, order, sentences, labels, vectors):
    """Weights and T1 saliency after each epoch, and the loss of each batch."""
    model = CNN(DIM, FILTERS, F.relu)
    set_weights(model, initial)
    optimizer.setup(model)
    record = {name: [] for name in initial}
    record.update(batch_loss=[], saliency=[])
    for epoch in range(EPOCHS):
        batch_loss = []
        for batch in order[epoch].reshape(-1, BATCH):
            x, mask = pad([sentences[i] for i in batch], vectors)
            loss = F.softmax_cross_entropy(model(x, mask), labels[batch])
            model.cleargrads()
            loss.backward()
            optimizer.update()
            batch_loss.append(loss.data)
        record["batch_loss"].append(batch_loss)
        for name, value in weights(model).items():
            record[name].append(value)
        record["saliency"].append(evaluate(model, sentences, labels, vectors)["saliency"])
    return {name: np.array(values, np.float32) for name, values in record.items()}


def select(saliency, t1_tokens, t2_sentences, t2, words):
    """Eqs 8-10 and the median split, word by word, in float64.

    wac is NaN for a word that T1 lacks.  Such a word is left out of A_S.
    """
    change = np.diff(saliency.astype(np.float64), axis=0)  # (8), (epochs - 1, tokens)
    variance = ((change - change.mean(axis=0)) ** 2).mean(axis=0)
    wac = np.full(words, np.nan)
    for word in range(words):  # (9)
        of_word = variance[t1_tokens == word]
        if len(of_word):
            wac[word] = of_word.mean()
    score = []
    for sentence in t2_sentences:  # (10)
        known = [wac[word] for word in sentence if not np.isnan(wac[word])]
        score.append(np.mean(known) if known else 0.0)
    score = np.array(score)
    ranked = t2[np.lexsort((t2, -score))]  # by -A_S, then by sentence
    return {
        "wac": wac,
        "A_S": score,
        "T2_ranked": ranked.astype(np.int32),
        "T2h": np.sort(ranked[: len(ranked) // 2]).astype(np.int32),
    }


def make(folder):
    """All golden arrays, by name."""
    out = read_sentences(folder)
    tokens, offsets, labels = out["tokens"], out["offsets"], out["labels"]
    sentences = [tokens[a:b] for a, b in zip(offsets[:-1], offsets[1:])]
    words = int(tokens.max()) + 1

    def add(prefix, values):
        out.update((prefix + "/" + name, value) for name, value in values.items())

    # The narrow ReLU network: first state, gradients, training, selection.
    random = np.random.RandomState(2)
    vectors = random.uniform(-0.25, 0.25, (words, DIM)).astype(np.float32)
    t1, t2 = np.flatnonzero(out["subset"] == 1), np.flatnonzero(out["subset"] == 2)
    order = np.array([random.permutation(N_T1) for _ in range(EPOCHS)], np.int32)
    out["vectors"], out["order"] = vectors, order

    np.random.seed(3)  # the default initialisers draw from NumPy's global state
    model = CNN(DIM, FILTERS, F.relu)
    initial = weights(model)
    add("init", initial)
    t1_sentences = [sentences[n] for n in t1]
    t1_tokens, t1_labels = np.concatenate(t1_sentences), labels[t1]
    add("init", evaluate(model, t1_sentences, t1_labels, vectors))

    first = order[0, :BATCH]
    x, mask = pad([t1_sentences[i] for i in first], vectors)
    model.cleargrads()
    F.softmax_cross_entropy(model(x, mask), t1_labels[first]).backward()
    add("grad", {name[1:]: param.grad.copy() for name, param in model.namedparams()})

    t2_sentences = [sentences[n] for n in t2]
    for name, optimizer in OPTIMIZERS:
        run = train(optimizer(), initial, order, t1_sentences, t1_labels, vectors)
        add(name, run)
        if name in ("SGD", "Adam"):
            add(name, select(run["saliency"], t1_tokens, t2_sentences, t2, words))

    # Wider networks with the other activations, on the first sentences.
    random = np.random.RandomState(4)
    sentences, labels = sentences[:WIDE_SENTENCES], labels[:WIDE_SENTENCES]
    words = int(np.concatenate(sentences).max()) + 1
    out["wide/vectors"] = random.uniform(-0.25, 0.25, (words, WIDE_DIM)).astype(np.float32)
    for name, activation in [("tanh", F.tanh), ("sigmoid", F.sigmoid)]:
        model = CNN(WIDE_DIM, WIDE_FILTERS, activation)
        values = {
            key: random.uniform(-0.5, 0.5, value.shape).astype(np.float32)
            for key, value in sorted(weights(model).items())
        }
        set_weights(model, values)
        add(name, values)
        add(name, evaluate(model, sentences, labels, out["wide/vectors"]))

    out.update(("ties/" + name, value) for name, value in make_ties().items())
    return out


def make_ties():
    """Made-up sentences of 1 to 9 words in which the max over time is tied.

    Vectors and weights are quarters of small integers, so that every product
    and sum up to the logits is exact in float32 and ties do not hang on the
    order of summation.
    """
    random = np.random.RandomState(5)

    def quarters(shape):
        return (random.randint(-4, 5, shape) / 4).astype(np.float32)

    sentences = [
        random.randint(0, TIES_WORDS, n % 9 + 1).astype(np.int32) for n in range(TIES_SENTENCES)
    ]
    out = {
        "tokens": np.concatenate(sentences),
        "offsets": np.cumsum([0] + [len(sentence) for sentence in sentences]).astype(np.int64),
        "labels": random.randint(0, 2, TIES_SENTENCES).astype(np.int32),
        "vectors": quarters((TIES_WORDS, TIES_DIM)),
    }
    model = CNN(TIES_DIM, TIES_FILTERS, F.relu)
    values = {name: quarters(value.shape) for name, value in sorted(weights(model).items())}
    set_weights(model, values)
    out.update(values)
    out.update(evaluate(model, sentences, out["labels"], out["vectors"]))
    return out


def save(path, arrays):
    """Write an .npz as ``np.savez_compressed`` would, but without the time.

    NumPy stamps each member with the time of writing; here two runs write the
    same bytes.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(arrays[name]), allow_pickle=False)
            info = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, member.getvalue())


def main():
    """Make the arrays, write them and list them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of rt-polarity.pos and rt-polarity.neg")
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chainer2.npz")
    parser.add_argument("--out", default=beside, help="default: chainer2.npz beside this script")
    args = parser.parse_args()
    print("Chainer", chainer.__version__, "NumPy", np.__version__)
    arrays = make(args.data)
    save(args.out, arrays)
    for name in sorted(arrays):
        print(name, arrays[name].dtype, arrays[name].shape)
    print(os.path.getsize(args.out), "bytes")


if __name__ == "__main__":
    main()
