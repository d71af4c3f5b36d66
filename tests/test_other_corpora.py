"""Several corpora as one answer: studies, random effects, tables, refusals, the picture."""

import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from replicate.beyond import other_corpora as beyond
from replicate.claims import part_of
from replicate.cli import cli
from replicate.config import Config
from replicate.corpus import read_corpus
from replicate.inference import random_effects
from replicate.io.errors import InputError
from replicate.io.files import read_csv, save_csv
from replicate.io.published import PUBLISHED

NAMES = ("sst2", "trec", "cr")
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
        settings["corpus"]["content"] = name
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


def with_corpus(place, **facts):
    """Other facts of the corpus in a folder's settings; None takes one away."""
    settings = json.loads((place / "config.json").read_text())
    settings["corpus"].update(facts)
    settings["corpus"] = {n: v for n, v in settings["corpus"].items() if v is not None}
    (place / "config.json").write_text(json.dumps(settings))


def rows_of(place):
    return read_csv(place, beyond.EFFECTS)


def test_each_corpus_and_all_together(folders, tmp_path):
    """The numbers of the tables are those of the seeds, and of the random-effects formula."""
    written = beyond.write_corpora(folders, tmp_path / "out")
    assert all(place.is_file() for place in written) and len(written) == 4
    rows = rows_of(tmp_path / "out" / "effects.csv")
    assert [r["corpus"] for r in rows if r["id"] == "H"] == ["SST-2", "TREC", "CR", "all together"]
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
    assert {r["corpus"] for r in rows} == {"SST-2", "TREC", "CR"}
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


# --- corpora that share sentences --------------------------------------------------------


def test_corpora_that_share_sentences_are_pooled_once(folders, tmp_path):
    """Of two with sentences of MR the first; each keeps its row, and the order decides."""
    files = {f.name: f.sha256 for f in PUBLISHED["sst1"].files}
    with_corpus(folders[1], sha256=files, content="sst1")
    for order in ([0, 1, 2], [1, 0, 2]):
        chosen = [folders[i] for i in order]
        out = tmp_path / str(order[0])
        beyond.write_corpora(chosen, out)
        for claim, part in beyond.PARTS:
            rows = [r for r in rows_of(out / "effects.csv") if r["id"] == claim]
            assert [r["corpus"] for r in rows] == [
                *(["SST-2", "SST-1", "CR"][i] for i in order), "all together",
            ]  # fmt: skip
            assert rows[-1]["seeds"] == "2"
            pooled = [beyond.read_study(place) for place in (chosen[0], chosen[2])]
            wanted = beyond.judge_studies(pooled, part)[1]
            assert float(rows[-1]["mean"]) == pytest.approx(float(part.shown(wanted.mean)))
            # Twin: all three as if they were independent.
            alone = [replace(s, settings={"corpus": {"sha256": {}}}) for s in pooled]
            own = replace(beyond.read_study(chosen[1]), settings=alone[0].settings)
            everything = beyond.judge_studies([*alone, own], part)[1]
            assert everything.mean != wanted.mean
    # Two of one group alone are one answer.
    assert beyond.judge_studies([beyond.read_study(p) for p in folders[:2]], part)[1] is None


@pytest.mark.slow
def test_which_corpora_share_sentences(kim_corpora):
    """Those of one name share thousands; of others, phrases of less than five words at most."""
    sentences = {}
    for name in ("mr", "sst1", "sst2", "subj", "trec", "cr", "mpqa"):
        corpus = read_corpus([name])
        parts = np.split(corpus.tokens, corpus.offsets[1:-1])
        sentences[name] = {tuple(corpus.words[p].tolist()) for p in parts if len(p) >= 5}
    for one, other in itertools.combinations(sentences, 2):
        shared = len(sentences[one] & sentences[other])
        alike = PUBLISHED[one].sentences_of == PUBLISHED[other].sentences_of != ""
        assert shared > 2000 if alike else shared == 0, (one, other, shared)


# --- which studies can be compared -------------------------------------------------------


def test_other_corpora_of_one_file_name_are_told_apart(folders, tmp_path):
    """By their folders; they are two studies."""
    for i, place in enumerate(folders[:2]):
        with_corpus(place, sha256={"train.tsv": str(i) * 64})
    beyond.write_corpora(folders, tmp_path / "out")
    titles = [r["corpus"] for r in read_csv(tmp_path / "out" / "studies.csv", beyond.STUDIES)]
    assert titles == ["train.tsv (sst2)", "train.tsv (trec)", "CR"]
    # Folders of one name: with their paths.
    places = []
    for place in folders[:2]:
        places.append(shutil.copytree(place, tmp_path / f"of {place.name}" / "run"))
    beyond.write_corpora(places, tmp_path / "out")
    titles = [r["corpus"] for r in read_csv(tmp_path / "out" / "studies.csv", beyond.STUDIES)]
    assert titles == [f"train.tsv ({place})" for place in places]


@pytest.mark.parametrize("content", ["sst2", None])
def test_a_corpus_under_another_name_is_there_twice(content, folders, tmp_path, refused):
    """By what is in it; by its files' checksums where version 1.0.0 made the run."""
    files = {f"{i}": f.sha256 for i, f in enumerate(PUBLISHED["sst2"].files)}
    sums = {"copy.csv": 64 * "1"} if content else files
    with_corpus(folders[1], sha256=sums, content=content)
    with refused(folders[1], folders[0], "once more"):
        beyond.write_corpora(folders, tmp_path / "out")


def test_random_vectors_of_other_dimensions_are_others(folders, tmp_path, refused):
    """They have no checksum."""
    for place, dimensions in zip(folders, (5, 5, 6)):
        settings = json.loads((place / "config.json").read_text())
        settings["vectors"].update(name="random", sha256="", dimensions=dimensions)
        (place / "config.json").write_text(json.dumps(settings))
    beyond.write_corpora(folders[:2], tmp_path / "out")
    with refused(folders[2], "other word vectors"):
        beyond.write_corpora(folders, tmp_path / "out")


@pytest.mark.parametrize(
    "content", [b"\xff\xfeseed,A.T1andT2\n", b"seed\n" + b"".join(b"%d\n" % i for i in range(60))]
)
def test_statistics_that_are_none_are_refused(content, folders, tmp_path, refused):
    """Bytes that are no text; a table that has nothing of what is compared."""
    (folders[1] / "statistics.csv").write_bytes(content)
    with refused(folders[1]):
        beyond.write_corpora(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


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


# --- the folder --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*beyond.TABLES, *beyond.PICTURES])
def test_somebody_elses_tables_are_not_written_over(name, tmp_path, refused):
    """Names that others give too: each of them alone, and beside what this program left."""
    (tmp_path / name).write_text("who,when\nI,then\n")
    for left in ([], [".replicate.lock", "run.log"]):
        for other in left:
            (tmp_path / other).touch()
        with refused(tmp_path, name):
            with beyond.locked(tmp_path):
                pass
    assert (tmp_path / name).read_text() == "who,when\nI,then\n"


def test_its_own_tables_are_written_again(folders, tmp_path):
    """Also where they were copied without the rest."""
    out = tmp_path / "out"
    with beyond.locked(out):
        written = beyond.write_corpora(folders, out)
    with beyond.locked(out):
        beyond.write_corpora(folders[:2], out)
    copied = tmp_path / "copied"
    copied.mkdir()
    for place in written:
        shutil.copy(place, copied)
    with beyond.locked(copied):
        pass
    # Twin: without the table that the picture is drawn of, it is anybody's.
    (copied / "effects.csv").unlink()
    with pytest.raises(InputError, match="corpora.png"):
        with beyond.locked(copied):
            pass


def test_the_command(folders, tmp_path, capfd):
    out = tmp_path / "out"
    assert cli.main(["corpora", *map(str, folders), "--out", str(out)], standalone_mode=False) == 0
    printed = capfd.readouterr().out
    assert str(out / "effects.csv") in printed and str(out / "corpora.png") in printed


def test_a_corpus_without_spread_is_told(caplog):
    """Its standard error is 0, so it would be all of the mean; it is not left out in silence."""
    _, part = part_of("H", "epochs 40-50")
    same = {"A.T1andT2h": 0.76, "A.T1andT2l": 0.75}
    varied = [{"A.T1andT2h": 0.76 + i / 1e3, "A.T1andT2l": 0.75} for i in range(5)]
    studies = [
        beyond.Study(title, Config(), {"corpus": {"sha256": {}}}, table)
        for title, table in (("one", [same] * 5), ("two", varied))
    ]
    found, together = beyond.judge_studies(studies, part)
    assert [study.title for study, *_ in found] == ["two"] and together is None
    assert [record.getMessage() for record in caplog.records] == [
        "one: all 5 seeds have the same epochs 40-50, which so has no error; it is left out"
    ]
