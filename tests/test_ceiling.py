"""Where accuracy comes from, the honest gain of the best half, and regimes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from replicate import cli
from replicate.beyond import ceiling, choice
from replicate.commands.beyond import _whole_numbers
from replicate.io.files import read_csv
from replicate.run import Run
from replicate.statistics import late_and_mean

RESULTS = Path(__file__).resolve().parents[1] / "results"
PUBLISHED = sorted(place.parent for place in RESULTS.rglob("ceiling/crossed.csv*"))
DESIGN = ceiling.Design(halves=2, trainings=2, sizes=(20, 45), filters=(3,), random=2)


# --- components of variance --------------------------------------------------------------


def crossed(divisions, deviations, halves=6, trainings=3, seed=0):
    """(S, H, R) levels with known standard deviations: division, half, training, rest."""
    random = np.random.RandomState(seed)
    shapes = ((divisions, 1, 1), (divisions, halves, 1), (divisions, 1, trainings),
              (divisions, halves, trainings))  # fmt: skip
    parts = (random.normal(0, sd, shape) for sd, shape in zip(deviations, shapes))
    return 0.75 + sum(parts)


def test_components_are_those_that_were_put_in():
    deviations = (0.013, 0.004, 0.006, 0.008)
    found = ceiling.components(crossed(4000, deviations))
    for name, deviation in zip(ceiling.SOURCES, deviations):
        variance, low, high = found[name]
        assert variance == pytest.approx(deviation**2, rel=0.12), name
        assert low < variance < high


def test_intervals_cover():
    """Of 300 studies of 20 divisions, about 95 % hold the truth for every source."""
    deviations = (0.013, 0.004, 0.006, 0.008)
    hits = dict.fromkeys(ceiling.SOURCES, 0)
    for study in range(300):
        found = ceiling.components(crossed(20, deviations, seed=study))
        for name, deviation in zip(ceiling.SOURCES, deviations):
            hits[name] += found[name][1] <= deviation**2 <= found[name][2]
    assert all(0.85 < n / 300 < 0.995 for n in hits.values()), hits


def test_halves_that_are_all_alike_have_no_variance():
    """Twin: halves shuffled anew for each training are no halves; their variance goes to the rest."""
    levels = crossed(500, (0.01, 0.01, 0.0, 0.002))
    with_halves = ceiling.components(levels)["half"]
    random = np.random.RandomState(1)
    shuffled = levels.copy()
    for division in shuffled:
        for training in range(division.shape[1]):
            random.shuffle(division[:, training])
    without = ceiling.components(shuffled)["half"]
    assert with_halves[1] > 5e-5
    assert without[1] < 0 < without[2] or abs(without[0]) < 1e-5


def test_a_table_by_hand():
    """Two halves, two trainings: mean squares 1 (half), 4 (training) and 0."""
    table = np.array([[[0.0, 2.0], [1.0, 3.0]], [[4.0, 6.0], [5.0, 7.0]]])
    found = {name: values[0] for name, values in ceiling.components(table).items()}
    assert found == {"division": 8 - 0.25 - 1, "half": 0.5, "training": 2.0, "rest": 0.0}


@pytest.mark.parametrize("shape", [(5, 1, 3), (5, 3, 1)])
def test_a_design_that_is_not_crossed_is_refused(shape):
    with pytest.raises(ValueError, match="two halves and two trainings"):
        ceiling.components(np.zeros(shape))


# --- the best half ---------------------------------------------------------------------


def test_noise_has_a_best_half_that_gains_nothing():
    """Chosen and measured on the same sentences it gains; on others it does not."""
    random = np.random.RandomState(0)
    first, second = random.normal(0.75, 0.01, (2, 3000, 6, 2))
    found = ceiling.best_half(first, second)
    assert found["seen"].mean() > 0.006
    assert abs(found["real"].mean()) < 0.0006


def test_the_luck_of_a_network_is_no_gain_of_its_half():
    """It is on both parts of T3, so the training that chose would show it as a gain."""
    random = np.random.RandomState(0)
    luck = random.normal(0, 0.01, (3000, 6, 3))
    first, second = luck + random.normal(0.75, 0.001, (2, 3000, 6, 3))
    assert abs(ceiling.best_half(first, second)["real"].mean()) < 0.0006
    # Twin: chosen and measured in the same trainings, on different sentences.
    best = first.mean(axis=2).argmax(axis=1)
    measured = second.mean(axis=2)
    assert (measured[np.arange(3000), best] - measured.mean(axis=1)).mean() > 0.006


def test_a_half_that_is_better_is_found():
    """Twin: where halves differ on both parts, the gain is real."""
    random = np.random.RandomState(0)
    quality = random.normal(0, 0.01, (3000, 6, 1))
    first, second = quality + random.normal(0.75, 0.003, (2, 3000, 6, 2))
    found = ceiling.best_half(first, second)
    assert found["real"].mean() > 0.8 * found["seen"].mean() > 0.009


def test_one_training_measures_no_gain():
    with pytest.raises(ValueError, match="give two or more"):
        ceiling.best_half(*np.full((2, 5, 6, 1), 0.75))


@pytest.mark.parametrize("place", PUBLISHED, ids=lambda p: str(p.relative_to(RESULTS)))
def test_published_gains_are_those_of_the_published_levels(place):
    (crossed,) = place.glob(f"{ceiling.CROSSED}*")
    rows = read_csv(crossed, ceiling.LEVELS, dict.fromkeys(ceiling.LEVELS, float))
    sizes = [len({row[name] for row in rows}) for name in ("seed", "half", "training")]
    both = (np.array([row[part] for row in rows]).reshape(sizes) for part in ("first", "second"))
    gains = ceiling.best_half(*both)
    *rows, known = read_csv(place / "best.csv", ceiling.BEST)
    for row, gain in zip(rows, gains.values(), strict=True):
        assert float(row["mean"]) == pytest.approx(gain.mean(), abs=1e-12)
        assert f"of {sizes[1]} halves" in row["measure"] and int(row["seeds"]) == sizes[0]
    numbers = dict.fromkeys(("variance", "low", "high"), float)
    parts = {
        r["source"]: r for r in read_csv(place / "components.csv", ceiling.COMPONENTS, numbers)
    }
    wanted = ceiling.known_best([parts["half"][name] for name in numbers], sizes[1])
    assert [float(known[name]) for name in ("mean", "low", "high")] == pytest.approx(
        wanted.tolist()
    )


def test_of_equal_halves_the_mean_counts():
    """Two halves have the same right answers, added in another order: neither is the best alone."""
    one, other = [0.1, 0.2, 0.3], [0.3, 0.2, 0.1]
    assert sum(one) != sum(other)
    first = np.array([[one, other, [0.1] * 3]])
    second = np.array([[[0.5] * 3, [0.7] * 3, [0.6] * 3]])
    # The best on `first` are both of the first two: (0.5 + 0.7) / 2 is the mean of all three.
    chosen = ceiling.best_half(first, second)["real"]
    swapped = ceiling.best_half(first[:, [1, 0, 2]], second[:, [1, 0, 2]])["real"]
    assert chosen == pytest.approx(swapped, abs=1e-12)


@pytest.mark.parametrize(
    "halves, wanted", [(2, np.pi**-0.5), (3, 1.5 * np.pi**-0.5), (6, 1.26720636)]
)
def test_the_known_best_is_the_expected_maximum(halves, wanted):
    """Against the closed forms of two and three, and the tables of order statistics (Teichroew 1956)."""
    assert ceiling.known_best([4.0, -1.0], halves) == pytest.approx([2 * wanted, 0.0], abs=1e-7)


# --- designs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [{"halves": 1}, {"trainings": 1}, {"random": 1}, {"sizes": (46,)}, {"sizes": (0,)}]
)
def test_designs_that_say_nothing_are_refused(wrong, refused):
    with refused("T1 has 45 %" if "sizes" in wrong else "ask for more"):
        ceiling.Design(**wrong)


def test_the_run_s_own_regime_comes_once():
    assert ceiling.Design(sizes=(45,), filters=(20, 5)).regimes(20) == [(45, 20), (45, 5)]
    assert ceiling.Design(sizes=(5,)).regimes(20) == [(5, 20), (45, 20)]


# --- a run -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(recorded_run, tmp_path_factory):
    """A run with the networks of every seed, and the progress that was reported."""
    out = tmp_path_factory.mktemp("ceiling") / "run"
    shutil.copytree(recorded_run.out, out)
    run = Run(out)
    said = []
    for seed in run.seeds:
        ceiling.work_on_ceiling(str(out), seed, DESIGN, said.append)
    return run, said


def rows_of(run, seed, name, header):
    return read_csv(run.seed_folder(seed) / "ceiling" / name, header)


@pytest.mark.slow
def test_every_network_is_reported_once(made):
    run, said = made
    networks = DESIGN.networks(run.config.n_filters)
    assert [done for done, _ in said][-1] == networks
    assert len({done for done, _ in said}) * len(run.seeds) == len(said)


@pytest.mark.slow
def test_a_half_is_trained_as_the_choice_trains_it(made, tmp_path):
    """The first training of a half is that of ``replicate choice``: the same accuracies."""
    run, _ = made
    seed = run.seeds[0]
    copy = tmp_path / "run"
    shutil.copytree(run.out, copy)
    choice.work_on_choice(str(copy), seed, 2, 2, lambda message: None)
    theirs = read_csv(copy / f"seed-{seed:03d}" / "choice" / "levels.csv", choice.LEVEL)
    wanted = {row["arm"]: float(row["late"]) for row in theirs if row["arm"].startswith("random")}
    n = len(run.split(seed)[2])
    ours = {
        f"random_{row['half']}": (
            float(row["first"]) * (n // 2) + float(row["second"]) * (n - n // 2)
        )
        / n
        for row in rows_of(run, seed, "crossed.csv", ceiling.CROSSED_ROW)
        if row["training"] == "0"
    }
    assert ours == pytest.approx(wanted, abs=1e-12)


@pytest.mark.slow
def test_the_whole_of_t1_is_the_run_s_own_regime(made):
    """T1 with T2h, and with all of T2, are the run's arms, where nothing is changed."""
    run, _ = made
    seed = run.seeds[0]
    found = {
        row["name"]: float(row["value"])
        for row in rows_of(run, seed, "regimes.csv", ceiling.REGIME_ROW)
        if (row["share"], row["filters"]) == ("45", str(run.config.n_filters))
    }
    curves = run.accuracies(seed)
    assert found["T2"] == late_and_mean(curves["T1andT2"])[0]
    assert found["T2h"] == late_and_mean(curves["T1andT2h"])[0]
    # Twin: with other filters it is another network.
    others = {
        row["name"]: float(row["value"])
        for row in rows_of(run, seed, "regimes.csv", ceiling.REGIME_ROW)
        if row["filters"] == "3"
    }
    assert others.keys() == found.keys() and others != found


@pytest.mark.slow
def test_what_is_there_is_kept_and_what_is_missing_is_made(made, tmp_path):
    """Some rows lost: trained again, the same numbers."""
    run, _ = made
    seed = run.seeds[0]
    copy = tmp_path / "run"
    shutil.copytree(run.out, copy)
    folder = copy / f"seed-{seed:03d}" / "ceiling"
    whole = {name: (folder / name).read_bytes() for name in ("crossed.csv", "regimes.csv")}
    for name in whole:
        lines = whole[name].decode().splitlines()
        (folder / name).write_text("\n".join([*lines[:3], ""]))
    ceiling.work_on_ceiling(str(copy), seed, DESIGN, lambda message: None)
    assert {name: sorted((folder / name).read_bytes().splitlines()) for name in whole} == {
        name: sorted(content.splitlines()) for name, content in whole.items()
    }


@pytest.mark.slow
def test_tables_and_figure(made):
    run, _ = made
    written = ceiling.write_ceiling(run, run.seeds, DESIGN)
    assert [place.name for place in written] == [
        "crossed.csv", "components.csv", "best.csv", "regimes.csv", "ceiling.png",
    ]  # fmt: skip
    levels = read_csv(written[0], ceiling.LEVELS)
    assert len(levels) == 2 * 2 * len(run.seeds)
    for seed in run.seeds:
        own = [row for row in levels if row["seed"] == str(seed)]
        assert sorted(list(row.values())[1:] for row in own) == sorted(
            list(row.values()) for row in rows_of(run, seed, "crossed.csv", ceiling.CROSSED_ROW)
        )
    found = read_csv(written[1], ceiling.COMPONENTS)
    assert [row["source"] for row in found] == list(ceiling.SOURCES)
    assert sum(float(row["share"]) for row in found) == pytest.approx(1)
    regimes = read_csv(written[3], ceiling.REGIME)
    assert len(regimes) == 3 * len(ceiling.MEASURES)
    assert {(row["share"], row["filters"]) for row in regimes} >= {
        ("20", "6"),
        ("45", "6"),
        ("45", "3"),
    }
    with pytest.raises(Exception, match="has not all networks"):
        ceiling.write_ceiling(run, run.seeds, ceiling.Design(3, 2, (20, 45), (3,), 2))


@pytest.mark.slow
def test_the_command(recorded_run, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(recorded_run.out, out)
    words = ["ceiling", str(out), "--seeds", "1", "--halves", "2", "--trainings", "2"]
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--sizes", "45", "--jobs", "1"])
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert "11 models for 1 seed: about" in said.err and "Where the accuracy comes" in said.out
    assert (out / "ceiling" / "ceiling.png").is_file()


@pytest.mark.parametrize("size, sentences", [(1, 0), (2, 4)])
def test_a_size_without_a_sentence_is_refused(size, sentences, recorded_run, monkeypatch, refused):
    """Before anything is trained; one sentence will do."""
    trained = []
    monkeypatch.setattr(ceiling, "run_seeds", lambda *given, **_: trained.append(given))
    design = ceiling.Design(2, 2, (size, 45))
    monkeypatch.setattr(type(recorded_run.corpus), "__len__", lambda corpus: 99)
    if not sentences:
        with refused(recorded_run.out, "1 % of 99 sentences", "from 2"):
            ceiling.run_ceiling(recorded_run, [0], design)
    else:
        ceiling.run_ceiling(recorded_run, [0], design)
    assert bool(trained) == bool(sentences)


@pytest.mark.parametrize("text", ["5;15", "x", "1.5", "-3"])
def test_sizes_that_are_no_numbers_are_refused(text, refused):
    with refused("not whole numbers"):
        _whole_numbers("--sizes", text)
