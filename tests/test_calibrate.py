"""The calibration: its rule on rows made by hand, its training, and the preset it leads to."""

import json

import numpy as np
import pytest
from test_tools import REPOSITORY, tool

from replicate.beyond.jumps import KINDS, shares, step_kinds
from replicate.beyond.sweep import read_grid
from replicate.config import PRESETS, Config
from replicate.corpus import sample_path
from replicate.io.files import read_csv, save_csv
from replicate.saliency import WinningWindows

calibrate = tool("calibrate")
RESULTS = REPOSITORY / "results" / "calibration"
SEEDS = 20
#: A specification that meets every condition.
GOOD = {
    "last": 0.77, "best": 0.78, "misclassified": 250, "one_sided": 0,
    **dict.fromkeys(calibrate.SHAPE, 0.05),
}  # fmt: skip


def of(n_filters, optimizer, learning_rate, **changed):
    """Rows of a specification; a changed value may be a list, one for each seed."""
    settings = {"n_filters": n_filters, "optimizer": optimizer, "learning_rate": learning_rate}
    columns = {
        name: value if isinstance(value, list) else [value] * SEEDS
        for name, value in {**GOOD, **changed}.items()
    }
    return [
        {**settings, "seed": seed, **{name: column[seed] for name, column in columns.items()}}
        for seed in range(SEEDS)
    ]


KIM = of(100, "AdaDelta", 5e-4, misclassified=0)


def chosen(*groups):
    made = calibrate.judge([row for group in (KIM, *groups) for row in group])
    assert [row["chosen"] for row in made[1:]] == [0] * len(groups)
    return calibrate.candidate(made[0]) if made[0]["chosen"] else None


# --- the rule ----------------------------------------------------------------------------


def test_the_nearest_to_kims_is_chosen():
    """Fewest changes; of equals the more filters; of equals the fewer misclassified."""
    both = of(50, "Adam", 1e-4, misclassified=110)
    fewer = of(50, "AdaDelta", 5e-4, misclassified=120)
    slow = of(100, "SGD", 0.01, misclassified=500)
    fast = of(100, "Adam", 1e-4, misclassified=250)
    assert chosen(both) == (50, "Adam", 1e-4)
    assert chosen(both, fewer) == (50, "AdaDelta", 5e-4)
    assert chosen(both, fewer, slow) == (100, "SGD", 0.01)
    assert chosen(both, fewer, slow, fast) == chosen(fast, slow, fewer, both) == (100, "Adam", 1e-4)


def test_kims_own_network_would_be_chosen_if_it_were_feasible():
    made = calibrate.judge([*of(100, "AdaDelta", 5e-4), *of(100, "Adam", 1e-4)])
    assert made[0]["chosen"] == 1 and made[0]["optimizer"] == "AdaDelta"


@pytest.mark.parametrize(
    "column, kept, lost, reason",
    [
        ("misclassified", [99] + [100] * 19, [99] * 2 + [900] * 18, "too few misclassified"),
        ("last", 0.7501, 0.7499, "has not learned"),
        ("zero", 0.0999, 0.1001, "words at 0"),
        ("to_or_from_0", 0.0999, 0.1001, "square waves"),
        ("to_or_from_0_standardised", 0.0999, 0.1001, "square waves"),
        ("one_sided", 0, [0] * 19 + [1], "output weights of one sign"),
    ],
)
def test_each_condition_refuses_by_itself(column, kept, lost, reason):
    assert chosen(of(100, "Adam", 1e-4, **{column: kept})) is not None
    refused = of(100, "Adam", 1e-4, **{column: lost})
    assert chosen(refused) is None
    (row,) = (r for r in calibrate.judge([*KIM, *refused]) if r["optimizer"] == "Adam")
    assert row["refused"] == reason


def test_square_waves_are_refused_and_smooth_change_is_not():
    """From windows to the rule: a word that one window covers at every other epoch."""
    offsets = np.array([0, 4])
    here, there = (
        WinningWindows(np.array([[p]]), np.array([[True]]), np.array([2])) for p in (0, 2)
    )
    wave = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]] * 3)
    line = np.outer(np.arange(1.0, 7.0), [1.0, 2.0, 0.0, 0.0])
    for saliency, other, refused in ((wave, there, True), (line, here, False)):
        kinds = np.array([step_kinds(*pair, offsets) for pair in [(here, other)] * 5])
        part = float(shares(saliency, kinds)["squares"][KINDS.index("appears")])
        assert part == float(refused)
        group = of(100, "Adam", 1e-4, to_or_from_0=part)
        assert (chosen(group) is None) == refused


def test_no_claim_enters_the_choice():
    """Straightness (F4b), jumps and the best accuracy are shown; the choice is the same without."""
    groups = of(100, "Adam", 1e-4), of(100, "SGD", 0.01, misclassified=300)
    shown = [n for n in calibrate.SHAPE if n.startswith(("straight", "switches", "jump"))]
    other = of(100, "SGD", 0.01, misclassified=300, best=0.9, **dict.fromkeys(shown, 0.99))
    assert len(shown) == 7
    assert chosen(*groups) == chosen(groups[0], other) == (100, "Adam", 1e-4)
    assert not any("." in name for name in calibrate.HEADER)  # statistics of claims: "O5.fall"


def test_settings_that_differ_from_kims_are_counted():
    assert [
        calibrate.changes(dict(zip(calibrate.SETTINGS, row)))
        for row in [
            (100, "AdaDelta", 5e-4),
            (100, "AdaDelta", 1.0),  # AdaDelta ignores its rate
            (20, "AdaDelta", 5e-4),
            (100, "Adam", 5e-4),
            (100, "SGD", 0.01),
            (20, "SGD", 0.01),
        ]
    ] == [0, 0, 1, 1, 1, 2]


def test_screening_keeps_what_lies_between_its_bounds_and_kims_own():
    groups = [of(n, "Adam", 1e-4, misclassified=m) for n, m in [(10, 49), (20, 50), (30, 2001)]]
    rows = [row for group in (KIM, *groups) for row in group]
    assert calibrate.screened(rows) == [(100, "AdaDelta", 5e-4), (20, "Adam", 1e-4)]


# --- the training ------------------------------------------------------------------------


def test_a_row_is_measured_on_the_first_phase():
    corpus, vectors = sample_path()
    settings = Config(n_filters=2, epochs=3, batch_size=10, learning_rate=3e-3).to_dict()
    reported = []
    for shape in (False, True):
        calibrate.first_phase(settings, 1, ([corpus], vectors), shape, reported.append)
    short, row = reported
    assert tuple(row) == tuple(calibrate.ROW)
    assert short == {name: row[name] for name in short} and not set(calibrate.SHAPE) & set(short)
    assert 0 < row["last"] <= row["best"] < 1 and 0 <= row["misclassified"] <= 90
    assert 0 < row["zero"] < 1 and 0 < row["to_or_from_0"] + row["switches"] <= 1
    assert row["to_or_from_0"] != row["to_or_from_0_standardised"]


def test_output_weights_of_one_sign_are_noticed(monkeypatch):
    corpus, vectors = sample_path()
    settings = Config(n_filters=2, epochs=3, batch_size=10).to_dict()
    found = []
    for weights in ([[0.0, 0.0], [1.0, 2.0]], [[0.0, 0.0], [1.0, -2.0]]):
        model = type("Model", (), {"weights": lambda *a, w=weights, **k: {"fc/W": np.array(w)}})
        monkeypatch.setattr(calibrate, "trained_model", lambda *a, model=model: model())
        calibrate.first_phase(settings, 1, ([corpus], vectors), False, found.append)
    assert [row["one_sided"] for row in found] == [1, 0]


def test_a_row_that_is_there_is_not_trained_again(tmp_path, monkeypatch):
    config = Config(n_filters=2, epochs=3, batch_size=10)
    trained = []

    def run_tasks(tasks, jobs, keep):
        for task in tasks:
            trained.append(task.name)
            settings, seed, _, _ = task.arguments
            row = {**{n: settings[n] for n in calibrate.SETTINGS}, "seed": seed, **GOOD}
            keep(task.name, {n: row[n] for n in calibrate.ROW if n not in calibrate.SHAPE})
            keep(task.name, "done")
        return type("Outcome", (), {"failures": {}})

    monkeypatch.setattr(calibrate, "run_tasks", run_tasks)
    place = tmp_path / "screening.csv"
    for seeds in ([1, 2], [2, 3]):
        rows = calibrate.train_all(place, [config], seeds, (), 1, False)
        assert [row["seed"] for row in rows] == seeds
    assert [seed for *_, seed in trained] == [1, 2, 3]


# --- what it found -----------------------------------------------------------------------


def committed(name, shape=True):
    header = {n: kind for n, kind in calibrate.ROW.items() if shape or n not in calibrate.SHAPE}
    return read_csv(RESULTS / name, tuple(header), header)


def test_committed_tables_are_what_the_rule_makes_of_the_seeds(tmp_path):
    specifications, seeds = read_grid(RESULTS / "grid.toml")
    grid = {calibrate.candidate(one.config.to_dict()) for one in specifications}
    first, others = seeds[: calibrate.SCREENING], seeds[calibrate.SCREENING :]
    screening = calibrate.grouped(committed("screening.csv", False))
    assert set(screening) == grid
    assert all([row["seed"] for row in rows] == first for rows in screening.values())
    judged = calibrate.grouped(committed("seeds.csv"))
    assert set(judged) == set(calibrate.screened(committed("screening.csv", False)))
    assert all([row["seed"] for row in rows] == others for rows in judged.values())
    assert len(others) >= 20
    made = calibrate.judge(committed("seeds.csv"))
    names = calibrate.HEADER
    save_csv(tmp_path / "again.csv", names, [[row[name] for name in names] for row in made])
    again = (tmp_path / "again.csv").read_bytes()
    assert again == (RESULTS / "calibration.csv").read_bytes()


def test_the_preset_is_what_was_chosen():
    rows = read_csv(RESULTS / "calibration.csv", calibrate.HEADER)
    (row,) = (row for row in rows if row["chosen"] == "1")
    settings = {name: row[name] for name in calibrate.SETTINGS}
    if settings["optimizer"] == "AdaDelta":
        del settings["learning_rate"]
    expected = (
        PRESETS["as-written"]
        .replace(judged_epoch=0)
        .with_assignments(f"{name}={value}" for name, value in settings.items())
    )
    assert PRESETS["calibrated"] == expected
    assert expected.n_filters >= 10


def test_no_other_run_has_the_seeds():
    _, seeds = read_grid(RESULTS / "grid.toml")
    configs = list((REPOSITORY / "results").glob("*/config.json"))
    assert len(configs) >= 5
    for place in configs:
        assert not set(seeds) & set(json.loads(place.read_text())["seeds"]), place
    for place in (REPOSITORY / "results" / "multiverse" / "grid.toml",):
        assert not set(seeds) & set(read_grid(place)[1])


# --- the figure --------------------------------------------------------------------------


def test_what_is_drawn_is_what_was_judged(tmp_path, monkeypatch):
    groups = of(100, "Adam", 1e-4), of(50, "SGD", 0.05, misclassified=20)
    rows = [row for group in (KIM, *groups) for row in group]
    made = calibrate.judge(rows)
    kept = []
    real = calibrate.figures.save_figure
    keep = lambda figure, stem: kept.append(figure) or real(figure, stem)  # noqa: E731
    monkeypatch.setattr(calibrate.figures, "save_figure", keep)
    calibrate.draw(made, rows, tmp_path / "calibration")
    axes = kept[0].axes
    names = [text.get_text() for text in axes[0].get_yticklabels()]
    assert names == [calibrate.name_of(row) for row in made]
    assert names[0] == "100 filters, Adam 0.0001"
    shown = ("last", "misclassified", "zero", "to_or_from_0")
    for axis, column in zip(axes, shown):
        dots = [line for line in axis.lines if line.get_marker() == "o"]
        assert [float(dot.get_xdata()[0]) for dot in dots] == [row[column] for row in made]
        assert [dot.get_color() for dot in dots] == [
            calibrate.CHOSEN, *[calibrate.REFUSED] * 2,
        ]  # fmt: skip
