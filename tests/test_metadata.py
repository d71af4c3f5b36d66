"""Files for programs are in step with their sources, and each rule notices a wrong file."""

import copy
import json
import re
from pathlib import Path

import metadata
import pytest
import yaml
from jsonschema import Draft202012Validator

import replicate
from replicate import claims
from replicate.io.errors import InputError
from replicate.settings import config_schema, read_settings

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGS = sorted((REPOSITORY / "results").glob("*/config.json"))


def read(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


# --- made files ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["codemeta.json", ".zenodo.json", "docs/config.schema.json"])
def test_made_files_are_in_step(name):
    assert json.loads(read(name)) == metadata.made()[name], "run `make readme`"


def test_a_file_that_is_not_in_step_is_noticed(tmp_path, monkeypatch, capsys):
    """A changed version, a requirement more; writing puts it right."""
    for name in ("CITATION.cff", "setup.py"):
        (tmp_path / name).write_text(read(name), encoding="utf-8")
    monkeypatch.setattr(metadata, "REPOSITORY", tmp_path)
    assert metadata.main(["--check"]) == 1 and metadata.main([]) == 0
    assert metadata.main(["--check"]) == 0
    capsys.readouterr()
    for name, old, new in [
        ("CITATION.cff", "version: 1.1.0", "version: 1.1.9"),
        ("setup.py", '"click>=8.1",', '"click>=8.9",'),
    ]:
        (tmp_path / name).write_text(read(name).replace(old, new), encoding="utf-8")
        assert metadata.main(["--check"]) == 1
        assert "codemeta.json: out of date, run `make readme`" in capsys.readouterr().out
        metadata.main([])


def test_what_is_said_twice_by_hand_agrees():
    """Versions, names and licences of CITATION.cff, setup.py, REUSE.toml and the package."""
    citation = yaml.safe_load(read("CITATION.cff"))
    setup = metadata.setup_arguments(read("setup.py"))
    assert str(citation["version"]) == replicate.__version__
    assert [one["name"] for one in citation["authors"]] == [setup["author"]]
    assert citation["keywords"] == setup["keywords"]
    assert citation["license"] == metadata.licences(setup)[0] == "MIT"
    used = set(re.findall(r'SPDX-License-Identifier = "(.+)"', read("REUSE.toml")))
    assert used == {place.stem for place in (REPOSITORY / "LICENSES").iterdir()}
    assert set(metadata.licences(setup)) <= used
    assert read("LICENSES/MIT.txt") == read("LICENSE")
    for work in citation["references"]:
        assert work["scope"] and work["authors"], work["title"]
        # Of the paper no more is known than its text.
        assert 1990 < work.get("year", 0) < 2030 or work["languages"] == ["ja"], work["title"]
        assert re.fullmatch(r"10\.\d+/\S+", work.get("doi", "10.1/x"))


def test_files_for_programs_are_in_the_source_distribution():
    named = read("MANIFEST.in")
    for name in ("CITATION.cff", "REUSE.toml", "codecheck.yml", "codemeta.json", ".zenodo.json"):
        assert name in named.split()
    assert "graft LICENSES" in named


# --- CODECHECK -----------------------------------------------------------------------


def wrong_manifest(text):
    """Entries of a manifest that name no file, have no comment, or are there twice."""
    entries = yaml.safe_load(text)["manifest"]
    files = [entry["file"] for entry in entries]
    wrong = {name for name in files if not (REPOSITORY / name).is_file() or files.count(name) > 1}
    return wrong | {entry["file"] for entry in entries if len(entry.get("comment", "")) < 10}


def test_the_manifest_names_files_that_are_there():
    text = read("codecheck.yml")
    assert wrong_manifest(text) == set()
    names = [Path(e["file"]).name for e in yaml.safe_load(text)["manifest"]]
    assert {"claims.csv", "table1.csv", "fig3.png", "fig4.png", "fig5.png", "fig6.png"} <= set(
        names
    )
    assert wrong_manifest(text.replace("fig3.png", "fig9.png", 1)) == {
        "results/calibrated-googlenews-31530/figures/fig9.png"
    }
    assert wrong_manifest(text.replace("fig4.png", "fig3.png", 1)) != set()


# --- docs/artifact.md --------------------------------------------------------------


def claims_without_a_command(page):
    """Claims that no row of the page's table names; ``O1 to O5`` names five."""
    page = re.sub(
        r"\bO1 to O5\b",
        "O1 O2 O3 O4 O5",
        page.partition("## From claims")[2].partition("## What")[0],
    )
    firsts = " ".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| "))
    wanted = {claim.id for claim in (*claims.CLAIMS, claims.S1)}
    return wanted - set(re.findall(r"\w+", firsts))


def test_every_claim_has_a_command():
    page = read("docs/artifact.md")
    assert claims_without_a_command(page) == set()
    assert claims_without_a_command(page.replace("| F3, F4,", "| F4,")) == {"F3"}
    for name in ("codecheck.yml", "codemeta.json", ".zenodo.json", "docs/config.schema.json"):
        assert f"`{name}`" in page and (REPOSITORY / name).is_file()


# --- JSON Schema of config.json ------------------------------------------------------


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(config_schema())


@pytest.mark.parametrize("place", CONFIGS, ids=lambda place: place.parent.name)
def test_committed_runs_fit_the_schema(place):
    assert (
        list(Draft202012Validator(config_schema()).iter_errors(json.loads(place.read_text()))) == []
    )


def test_a_new_run_fits_the_schema(sample_run):
    settings = json.loads((sample_run().out / "config.json").read_text(encoding="utf-8"))
    assert list(Draft202012Validator(config_schema()).iter_errors(settings)) == []
    for heights in (2, [3], [3, 4, 5]):  # one, or several
        settings["filter_height"] = heights
        assert Draft202012Validator(config_schema()).is_valid(settings)


WRONG = [
    ("padding", "narrower"), ("n_filters", 0), ("n_filters", 2.5), ("learning_rate", 0.0),
    ("epochs", "many"), ("record_epoch_0", "no"), ("seeds", []), ("seeds", [-1]), ("seeds", [2.5]),
    ("device", "@tpu"), ("device", "@cpu and more"), ("implementation", "fast"), ("stored", 1),
    ("corpus", {}), ("corpus.sentences", -1), ("corpus.label_names", ["one"]),
    ("filter_height", [3, 3]), ("filter_height", [3, 2.5]), ("filter_height", []),
    ("filter_height", [3, 17]), ("judged_epoch", -2), ("vectors.known_words", 1.5), ("vectors.sha256", None), ("versions", {"numpy": 2}),
]  # fmt: skip


@pytest.mark.parametrize("name, value", WRONG)
def test_schema_and_program_refuse_the_same(name, value, tmp_path):
    """One thing wrong: both notice it.  Twin: as it was, both accept it."""
    settings = json.loads(CONFIGS[0].read_text(encoding="utf-8"))
    changed = copy.deepcopy(settings)
    *parents, last = name.split(".")
    inner = changed
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    place = tmp_path / "config.json"
    place.write_text(json.dumps(settings))
    read_settings(place)
    place.write_text(json.dumps(changed))
    with pytest.raises(InputError):
        read_settings(place)
    assert not Draft202012Validator(config_schema()).is_valid(changed)


@pytest.mark.parametrize("name", config_schema()["required"])
def test_what_the_schema_requires_the_program_requires(name, tmp_path):
    settings = json.loads(CONFIGS[0].read_text(encoding="utf-8"))
    del settings[name]
    place = tmp_path / "config.json"
    place.write_text(json.dumps(settings))
    with pytest.raises(InputError):
        read_settings(place)
    assert not Draft202012Validator(config_schema()).is_valid(settings)
