"""Jumps of saliency: which steps are switches, what they sum to, and how straight the rest is."""

import shutil
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from replicate.beyond import jumps
from replicate.config import Config
from replicate.instability import word_instability
from replicate.io.files import load_json, save_json
from replicate.model import TextCNN, initial_model
from replicate.run import Run
from replicate.saliency import WinningWindows, flat_batch, winning_windows, word_saliency

APPEARS, SWITCHES, NEIGHBOURS, SMOOTH = range(4)


# --- by hand ---------------------------------------------------------------------------


def hand_made(filters):
    """Words with vectors 1, 3 and 2, two filters of one word each, and sentence 0 1 2."""
    vectors = np.array([[0], [1], [3], [2]], dtype=np.float32)
    model = TextCNN(vectors, 2, Config(n_filters=2, filter_height=1, padding="narrow"), 0)
    model.conv.W.array[:, 0, 0, 0] = filters
    model.fc.W.array[...] = [[1, 0], [0, 1]]
    batch = flat_batch(model, np.array([0, 1, 2]), np.array([0, 3]))
    return winning_windows(model, batch), word_saliency(model, batch)


def test_a_known_switch():
    """Filter 0 weighs 1, then 2: the word of vector 3 wins each time, which is smooth.

    Then it weighs -1: every score is negative, the activation closes, and the word's
    saliency goes to 0.  Filter 1 is closed all the time, where its window is does not count.
    """
    offsets = np.array([0, 3])
    first, seen = hand_made([1, -1])
    assert first.argmax.tolist() == [[1, 0]] and first.active.tolist() == [[True, False]]
    # Logits 3 and 0: eq. (6) is (1 - p) |1 * 1|, at word 1 only.
    np.testing.assert_allclose(seen.token_saliency, [0, 1 / (1 + np.exp(3)), 0], rtol=1e-6)
    second, _ = hand_made([2, -2])
    assert jumps.step_kinds(first, second, offsets).tolist() == [SMOOTH] * 3
    third, seen = hand_made([-1, -1])
    assert jumps.step_kinds(second, third, offsets).tolist() == [NEIGHBOURS, APPEARS, NEIGHBOURS]
    assert not seen.token_saliency.any() and not jumps.touched(third, offsets).any()
    # Filter 1 opens at a word that filter 0 touches already: not to or from 0.
    fourth, _ = hand_made([2, 1])
    assert jumps.step_kinds(second, fourth, offsets).tolist() == [NEIGHBOURS, SWITCHES, NEIGHBOURS]


def test_another_place_in_the_same_window_is_a_switch():
    """A window that moves by one word touches the middle word with another row of the filter."""
    windows = [WinningWindows(np.array([[p]]), np.array([[True]]), np.array([2])) for p in (0, 1)]
    found = jumps.step_kinds(*windows, np.array([0, 3]))
    assert found.tolist() == [APPEARS, SWITCHES, APPEARS]


def test_other_sentences_are_not_neighbours():
    windows = [
        WinningWindows(np.array([[p], [0]]), np.ones((2, 1), dtype=bool), np.array([1]))
        for p in (0, 1)
    ]
    found = jumps.step_kinds(*windows, np.array([0, 3, 5]))
    assert found.tolist() == [APPEARS, APPEARS, NEIGHBOURS, SMOOTH, SMOOTH]


def test_with_more_labels_another_label_is_a_switch():
    """Only of words that a filter touches, and only in the sentences that changed."""
    windows = WinningWindows(np.array([[0], [0]]), np.ones((2, 1), dtype=bool), np.array([1]))
    found = jumps.step_kinds(windows, windows, np.array([0, 2, 4]), np.array([True, False]))
    assert found.tolist() == [SWITCHES, NEIGHBOURS, SMOOTH, SMOOTH]


# --- restated ----------------------------------------------------------------------------


def sets_of(windows, offsets):
    """Every occurrence's set of (filter, offset in the window), as the definition says."""
    found = [set() for _ in range(offsets[-1])]
    for s in range(len(offsets) - 1):
        for f, height in enumerate(windows.heights):
            for k in range(height):
                i = windows.argmax[s, f] + k
                if windows.active[s, f] and 0 <= i < offsets[s + 1] - offsets[s]:
                    found[offsets[s] + i].add((f, k))
    return found


def kind_of(before, after, sentence_changed):
    if before == after:
        return NEIGHBOURS if sentence_changed else SMOOTH
    return SWITCHES if before and after else APPEARS


RANDOM = np.random.RandomState(0)
LENGTHS = np.array([1, 2, 3, 9, 5, 14, 1])
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
TOKENS = RANDOM.randint(0, 20, OFFSETS[-1]).astype(np.int32)
VECTORS = np.concatenate([np.zeros((1, 4)), RANDOM.uniform(-1, 1, (20, 4))]).astype(np.float32)


@pytest.mark.parametrize("height", [1, 3, (2, 4)])
@pytest.mark.parametrize("padding", ["wide", "narrow"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_kinds_are_those_of_the_sets(activation, padding, height):
    """Of two networks with other weights, against sets of Python; all kinds occur."""
    config = Config(n_filters=2, activation=activation, padding=padding, filter_height=height)
    random, seen = np.random.RandomState(1), set()
    for trial in range(8):
        model = TextCNN(VECTORS, 2, config, seed=trial)
        batch = flat_batch(model, TOKENS, OFFSETS)
        before, one = winning_windows(model, batch), word_saliency(model, batch)
        for conv in model.convolutions:
            conv.W.array += random.normal(0, 0.2, conv.W.shape).astype(np.float32)
            conv.b.array += random.normal(0, 0.2, conv.b.shape).astype(np.float32)
        after = winning_windows(model, batch)
        old, new = sets_of(before, OFFSETS), sets_of(after, OFFSETS)
        changed = np.array([a != b for a, b in zip(old, new)])
        sentence = np.repeat(np.add.reduceat(changed, OFFSETS[:-1], dtype=int) > 0, LENGTHS)
        wanted = [kind_of(*both) for both in zip(old, new, sentence)]
        assert jumps.step_kinds(before, after, OFFSETS).tolist() == wanted
        assert jumps.touched(before, OFFSETS).tolist() == [bool(s) for s in old]
        # Saliency is 0 where no pair is, and only there.
        assert ((one.token_saliency > 0) == jumps.touched(before, OFFSETS)).all()
        seen |= set(wanted)
    assert seen == {APPEARS, SWITCHES, NEIGHBOURS, SMOOTH}


# --- a training --------------------------------------------------------------------------


def test_the_saliency_of_the_weights_is_the_recorded_one(recorded_run):
    """Bit for bit, at every epoch; it is 0 exactly where no filter looks."""
    for seed in recorded_run.seeds:
        steps = jumps.recorded_steps(recorded_run, seed)
        batch = flat_batch(initial_model(recorded_run, seed), steps.tokens, steps.offsets)
        networks = jumps._networks(recorded_run, seed)
        again = [word_saliency(model, batch).token_saliency for model in networks]
        assert np.array_equal(again, steps.record.saliency)
        assert np.array_equal(steps.touched, steps.record.saliency > 0)
        # To or from 0, and nothing else, is of the first kind.
        assert np.array_equal(steps.kinds == APPEARS, np.diff(steps.touched, axis=0))


def test_weights_of_another_training_are_refused(recorded_run, copied, refused):
    """Twin: the check of the recorded saliency can fail."""
    run = copied(recorded_run)
    places = [run.folder(seed, "T1") / "weights.npz" for seed in (0, 1)]
    shutil.copy(places[1], places[0])
    with refused("seed 0, epoch 1: the weights give another saliency"):
        jumps.recorded_steps(run, 0)


def test_without_the_weights_it_is_refused(recorded_run, copied, refused):
    run = copied(recorded_run)
    (run.folder(0, "T1") / "weights.npz").unlink()
    with refused("--epoch-weights all"):
        jumps.recorded_steps(run, 0)
    save_json(run.out / "config.json", {**load_json(run.out / "config.json"), "stored": False})
    with refused("no saliency was kept"):
        jumps.recorded_steps(Run(run.out), 0)


@pytest.mark.parametrize("labels", [2, 3])
def test_another_label_is_a_switch_with_more_than_two(labels, tmp_path):
    """Whether the network's own label changed counts with three labels, and not with two."""
    from replicate.experiment import prepare, run_first_phase
    from replicate.run import Options

    random = np.random.RandomState(6)
    rows = [f"{i % labels}\t{' '.join(random.choice(list('abcdefgh'), 5))}" for i in range(90)]
    corpus = tmp_path / "corpus.tsv"
    corpus.write_text("label\ttext\n" + "\n".join(rows) + "\n")
    config = Config(epochs=6, n_filters=8, learning_rate=0.1, batch_size=10)
    run = prepare(tmp_path / "run", config, Options(), [0], [corpus], "random", dimensions=4)
    run_first_phase(run, 0)
    steps = jumps.recorded_steps(run, 0)
    batch = flat_batch(initial_model(run, 0), steps.tokens, steps.offsets)
    windows = [winning_windows(model, batch) for model in jumps._networks(run, 0)]
    relabelled = np.diff(steps.record.predicted, axis=0) != 0
    assert relabelled.any()
    for counted in (False, True):
        wanted = [
            jumps.step_kinds(*pair, steps.offsets, changed if counted else None)
            for pair, changed in zip(zip(windows[:-1], windows[1:]), relabelled)
        ]
        assert np.array_equal(wanted, steps.kinds) == (counted == (labels > 2))


def test_epoch_0_has_the_initial_weights(recorded_run, tmp_path):
    """A record that begins before training has a step more."""
    from replicate.corpus import sample_path
    from replicate.experiment import prepare, run_first_phase
    from replicate.run import Options

    corpus, vectors = sample_path()
    config = recorded_run.config.replace(epochs=2, record_epoch_0=True)
    run = prepare(tmp_path / "run", config, Options(), [0], [corpus], vectors)
    run_first_phase(run, 0)
    assert jumps.recorded_steps(run, 0).kinds.shape[0] == 2


# --- jump and drift ----------------------------------------------------------------------


def test_jump_and_drift_by_hand():
    """The saliency of one network through the windows of another.

    One filter of weight u, output weights (1, 0), one word each of vectors 1, 3, 2: eq. (6)
    at the winner is (1 - p) |u| with p the probability of its logit u times its vector.
    """
    offsets = np.array([0, 3])

    def seen(u, windows=None):
        vectors = np.array([[0], [1], [3], [2]], dtype=np.float32)
        model = TextCNN(vectors, 2, Config(n_filters=1, filter_height=1, padding="narrow"), 0)
        model.conv.W.array[...], model.fc.W.array[...] = u, [[1], [0]]
        model.conv.b.array[...] = 1.5  # active with either sign
        batch = flat_batch(model, np.array([0, 1, 2]), offsets)
        return winning_windows(model, batch), word_saliency(model, batch, None, windows)

    def by_hand(u, x, place):
        values = np.zeros(3)
        values[place] = abs(u) / (1 + np.exp(u * x + 1.5))
        return values

    (old, before), (new, after) = seen(1.0), seen(-1.0)
    np.testing.assert_allclose(before.token_saliency, by_hand(1, 3, 1), rtol=1e-5)
    np.testing.assert_allclose(after.token_saliency, by_hand(-1, 1, 0), rtol=1e-5)
    # The other's windows: the gradient goes to their place, the probability stays.
    np.testing.assert_allclose(seen(-1.0, old)[1].token_saliency, by_hand(-1, 1, 1), rtol=1e-5)
    np.testing.assert_allclose(seen(1.0, new)[1].token_saliency, by_hand(1, 3, 0), rtol=1e-5)
    # An activation that the other has closed lets nothing through.
    shut = WinningWindows(old.argmax, ~old.active, old.heights)
    assert not seen(1.0, shut)[1].token_saliency.any()


def test_what_another_network_has_open_is_open():
    """A network whose filter is closed has features of 0 and p of 1/2; through open windows
    eq. (6) is 1/2 |u| at their word."""
    open_windows, _ = hand_made([1, -1])
    vectors = np.array([[0], [1], [3], [2]], dtype=np.float32)
    model = TextCNN(vectors, 2, Config(n_filters=2, filter_height=1, padding="narrow"), 0)
    model.conv.W.array[:, 0, 0, 0] = [-4, -1]
    model.fc.W.array[...] = [[1, 0], [0, 1]]
    batch = flat_batch(model, np.array([0, 1, 2]), np.array([0, 3]))
    assert not word_saliency(model, batch).token_saliency.any()
    found = word_saliency(model, batch, None, open_windows).token_saliency
    np.testing.assert_allclose(found, [0, 2, 0])


def test_its_own_windows_change_nothing(recorded_run):
    """For every activation, bit for bit."""
    for activation in ("relu", "tanh", "sigmoid"):
        model = TextCNN(VECTORS, 2, Config(n_filters=9, activation=activation), 0)
        batch = flat_batch(model, TOKENS, OFFSETS)
        one = word_saliency(model, batch).token_saliency
        other = word_saliency(model, batch, None, winning_windows(model, batch)).token_saliency
        assert one.tobytes() == other.tobytes() and one.any()


def test_a_jump_is_the_mean_over_both_orders(recorded_run):
    """Windows first and weights then, or weights first: each its half, and all four corners."""
    steps = jumps.recorded_steps(recorded_run, 2)
    models = [initial_model(recorded_run, 2) for _ in range(2)]
    weights = recorded_run.epoch_weights(2, models[0].shapes())
    for model, row in zip(models, (3, 4)):
        model.set_weights({name: array[row] for name, array in weights.items()})
    batch = flat_batch(models[0], steps.tokens, steps.offsets)
    windows = [winning_windows(model, batch) for model in models]
    corner = {
        (w, p): word_saliency(models[w], batch, None, windows[p]).token_saliency.astype(float)
        for w in (0, 1)
        for p in (0, 1)
    }
    weights_first = corner[1, 1] - corner[1, 0]
    windows_first = corner[0, 1] - corner[0, 0]
    largest = np.abs(weights_first).max()
    assert np.abs(weights_first - windows_first).max() > 0.01 * largest  # the order matters
    wanted = (weights_first + windows_first) / 2
    np.testing.assert_allclose(steps.jump[3], wanted, rtol=1e-4, atol=1e-5 * largest)
    change = corner[1, 1] - corner[0, 0]
    drift = (corner[1, 1] - corner[0, 1] + corner[1, 0] - corner[0, 0]) / 2
    np.testing.assert_allclose(wanted + drift, change, atol=1e-6 * largest)


def test_only_switches_jump(recorded_run):
    """A step without one has a jump of 0; most switches have another; drift is the rest."""
    steps = jumps.recorded_steps(recorded_run, 0)
    assert not steps.jump[~steps.switched].any()
    assert (steps.jump[steps.switched] != 0).mean() > 0.9
    rows = {row[0]: row[3:] for row in jumps.seed_jumps(recorded_run, 0)["totals"]}
    np.testing.assert_allclose([sum(parts) for parts in rows.values()], 1, rtol=1e-5)
    change = np.diff(steps.record.saliency.astype(np.float64), axis=0)
    assert rows["all"][0] == pytest.approx(
        (steps.jump.astype(float) ** 2).sum() / (change**2).sum()
    )
    # Twin: windows of the wrong epoch leave a jump where there is no switch.
    networks = jumps._networks(recorded_run, 0)
    batch = flat_batch(first := next(networks), steps.tokens, steps.offsets)
    windows = winning_windows(first, batch)
    *_, last = networks
    wrong = word_saliency(last, batch, None, windows).token_saliency
    none = ~steps.switched[-1]
    assert (steps.record.saliency[-1] != wrong)[none].any()


# --- what they sum to --------------------------------------------------------------------


def test_shares_by_hand():
    """Changes 1, -2 and 3 of three kinds: squares of 14, absolute values of 6."""
    saliency = np.array([[0.0, 2.0, 1.0], [1.0, 0.0, 4.0]])
    found = jumps.shares(saliency, np.array([[APPEARS, SWITCHES, SMOOTH]]))
    np.testing.assert_allclose(found["steps"], [1 / 3, 1 / 3, 0, 1 / 3])
    np.testing.assert_allclose(found["squares"], [1 / 14, 4 / 14, 0, 9 / 14])
    np.testing.assert_allclose(found["absolute"], [1 / 6, 2 / 6, 0, 3 / 6])
    still = jumps.shares(np.ones((3, 2)), np.zeros((2, 2), dtype=int))
    assert still["steps"].tolist() == [1, 0, 0, 0] and np.isnan(still["squares"]).all()


def test_the_parts_of_wac_by_hand():
    """Two occurrences of one word over four epochs, in fractions.

    Differences 1, 4, 1 and 0, 0, 3: means 2 and 1; squared deviations 1, 4, 1 and 1, 1, 4.
    The middle step of the first and the last of the second are switches.
    """
    saliency = np.array([[0, 5], [1, 5], [5, 5], [6, 8]], dtype=float)
    switched = np.array([[0, 0], [1, 0], [0, 1]], dtype=bool)
    parts = jumps.decomposed_instability(saliency, switched, np.array([0, 0]), 2)
    wanted = Fraction(4 + 4, 3 * 2), Fraction(1 + 1 + 1 + 1, 3 * 2)
    assert [part[0] for part in parts] == pytest.approx([float(w) for w in wanted])
    assert all(np.isnan(part[1]) for part in parts)


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_parts_add_up_to_wac(ddof):
    """For any steps, with either variance; neither part is negative."""
    random = np.random.RandomState(2)
    saliency = random.gamma(0.5, size=(9, 200)).astype(np.float32)
    tokens = random.randint(0, 30, 200)
    wac, _ = word_instability(saliency, tokens, 31, ddof)
    for chance in (0.0, 0.3, 1.0):
        switched = random.random_sample((8, 200)) < chance
        parts = jumps.decomposed_instability(saliency, switched, tokens, 31, ddof)
        np.testing.assert_allclose(sum(parts), wac, rtol=1e-6)
        assert all((part[:30] >= 0).all() for part in parts)
    assert not parts[1][:30].any()


def test_variances_of_either_part_would_not_add_up():
    """Twin: variances of the two kinds of differences, each about its own mean, lose a term."""
    random = np.random.RandomState(3)
    change = random.gamma(0.5, size=(8, 1))
    switched = random.random_sample((8, 1)) < 0.5
    saliency = np.concatenate([np.zeros((1, 1)), np.cumsum(change, axis=0)])
    parts = jumps.decomposed_instability(saliency, switched, np.array([0]), 1)
    assert sum(parts)[0] == pytest.approx(change.var())
    own_means = sum(change[which].var() * which.mean() for which in (switched, ~switched))
    assert abs(own_means - change.var()) > 0.01 * change.var()


def test_a_run_adds_up(recorded_run):
    """The two parts of every word are the run's own wac; shares of all kinds are 1."""
    run = recorded_run
    found = jumps.seed_jumps(run, 1)
    wac, count = run.instability(1)
    assert len(found["words"]) == (count > 0).sum()
    by_word = {row[0]: row for row in found["words"]}
    for place in np.flatnonzero(count):
        row = by_word[str(run.corpus.words[place])]
        assert row[1] == count[place]
        assert row[2] == pytest.approx(wac[place], rel=1e-5, abs=1e-15)
        assert row[3] + row[4] == pytest.approx(row[2], rel=1e-6, abs=1e-15)
        assert np.isnan(row[6]) or 0 <= row[6] <= 1
    steps = jumps.recorded_steps(run, 1)
    change = np.diff(steps.record.saliency.astype(np.float64), axis=0)
    place = int(np.argmax(count))  # of the commonest word, jump and drift by NumPy
    own = steps.tokens == place
    pairs = zip(change[:, own].T, steps.jump[:, own].astype(np.float64).T)
    jump = np.mean([np.cov(d, j, bias=True)[0, 1] for d, j in pairs])
    assert by_word[str(run.corpus.words[place])][5] == pytest.approx(jump)
    for reading in jumps.READINGS:
        for sentences in jumps.SENTENCES:
            rows = [r[3:] for r in found["shares"] if r[:2] == (reading, sentences)]
            np.testing.assert_allclose(np.sum(rows, axis=0), 1)
        part = sum(r[5] for r in found["epochs"] if r[0] == reading)
        assert part == pytest.approx(1)
    # All sentences are the correct and the misclassified ones: their shares lie between.
    steps = {
        name: [r[3] for r in found["shares"] if r[:2] == ("raw", name)] for name in jumps.SENTENCES
    }
    for whole, one, other in zip(*steps.values()):
        assert min(one, other) <= whole <= max(one, other)
    zero = np.mean(np.asarray(run.record(1).saliency) == 0)
    assert found["totals"][0][1:3] == pytest.approx((zero, zero))


def test_each_kind_of_sentence_has_its_own_numbers(recorded_run):
    """Shares and lines of the words of misclassified sentences, from the record alone.

    Epochs 20 to 50 of fifty are 3 to 6 of six.
    """
    run, found = recorded_run, jumps.seed_jumps(recorded_run, 0)
    record, steps = run.record(0), jumps.recorded_steps(run, 0)
    wrong = np.repeat(record.predicted[-1] != record.labels, record.lengths)
    assert 0 < wrong.mean() < 0.5
    curves = np.asarray(record.saliency)[:, wrong].astype(np.float64)
    (line,) = [row for row in found["linearity"] if row[:2] == ("raw", "misclassified")]
    moving = [c for c in curves[2:].T if np.ptp(c) > 0]
    wanted = [stats.linregress([3, 4, 5, 6], curve).rvalue ** 2 for curve in moving]
    assert line[2] == pytest.approx(np.mean(wanted))
    assert line[5] == pytest.approx(len(moving) / wrong.sum())
    squares = np.diff(curves, axis=0) ** 2
    rows = [row for row in found["shares"] if row[:2] == ("raw", "misclassified")]
    for kind, row in enumerate(rows):
        which = steps.kinds[:, wrong] == kind
        assert row[2] == jumps.KINDS[kind]
        assert row[3:5] == pytest.approx((which.mean(), squares[which].sum() / squares.sum()))
    # By epoch: the share of an epoch's squares, and of all.
    squares = np.diff(np.asarray(record.saliency, dtype=np.float64), axis=0) ** 2
    for row in found["epochs"]:
        if row[:3] == ("raw", 4, "switches"):
            of_kind = squares[2][steps.kinds[2] == SWITCHES].sum()
            assert row[4:] == pytest.approx((of_kind / squares[2].sum(), of_kind / squares.sum()))
            break
    else:
        pytest.fail("no such row")


# --- straight lines ----------------------------------------------------------------------


def test_the_share_of_a_line_is_scipy_s():
    random = np.random.RandomState(4)
    curves = np.cumsum(random.standard_normal((31, 20)), axis=0) + 1e3
    epochs = np.arange(20, 51)
    wanted = [stats.linregress(epochs, curve).rvalue ** 2 for curve in curves.T]
    np.testing.assert_allclose(jumps.line_share(curves, epochs), wanted, rtol=1e-6)


def test_only_a_drift_is_straighter_than_its_own_steps_shuffled():
    """A random walk has a straight part, as much as itself shuffled; a bent drift has more."""
    random, epochs = np.random.RandomState(5), np.arange(31)
    walk = np.cumsum(random.standard_normal((31, 2000)), axis=0)
    found = jumps.linearity(walk, epochs, 0)
    assert found["line"] > 0.35 and abs(found["line"] - found["shuffled"]) < 0.02
    noise = 1e-3 * random.standard_normal((31, 2000))
    drift = jumps.linearity(epochs[:, None] * 1.0 + noise, epochs, 0)
    assert drift["line"] > 0.999
    # Steps that are undone at once are less straight than shuffled ones.
    saw = jumps.linearity(random.standard_normal((31, 2000)), epochs, 0)
    assert saw["line"] < 0.1 < saw["shuffled"]


def test_curves_that_stand_still_do_not_count():
    curves = np.array([[0.0, 0.1, 1.0], [1.0, 0.1, 0.0], [2.0, 0.1, 1.0]])
    found = jumps.linearity(curves, np.arange(3), 0)
    assert found["line"] == pytest.approx(0.5) and found["moving"] == pytest.approx(2 / 3)
    # Squares about the mean: 2 and 2/3, of which 2 and 0 are explained.
    assert found["pooled"] == pytest.approx(2 / (2 + 2 / 3))
    none = jumps.linearity(curves[:, 1:2], np.arange(3), 0)
    assert none["moving"] == 0 and np.isnan(none["line"])


def test_readings_of_a_record(recorded_run):
    """Raw is what was recorded; standardised sentences have deviation 1; logit is over 1 - p."""
    record = recorded_run.record(0)
    raw = jumps.read_as(record, "raw")
    assert np.array_equal(raw, record.saliency)
    first = slice(0, record.lengths[0])
    logit = jumps.read_as(record, "logit", np.array([2]))
    np.testing.assert_allclose(logit[0][first], raw[2][first] / record.uncertainty[2][0])
    scaled = jumps.read_as(record, "standardised")[2][first]
    assert scaled.std() == pytest.approx(1) or not scaled.any()
