"""The whole experiment once more, from the corpus file to the accuracies of all arms.

Written from the paper, from Kim (2014) and from what the README promises, in NumPy and
float64, sentence by sentence and filter by filter; it imports nothing of the package.
It is slow and short, so that it can be checked by eye.
"""

import re
import zlib

import numpy as np

ARMS = ("T1", "T2h", "T2l", "T1andT2h", "T1andT2l", "T1andT2", "T1andT2ran")


def generator(name, *seeds):
    """Named draws: one stream for each name and its numbers."""
    entropy = np.random.SeedSequence([zlib.crc32(name.encode()), *seeds])
    return np.random.RandomState(np.random.PCG64(entropy))


# --- 5.1, 5.3 (1): words and vectors --------------------------------------------------


def kim(text):
    """Kim's clean_str, rule by rule."""
    text = re.sub(r"[^A-Za-z0-9(),!?'`]", " ", text)
    for clitic in ("'s", "'ve", "n't", "'re", "'d", "'ll"):
        text = text.replace(clitic, " " + clitic)
    for mark in ",!()?":
        text = text.replace(mark, f" {mark} ")
    return text.strip().lower().split()


def read(path, tokens):
    """Sentences as lists of words, labels as numbers, and all words by first occurrence."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    pairs = [line.split("\t") for line in lines]
    sentences = [kim(text) if tokens == "kim" else text.lower().split() for _, text in pairs]
    names = sorted({label for label, _ in pairs}, key=int)
    labels = np.array([names.index(label) for label, _ in pairs])
    words = list(dict.fromkeys(word for sentence in sentences for word in sentence))
    return sentences, labels, words


def matrix(words, path, config, seed):
    """A vector for each word; those that the file lacks are drawn, all at once."""
    rows = dict(line.split(" ", 1) for line in path.read_text(encoding="utf-8").splitlines()[1:])
    known = [word in rows for word in words]
    vectors = np.array([np.array(rows.get(w, "0 " * 5).split(), dtype=np.float32) for w in words])
    vectors = vectors.astype(np.float64)
    fixed = config["unknown_words_seed"]
    draw = generator("unknown words", seed if fixed == -1 else fixed)
    if config["unknown_words"] == "uniform":
        others = draw.uniform(-0.25, 0.25, vectors.shape)
    elif config["unknown_words"] == "normal":
        others = draw.normal(0, vectors[known].std(), vectors.shape)
    else:
        others = np.zeros(vectors.shape)
    vectors[~np.array(known)] = others[~np.array(known)]
    return vectors.astype(np.float32).astype(np.float64)


# --- 4.2: the split --------------------------------------------------------------------


def split(labels, seed, how):
    """Sentences of T1, T2, T3."""
    n = len(labels)
    order = generator("split", seed).permutation(n).tolist()
    if how == "stratified":
        place = {}
        for label in set(labels.tolist()):
            members = [i for i in order if labels[i] == label]
            place.update({i: (k + 0.5) / len(members) for k, i in enumerate(members)})
        order = sorted(order, key=lambda i: place[i])  # stable: ties in the drawn order
    first, second = n * 45 // 100, n * 90 // 100
    return sorted(order[:first]), sorted(order[first:second]), sorted(order[second:])


# --- Fig. 2: the network -----------------------------------------------------------------


def weights(seed, labels, config, width):
    """Initial weights, drawn filters first."""
    draw = generator("initial weights", seed)
    F, C = config["n_filters"], len(set(labels.tolist()))
    made = {}
    for h, name in convolutions(config):
        if config["initial_weights"] == "kim":
            W = draw.uniform(-0.01, 0.01, (F, 1, h, width))
        else:
            W = draw.normal(0, np.sqrt(1 / (h * width)), (F, 1, h, width))
        made.update({f"{name}/W": W.reshape(F, h, width), f"{name}/b": np.zeros(F)})
    n = F * len(convolutions(config))
    if config["initial_weights"] == "kim":
        V = draw.uniform(-0.01, 0.01, (C, n))
    else:
        V = draw.normal(0, np.sqrt(1 / n), (C, n))
    return {**made, "fc/W": V, "fc/b": np.zeros(C)}


def convolutions(config):
    """Heights of filters, and the names of their weights."""
    heights = config["filter_height"]
    return [(heights, "conv")] if isinstance(heights, int) else [(h, f"conv{h}") for h in heights]


ACTIVATIONS = {
    "relu": (lambda z: max(z, 0.0), lambda z: float(z > 0)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
}


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def look(model, x, config, label=None, mask=None):
    """One sentence of word vectors x: logits, loss, and gradients by weights and words.

    Without a label, the loss is taken against the network's own label.
    """
    act, slope = ACTIVATIONS[config["activation"]]
    won, feature, slopes = [], [], []  # of each filter: its weights' name, number, first word
    for h, name in convolutions(config):
        wide = config["padding"] == "wide"
        starts = range(1 - h, len(x)) if wide else range(max(1, len(x) - h + 1))
        for f, (W, b) in enumerate(zip(model[f"{name}/W"], model[f"{name}/b"])):
            z = [float((W * window(x, p, h)).sum() + b) for p in starts]
            place = z.index(max(z))  # of equal values the first
            won.append((name, f, starts[place], h))
            feature.append(act(z[place]))
            slopes.append(slope(z[place]))
    V, c = model["fc/W"], model["fc/b"]
    mask = np.ones(len(won)) if mask is None else mask
    feature = np.array(feature) * mask
    logits = V @ feature + c
    p = softmax(logits)
    label = int(np.argmax(logits)) if label is None else label
    if config["loss"] == "probabilities":  # softmax twice
        q = softmax(p)
        loss, by_p = -np.log(q[label]), q - np.eye(len(q))[label]
        by_logits = p * (by_p - (p * by_p).sum())
    else:
        loss, by_logits = -np.log(p[label]), p - np.eye(len(p))[label]
    by_feature = (V.T @ by_logits) * mask * np.array(slopes)
    gradients = {"fc/W": np.outer(by_logits, feature), "fc/b": by_logits}
    by_word = np.zeros(x.shape)
    for g, (name, f, p, h) in zip(by_feature, won):
        for part in ("W", "b"):
            gradients.setdefault(f"{name}/{part}", np.zeros(model[f"{name}/{part}"].shape))
        gradients[f"{name}/W"][f] = g * window(x, p, h)
        gradients[f"{name}/b"][f] = g
        for k in range(h):
            if 0 <= p + k < len(x):
                by_word[p + k] += g * model[f"{name}/W"][f][k]
    return logits, loss, gradients, by_word


def window(x, p, h):
    """The h word vectors from word p on, with zeros where there is no word."""
    return np.array([x[i] if 0 <= i < len(x) else 0 * x[0] for i in range(p, p + h)])


# --- (1): optimisers ----------------------------------------------------------------------


def step(model, gradients, state, config):
    """One update of all weights, with weight decay before and max-norm after it."""
    rate, kind = config["learning_rate"], config["optimizer"]
    state["t"] = t = state.get("t", 0) + 1
    for name in model:
        g = gradients[name] + config["weight_decay"] * model[name]
        zero = np.zeros(g.shape)
        a, b = state.get(name, (zero, zero))
        if kind == "Adam":
            a, b = 0.9 * a + 0.1 * g, 0.999 * b + 0.001 * g**2
            model[name] = model[name] - rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * a / (
                np.sqrt(b) + 1e-8
            )
        elif kind == "SGD":
            model[name] = model[name] - rate * g
        elif kind == "MomentumSGD":
            a = 0.9 * a - rate * g
            model[name] = model[name] + a
        elif kind == "AdaGrad":
            a = a + g**2
            model[name] = model[name] - rate * g / (np.sqrt(a) + 1e-8)
        elif kind == "AdaDelta":
            a = 0.95 * a + 0.05 * g**2
            moved = np.sqrt((b + 1e-6) / (a + 1e-6)) * g
            b = 0.95 * b + 0.05 * moved**2
            model[name] = model[name] - moved
        state[name] = a, b
    if config["max_norm"]:
        for row in model["fc/W"]:
            length = np.sqrt((row**2).sum())
            if length > config["max_norm"]:
                row *= config["max_norm"] / length


# --- 4.3: one training run ------------------------------------------------------------------


class Training:
    """A network, its optimiser's state, and what is measured after every epoch."""

    def __init__(self, data, model, vectors, config, state=None, constant=None):
        self.sentences, self.labels = data
        self.constant = constant if config["vectors_mode"] == "multichannel" else None
        self.model, self.vectors, self.config = model, vectors, config
        self.state = {} if state is None else state

    def words(self, i):
        rows = self.vectors[self.sentences[i]]
        return rows if self.constant is None else rows + self.constant[self.sentences[i]]

    def train(self, chosen, seed, evaluation, recorded=()):
        """All epochs: (accuracy, loss) on the evaluation set, and saliency of those recorded."""
        config = self.config
        finetuned = config["vectors_mode"] != "static"
        curve, saliency = [], []
        if config["record_epoch_0"]:
            curve.append(self.evaluate(evaluation))
            saliency.append(self.saliency(recorded))
        for epoch in range(config["epochs"]):
            order = generator("order", seed, epoch).permutation(len(chosen))
            dropout = generator("dropout", seed, epoch)
            for start in range(0, len(chosen), config["batch_size"]):
                batch = [chosen[k] for k in order[start : start + config["batch_size"]]]
                masks = [None] * len(batch)
                if config["dropout"]:
                    kept = dropout.random_sample((len(batch), self.model["fc/W"].shape[1]))
                    masks = (kept >= config["dropout"]) / (1 - config["dropout"])
                total = {name: np.zeros(value.shape) for name, value in self.model.items()}
                rows = np.zeros(self.vectors.shape)
                for i, mask in zip(batch, masks):
                    _, _, gradients, by_word = look(
                        self.model, self.words(i), config, self.labels[i], mask
                    )
                    for name, value in gradients.items():
                        total[name] += value / len(batch)
                    for word, g in zip(self.sentences[i], by_word):
                        rows[word] += g / len(batch)
                model = dict(self.model)
                if finetuned:
                    model["embed/W"], total["embed/W"] = self.vectors, rows
                before = self.state.get("embed/W", (0 * rows, 0 * rows))
                step(model, total, self.state, config)
                if finetuned and config["absent_words"] == "stay":
                    there = np.unique([word for i in batch for word in self.sentences[i]])
                    absent = np.setdiff1d(np.arange(len(rows)), there)
                    model["embed/W"][absent] = self.vectors[absent]
                    for old, new in zip(before, self.state["embed/W"]):
                        new[absent] = old[absent]
                self.vectors = model.pop("embed/W", self.vectors)
                self.model = model
            curve.append(self.evaluate(evaluation))
            saliency.append(self.saliency(recorded))
        return np.array(curve), np.array(saliency)

    def evaluate(self, sentences):
        found = [look(self.model, self.words(i), self.config, self.labels[i]) for i in sentences]
        right = [int(np.argmax(f[0]) == self.labels[i]) for f, i in zip(found, sentences)]
        return np.mean(right), np.mean([f[1] for f in found])

    def saliency(self, sentences):
        """Eqs (4) and (6): a number for each word of each sentence, one after another."""
        rows = [look(self.model, self.words(i), self.config)[3] for i in sentences]
        return np.concatenate([np.abs(g).mean(axis=1) for g in rows]) if rows else np.zeros(0)


# --- eqs (7) to (10): unstable words and sentences ------------------------------------------


def word_instability(saliency, tokens, config):
    """wac of each word that occurs: word -> mean over its occurrences."""
    ddof = int(config["variance"] == "sample")
    found = {}
    for word, course in zip(tokens, saliency.T):
        found.setdefault(word, []).append(np.var(np.diff(course), ddof=ddof))
    return {word: np.mean(values) for word, values in found.items()}


def sentence_instability(wac, sentence, config):
    """A_S of one sentence."""
    words = list(dict.fromkeys(sentence)) if config["repeated_words"] == "once" else sentence
    values = [wac.get(word, 0.0 if config["unseen_words"] == "zero" else None) for word in words]
    values = [value for value in values if value is not None]
    return np.mean(values) if values else 0.0


# --- section 4: all of it -----------------------------------------------------------------


def experiment(corpus, vectors, config, seed):
    """Everything of one seed.

    Returns:
        dict: words, split, saliency, wac, scores, arms, curves, weights.
    """
    texts, labels, words = read(corpus, config["tokens"])
    number = {word: i for i, word in enumerate(words)}
    sentences = [[number[word] for word in text] for text in texts]
    table = matrix(words, vectors, config, seed)
    t1, t2, t3 = split(labels, seed, config["split"])

    def start(model=None, rows=table, state=None):
        model = model or weights(seed, labels, config, table.shape[1])
        return Training((sentences, labels), dict(model), rows, config, state, table)

    first = start()
    curves = {}
    curves["T1"], saliency = first.train(t1, seed, t3, t1)
    wac = word_instability(saliency, [word for i in t1 for word in sentences[i]], config)
    scores = [sentence_instability(wac, sentences[i], config) for i in t2]
    ranked = [i for _, i in sorted(zip(scores, t2), key=lambda pair: (-pair[0], pair[1]))]
    half = len(t2) // 2
    h, l = sorted(ranked[:half]), sorted(ranked[-half:])
    ran = generator("random arm", seed).permutation(t2)[:half].tolist()
    arms = {"T1": t1, "T2h": h, "T2l": l, "T1andT2h": t1 + h, "T1andT2l": t1 + l}
    arms.update({"T1andT2": t1 + t2, "T1andT2ran": t1 + ran})
    made = {"T1": first}
    for arm in ARMS[1:]:
        arms[arm] = sorted(arms[arm])
        if arm in ("T2h", "T2l"):  # these go on from the weights of the first phase
            carried = dict(first.state) if config["optimizer_state"] == "carried" else None
            made[arm] = start(first.model, first.vectors, carried)
        else:
            made[arm] = start()
        curves[arm], _ = made[arm].train(arms[arm], seed, t3)
    return {
        "words": words, "split": (t1, t2, t3), "saliency": saliency, "wac": wac, "scores": scores,
        "arms": arms, "curves": curves,
        "weights": {arm: {**one.model, "embed/W": one.vectors} for arm, one in made.items()},
    }  # fmt: skip
