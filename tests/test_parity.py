"""Against independent implementations on the same weights: PyTorch's autograd and Captum."""

import numpy as np
import pytest

from replicate import compat  # noqa: F401  (before chainer)

from replicate.config import Config
from replicate.model import TextCNN
from replicate.saliency import classify, flat_batch, word_saliency
from replicate.training import make_optimizer

torch = pytest.importorskip("torch", reason="PyTorch is not installed: `make parity` installs it")
captum = pytest.importorskip("captum.attr", reason="Captum is not installed: `make parity` installs it")

RANDOM = np.random.RandomState(0)
WORDS, D, F = 50, 12, 7
VECTORS = np.concatenate([np.zeros((1, D)), RANDOM.uniform(-1, 1, (WORDS, D))]).astype(np.float32)
LENGTHS = np.array([1, 2, 3, 5, 8, 13, 1, 6, 6, 9])
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
TOKENS = RANDOM.randint(0, WORDS, OFFSETS[-1]).astype(np.int32)
LABELS = RANDOM.randint(0, 2, len(LENGTHS)).astype(np.int32)


class Net(torch.nn.Module):
    """The network of Fig. 2 in PyTorch, one sentence at a time: no padding to hide anything."""

    def __init__(self, model):
        super().__init__()
        config = model.config
        self.height, self.wide = config.filter_height, config.padding == "wide"
        self.act = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[config.activation]
        self.conv = torch.nn.Conv1d(D, F, self.height)
        self.fc = torch.nn.Linear(F, 2)
        with torch.no_grad():
            weight = torch.from_numpy(model.conv.W.array[:, 0].transpose(0, 2, 1).copy())
            self.conv.weight.copy_(weight)
            self.conv.bias.copy_(torch.from_numpy(model.conv.b.array.copy()))
            self.fc.weight.copy_(torch.from_numpy(model.fc.W.array.copy()))
            self.fc.bias.copy_(torch.from_numpy(model.fc.b.array.copy()))

    def forward(self, x):
        """Logits (1, 2) of word vectors (1, L, D)."""
        missing = max(0, self.height - x.shape[1])
        around = (self.height - 1, self.height - 1) if self.wide else (0, missing)
        x = torch.nn.functional.pad(x.transpose(1, 2), around)
        return self.fc(self.act(self.conv(x)).max(dim=2).values)


def sentences():
    return [torch.from_numpy(VECTORS[TOKENS[a:b] + 1])[None] for a, b in zip(OFFSETS[:-1], OFFSETS[1:])]


def model_of(form, seed=0, **readings):
    model = TextCNN(VECTORS, 2, Config(n_filters=F, **readings), seed, form)
    model.conv.b.array[:] = np.random.RandomState(1).uniform(-0.3, 0.3, F)
    return model, flat_batch(model, TOKENS, OFFSETS, LABELS)


CASES = pytest.mark.parametrize("padding", ["wide", "narrow"])
HEIGHTS = pytest.mark.parametrize("height", range(1, 6))
ACTIVATIONS = pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
FORMS = pytest.mark.parametrize("form", ["fused", "reference"])


@FORMS
@CASES
@HEIGHTS
@ACTIVATIONS
def test_pytorch(form, padding, height, activation):
    """Probabilities, losses, gradients of all weights and word saliency, to 1e-5."""
    model, batch = model_of(form, padding=padding, filter_height=height, activation=activation)
    net = Net(model)
    found, looked = classify(model, batch), word_saliency(model, batch)
    losses, saliency = [], []
    for s, x in enumerate(sentences()):
        x = x.clone().requires_grad_(True)
        logits = net(x)
        np.testing.assert_allclose(
            torch.softmax(logits, 1)[0].detach().numpy(), found.probabilities[s], rtol=1e-5, atol=1e-7
        )
        own = logits.argmax(1)
        assert int(own) == looked.predicted[s]
        (grad,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, own), x)
        saliency.append(grad[0].abs().mean(1).numpy())
        losses.append(torch.nn.functional.cross_entropy(net(x), torch.tensor([int(LABELS[s])])))
    scale = max(part.max() for part in saliency)
    np.testing.assert_allclose(looked.token_saliency, np.concatenate(saliency), rtol=1e-5, atol=1e-6 * scale)
    np.testing.assert_allclose(found.loss, torch.stack(losses).detach().numpy(), rtol=1e-5, atol=1e-6)
    torch.stack(losses).mean().backward()
    model.cleargrads()
    model.training_loss(batch).backward()
    for ours, theirs in (
        (model.conv.W.grad[:, 0].transpose(0, 2, 1), net.conv.weight.grad),
        (model.conv.b.grad, net.conv.bias.grad),
        (model.fc.W.grad, net.fc.weight.grad),
        (model.fc.b.grad, net.fc.bias.grad),
    ):
        theirs = theirs.numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * np.abs(theirs).max())


@FORMS
@ACTIVATIONS
def test_captum(form, activation):
    """Captum's Saliency of the loss against the own label, its mean over dimensions."""
    model, batch = model_of(form, activation=activation)
    net, looked = Net(model), word_saliency(model, batch)

    def loss(x):
        logits = net(x)
        return torch.nn.functional.cross_entropy(logits, logits.argmax(1), reduction="none")

    attributed = [
        captum.Saliency(loss).attribute(x.clone().requires_grad_(True), abs=True)[0].mean(1).numpy()
        for x in sentences()
    ]
    expected = np.concatenate(attributed)
    np.testing.assert_allclose(looked.token_saliency, expected, rtol=1e-5, atol=1e-6 * expected.max())


@FORMS
@pytest.mark.parametrize("name", ["SGD", "Adam", "MomentumSGD", "AdaGrad", "AdaDelta"])
def test_optimisers(form, name):
    """Ten steps of the same gradients against torch.optim, weights to 1e-5.

    Gradients are 0.1 to 1 in size: Chainer's Adam folds the bias correction
    into the rate, so its epsilon of 1e-8 is up to 30 times PyTorch's, which
    shows where a gradient is no larger than it.
    """
    rate = 1.0 if name == "AdaDelta" else 0.01
    model, _ = model_of(form, optimizer=name, learning_rate=rate)
    optimizer = make_optimizer(model, model.config)
    ours = [param for _, param in sorted(model.namedparams())]
    copies = [torch.nn.Parameter(torch.from_numpy(param.array.copy())) for param in ours]
    theirs = {
        "SGD": lambda p: torch.optim.SGD(p, rate),
        "Adam": lambda p: torch.optim.Adam(p, rate),
        "MomentumSGD": lambda p: torch.optim.SGD(p, rate, momentum=0.9),
        "AdaGrad": lambda p: torch.optim.Adagrad(p, rate, eps=1e-8),
        "AdaDelta": lambda p: torch.optim.Adadelta(p, 1.0, rho=0.95, eps=1e-6),
    }[name](copies)
    random = np.random.RandomState(2)
    for _ in range(10):
        for param, copy in zip(ours, copies):
            size = random.uniform(0.1, 1, param.shape) * random.choice([-1, 1], param.shape)
            param.grad = size.astype(np.float32)
            copy.grad = torch.from_numpy(size.astype(np.float32))
        optimizer.update()
        theirs.step()
    for param, copy in zip(ours, copies):
        np.testing.assert_allclose(param.array, copy.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_wrong_formula_is_noticed():
    """Twin: the mean over dimensions without absolute values is another thing."""
    model, batch = model_of("fused")
    net, looked = Net(model), word_saliency(model, batch).token_saliency
    made = []
    for x in sentences():
        x = x.clone().requires_grad_(True)
        logits = net(x)
        (grad,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, logits.argmax(1)), x)
        made.append(grad[0].mean(1).abs().numpy())
    assert not np.allclose(looked, np.concatenate(made), rtol=1e-2)
