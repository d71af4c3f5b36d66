"""Against independent implementations on the same weights: PyTorch, Captum and SciPy.

PyTorch computes in float64, so that what is seen is this package's own
rounding.  A difference is relative to the largest number of the array: a sum
of float32 rounds in proportion to its terms, not to what they leave.
"""

import functools

import numpy as np
import pytest
from scipy import stats

from replicate import claims, inference, saliency, statistics
from replicate.beyond import convergence, faithful
from replicate.config import Config
from replicate.fast import convolution as functions
from replicate.model import TextCNN
from replicate.saliency import classify, flat_batch, word_saliency
from replicate.training import make_optimizer

# What is against SciPy needs no PyTorch.
try:
    import captum.attr
    import torch
except ImportError:
    torch = None


def needs_torch(test):
    """Mark a test against PyTorch; without PyTorch it is left out, or fails where it is required."""
    return pytest.mark.torch(pytest.mark.usefixtures("torch")(test))


WORDS, D, N_FILTERS = 50, 12, 7
RANDOM = np.random.RandomState(0)
VECTORS = RANDOM.uniform(-1, 1, (WORDS + 1, D)).astype(np.float32)
VECTORS[0] = 0
LENGTHS = [1, 2, 3, 4, 5, 8, 13, 1, 6, 9]
OFFSETS = np.cumsum([0, *LENGTHS])
# No word twice in a sentence, so no maximum is tied: see the test of ties.
TOKENS = np.concatenate([RANDOM.permutation(WORDS)[:n] for n in LENGTHS]).astype(np.int32)

FORM = pytest.mark.parametrize("form", ["fused", "reference"])
ACTIVATION = pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
PADDING = pytest.mark.parametrize("padding", ["wide", "narrow"])
HEIGHT = pytest.mark.parametrize("height", [*range(1, 6), (3, 4, 5), (1, 5)])


def far(made, wanted):
    """Greatest difference, relative to the largest number wanted."""
    made, wanted = np.asarray(made, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    assert made.shape == wanted.shape
    return float(np.abs(made - wanted).max() / np.abs(wanted).max())


def model_of(form, labels=2, **readings):
    """A network with biases, which Chainer's first weights lack, and its sentences."""
    model = TextCNN(VECTORS, labels, Config(n_filters=N_FILTERS, **readings), 0, form)
    random = np.random.RandomState(1)
    for conv in model.convolutions:
        conv.b.array[:] = random.uniform(-0.3, 0.3, N_FILTERS)
    model.fc.b.array[:] = random.uniform(-0.3, 0.3, labels)
    truth = random.randint(0, labels, len(LENGTHS)).astype(np.int32)
    return model, flat_batch(model, TOKENS, OFFSETS, truth)


# --- The network in PyTorch ------------------------------------------------------------


def copied(model):
    """Trainable float64 copies of all weights, by Chainer's names."""
    arrays = model.weights(embedding=True)
    if model.config.vectors_mode == "multichannel":
        arrays["constant"] = VECTORS
    return {n: torch.tensor(a, dtype=torch.float64, requires_grad=True) for n, a in arrays.items()}


def embedded(weights, model, tokens=TOKENS, offsets=OFFSETS):
    """Sentences as (B, L + 2 (h - 1), D), padded on the right to the longest; lengths (B,)."""
    highest = max(model.config.heights)
    around = highest - 1 if model.config.padding == "wide" else 0
    parts = [torch.as_tensor(tokens[a:b] + 1) for a, b in zip(offsets[:-1], offsets[1:])]
    width = max(max(map(len, parts)) + 2 * around, highest)
    ids = torch.zeros((len(parts), width), dtype=torch.long)
    for row, part in zip(ids, parts):
        row[around : around + len(part)] = part
    x = weights["embed/W"][ids]
    if "constant" in weights:
        x = x + weights["constant"].detach()[ids]
    return x, torch.tensor([len(part) for part in parts])


def logits_of(weights, config, x, lengths):
    """Fig. 2 as one writes it in PyTorch: conv2d, activation, mask, max, linear."""
    act = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[config.activation]
    heights, features = config.heights, []
    for height in heights:
        name = "conv" if len(heights) == 1 else f"conv{height}"
        own = x
        if config.padding == "wide":  # as much padding as this height has
            less = max(heights) - height
            own, windows = x[:, less : x.shape[1] - less], lengths + height - 1
        else:
            windows = (lengths - height).clamp(min=0) + 1
        h = torch.nn.functional.conv2d(own[:, None], weights[f"{name}/W"], weights[f"{name}/b"])
        outside = torch.arange(h.shape[2]) >= windows[:, None]
        features.append(act(h)[..., 0].masked_fill(outside[:, None], -torch.inf).max(dim=2).values)
    return torch.nn.functional.linear(torch.cat(features, 1), weights["fc/W"], weights["fc/b"])


def loss_of(config, logits, labels, reduction):
    if config.loss == "probabilities":
        logits = logits.softmax(1)
    return torch.nn.functional.cross_entropy(logits, labels, reduction=reduction)


def of_words(per_place, model, lengths):
    """(T,) numbers of words from (B, L) of places."""
    around = max(model.config.heights) - 1 if model.config.padding == "wide" else 0
    return torch.cat([row[around : around + n] for row, n in zip(per_place, lengths)]).numpy()


def torch_saliency(model, tokens=TOKENS, offsets=OFFSETS):
    """Eqs 4-6 by PyTorch's autograd: saliency, own labels, probabilities."""
    weights = copied(model)
    x, lengths = embedded(weights, model, tokens, offsets)
    x = x.detach().requires_grad_(True)
    logits = logits_of(weights, model.config, x, lengths)
    own = logits.argmax(1)
    loss = loss_of(model.config, logits, own, "sum")
    (gradient,) = torch.autograd.grad(loss, x)
    found = of_words(gradient.abs().mean(2), model, lengths)
    return found, own.numpy(), logits.softmax(1).detach().numpy()


# --- What the network gives --------------------------------------------------------------


@needs_torch
@FORM
@PADDING
@HEIGHT
@ACTIVATION
def test_saliency_and_probabilities(form, padding, height, activation):
    """Logits, probabilities and eqs 4-6."""
    model, batch = model_of(form, padding=padding, filter_height=height, activation=activation)
    token_saliency, own, probabilities = torch_saliency(model)
    looked = word_saliency(model, batch)
    assert far(looked.token_saliency, token_saliency) < 1e-5
    np.testing.assert_array_equal(looked.predicted, own)
    assert far(classify(model, batch).probabilities, probabilities) < 1e-5
    weights = copied(model)
    logits = logits_of(weights, model.config, *embedded(weights, model)).detach().numpy()
    assert far(model.head(model.features(batch)).array, logits) < 1e-5
    assert far(looked.uncertainty, 1 - probabilities.max(axis=1)) < 1e-5


@needs_torch
@FORM
@PADDING
@pytest.mark.parametrize("readings", [{"labels": 3}, {"loss": "probabilities"}])
def test_other_readings(form, padding, readings):
    """Three labels; softmax twice."""
    model, batch = model_of(form, padding=padding, **readings)
    token_saliency, own, _ = torch_saliency(model)
    looked = word_saliency(model, batch)
    assert far(looked.token_saliency, token_saliency) < 1e-5
    np.testing.assert_array_equal(looked.predicted, own)


@needs_torch
@FORM
def test_ties(form):
    """Of equal windows the first, as torch.max documents it; exact numbers, so that they tie."""
    model, _ = model_of(form)
    for name, param in sorted(model.namedparams()):
        param.array[...] = np.random.RandomState(len(name)).randint(-4, 5, param.shape) / 4
    model.embed.W = np.random.RandomState(2).randint(-4, 5, VECTORS.shape).astype(np.float32) / 4
    model.embed.W[0] = 0
    model.fc.W.array /= 8  # no sentence so sure that p_R - 1 is all rounding
    tokens = np.array([1, 2] * 4 + [3] * 8 + [4, 5, 6] * 4, dtype=np.int32)
    offsets = np.array([0, 8, 16, 28])
    token_saliency, _, _ = torch_saliency(model, tokens, offsets)
    made = word_saliency(model, flat_batch(model, tokens, offsets)).token_saliency
    assert far(made, token_saliency) < 1e-5
    backwards = np.concatenate([made[a:b][::-1] for a, b in zip(offsets[:-1], offsets[1:])])
    assert far(backwards, token_saliency) > 0.1


@needs_torch
@FORM
@PADDING
@HEIGHT
@ACTIVATION
def test_gradients(form, padding, height, activation):
    """Of the mean training loss by every weight, the word vectors included."""
    readings = {"padding": padding, "filter_height": height, "activation": activation}
    mode = "multichannel" if height in (2, (3, 4, 5)) else "finetuned"
    model, batch = model_of(form, vectors_mode=mode, **readings)
    for name, distance in gradient_distances(model, batch).items():
        assert distance < 1e-5, name


def gradient_distances(model, batch):
    weights = copied(model)
    logits = logits_of(weights, model.config, *embedded(weights, model))
    loss = loss_of(model.config, logits, torch.as_tensor(batch.labels, dtype=torch.long), "mean")
    loss.backward()
    model.cleargrads()
    made = model.training_loss(batch)
    made.backward()
    distances = {"loss": far(made.array, loss.detach().numpy())}
    for name, param in model.namedparams():
        wanted = weights[name[1:]].grad.numpy()
        if name == "/embed/W":
            wanted[0] = 0  # padding is no word: PyTorch was not told so
        distances[name[1:]] = far(param.grad, wanted)
    return distances


@needs_torch
@FORM
@PADDING
@ACTIVATION
def test_captum(form, padding, activation):
    """Captum's Saliency of each sentence's own-label loss, then the mean over dimensions."""
    model, batch = model_of(form, padding=padding, activation=activation)
    weights = copied(model)
    x, lengths = embedded(weights, model)

    def sentence_loss(x):
        logits = logits_of(weights, model.config, x, lengths)
        return loss_of(model.config, logits, logits.argmax(1), "none")

    attribution = captum.attr.Saliency(sentence_loss)
    found = attribution.attribute(x.detach().requires_grad_(True), abs=True)
    wanted = of_words(found.mean(2), model, lengths)
    assert far(word_saliency(model, batch).token_saliency, wanted) < 1e-5
    # Twin: the gradient of the own label's logit, as one often sees it, is not eq. (4).
    plain = captum.attr.Saliency(lambda x: logits_of(weights, model.config, x, lengths))
    own = logits_of(weights, model.config, x, lengths).argmax(1)
    other = plain.attribute(x.detach().requires_grad_(True), target=own, abs=True)
    assert far(of_words(other.mean(2), model, lengths), wanted) > 0.1


@needs_torch
@PADDING
@ACTIVATION
@pytest.mark.parametrize("labels, height", [(2, 3), (2, (2, 4)), (3, 3)])
def test_other_attributions(labels, height, padding, activation):
    """Captum's integrated gradients and gradient x input of the log odds; norms of its gradients."""
    model, _ = model_of(
        "fused", labels, padding=padding, activation=activation, filter_height=height
    )
    found = faithful.attributions(model, TOKENS, OFFSETS, np.random.RandomState(2), steps=16)
    weights = copied(model)
    x, lengths = embedded(weights, model)
    x = x.detach().requires_grad_(True)
    rows = torch.arange(len(LENGTHS))
    own = logits_of(weights, model.config, x, lengths).argmax(1)

    def logits(x):
        # Captum puts all steps of all sentences into one batch.
        return logits_of(weights, model.config, x, lengths.repeat(len(x) // len(lengths)))

    def odds(x):
        p = logits(x).softmax(1)[torch.arange(len(x)), own.repeat(len(x) // len(own))]
        return torch.log(p) - torch.log1p(-p)

    integrated = captum.attr.IntegratedGradients(odds)
    kinds = {
        "integrated_gradients": integrated.attribute(x, n_steps=16, method="riemann_middle"),
        "gradient_x_input": captum.attr.InputXGradient(odds).attribute(x),
    }
    for name, values in kinds.items():
        wanted = of_words(values.detach().sum(2), model, lengths)
        assert far(found[name], wanted) < 2e-5, name
    gradients = {
        "odds": torch.autograd.grad(odds(x).sum(), x)[0],
        "logit": torch.autograd.grad(logits(x)[rows, own].sum(), x)[0],
    }
    for name, kind, order in (
        ("odds_l2", "odds", 2),
        ("logit_l2", "logit", 2),
        ("logit_l1", "logit", 1),
    ):
        wanted = of_words(gradients[kind].norm(order, dim=2), model, lengths)
        assert far(found[name], wanted) < 2e-5, name
    # Twin: another rule of the path, and another target, are seen.
    left = integrated.attribute(x, n_steps=16, method="riemann_left").detach().sum(2)
    assert far(found["integrated_gradients"], of_words(left, model, lengths)) > 1e-3
    assert far(found["odds_l2"], found["logit_l2"]) > 1e-2


# --- Steps of the optimisers ---------------------------------------------------------------

STEPS = 10
RATE = 0.01
#: Chainer's defaults in torch.optim's names; AdaDelta has no rate, and 1 stands for that.
THEIRS = {
    "SGD": lambda p: torch.optim.SGD(p, RATE),
    "MomentumSGD": lambda p: torch.optim.SGD(p, RATE, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, RATE, eps=1e-8),
    "AdaGrad": lambda p: torch.optim.Adagrad(p, RATE, eps=1e-8),
    "AdaDelta": lambda p: torch.optim.Adadelta(p, 1.0, rho=0.95, eps=1e-6),
}


def chainers_eps(group, step):
    """Chainer's Adam divides by sqrt(v) + eps, PyTorch's by sqrt(v / (1 - beta2^t)) + eps."""
    group["eps"] = 1e-8 / (1 - 0.999**step) ** 0.5


def steps(form, name, before_step=None, activation="tanh"):
    """Greatest difference from PyTorch after some steps, by weight."""
    model, batch = model_of(form, optimizer=name, learning_rate=RATE, activation=activation)
    weights = copied(model)
    truth = torch.as_tensor(batch.labels, dtype=torch.long)
    optimizer = make_optimizer(model, model.config)
    trained = [weights[n[1:]] for n, _ in model.namedparams()]
    theirs = THEIRS[name](trained)
    x, lengths = embedded(weights, model)
    x = x.detach()
    for step in range(1, STEPS + 1):
        optimizer.update(model.training_loss, batch)
        theirs.zero_grad()
        logits = logits_of(weights, model.config, x, lengths)
        loss_of(model.config, logits, truth, "mean").backward()
        if before_step:
            before_step(theirs.param_groups[0], step)
        theirs.step()
    return {n[1:]: far(p.array, weights[n[1:]].detach().numpy()) for n, p in model.namedparams()}


@needs_torch
@FORM
@pytest.mark.parametrize("name", ["SGD", "MomentumSGD", "AdaGrad", "AdaDelta"])
def test_steps(form, name):
    """Ten steps on the whole batch: every weight within 1e-5."""
    assert max(steps(form, name).values()) < 1e-5


@needs_torch
@FORM
def test_steps_of_adam(form):
    """Within 1e-5 where eps stands as Chainer has it, within 1e-4 where as PyTorch has it.

    Chainer folds the bias correction into the rate, alpha sqrt(1 - beta2^t) /
    (1 - beta1^t) * m / (sqrt(v) + eps); PyTorch corrects v before it adds eps.
    The one is the other with eps / sqrt(1 - beta2^t): 3e-7 at the first step.
    A step is then smaller by 3e-7 / |g|, which is 1 % of the rate for |g| of
    3e-5: 1e-4 of a weight.
    """
    assert max(steps(form, "Adam", chainers_eps).values()) < 1e-5
    assert max(steps(form, "Adam").values()) < 1e-4


@needs_torch
def test_the_place_of_eps_is_seen():
    """Twin: with an eps as large as the gradients its place matters, and Chainer's is ours."""
    alpha, beta1, beta2, eps = 0.01, 0.9, 0.999, 1e-2
    found = {}
    for form in ("fused", "reference"):
        config = Config(n_filters=N_FILTERS, optimizer="Adam", learning_rate=alpha)
        model = TextCNN(VECTORS, 2, config, 0, form)
        optimizer = make_optimizer(model, config)
        optimizer.hyperparam.eps = eps
        before, param = model.conv.W.array.astype(np.float64), model.conv.W
        model.cleargrads()
        for p in model.params():
            p.grad = np.full(p.shape, 1e-2, dtype=np.float32)
        optimizer.update()
        found[form] = (before - param.array).mean()
    m, v = (1 - beta1) * 1e-2, (1 - beta2) * 1e-4
    rate = alpha * (1 - beta2) ** 0.5 / (1 - beta1)
    chainers = rate * m / (v**0.5 + eps)
    torchs = alpha * (m / (1 - beta1)) / ((v / (1 - beta2)) ** 0.5 + eps)
    for step in found.values():
        assert step == pytest.approx(chainers, rel=1e-3)
        assert step != pytest.approx(torchs, rel=0.5)


# --- Twins -----------------------------------------------------------------------------


def averaged(logits, own, *loss, real=saliency._at_logits):
    gradient, doubt = real(logits, own, *loss)
    return gradient / len(own), doubt


@needs_torch
@pytest.mark.parametrize("kind", ["mean of losses", "filter row", "sum over dimensions"])
def test_broken_saliency_is_seen(kind, monkeypatch):
    """Each of these is far from PyTorch's."""
    model, batch = model_of("fused")
    wanted, _, _ = torch_saliency(model)
    real = functions.mean_absolute_gradient
    if kind == "mean of losses":
        monkeypatch.setattr(saliency, "_at_logits", averaged)
    elif kind == "filter row":
        monkeypatch.setattr(
            functions, "mean_absolute_gradient", lambda *a: real(*a[:3], a[3][:, :, ::-1], *a[4:])
        )
    else:
        monkeypatch.setattr(functions, "mean_absolute_gradient", lambda *a: D * real(*a))
    assert far(word_saliency(model, batch).token_saliency, wanted) > 0.01


@needs_torch
def test_broken_gradients_are_seen(monkeypatch):
    """A filter row swapped in the backward pass; words of a window left out."""
    for name, index in (("_gradient_of_filters", "conv/W"), ("_gradient_of_words", "embed/W")):
        real = getattr(functions, name)
        with monkeypatch.context() as patch:
            patch.setattr(functions, name, functools.partial(lambda real, *a: real(*a)[::-1], real))
            model, batch = model_of("fused", vectors_mode="finetuned")
            distances = gradient_distances(model, batch)
        assert distances.pop(index) > 0.1 and max(distances.values()) < 1e-5


@needs_torch
@pytest.mark.parametrize(
    "name, setting, value",
    [("SGD", "lr", 0.0101), ("Adam", "beta1", 0.89), ("AdaDelta", "rho", 0.94)],
)
def test_another_setting_is_seen(name, setting, value, monkeypatch):
    """One setting of an optimiser a little off."""
    real = make_optimizer

    def detuned(model, config):
        made = real(model, config)
        setattr(made.hyperparam, setting, value)
        return made

    monkeypatch.setitem(globals(), "make_optimizer", detuned)
    assert max(steps("fused", name, chainers_eps if name == "Adam" else None).values()) > 1e-5


# --- Statistics of the claims against SciPy ---------------------------------------------

VALUES = [np.random.RandomState(i).normal(0.004, 0.01, n) for i, n in enumerate((3, 5, 20))]


@pytest.mark.parametrize("values", VALUES, ids=len)
def test_a_t_test_is_a_paired_t_test(values):
    """Interval and both one-sided p."""
    found = inference.t_test(values)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-12)
    for p, side in ((found.p_above, "greater"), (found.p_below, "less")):
        assert p == pytest.approx(stats.ttest_1samp(values, 0, alternative=side).pvalue, rel=1e-12)
    # Twin: the interval of another sample is wider.
    wide = inference.another_sample_interval(values.mean(), values.std(ddof=1), len(values))
    assert wide[1] - wide[0] > 1.05 * (interval.high - interval.low)


# --- Statistics of the claims against statsmodels -----------------------------------------


@pytest.fixture
def sm(missing):
    """statsmodels; without it a test is left out, or fails where parity is required."""
    try:
        import statsmodels.api
        import statsmodels.stats.api
    except ImportError:
        missing("torch", "statsmodels is not installed (`make parity` installs it)")
    return statsmodels


SAMPLES = [np.random.RandomState(i).normal(0.004, 0.01, n) for i, n in enumerate((3, 20, 200))]
#: What the two libraries may differ by, relative to the number.
CLOSE = 1e-9


def about(values):
    return values.mean(), values.std(ddof=1), len(values)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 31])
@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_interval_of_the_mean(sm, values, alpha):
    wanted = sm.stats.api.DescrStatsW(values).tconfint_mean(alpha)
    assert inference.mean_interval(*about(values), alpha) == pytest.approx(wanted, rel=CLOSE)


@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_interval_of_one_run(sm, values):
    """A regression on nothing but a constant predicts one more observation."""
    fitted = sm.api.OLS(values, np.ones(len(values))).fit()
    wanted = fitted.get_prediction([1.0]).conf_int(obs=True, alpha=0.05)[0]
    assert inference.prediction_interval(*about(values)) == pytest.approx(wanted, rel=CLOSE)
    narrow = fitted.get_prediction([1.0]).conf_int(obs=False, alpha=0.05)[0]
    assert narrow[1] < wanted[1]


@pytest.mark.parametrize("values", SAMPLES, ids=len)
@pytest.mark.parametrize("shift", [0.0, 0.002, 0.006, 0.02])
def test_likeness_is_two_one_sided_tests(sm, values, shift):
    """An interval of 1 - alpha inside of the margin is TOST at alpha / 2."""
    alpha, margin = 0.02, 0.005
    low, high = inference.mean_interval(*about(values - shift), alpha)
    p, *_ = sm.stats.api.DescrStatsW(values - shift).ttost_mean(-margin, margin)
    assert (claims.alike_verdict(low, high, margin) == "alike") == (p < alpha / 2)


def test_holm_by_statsmodels(sm):
    p = np.random.RandomState(3).rand(31) ** 4
    wanted = sm.stats.api.multipletests(p, method="holm")[1]
    assert inference.holm(p) == pytest.approx(wanted, rel=CLOSE)


@pytest.mark.parametrize("spread", [0.0, 0.02])
@pytest.mark.parametrize("k", [2, 3, 7])
def test_several_studies_together(sm, k, spread):
    """Mean, interval of Hartung and Knapp and variance between studies, by statsmodels."""
    from statsmodels.stats.meta_analysis import combine_effects

    random = np.random.RandomState(k)
    errors = random.uniform(0.002, 0.01, k)
    means = 0.01 + spread * random.normal(size=k) + errors * random.normal(size=k)
    made = inference.random_effects(means, errors)
    theirs = combine_effects(means, errors**2, method_re="chi2", use_t=True)
    assert made.between**2 == pytest.approx(max(0, theirs.tau2), rel=CLOSE, abs=1e-15)
    if theirs.tau2 >= 0:  # a negative variance is 0 here
        low, high = theirs.conf_int(use_t=True)[3]  # random effects, Hartung and Knapp
        # Ours is never narrower than with known variances; theirs may be.
        known = 1 / np.sqrt((1 / (errors**2 + theirs.tau2)).sum())
        reach = max((high - low) / 2, stats.t.ppf(0.975, k - 1) * known)
        mean = theirs.mean_effect_re
        wanted = (mean, mean - reach, mean + reach)
        assert (made.mean, made.low, made.high) == pytest.approx(wanted, rel=1e-7)
    assert made.p_between == pytest.approx(stats.chi2.sf(theirs.q, k - 1), rel=CLOSE)


@pytest.mark.parametrize(("hits", "runs"), [(0, 20), (7, 20), (20, 20), (45, 180)])
def test_interval_of_a_share(sm, hits, runs):
    wanted = sm.stats.api.proportion_confint(hits, runs, method="beta")
    assert inference.share_interval(hits, runs) == pytest.approx(wanted, rel=CLOSE)


def test_fall_is_scipys_regression():
    """O5's change over a window is the slope of linregress times the window."""
    epochs = np.arange(1.0, 51)
    accuracy = 0.78 - 2e-4 * epochs + np.random.RandomState(0).normal(0, 0.003, 50)
    inside = (epochs >= 20) & (epochs <= 50)
    slope = stats.linregress(epochs[inside], accuracy[inside]).slope
    made = statistics._change(epochs, accuracy, 20, 50)
    assert made == pytest.approx(30 * slope, rel=1e-9)
    assert made != pytest.approx(accuracy[-1] - accuracy[19], rel=0.05)


def test_matched_words_are_of_one_distribution():
    """Unstable words and their matches: the same counts by SciPy's rank test, wac apart."""
    random = np.random.RandomState(0)
    count = random.zipf(1.7, 3000).clip(max=500)
    wac = random.gamma(1, 1 / np.sqrt(count))  # rare words are the unstable ones
    unstable, stable = convergence.matched_words(wac, count, 0)
    assert len(unstable) > 100
    assert stats.ks_2samp(count[unstable], count[stable]).pvalue == 1.0
    assert stats.wilcoxon(wac[unstable], wac[stable], alternative="greater").pvalue < 1e-6
    # Twin: the most unstable against the most stable are not of one distribution.
    ranked = np.flatnonzero(count >= 2)[np.argsort(-wac[count >= 2])]
    ends = count[ranked[: len(unstable)]], count[ranked[-len(unstable) :]]
    assert stats.ks_2samp(*ends).pvalue < 1e-3
