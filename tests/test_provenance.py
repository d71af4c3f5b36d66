"""Results say by which code they were made; a change of that code does not go unnoticed."""

import shutil
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tools"))

import provenance  # noqa: E402

from replicate import results  # noqa: E402
from replicate.io.files import load_json, save_csv  # noqa: E402


def test_results_are_those_of_the_code():
    """Every folder was made by this code, or compared with it byte for byte, or says why not."""
    record = load_json(provenance.PLACE)
    assert provenance.stale(record, provenance.code(), provenance.folders()) == {}
    assert len(record["made"]) >= 7 and all(len(why) > 20 for why in record["older"].values())


def lacking(settings, timing):
    """What a folder of results does not say of how it was made."""
    facts = {
        "version": settings.get("versions", {}).get("replicate"),
        # Runs of version 1.0.0 did not note it; their code is in ``provenance.json``.
        "commit": settings.get("versions", {}).get("commit")
        or settings.get("versions", {}).get("replicate") == "1.0.0",
        "vectors": settings.get("vectors", {}).get("sha256"),
        "seeds": settings.get("seeds"),
        "seconds": timing.get("seconds"),
        "memory": timing.get("peak_memory_bytes"),
        "memory of all processes": timing.get("peak_together_bytes"),
    }
    return {name for name, fact in facts.items() if not fact}


def facts_of(name):
    place = provenance.PLACE.parent / name
    return load_json(place / "config.json"), load_json(place / "timing.json")


@pytest.mark.parametrize("name", sorted(load_json(provenance.PLACE)["made"]))
def test_a_folder_says_how_it_was_made(name):
    assert lacking(*facts_of(name)) == set()


def test_a_folder_that_keeps_silent_is_noticed():
    settings, timing = facts_of("calibrated-imdb")
    del settings["versions"]["commit"], settings["vectors"]["sha256"]
    del timing["peak_together_bytes"]
    assert lacking(settings, timing) == {"commit", "vectors", "memory of all processes"}
    assert len(lacking({}, {})) == 7


@pytest.fixture
def package(tmp_path):
    """A copy of the modules that numbers depend on."""
    for name in provenance.NUMBERS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / "replicate" / name, tmp_path / name)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, old, new, same",
    [
        ("instability.py", "import numpy as np\n", "import numpy as np  # arrays\n", True),
        ("saliency.py", '"""How strongly', '"""How very strongly', True),
        ("saliency.py", "_HEAD_BLOCK = 4096", "_HEAD_BLOCK = 2048", False),
        ("fast/product.py", " + ", " - ", False),
        ("config.py", "n_filters=100", "n_filters=101", False),
    ],
)
def test_what_counts_as_another_code(name, old, new, same, package):
    """A comment and a docstring do not; a number and a sign do."""
    assert provenance.code(package) == provenance.code()
    source = (package / name).read_text(encoding="utf-8")
    assert old in source
    (package / name).write_text(source.replace(old, new), encoding="utf-8")
    assert (provenance.code(package) == provenance.code()) == same


RECORD = {
    "made": {"a": "1", "b": "2"},
    "neutral": [
        {"from": "1", "to": "2", "compared": "a, seed 0"},
        {"from": "2", "to": "3", "compared": "b, seed 0"},
    ],
    "older": {"c": "made long ago, and why it is kept"},
}


@pytest.mark.parametrize(
    "today, folders, wrong",
    [
        ("3", "abc", set()),  # over two comparisons
        ("2", "abc", set()),
        ("1", "abc", {"b"}),  # a comparison leads one way
        ("4", "abc", {"a", "b"}),
        ("3", "abcd", {"d"}),  # nobody noted it
        ("3", "ac", {"b"}),  # it is gone
        ("3", "ab", {"c"}),
    ],
)
def test_folders_of_another_code_are_named(today, folders, wrong):
    assert set(provenance.stale(RECORD, today, list(folders))) == wrong


def test_what_is_known_when_a_seed_repeats():
    """From the code that made its folder, and from others that gave the same seed; each once."""
    record = {**RECORD, "made": {"a": "1", "b": "2", "d": "3"}}
    link = {"from": "1", "to": "4", "compared": "a, seed 0"}
    assert provenance.links(record, "4", "a", 0) == [link, {**link, "from": "2"}]
    record["neutral"] = [*record["neutral"], link]
    assert provenance.links(record, "4", "a", 0) == [{**link, "from": "2"}]
    assert provenance.links(record, "4", "a", 1) == [{**link, "compared": "a, seed 1"}]
    assert provenance.links(record, "1", "a", 0) == [{**link, "from": "2", "to": "1"}]


def test_rows_of_a_seed(tmp_path):
    """Lines as bytes; seed 1 is not seed 11."""
    (tmp_path / "t.csv").write_bytes(b"seed,x\n1,0.50\n11,0.5\n1,0.25\n")
    assert provenance.rows(tmp_path / "t.csv", 1) == [b"seed,x", b"1,0.50", b"1,0.25"]


class Finished:
    """In the place of what trains: ``prepare`` and the two tables."""

    def __init__(self, monkeypatch, statistic, accuracy):
        settings = {"corpus": {"sha256": {"x": "1"}}, "vectors": {"name": "v", "sha256": "2"}}
        self.settings = settings
        monkeypatch.setattr(provenance, "prepare", lambda *a: self)
        monkeypatch.setattr(provenance, "run_seed", lambda run, seed: None)
        monkeypatch.setattr(provenance, "find_data", lambda *a: ("paper", [], "v"))
        monkeypatch.setattr(
            provenance, "read_settings", lambda place: ({**settings, "stored": True}, None)
        )
        monkeypatch.setattr(
            provenance.collect,
            "save_statistics",
            lambda run, place: (place / "statistics.csv").write_text(f"seed,x\n7,{statistic}\n"),
        )
        monkeypatch.setattr(
            provenance, "save_seeds", lambda run, place: self.write(place, accuracy)
        )

    @staticmethod
    def write(place, accuracy):
        rows = [[7, arm, 1, accuracy] for arm in provenance.ARMS]
        save_csv(place / provenance.ACCURACIES, results.ACCURACY, rows)


@pytest.mark.parametrize(
    "statistic, accuracy, differing",
    [
        ("0.5", 0.75, []),
        ("0.50", 0.75, ["statistics.csv"]),  # the same number, written otherwise
        ("0.5", 0.7500000000000001, ["accuracy.csv.gz"]),  # the last bit
    ],
)
def test_a_seed_that_does_not_repeat_is_noticed(
    statistic, accuracy, differing, tmp_path, monkeypatch
):
    data = tmp_path / "data"
    data.mkdir()
    (data / "v").touch()
    monkeypatch.setattr(provenance, "data_folders", lambda: [data])
    Finished(monkeypatch, statistic, accuracy)
    (tmp_path / "statistics.csv").write_text("seed,x\n3,0.1\n7,0.5\n")
    Finished.write(tmp_path, 0.75)
    assert provenance.repeat(tmp_path, 7) == differing


def test_without_the_vectors_nothing_is_compared(tmp_path, monkeypatch, refused):
    monkeypatch.setattr(provenance, "data_folders", list)
    with refused("is not there; set REPLICATE_DATA"):
        provenance.repeat(provenance.PLACE.parent / "five-filters-imdb", 1000000)
