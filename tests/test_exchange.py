"""Runs in the forms of other tools: each file is read again and compared with the run."""

import json
import sys

import numpy as np
import pandas
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from replicate import cli
from replicate.show.exchange import write_cartography, write_parquet

# --- Cartography -------------------------------------------------------------------------


def dynamics(folder):
    """guid -> (gold, (E, 2) probabilities), as Cartography's README states the form."""
    places = list((folder / "training_dynamics").iterdir())
    found = {}
    for epoch in range(len(places)):
        place = folder / "training_dynamics" / f"dynamics_epoch_{epoch}.jsonl"
        for line in place.read_text().splitlines():
            record = json.loads(line)
            gold, rows = found.setdefault(record["guid"], (record["gold"], []))
            assert gold == record["gold"]
            rows.append(record[f"logits_epoch_{epoch}"])
    made = {}
    for guid, (gold, rows) in found.items():
        shares = np.exp(rows)
        made[guid] = gold, shares / shares.sum(axis=1, keepdims=True)
    return made


def test_cartography_has_the_outputs_of_every_epoch(copied, recorded_run):
    run = copied(recorded_run)
    found = dynamics(write_cartography(run, 1))
    record, t1 = run.record(1), run.split(1)[0]
    assert list(found) == t1.tolist()
    for i, guid in enumerate(t1.tolist()):
        gold, shares = found[guid]
        assert gold == run.corpus.labels[guid] and shares.shape == (6, 2)
        own = shares[np.arange(6), record.predicted[:, i]]
        assert own == pytest.approx(1 - record.uncertainty[:, i].astype(float), abs=1e-9)
        assert np.array_equal(shares.argmax(axis=1), record.predicted[:, i])
    # Twin: labels exchanged.
    turned = [(shares[:, ::-1].argmax(axis=1) == record.predicted[:, 0]).all()
              for _, shares in [found[t1[0]]]]  # fmt: skip
    assert turned == [False]


def test_cartography_refuses(copied, recorded_run, refused, monkeypatch):
    run = copied(recorded_run)
    with refused("seed 9 is not finished"):
        write_cartography(run, 9)
    monkeypatch.setitem(run.settings["corpus"], "label_names", ["a", "b", "c"])
    with refused("has 3 labels"):
        write_cartography(run, 1)


# --- Parquet -----------------------------------------------------------------------------


def test_parquet_has_the_tables_of_every_seed(copied, recorded_run):
    run = copied(recorded_run)
    folder = write_parquet(run)
    assert {path.name for path in folder.iterdir()} == {
        "sentences.parquet", "words.parquet", "accuracy.parquet",
    }  # fmt: skip
    for path in folder.iterdir():
        assert parquet.ParquetFile(path).num_row_groups == 3
    sentences, words, accuracy = (
        pandas.read_parquet(folder / f"{name}.parquet")
        for name in ("sentences", "words", "accuracy")
    )
    for seed in run.seeds:
        mine = sentences[sentences.seed == seed]
        scores, half = run.sentence_scores(seed)
        np.testing.assert_array_equal(mine.instability.to_numpy(float), scores)
        assert mine.half.fillna("").tolist() == half.tolist()
        assert mine.label.tolist() == run.corpus.labels.tolist()
        assert mine.subset.tolist() == run.subset(seed).tolist()
        wac, count = run.instability(seed)
        mine = words[words.seed == seed].set_index("word")
        for i in np.flatnonzero(count)[::50]:
            assert mine.loc[run.corpus.words[i]].tolist() == [seed, count[i], wac[i]]
        assert len(mine) == (count > 0).sum()
        for arm, curve in run.accuracies(seed).items():
            own = accuracy[(accuracy.seed == seed) & (accuracy.arm == arm)]
            np.testing.assert_array_equal(own[["epoch", "accuracy", "loss"]], curve)


def test_without_pyarrow_one_clear_line(recorded_run, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with refused("pyarrow", "pip install"):
        write_parquet(recorded_run)


# --- the command -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form, written", [("cartography", "seed-001/cartography"), ("parquet", "parquet")]
)
def test_the_command(form, written, copied, recorded_run):
    run = copied(recorded_run)
    seed = ["--seed", "1"] if form == "cartography" else []
    told = CliRunner().invoke(cli.cli, ["export", str(run.out), "--to", form, *seed])
    assert told.exit_code == 0, told.output
    assert told.output.strip() == str(run.out / written) and (run.out / written).is_dir()
    if form == "parquet":
        odd = CliRunner().invoke(cli.cli, ["export", str(run.out), "--to", form, "--seed", "1"])
        assert odd.exit_code == 2 and "leave --seed out" in odd.output
