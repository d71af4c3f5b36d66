"""The paper's numbers, and every open reading with its alternatives (section 5).

A reading is a choice that the paper leaves open.  Each one is a field of
:class:`Config` with a default and named alternatives, and is stored with
every result.  No other part of the code makes such a choice.
"""

import dataclasses
import difflib
import math
import operator
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from .io.errors import InputError, shorten
from .io.files import read_text, toml_table
from .io.published import PUBLISHED

__all__ = [
    "ARMS",
    "MOST_SEEDS",
    "PAPER",
    "PRESETS",
    "Config",
    "checked_seeds",
    "generator",
    "is_seed",
    "whole",
]


#: What the paper reports.  ``effects`` has, for every kind of claim: the figure that
#: the paper reports (None where it has none), the smallest effect of interest, and
#: where both come from.  They are differences of accuracies, but for the last five:
#: ratios ("little", "more"), shares of epochs, and a straightness from 0 to 1.
PAPER: dict[str, Any] = {
    "corpus": {
        "positive": 5331,
        "negative": 5331,
        # Of the sentence polarity dataset, which the paper's corpus is taken to be.
        "sha256": tuple(file.sha256 for file in PUBLISHED["mr"].files),
    },
    "shares": (0.45, 0.45, 0.10),
    "sizes": {"T1": 4797, "T2h": 2399, "T2l": 2399, "T3": 1067},
    "levels": {
        "T1andT2": 0.78,
        "T1andT2h": 0.76,
        "T2h": 0.75,
        "T2l": 0.75,
        "T1andT2l": 0.75,
        "T1andT2ran": 0.75,
    },
    "level_epochs": (40, 50),
    "epochs": 50,
    "effects": {
        "lead of T1andT2h": (0.01, 0.005, "0.76 against 0.75, epochs 40-50 (6.2); half of it"),
        "lead of T1andT2": (0.02, 0.01, "0.78 against 0.76, epochs 40-50 (6.2); half of it"),
        "headroom": (0.03, 0.015, "0.78 against 0.75, epochs 40-50 (6.2); half of it"),
        "unstated": (None, 0.005, "no figure; half of the point that two digits can show"),
        "alike": (0.0, 0.005, "half of the least difference that two digits show"),
        "level": (0.0, 0.005, "levels are printed to two digits (6.2)"),
        "little": (None, 0.5, "no figure; late movement at most half of early movement"),
        "more": (None, 1.1, "no figure; a tenth more"),
        "straighter": (None, 0.05, "no figure; a twentieth of the scale from 0 to 1"),
        "most epochs": (None, 0.6, "no figure; three epochs of five"),
        "same epochs": (None, 0.75, "no figure; half way from chance to always"),
    },
}

#: The first phase and the six models of section 4.4, in the paper's order.
ARMS = ("T1", "T2h", "T2l", "T1andT2h", "T1andT2l", "T1andT2", "T1andT2ran")


def _choice(default: Any, *others: Any, doc: str) -> Any:
    metadata = {"choices": (default, *others), "doc": doc}
    return dataclasses.field(default=default, metadata=metadata)


def _number(default: float, low: float, high: float, *, doc: str, open_low: bool = False) -> Any:
    metadata = {"low": low, "high": high, "open_low": open_low, "doc": doc}
    return dataclasses.field(default=default, metadata=metadata)


def _numbers(default: int, low: int, high: int, *, doc: str) -> Any:
    """One whole number, or several that differ, as a tuple in ascending order."""
    metadata = {"low": low, "high": high, "open_low": False, "several": True, "doc": doc}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """All settings and readings of one run, checked when the object is made.

    The first value of a choice is the default; the others are the named
    alternatives.  :meth:`readings` gives a table of them.

    Raises:
        InputError: if a value is not one of the choices, or out of range.

    Example:
        >>> Config(n_filters=10).n_filters
        10
        >>> Config(activation="gelu")
        Traceback (most recent call last):
            ...
        replicate.io.errors.InputError: activation = 'gelu' is not offered; choose one of relu, tanh, sigmoid
    """

    tokens: str = _choice("kim", "whitespace", doc="5.1: cleaning of the text; both use lower case")
    unknown_words: str = _choice(
        "uniform", "zero", "normal", doc="5.3 (1): words without a vector; uniform(-0.25, 0.25)"
    )
    unknown_words_seed: int = _number(
        -1, -1, 2**31 - 1, doc="5.3 (1): seed of the unknown words' vectors; -1: the run's own seed"
    )
    vectors_mode: str = _choice(
        "static",
        "finetuned",
        "multichannel",
        doc="5.3 (1): are word vectors trained? multichannel: Kim's two channels, one of each, "
        "which share the filters",
    )
    absent_words: str = _choice(
        "move",
        "stay",
        doc="5.3 (1): fine-tuned vectors of words that a batch lacks move as the optimiser's "
        "formula has it, or stay",
    )
    n_filters: int = _number(5, 1, 4096, doc="5.3 (2): number of filters F, of each height")
    filter_height: int | tuple[int, ...] = _numbers(
        3, 1, 16, doc="5.3 (2): words a filter covers, h; several as 3,4,5 (Kim 2014)"
    )
    activation: str = _choice("relu", "tanh", "sigmoid", doc="5.3 (2): the non-linear activation")
    dropout: float = _number(0.0, 0.0, 0.95, doc="5.3 (4): dropout before the output layer")
    optimizer: str = _choice(
        "Adam", "SGD", "MomentumSGD", "AdaDelta", "AdaGrad", doc="3.1: the optimiser"
    )
    learning_rate: float = _number(
        5e-4,
        0.0,
        100.0,
        open_low=True,
        doc="(1): the learning rate; AdaDelta ignores it",
    )
    batch_size: int = _number(100, 1, 2**31 - 1, doc="sentences in a batch, B")
    max_norm: float = _number(
        0.0,
        0.0,
        1e6,
        doc="largest L2 norm of a row of fc/W; 0 is off; Kim (2014) uses 3, see docs/kim.md",
    )
    weight_decay: float = _number(0.0, 0.0, 1.0, doc="rate of L2 weight decay; 0 is off")
    epochs: int = _number(50, 1, 100_000, doc="5.6: epochs of each phase, E")
    initial_weights: str = _choice(
        "chainer", "kim", doc="Chainer's defaults, or Kim's uniform(-0.01, 0.01)"
    )
    loss: str = _choice(
        "logits",
        "probabilities",
        doc="(4): cross entropy on logits, or on softmax output (softmax twice)",
    )
    padding: str = _choice(
        "wide", "narrow", doc="5.3 (2): h - 1 zero vectors on each side, or none"
    )
    split: str = _choice("uniform", "stratified", doc="4.2: permutation, or by label")
    variance: str = _choice("population", "sample", doc="(9): divide by n, or by n - 1")
    unseen_words: str = _choice(
        "skip", "zero", doc="(10): T2 words that do not occur in T1 are left out, or count as 0"
    )
    repeated_words: str = _choice(
        "each", "once", doc="(10): a word that occurs twice in a sentence counts twice, or once"
    )
    optimizer_state: str = _choice(
        "fresh", "carried", doc="4.4: state of the optimiser when T2h and T2l continue"
    )
    record_epoch_0: bool = _choice(False, True, doc="4.3.1: record before training too")
    judged_epoch: int = _number(
        0,
        -1,
        100_000,
        doc="5.5: epoch at which 'misclassified' is judged; 0 is the last, -1 the last that still "
        "has the 100 misclassified sentences of Fig. 5",
    )
    standardised_over: str = _choice(
        "sentence", "extracted", "T1", doc="5.5.1: set over which Figs 3 and 4 standardise"
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _checked(field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        if self.judged_epoch > self.epochs:
            raise InputError(
                f"judged_epoch = {self.judged_epoch} is after the last epoch; "
                f"choose 0 (the last) to {self.epochs}"
            )

    @property
    def heights(self) -> tuple[int, ...]:
        """The heights of the filters, in ascending order.

        Example:
            >>> Config().heights, Config(filter_height=[5, 3]).heights
            ((3,), (3, 5))
        """
        h = self.filter_height
        return h if isinstance(h, tuple) else (h,)

    @property
    def n_features(self) -> int:
        """Filters of all heights: as many features has a sentence.

        Example:
            >>> Config(n_filters=100, filter_height=[3, 4, 5]).n_features
            300
        """
        return self.n_filters * len(self.heights)

    @property
    def ddof(self) -> int:
        """Delta degrees of freedom of the variance in eq. (9)."""
        return int(self.variance == "sample")

    @classmethod
    def readings(cls) -> list[tuple[str, str, str, str]]:
        """All settings, with one row for each.

        Returns:
            list of tuple: ``(name, default, alternatives or range, description)``.

        Example:
            >>> Config.readings()[0][:3]
            ('tokens', 'kim', 'whitespace')
        """
        rows = []
        for field in dataclasses.fields(cls):
            meta = field.metadata
            if "choices" in meta:
                others = ", ".join(_shown(c) for c in meta["choices"][1:])
            else:
                others = f"{meta['low']:.10g} to {meta['high']:.10g}"
            rows.append((field.name, _shown(field.default), others, meta["doc"]))
        return rows

    def replace(self, /, **changes: Any) -> "Config":
        """A copy with some settings changed, checked again.

        Raises:
            InputError: if a name is unknown or a value is not allowed.
        """
        for name in changes:
            _known(name, self.names())
        return dataclasses.replace(self, **changes)

    @classmethod
    def names(cls) -> list[str]:
        """Names of all settings, in order."""
        return [field.name for field in dataclasses.fields(cls)]

    def to_dict(self) -> dict[str, Any]:
        """The settings as a dictionary, in order; several heights are a list, as JSON has them."""
        table = dataclasses.asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in table.items()}

    def to_toml(self) -> str:
        """The settings as TOML text, which :meth:`from_toml_text` can read.

        Example:
            >>> Config.from_toml_text(Config(epochs=3).to_toml()) == Config(epochs=3)
            True
        """
        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_toml_text(
        cls, text: str, where: str = "settings", base: "Config | None" = None
    ) -> "Config":
        """Settings from TOML text; all others come from `base`, or are the defaults.

        Raises:
            InputError: if the text is not TOML, a name is unknown or a value is not allowed.
        """
        table = toml_table(text, where)
        try:
            return (base or cls()).replace(**table)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    @classmethod
    def from_toml(cls, path: str | Path, base: "Config | None" = None) -> "Config":
        """Settings from a TOML file; see :meth:`from_toml_text`."""
        return cls.from_toml_text(read_text(path), where=str(path), base=base)

    def with_assignments(self, assignments: Iterable[str]) -> "Config":
        """A copy changed by texts of the form ``name=value``, as in ``--set``.

        Raises:
            InputError: if a text has another form, a name is unknown or a value is not allowed.

        Example:
            >>> Config().with_assignments(["n_filters=7", "split=stratified"]).n_filters
            7
        """
        changes = {}
        for text in assignments:
            name, equals, value = text.partition("=")
            if not equals:
                raise InputError(f"--set {text}: write name=value, for instance n_filters=100")
            name = name.strip()
            _known(name, self.names())
            changes[name] = value.strip()
        return self.replace(**changes)


def _shown(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(name: str, names: list[str]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else "see `replicate readings`"
        raise InputError(f"there is no setting {shorten(name)}; {hint}")


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    """`value`, converted to the type of `field`; InputError if it is not allowed."""
    meta = field.metadata
    kind: Any = field.type
    if isinstance(value, np.generic):
        value = value.item()
    if "choices" in meta:
        if kind is bool and isinstance(value, str):  # from --set
            value = {"true": True, "false": False}.get(value.lower(), value)
        # 0 == False, but a setting with the values true and false does not accept 0 and 1.
        if not any(type(value) is type(c) and value == c for c in meta["choices"]):
            offered = ", ".join(_shown(c) for c in meta["choices"])
            raise InputError(
                f"{field.name} = {shorten(value)} is not offered; choose one of {offered}"
            )
        return value
    if "several" in meta:
        return _checked_numbers(field.name, meta["low"], meta["high"], value)
    low, high = meta["low"], meta["high"]
    try:
        if isinstance(value, bool):
            raise ValueError
        number = whole(value) if kind is int and not isinstance(value, str) else kind(value)
        inside = low <= number <= high and not (meta["open_low"] and number == low)
        if not (inside and math.isfinite(number)):
            raise ValueError
    except (OverflowError, TypeError, ValueError):
        what = "a whole number" if kind is int else "a number"
        above = "above" if meta["open_low"] else "from"
        raise InputError(
            f"{field.name} = {shorten(value)} is not {what} {above} {low:.10g} to {high:.10g}; choose one"
        ) from None
    return number


def _checked_numbers(name: str, low: int, high: int, value: Any) -> int | tuple[int, ...]:
    """One whole number, or several that differ; from --set as ``3,4,5`` or ``[3, 4, 5]``."""
    given = value
    if isinstance(value, str):
        value = value.strip().removeprefix("[").removesuffix("]").split(",")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        value = [value]
    try:
        numbers = sorted(int(n) if isinstance(n, str) else whole(n) for n in value)
        distinct = len(set(numbers)) == len(numbers) > 0
        if not distinct or numbers[0] < low or numbers[-1] > high:
            raise ValueError
    except (OverflowError, TypeError, ValueError):
        raise InputError(
            f"{name} = {shorten(given)} is not a whole number from {low} to {high}, nor several "
            "that differ, such as 3,4,5; choose one"
        ) from None
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def whole(value: Any) -> int:
    """A whole number of Python's or NumPy's as Python's; ``int`` would cut off a fraction.

    Raises:
        TypeError: for anything else: a truth value, a fraction, 7.0, a text.

    Example:
        >>> whole(np.int64(7))
        7
        >>> whole(np.float32(7.5))
        Traceback (most recent call last):
            ...
        TypeError: 'numpy.float32' object cannot be interpreted as an integer
    """
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{value!r} is not a whole number")
    return operator.index(value)


def is_seed(value: object) -> bool:
    """Whether a value from a file is a seed: a whole number from 0 to 2**31.

    Example:
        >>> is_seed(7), is_seed(True), is_seed(-1)
        (True, False, False)
    """
    return type(value) is int and 0 <= value <= 2**31


#: A run of more would take weeks, and its list of seeds alone fills the settings.
MOST_SEEDS = 100_000


def checked_seeds(seeds: int | Iterable[int]) -> list[int]:
    """Seeds in the order given, each once; a number is so many from 0.

    Raises:
        InputError: for an empty list, for more than :data:`MOST_SEEDS`, and where one is not
            a whole number from 0 to 2**31.

    Example:
        >>> checked_seeds(3), checked_seeds([7, 0, 7])
        ([0, 1, 2], [7, 0])
        >>> checked_seeds([-1])
        Traceback (most recent call last):
            ...
        replicate.io.errors.InputError: seeds = [-1]: no choice of seeds; write how many \
(1 to 100000), or which, such as [0, 3, 7], each a whole number from 0 to 2147483648
    """
    # A text has no place here: its letters would be taken for seeds.
    given: Any = () if isinstance(seeds, (str, bytes)) else seeds
    try:
        # A number may be too large to make a list of; one more than the most is refused too.
        found = list(range(min(whole(given), MOST_SEEDS + 1)))
    except TypeError:
        try:
            found = list(dict.fromkeys(map(whole, given)))
        except TypeError:
            found = []
    if not 0 < len(found) <= MOST_SEEDS or not all(map(is_seed, found)):
        raise InputError(
            f"seeds = {shorten(seeds)}: no choice of seeds; write how many (1 to {MOST_SEEDS}), or "
            f"which, such as [0, 3, 7], each a whole number from 0 to {2**31}"
        )
    return found


#: The network of Kim (2014) as far as the paper takes it over, with one height of filters.
_KIM = Config(n_filters=100, dropout=0.5, max_norm=3.0, batch_size=50, optimizer="AdaDelta")

#: The settings that ``--preset`` names.
PRESETS = {
    # 200 sentences that come with gensim: takes seconds and needs no network.
    "sample": Config(n_filters=20, epochs=20, learning_rate=3e-3, batch_size=10),
    # MR.  The values that the paper leaves open are those of version 1.0.0, where two seeds
    # chose them by an older rule, which used the levels, O5 and the number of misclassified.
    "paper": Config(),
    # MR, nothing is fitted.  It learns T1 by heart, so that few sentences are misclassified
    # at the end: they are counted at the last epoch that has enough.
    "as-written": _KIM.replace(judged_epoch=-1),
    # MR.  The nearest to Kim's network with which Figs 3 to 5 can be drawn at the last epoch:
    # the chosen row of results/calibration/calibration.csv (a test compares them).
    "calibrated": _KIM.replace(optimizer="SGD", learning_rate=0.02),
}


def generator(name: str, *seeds: int) -> np.random.RandomState:
    """A separate random generator for every named draw.

    This is a ``numpy.random.RandomState``, because NumPy guarantees that its
    streams never change; the newer ``Generator`` has no such guarantee.
    ``SeedSequence`` mixes the seeds, so the streams of neighbouring seeds are
    unrelated.

    Args:
        name: the draw, for example ``"split"`` or ``"dropout"``.
        seeds: the run's seed, then further coordinates, for example an epoch.

    Returns:
        numpy.random.RandomState: equal arguments give equal streams.

    Example:
        >>> bool(generator("split", 0).rand() == generator("split", 0).rand())
        True
        >>> bool(generator("split", 0).rand() == generator("order", 0).rand())
        False
    """
    entropy = [zlib.crc32(name.encode()), *seeds]
    return np.random.RandomState(np.random.PCG64(np.random.SeedSequence(entropy)))
