"""Settings and readings: offered values only, TOML and back, generators with fixed streams."""

import ast
import dataclasses
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from samples import BAD_SEEDS

import replicate
from replicate.config import ARMS, MOST_SEEDS, PAPER, PRESETS, Config, checked_seeds, generator
from replicate.io.errors import InputError, shorten
from replicate.io.files import read_text

FIELDS = dataclasses.fields(Config)
CHOICES = [field for field in FIELDS if "choices" in field.metadata]
NUMBERS = [field for field in FIELDS if "low" in field.metadata]
BY_NAME = {"ids": lambda field: field.name}


def values(field):
    """Every value that a field offers."""
    meta = field.metadata
    if "choices" in meta:
        return st.sampled_from(meta["choices"])
    if "several" in meta:
        some = st.lists(st.integers(meta["low"], meta["high"]), min_size=1, unique=True)
        return some.map(lambda numbers: numbers if len(numbers) > 1 else numbers[0])
    if field.type is int:
        return st.integers(meta["low"], meta["high"])
    return st.floats(meta["low"], meta["high"], exclude_min=meta["open_low"])


@st.composite
def configs(draw):
    """Any Config at all; its judged epoch is not after its last."""
    made = {field.name: draw(values(field)) for field in FIELDS}
    if made["judged_epoch"] > 0:
        made["judged_epoch"] %= made["epochs"] + 1
    return Config(**made)


def same(config, other):
    """Equal in every value and in its type."""
    pairs = zip(config.to_dict().values(), other.to_dict().values(), strict=True)
    return config == other and all(type(a) is type(b) for a, b in pairs)


# --- The paper's numbers -------------------------------------------------------


def test_paper_numbers():
    """Table 1 sums to the corpus, with both halves of T2 of one size."""
    sizes = PAPER["sizes"]
    corpus = PAPER["corpus"]
    assert sum(sizes.values()) == corpus["positive"] + corpus["negative"] == 10662
    assert sizes["T2h"] == sizes["T2l"] == 2399
    assert math.isclose(sum(PAPER["shares"]), 1)
    assert set(ARMS) == {"T1"} | set(PAPER["levels"])
    assert PAPER["levels"]["T1andT2"] > PAPER["levels"]["T1andT2h"] > PAPER["levels"]["T2h"]


def test_presets_are_whole():
    """The paper's preset is the defaults: 50 epochs, three words a filter, wide, ReLU."""
    assert PRESETS["paper"] == Config()
    assert set(PRESETS) == {"sample", "paper", "as-written", "calibrated"}
    kims = PRESETS["as-written"]
    assert (kims.n_filters, kims.dropout, kims.max_norm, kims.batch_size) == (100, 0.5, 3.0, 50)
    assert (kims.optimizer, kims.vectors_mode, kims.judged_epoch) == ("AdaDelta", "static", -1)
    changed = {n for n, v in kims.to_dict().items() if v != getattr(PRESETS["paper"], n)}
    kept = {"n_filters", "dropout", "max_norm", "batch_size", "optimizer", "judged_epoch"}
    assert changed == kept
    paper = PRESETS["paper"]
    told = (paper.epochs, paper.filter_height, paper.padding, paper.activation, paper.variance)
    assert told == (50, 3, "wide", "relu", "population")
    assert (paper.tokens, paper.unseen_words, paper.split) == ("kim", "skip", "uniform")


@pytest.mark.parametrize(
    "name, choices",
    {
        "tokens": "kim whitespace",
        "unknown_words": "uniform zero normal",
        "vectors_mode": "static finetuned multichannel",
        "absent_words": "move stay",
        "activation": "relu tanh sigmoid",
        "optimizer": "Adam SGD MomentumSGD AdaDelta AdaGrad",
        "padding": "wide narrow",
        "split": "uniform stratified",
        "variance": "population sample",
        "unseen_words": "skip zero",
        "repeated_words": "each once",
        "optimizer_state": "fresh carried",
        "record_epoch_0": "false true",
    }.items(),
)
def test_contract_of_names(name, choices):
    """The settings of the design are there under their names, the default first."""
    first, *others = choices.split()
    row = {row[0]: row for row in Config.readings()}[name]
    assert row[1:3] == (first, ", ".join(others))
    for value in choices.split():
        made = Config().with_assignments([f"{name}={value}"])
        shown = made.to_dict()[name]
        assert (str(shown).lower() if isinstance(shown, bool) else shown) == value


def test_readings_tell_every_setting():
    """One row a setting, none without words."""
    rows = Config.readings()
    assert [row[0] for row in rows] == Config.names() == [field.name for field in FIELDS]
    assert all(len(row) == 4 and row[3] for row in rows)


# --- Values --------------------------------------------------------------------


@pytest.mark.parametrize("field", CHOICES, **BY_NAME)
def test_choice_not_offered(field, refused):
    """A value off the list is refused by the setting's name, with the list."""
    last = field.metadata["choices"][-1]
    last = "true" if last is True else last
    for value in ("no such", "", None, 0, 1, 1.0, ["relu"], b"relu"):
        with refused(field.name, repr(value), "choose one of", last):
            Config(**{field.name: value})


@pytest.mark.parametrize("field", NUMBERS, **BY_NAME)
def test_number_out_of_range(field, refused):
    """A number out of range, or none, is refused with the range."""
    meta = field.metadata
    below = meta["low"] - (0 if meta["open_low"] else 1)
    odd = [math.nan, math.inf, -math.inf, "many", "", None, True, "nan"]
    one = [[1]]  # where a list is not what several are given as
    if "several" in meta:
        one = [[], [3, 3], [3, 17], [3, 4.0], [3, True], [[3]], "3,", "[3;4]", "3,3", 3.5]
    for value in (meta["high"] + 1, below, *odd, *one):
        with refused(field.name, repr(value), f"{meta['low']:.10g} to {meta['high']:.10g}"):
            Config(**{field.name: value})


@pytest.mark.parametrize("field", NUMBERS, **BY_NAME)
def test_several_numbers(field):
    """Several differ and are in order, however they are written; one is one."""
    if "several" not in field.metadata:
        return
    made = {
        (3, 4, 5): [[5, 3, 4], (3, 4, 5), "3,4,5", "[5, 4, 3]"],
        2: [2, "2", [2], (2,), "[2]"],
    }
    for wanted, forms in made.items():
        for value in forms:
            config = Config(**{field.name: value})
            assert getattr(config, field.name) == wanted
            assert same(Config.from_toml_text(config.to_toml()), config)
            assert same(Config(**json.loads(json.dumps(config.to_dict()))), config)


@pytest.mark.parametrize("field", NUMBERS, **BY_NAME)
def test_ends_of_range_are_inside(field):
    """The check of the range is no wall: both ends are allowed."""
    meta = field.metadata
    low = math.nextafter(meta["low"], 1) if meta["open_low"] else meta["low"]
    extra = {"epochs": 100_000} if field.name == "judged_epoch" else {}
    for value in (low, meta["high"]):
        assert getattr(Config(**{field.name: value}, **extra), field.name) == value


@pytest.mark.parametrize("name", [field.name for field in NUMBERS if field.type is int])
def test_whole_numbers_stay_whole(name, refused):
    """2.5 is no number of epochs, and neither is 2.0 or '2.0'."""
    for value in (2.5, 2.0, "2.0", "2.5"):
        with refused(name, "a whole number"):
            Config(**{name: value})


def test_numbers_become_the_field_type():
    """A whole number is a float where a float belongs, text is read."""
    made = Config(learning_rate=1, n_filters="7", dropout="0.5")
    assert (made.learning_rate, made.n_filters, made.dropout) == (1.0, 7, 0.5)
    assert type(made.learning_rate) is float and type(made.n_filters) is int


def test_judged_epoch_within_epochs(refused):
    """Misclassified cannot be judged after the last epoch."""
    assert Config(epochs=5, judged_epoch=5).judged_epoch == 5
    with refused("judged_epoch = 6", "0 (the last) to 5"):
        Config(epochs=5, judged_epoch=6)


def test_frozen_and_checked_again(refused):
    """A Config cannot be changed in place, and a changed copy is checked."""
    config = Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = 3
    assert config.replace(epochs=3).epochs == 3 and config.epochs == 50
    with refused("epochs = 0"):
        config.replace(epochs=0)


def test_derived():
    """ddof and dropped epochs follow their readings."""
    assert (Config().ddof, Config(variance="sample").ddof) == (0, 1)


def test_a_number_beyond_floats(refused):
    """A whole number that no float holds is out of range like any other."""
    with refused("settings", "dropout"):
        Config.from_toml_text("dropout = 1" + "0" * 400)


# --- TOML ----------------------------------------------------------------------


def survives(config, write):
    """Whether `write` is text that reads back as the same settings."""
    return same(Config.from_toml_text(write(config)), config)


@given(configs())
@example(Config(learning_rate=5e-324, dropout=0.1 + 0.2, weight_decay=1e-7, max_norm=1e6))
@settings(max_examples=150)
def test_toml_round_trip(config):
    """Every field, at any value it offers, comes back with its type."""
    assert survives(config, Config.to_toml)
    assert same(Config(**config.to_dict()), config)


def test_a_lossy_writer_is_caught():
    """The round trip sees a lost digit, a lost field and a changed type."""
    config = Config(dropout=1 / 3, record_epoch_0=True)
    assert survives(config, Config.to_toml)
    assert not survives(config, lambda c: c.to_toml().replace(repr(1 / 3), f"{1 / 3:.6f}"))
    assert not survives(config, lambda c: c.to_toml().replace("record_epoch_0 = true\n", ""))
    assert not same(config, dataclasses.replace(config, max_norm=1.0))


@given(configs())
@settings(max_examples=60)
def test_assignments_say_the_same_as_toml(config):
    """``name=value`` texts of every setting give the same Config."""
    texts = [f"{name}={value}" for name, value in config.to_dict().items()]
    assert same(Config().with_assignments(texts), config)
    random.Random(0).shuffle(texts)
    assert same(Config().with_assignments(texts), config)


def test_toml_on_top_of_a_base(tmp_path):
    """A file tells only what differs."""
    file = tmp_path / "mine.toml"
    file.write_text('epochs = 3  # few\nsplit = "stratified"\n', encoding="utf-8")
    assert Config.from_toml(file) == Config(epochs=3, split="stratified")
    base = Config(n_filters=4, epochs=9)
    assert Config.from_toml(file, base=base) == base.replace(epochs=3, split="stratified")


@pytest.mark.parametrize(
    "text, parts",
    [
        ("epochs 3", ["not TOML", "line 1"]),
        ("epochs = 3\nepochs = 4", ["not TOML", "overwrite"]),
        ("epoch = 3", ["no setting 'epoch'", "did you mean epochs?"]),
        ("[training]\nepochs = 3", ["no setting 'training'", "replicate readings"]),
        ("epochs = 0", ["epochs = 0", "1 to 100000"]),
        ('epochs = "three"', ["epochs = 'three'"]),
        ("epochs = [3]", ["epochs = [3]"]),
        ("epochs = 1979-05-27", ["epochs = "]),
        ("dropout = nan", ["dropout = nan"]),
        ("learning_rate = inf", ["learning_rate = inf"]),
        ("record_epoch_0 = 1", ["record_epoch_0 = 1", "false, true"]),
        ("epochs = 3\njudged_epoch = 4", ["judged_epoch = 4"]),
    ],
)
def test_bad_toml(text, parts, tmp_path, refused):
    """The message names the file, the place and what to do."""
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    with refused(file, *parts):
        Config.from_toml(file)


def test_unreadable_toml(tmp_path, refused):
    """Missing, a folder, not UTF-8: each names the file; the bytes have a place."""
    with refused(tmp_path / "none.toml", "No such file"):
        Config.from_toml(tmp_path / "none.toml")
    with refused(tmp_path, "Is a directory"):
        Config.from_toml(tmp_path)
    file = tmp_path / "latin.toml"
    file.write_bytes(b'tokens = "\xe9"')
    with refused(file, "not UTF-8", "byte 10"):
        Config.from_toml(file)
    file.write_bytes("é".encode())
    assert read_text(file) == "é"


# --- Assignments ---------------------------------------------------------------


def test_assignments():
    """Blanks are cut, the last of two wins, none changes nothing."""
    config = Config(batch_size=10)
    assert config.with_assignments([]) == config
    assert config.with_assignments([" epochs = 3 ", "epochs=4"]).epochs == 4
    assert config.with_assignments(["record_epoch_0=True"]).record_epoch_0 is True
    assert config.with_assignments(["epochs=3"]).batch_size == 10


@pytest.mark.parametrize(
    "text, parts",
    [
        ("n_filter=3", ["'n_filter'", "did you mean n_filters?"]),
        ("learning-rate=3", ["'learning-rate'", "did you mean learning_rate?"]),
        ("zzz=3", ["'zzz'", "replicate readings"]),
        ("activation=gelu", ["activation = 'gelu'", "relu, tanh, sigmoid"]),
        ("epochs=", ["epochs = ''"]),
        ("record_epoch_0=yes", ["record_epoch_0 = 'yes'", "false, true"]),
        ("n_filters=2=3", ["n_filters = '2=3'"]),
    ],
)
def test_bad_assignment(text, parts, refused):
    """An unknown name has a hint where one is near, a bad value its alternatives."""
    with refused(*parts):
        Config().with_assignments([text])


def test_assignment_without_equals(refused):
    """A name alone is no assignment."""
    with refused("--set n_filters", remedy="write name=value"):
        Config().with_assignments(["n_filters"])


def test_unknown_name_in_replace(refused):
    """A misspelt keyword is told, not ignored."""
    with refused("'eposch'", "did you mean epochs?"):
        Config().replace(eposch=3)


# --- The check of messages itself ----------------------------------------------


class Lines(InputError):
    """An InputError that keeps its lines, as none should."""

    def __init__(self, message):
        ValueError.__init__(self, message)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x85", "\u2028"])
def test_a_message_is_one_line_whatever_it_quotes(end):
    """Names of files and settings may have line ends in them."""
    assert str(InputError(f"a{end}b: bad; mend it")) == "a b: bad; mend it"


@pytest.mark.parametrize(
    "value, shown",
    [
        ("a\nb", repr("a\nb")),
        (5, "5"),
        ("x" * 99, "'" + "x" * 66 + "..."),
        ([1 << 20_000], "list too large to show"),
    ],
    ids=["text", "number", "long", "huge"],
)
def test_a_value_is_shown_in_short(value, shown):
    """At most 70 characters, and no error of its own."""
    assert shorten(value) == shown and len(shown) <= 70


def test_a_value_nested_too_deep_is_shown():
    """What repr cannot."""
    deep = []
    for _ in range(10**5):
        deep = [deep]
    with pytest.raises(RecursionError):
        repr(deep)
    assert shorten(deep) == "list too large to show"
    while deep:
        deep = deep.pop()  # else freeing it may recurse, too


@pytest.mark.parametrize(
    "message", ["file: bad\nfetch it; try again", "file: bad", "other: bad; fetch it again"]
)
def test_a_poor_message_is_caught(message, refused):
    """Two lines, no remedy, or no file: each fails the check that all tests here use."""
    with refused("file"):
        raise InputError("file: bad; fetch it again")
    with pytest.raises(AssertionError), refused("file"):
        raise Lines(message)


# --- Generators ----------------------------------------------------------------


def test_streams_are_pinned():
    """The first numbers of some streams; a NumPy that changed them would change results."""
    assert generator("split", 0).permutation(10).tolist() == [7, 5, 3, 2, 4, 6, 0, 1, 8, 9]
    assert generator("split", 1).permutation(10).tolist() == [6, 1, 4, 9, 0, 2, 3, 8, 7, 5]
    assert generator("order", 0, 3).permutation(10).tolist() == [4, 1, 2, 7, 3, 6, 0, 9, 5, 8]
    drawn = generator("dropout", 2**31 - 1, 5).randint(0, 1000, 5)
    assert drawn.tolist() == [552, 331, 186, 26, 27]
    drawn = generator("initial weights", 7).rand(3)
    assert drawn.tolist() == [0.8311366715484361, 0.6469386989807296, 0.7245733867768803]
    drawn = generator("unknown words", 0).uniform(-0.25, 0.25, size=3)
    assert drawn.tolist() == [0.059742417364626266, -0.12224684879640102, -0.016025851316470552]
    # The logarithm in here may round otherwise on another machine.
    drawn = generator("unknown words", 0).normal(0, 1, size=3)
    expected = [-1.4015069540901661, 0.6849208320300345, -2.0856946652331074]
    np.testing.assert_allclose(drawn, expected, rtol=1e-13)


NAMES = ["split", "order", "dropout", "initial weights", "unknown words", "random arm", "figure 5"]


def test_streams_are_their_own():
    """No two names, seeds or epochs share a stream; equal arguments do."""
    keys = [(name, seed, *epoch) for name in NAMES for seed in range(5) for epoch in ((), (1,))]
    # SeedSequence fills up with zeros: ("a", 0) and ("a", 0, 0) would be one stream.
    first = {key: tuple(generator(*key).randint(0, 2**31, 4)) for key in keys}
    assert len(set(first.values())) == len(keys)
    assert all(tuple(generator(*k).randint(0, 2**31, 4)) == v for k, v in first.items())


def test_streams_leave_the_global_generator_alone():
    """Drawing from a named generator moves nothing else."""
    before = np.random.get_state()[1].copy(), np.random.get_state()[2]
    generator("split", 0).permutation(1000)
    after = np.random.get_state()[1], np.random.get_state()[2]
    assert (before[0] == after[0]).all() and before[1] == after[1]
    np.random.permutation(10)  # what the check must see
    moved = np.random.get_state()
    assert moved[2] != before[1] or (moved[1] != before[0]).any()


def test_neighbouring_seeds_are_unrelated():
    """Uniform draws of 200 neighbouring seeds have no common trend."""
    drawn = np.array([generator("split", seed).rand(50) for seed in range(200)])
    correlation = np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]
    assert abs(correlation) < 0.04  # 4 standard errors of 9,950 pairs
    assert abs(drawn.mean() - 0.5) < 0.012


def drawn_names(folder):
    """Name of a draw -> the numbers of coordinates with which it is called."""
    found = {}
    for place in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(place.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "generator":
                name, *seeds = node.args
                if isinstance(name, ast.Constant):
                    found.setdefault(name.value, set()).add(len(seeds))
    return found


def test_a_name_of_a_draw_always_has_as_many_coordinates(tmp_path):
    """`("order", 5)` and `("order", 5, 0)` are one stream: a seed sequence is padded with zeros."""
    same = [generator("order", *seeds).random_sample(3).tolist() for seeds in ((5,), (5, 0))]
    assert same[0] == same[1]
    found = drawn_names(Path(replicate.__file__).parent)
    assert len(found) > 20 and all(len(numbers) == 1 for numbers in found.values()), found
    (tmp_path / "a.py").write_text('generator("x", seed)\ngenerator("x", seed, epoch)\n')
    assert drawn_names(tmp_path) == {"x": {1, 2}}


# --- whole numbers and seeds, of Python and of NumPy ------------------------------------


@pytest.mark.parametrize("name", ["n_filters", "epochs", "batch_size", "filter_height"])
@pytest.mark.parametrize("value", [7.5, 7.0, True])
@pytest.mark.parametrize("kind", [lambda x: x, np.float16, np.float32, np.longdouble, np.bool_])
def test_a_fraction_is_never_cut_off(name, value, kind, refused):
    """Of Python or of NumPy, whose float32 is no float of Python's."""
    for told in (kind(value), np.array(kind(value))):
        with refused(f"{name} = "):
            Config(**{name: told})
    if name == "filter_height":
        for told in ([3, kind(value)], np.array([3, kind(value)], dtype=type(kind(value)))):
            with refused("filter_height"):
                Config(filter_height=told)


def test_values_of_numpy_are_stored_as_plain_ones():
    plain = Config(
        n_filters=7, filter_height=[3, 4], optimizer="SGD", record_epoch_0=True, dropout=0.5,
        epochs=9,
    )  # fmt: skip
    config = Config(
        n_filters=np.int64(7), filter_height=np.array([4, 3]), optimizer=np.str_("SGD"),
        record_epoch_0=np.True_, dropout=np.float32(0.5), epochs=np.array(9),
    )  # fmt: skip
    assert same(config, plain) and [type(h) for h in config.heights] == [int, int]
    json.dumps(config.to_dict())
    assert same(Config(filter_height=np.uint8(4)), Config(filter_height=4))


def test_an_array_is_no_choice(refused):
    for value in (np.array(["SGD", "Adam"]), np.int64(1), np.array([])):
        with refused("optimizer = "):
            Config(optimizer=value)


@pytest.mark.parametrize("seeds", BAD_SEEDS, ids=repr)
def test_what_is_no_choice_of_seeds_is_refused(seeds, refused):
    with refused(f"seeds = {seeds!r}"):
        checked_seeds(seeds)


def test_a_choice_of_seeds_is_a_list_of_plain_numbers():
    """In the order given, each once; of any kind of whole number, the greatest too."""
    choices = {
        (0,): [1, np.int64(1), [0], {0}, np.array([0]), np.array(1), range(1)],
        (5, 0, 2**31): [[5, 0, 5, 2**31], np.array([5, 0, 2**31]), iter([5, 0, 2**31])],
    }
    for wanted, several in choices.items():
        for seeds in several:
            found = checked_seeds(seeds)
            assert tuple(found) == wanted and {type(seed) for seed in found} == {int}
    assert checked_seeds(MOST_SEEDS)[-1] == MOST_SEEDS - 1
