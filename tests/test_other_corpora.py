"""Several corpora as one answer: studies, random effects, tables, refusals, the picture."""

import json
import shutil

import numpy as np
import pytest
from scipy import stats

from replicate.beyond import other_corpora as beyond
from replicate.cli import cli
from replicate.inference import random_effects
from replicate.io.files import read_csv, save_csv
from replicate.io.published import PUBLISHED

NAMES = ("sst2", "subj", "cr")
#: What a row needs for the parts that are taken over corpora.
STATISTICS = (
    "seed", "A.T1andT2", "A.T1andT2h", "A.T1andT2l", "A.T1andT2ran", "F5.share.100",
    "F5b.log_ratio", "misclassified",
)  # fmt: skip


@pytest.fixture
def folders(recorded_run, tmp_path):
    """Three folders of results on published corpora, with 60 seeds of made-up statistics."""
    made = []
    for i, name in enumerate(NAMES):
        place = tmp_path / name
        place.mkdir()
        settings = json.loads((recorded_run.out / "config.json").read_text())
        settings["corpus"]["sha256"] = {f.name: f.sha256 for f in PUBLISHED[name].files}
        (place / "config.json").write_text(json.dumps(settings))
        random = np.random.RandomState(i)
        rows = []
        for seed in range(60):
            level = 0.75 + random.normal(0, 0.01)
            lead = 0.002 * i + random.normal(0, 0.004, 3)
            rows.append(
                [
                    seed, level + 0.03, level + lead[0], level + lead[1], level + lead[2],
                    0.8 + random.normal(0, 0.05), 0.5 + 0.2 * i + random.normal(0, 0.1), 300,
                ]
            )  # fmt: skip
        save_csv(place / "statistics.csv", STATISTICS, rows)
        made.append(place)
    return made


def rows_of(place):
    return read_csv(place, beyond.EFFECTS)


def test_each_corpus_and_all_together(folders, tmp_path):
    """The numbers of the tables are those of the seeds, and of the random-effects formula."""
    written = beyond.write_corpora(folders, tmp_path / "out")
    assert all(place.is_file() for place in written) and len(written) == 4
    rows = rows_of(tmp_path / "out" / "effects.csv")
    assert [r["corpus"] for r in rows if r["id"] == "H"] == ["SST-2", "Subj", "CR", "all together"]
    means, errors = [], []
    for place, row in zip(folders, [r for r in rows if r["id"] == "H"]):
        table = read_csv(place / "statistics.csv", STATISTICS, dict.fromkeys(STATISTICS, float))
        lead = np.array([r["A.T1andT2h"] - r["A.T1andT2l"] for r in table])
        means.append(lead.mean())
        errors.append(lead.std(ddof=1) / np.sqrt(60))
        assert float(row["mean"]) == pytest.approx(lead.mean())
        assert float(row["low"]) == pytest.approx(lead.mean() - stats.t.ppf(0.975, 59) * errors[-1])
    together = [r for r in rows if (r["id"], r["corpus"]) == ("H", "all together")][0]
    wanted = random_effects(means, errors)
    for name in ("mean", "low", "high", "between", "p_between", "new_low", "new_high"):
        assert float(together[name]) == pytest.approx(getattr(wanted, name)), name
    assert together["seeds"] == "3"


@pytest.mark.slow
def test_effects_are_shown_as_elsewhere(folders, tmp_path):
    """Logarithms of ratios as ratios, shares as shares, low below high."""
    beyond.write_corpora(folders, tmp_path / "out")
    for row in rows_of(tmp_path / "out" / "effects.csv"):
        low, mean, high = (float(row[name]) for name in ("low", "mean", "high"))
        assert low < mean < high
        if row["corpus"] == "all together":
            assert float(row["new_low"]) < mean < float(row["new_high"])
        wanted = {"F5b": (1.3, 3.0), "F5": (0.7, 0.9), "H": (-0.01, 0.01)}.get(row["id"])
        assert wanted is None or wanted[0] < mean < wanted[1]


def test_verdicts_leave_levels_to_the_papers_corpus(folders, tmp_path):
    beyond.write_corpora(folders, tmp_path / "out")
    rows = read_csv(tmp_path / "out" / "verdicts.csv", beyond.VERDICTS)
    assert {r["corpus"] for r in rows} == {"SST-2", "Subj", "CR"}
    levels = {r["verdict"] for r in rows if r["id"] in ("A1", "A2", "A3")}
    assert levels == {"not applicable"}
    assert {r["verdict"] for r in rows if r["id"] == "F5b"} == {"reproduced"}


def test_a_statistic_that_a_run_lacks_leaves_it_out(folders, tmp_path):
    """Of one corpus alone there is no answer for all; of none, nothing."""
    for place in folders[:2]:
        header = [name for name in STATISTICS if name != "F5b.log_ratio"]
        table = read_csv(place / "statistics.csv", STATISTICS)
        save_csv(place / "statistics.csv", header, [[r[n] for n in header] for r in table])
    beyond.write_corpora(folders, tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "effects.csv")
    assert [r["corpus"] for r in rows if r["id"] == "F5b"] == ["CR"]


@pytest.mark.parametrize("what", ["twice", "readings", "vectors", "few", "no run"])
def test_what_cannot_be_compared_is_refused(what, folders, tmp_path, refused):
    last = folders[-1]
    settings = json.loads((last / "config.json").read_text())
    if what == "twice":
        folders = [*folders, folders[0]]
    elif what == "readings":
        settings["n_filters"] += 1
    elif what == "vectors":
        settings["vectors"]["sha256"] = 64 * "0"
    elif what == "few":
        table = (last / "statistics.csv").read_text().splitlines()[:3]
        (last / "statistics.csv").write_text("\n".join(table) + "\n")
    else:
        shutil.rmtree(last)
    if last.exists():
        (last / "config.json").write_text(json.dumps(settings))
    with refused(str(folders[-1] if what == "twice" else last)):
        beyond.write_corpora(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_is_read_as_its_results_are(recorded_run):
    """Statistics of a run are computed from its files where there is no table."""
    study = beyond.read_study(recorded_run.out)
    assert len(study.rows) == len(recorded_run.finished_seeds())
    assert study.rows[0]["A.T1andT2"] > 0 and study.title


def test_the_command(folders, tmp_path, capfd):
    out = tmp_path / "out"
    assert cli.main(["corpora", *map(str, folders), "--out", str(out)], standalone_mode=False) == 0
    printed = capfd.readouterr().out
    assert str(out / "effects.csv") in printed and str(out / "corpora.png") in printed
