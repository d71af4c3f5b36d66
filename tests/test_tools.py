"""Pages quote results/ as they are, workflows fit the Makefile, tools compute what they say."""

import gzip
import importlib
import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure
from PIL import Image

from replicate import claims, cli
from replicate.beyond import multiverse, sweep
from replicate.beyond.rivals import CURVE
from replicate.config import ARMS, PAPER, Config
from replicate.corpus import sample_path
from replicate.experiment import prepare, run_seed
from replicate.io.files import read_csv, save_csv, toml_table
from replicate.run import ACCURACY, Options, Run

REPOSITORY = Path(__file__).resolve().parents[1]


def tool(name):
    """A module of tools/, which pytest has on its path."""
    return importlib.import_module(name)


def test_the_effect_of_a_reading_is_taken_within_seeds(monkeypatch):
    """Differences in the same seed; a seed without all three kinds is left out."""
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the module sets them
    place = REPOSITORY / "benchmarks" / "finetuned.py"
    spec = importlib.util.spec_from_file_location("finetuned", place)
    finetuned = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(finetuned)
    rows = {}
    for seed in range(4):
        for kind in ("static", "move", "stay"):
            mode = "static" if kind == "static" else "finetuned"
            words = "move" if kind == "static" else kind
            # Seeds lie far apart; the reading adds 1, 2 and 3 points to them.
            level = 0.7 - 0.1 * seed + 0.01 * (1 + seed) * (kind == "stay")
            row = dict.fromkeys(finetuned.SHOWN, level)
            rows[kind, seed] = {"vectors_mode": mode, "absent_words": words, **row}
    del rows["stay", 3]
    monkeypatch.setattr(finetuned, "sweep_rows", lambda place: rows)
    made = [dict(zip(finetuned.EFFECT, row)) for row in finetuned.effect("sweep.csv")]
    first = made[0]
    assert (first["statistic"], first["seeds"]) == ("A.T1", 3)
    shown = [float(first[n]) for n in ("static", "move", "stay", "difference", "low", "high")]
    # Three differences of deviation 1: 2 -+ 4.30 / sqrt(3).
    assert shown == pytest.approx([60, 60, 62, 2, -0.484, 4.484], abs=1e-3)
    assert float({row["statistic"]: row for row in made}["misclassified"]["stay"]) == 0.62


# --- Pages against results/ ------------------------------------------------------


@pytest.mark.parametrize("page", tool("readme").PAGES)
def test_pages_quote_results_as_they_are(page):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert tool("readme").filled(text) == text, "run `make readme`"


@pytest.mark.parametrize("page", tool("readme").PAGES)
def test_every_block_of_a_page_is_filled(page, monkeypatch):
    """A block whose marks are misspelt would never be filled, and nobody would notice."""
    readme = tool("readme")
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    found = []
    for name in ("with_rows", "with_numbers"):
        monkeypatch.setattr(readme, name, lambda source, body: found.append(source) or body)
    monkeypatch.setattr(
        readme, "MADE", {n: lambda *names: found.append("") or "" for n in readme.MADE}
    )
    readme.filled(text)
    assert len(found) == text.count("<!--") / 2 > 0


@pytest.mark.slow
@pytest.mark.parametrize("page", tool("readme").PAGES)
def test_a_number_typed_by_hand_is_noticed(page):
    """The last number of each block is changed; filling restores it."""
    readme = tool("readme")
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    blocks = list(re.finditer(r"-->\n((?:(?!<!--).)*)<!-- end ", text, flags=re.DOTALL))
    assert len(blocks) == text.count("<!-- end ")
    for block in blocks:
        last = [match.end() - 1 for match in readme.NUMBER.finditer(block[1])][-1:]
        # A table of words has no number: its last letter is changed.
        last = last or [re.search(r"\w\W*$", block[1]).start()]
        place = block.start(1) + last[0]
        forged = text[:place] + ("9" if text[place] != "9" else "8") + text[place + 1 :]
        assert forged != text and readme.filled(forged) == text


@pytest.mark.parametrize(
    "block, error",
    [
        ("<!-- nothing -->\n<!-- end nothing -->", KeyError),
        ("<!-- table growth.csv\n| {weight} |\n-->\n| a |\n<!-- end table -->", KeyError),
        ("<!-- numbers\ngrowth.csv | value=47970 | weight\n-->\n1\n<!-- end numbers -->", KeyError),
        ("<!-- numbers\ngrowth.csv | sentences | value\n-->\n1\n<!-- end numbers -->", ValueError),
        ("<!-- numbers\ngrowth.csv | 12345 | value\n-->\n1\n<!-- end numbers -->", ValueError),
        ("<!-- numbers\n= 1\n-->\n1 and 2\n<!-- end numbers -->", ValueError),
        ("<!-- numbers\n= 1 2\n-->\n1 and T2\n<!-- end numbers -->", ValueError),
    ],
)
def test_a_block_that_nothing_can_fill_is_an_error(block, error):
    """An unknown name, column or row, several rows, and numbers without a source."""
    with pytest.raises(error):
        tool("readme").filled(block)


def test_sentences_keep_their_form(tmp_path, monkeypatch):
    """Sign, comma and decimals are those of the sentence; factor and divisor those of the source."""
    readme = tool("readme")
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    save_csv(tmp_path / "a.csv", ("name", "gain"), [("x", 0.0125), ("y", -2.5), ("z", 54321.0)])
    (tmp_path / "b.json").write_text('{"corpus": {"tokens": 7654321}, "seeds": [3, 4, 5]}')
    source = "\na.csv | x | 100*gain\na.csv | name=y | gain\na.csv | z | gain gain\n"
    source += "b.json | corpus.tokens/1e6 seeds\n= 50\n"
    text = "Gains +9.99, +1.0 (T1andT2, 40–50), 1,000 and 1; 1.5 million\nof 2 seeds, 50 %."
    made = readme.with_numbers(source, text)
    assert made == (
        "Gains +1.25, -2.5 (T1andT2, 40–50), 54,321 and 54321; 7.7 million\nof 3 seeds, 50 %."
    )


def test_cells_format_themselves():
    cell = tool("readme").Cell
    assert f"{cell('0.12345'):.3f} {cell('0.0125'):100*+.2f} {cell('4797, 1067'):.3f}" == (
        "0.123 +1.25 4797, 1067"
    )
    assert f"{cell(''):.2f} {cell('nan'):.2f} {cell('')} {cell('0.50')}" == "– – – 0.50"
    assert f"{cell('reproduced'):ja}" == "再現された"
    with pytest.raises(KeyError):
        format(cell("smaller than reported by half"), "ja")


def test_rows_follow_the_file_and_the_head_is_kept(tmp_path, monkeypatch):
    readme = tool("readme")
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    rows = [("A", 1.25, ""), ("B", 2.0, 0.5), ("C", 3.0, 1.0)]
    save_csv(tmp_path / "a.csv", ("id", "ours", "low"), rows)
    text = "| 記号 | x |\n| --- | --- |\n| old | 7 |\n| older | 8 |\n"
    source = " a.csv first 2\n| {id} | {ours:.1f} | {low:.1f} … {low:.1f} |\n"
    made = "| 記号 | x |\n| --- | --- |\n| A | 1.2 | – |\n| B | 2.0 | 0.5 … 0.5 |"
    assert readme.with_rows(source, text) == made
    assert readme.with_rows(source.replace(" first 2", ""), text) == (
        made + "\n| C | 3.0 | 1.0 … 1.0 |"
    )


def test_the_picture_is_that_of_the_results(monkeypatch):
    """And it moves with them: an effect of the paper's size lies on the paper's line."""
    picture = tool("picture")
    drawn = (REPOSITORY / "results" / "experiment.svg").read_text(encoding="utf-8")
    assert picture.picture() == drawn, "run `make readme`"
    (paper,) = re.findall(r'd="M([\d.]+) 384V500"[^>]*stroke-dasharray', drawn)
    real = picture.rows_of

    def as_reported(name):
        effect = {"ours": "0.01", "low": "0.008", "high": "0.012"}
        return [{**row, **effect} if row.get("id") in ("H", "O2") else row for row in real(name)]

    monkeypatch.setattr(picture, "rows_of", as_reported)
    assert len(re.findall(rf'<circle cx="{paper}" cy="4\d\d"', picture.picture())) == 4
    assert "font-size" in drawn and not re.search(r"(href|src)=", drawn)


def test_the_verdicts_of_all_claims_fit_beside_a_text():
    """One row a claim, in English and in Japanese, and no verdict without a word for it."""
    verdicts = tool("readme").verdicts
    ids = [claim.id for claim in (claims.S1, *claims.CLAIMS)]
    for language, word in (("en", "no such effect"), ("ja", "その大きさの効果なし")):
        rows = verdicts(language).splitlines()[2:]
        assert sorted(row.split(" | ")[0].strip("| ") for row in rows) == sorted(ids)
        assert sum(row.count(f"| {word} |") for row in rows) >= 5
        assert all(row.count(" | ") == 3 and len(row) < 130 for row in rows)


def test_what_kim_and_corpora_wrote_is_collected(recorded_run, tmp_path):
    """Tables and settings; of each run the statistics of every seed, of committed ones nothing."""
    collect = tool("collect")
    folder = tmp_path / "kim"
    folder.mkdir()
    for name in ("kim.json", "folds.csv", "table.csv", "run.log"):
        (folder / name).write_text(name)
    collect.collect_kim(folder, "here", tmp_path)
    made = tmp_path / "kim" / "here"
    assert sorted(p.name for p in made.iterdir()) == ["folds.csv", "kim.json", "table.csv"]
    committed = tmp_path / "committed"
    committed.mkdir()
    (committed / "statistics.csv").write_text("seed\n")
    compared = tmp_path / "compared"
    compared.mkdir()
    for name in ("effects.csv", "corpora.png", "corpora.svg", "run.log"):
        (compared / name).write_text(name)
    run = tmp_path / "run"
    shutil.copytree(recorded_run.out, run)
    (run / "timing.json").write_text("{}")
    collect.collect_corpora(compared, [run, committed], tmp_path)
    place = tmp_path / "corpora"
    own = place / "run"
    assert sorted(p.name for p in place.iterdir()) == ["corpora.png", "effects.csv", own.name]
    header = (own / "statistics.csv").read_text().splitlines()[0].split(",")
    rows = read_csv(own / "statistics.csv", header)
    assert [int(row["seed"]) for row in rows] == recorded_run.finished_seeds()
    wanted = collect.statistics_of(recorded_run, recorded_run.finished_seeds()[0])
    assert float(rows[0]["A.T1andT2"]) == wanted["A.T1andT2"]


def test_memory_is_collected_by_epochs(tmp_path, monkeypatch):
    """From each run's own settings and timing, whatever order they are given in."""
    collect = tool("collect")

    def folder(place):
        return SimpleNamespace(out=place, config=SimpleNamespace(epochs=int(place.name)), seeds=[0])

    monkeypatch.setattr(collect, "Run", folder)
    for epochs, peak in ((36, 7_000_000), (3, 5_000_000)):
        (tmp_path / str(epochs)).mkdir()
        (tmp_path / str(epochs) / "timing.json").write_text(f'{{"peak_memory_bytes": {peak}}}')
    collect.collect_memory("made", [tmp_path / "36", tmp_path / "3"], tmp_path)
    rows = read_csv(tmp_path / "made" / "memory.csv", ("epochs", "seeds", "peak_memory_bytes"))
    assert [list(row.values()) for row in rows] == [["3", "1", "5000000"], ["36", "1", "7000000"]]


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, None),
        ({"n_filters": 5}, "another n_filters"),
        ({"vectors": {"sha256": "b"}}, "another vectors"),
        ({"epochs": None}, "another epochs"),
        ({"jobs": 1}, "run 2 seeds at once"),
        ({"seeds": [7]}, "run 2 seeds at once"),
    ],
)
def test_memory_of_all_processes_is_of_the_same_settings(change, refused, tmp_path, monkeypatch):
    collect = tool("collect")

    def folder(place):
        text = json.loads((place / "config.json").read_text())
        return SimpleNamespace(
            settings=text,
            seeds=text["seeds"],
            timing=json.loads((place / "timing.json").read_text()),
        )

    monkeypatch.setattr(collect, "Run", folder)
    settings = {"n_filters": 100, "vectors": {"sha256": "a"}, "epochs": 50, "versions": {}}
    timing = {"seconds": 9.5, "jobs": 2}
    later = settings | {"seeds": [7, 8], "versions": {"numpy": "9"}} | change
    jobs = later.pop("jobs", 2)
    for name, text, timed in (
        ("made", settings | {"seeds": list(range(200))}, timing),
        ("later", later, {"jobs": jobs, "peak_together_bytes": 5_000_000, "seconds": 1.0}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(text))
        (tmp_path / name / "timing.json").write_text(json.dumps(timed))
    if refused:
        with pytest.raises(SystemExit, match=refused):
            collect.collect_together("made", tmp_path / "later", tmp_path)
        assert json.loads((tmp_path / "made" / "timing.json").read_text()) == timing
        return
    collect.collect_together("made", tmp_path / "later", tmp_path)
    found = json.loads((tmp_path / "made" / "timing.json").read_text())
    added = {"peak_together_bytes": 5_000_000, "peak_together_of": "2 seeds, run again"}
    assert found == timing | added


def test_agreement_compares_each_dtype_with_its_own_fused_form(tmp_path, monkeypatch):
    """The greatest difference over arms, in points, with its arm."""
    readme = tool("readme")
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    rows = [
        ("fused", "T1", 0.70, 0.71, 0),
        ("fused", "T2h", 0.70, 0.70, 0),
        ("fused, float64", "T1", 0.60, 0.61, 5),
        ("reference", "T1", 0.7075, 0.712, 8),
        ("reference", "T2h", 0.71, 0.70, 8),
        ("reference, float64", "T1", 0.601, 0.612, 5),
    ]
    header = ("variant", "arm", "last", "epochs_40_50", "other_half")
    save_csv(tmp_path / "agreement.csv", header, rows)
    assert readme.agreement().split("\n")[2:] == [
        "| fused, float64 | fused | 10.00 (T1) | 10.00 (T1) | 5 |",
        "| reference | fused | 1.00 (T2h) | 0.20 (T1) | 8 |",
        "| reference, float64 | fused, float64 | 0.10 (T1) | 0.20 (T1) | 5 |",
    ]


def test_the_picture_of_corpora_shows_the_numbers_of_their_table(tmp_path, monkeypatch):
    """One row a reading; marks and lines at mean and interval, in the unit of the table."""
    readme, elsewhere = tool("readme"), tool("elsewhere")
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    monkeypatch.setattr(readme, "CORPORA", {"one": "First", "two": "Second"})
    places = {"by a": "x.csv | score=a", "by b": "x.csv | score=b"}
    monkeypatch.setattr(readme, "ELSEWHERE", {"Gain, points": ("100*+.1f", places)})
    for name, shift in (("one", 0.0), ("two", 0.25)):
        rows = [(score, gain + shift, gain + shift - 0.01, gain + shift + 0.02)
                for score, gain in (("a", 0.5), ("b", -0.125))]  # fmt: skip
        save_csv(tmp_path / name / "x.csv", ("score", "gain", "low", "high"), rows)
    assert readme.elsewhere().split("\n")[2:] == [
        "| Gain, points | by a | +50.0 (+49.0 … +52.0) | +75.0 (+74.0 … +77.0) |",
        "|  | by b | -12.5 (-13.5 … -10.5) | +12.5 (+11.5 … +14.5) |",
    ]
    ax = Figure().subplots()
    elsewhere.drawn(ax, "Gain, points", *readme.ELSEWHERE["Gain, points"])
    intervals, means = ax.lines[:-1:2], ax.lines[1:-1:2]  # the last is the line at 0
    shown = [[m.get_xdata()[0], *i.get_xdata()] for i, m in zip(intervals, means, strict=True)]
    expected = [[50, 49, 52], [75, 74, 77], [-12.5, -13.5, -10.5], [12.5, 11.5, 14.5]]
    assert np.allclose(shown, expected)
    assert [round(m.get_ydata()[0]) for m in means] == [0, 1, 0, 1]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["First", "Second"]


# --- Workflows and CONTRIBUTING ----------------------------------------------------

GUIDES = (
    *("README.md", "README.ja.md", "results/README.md", "CONTRIBUTING.md"),
    *sorted(f"docs/{place.name}" for place in (REPOSITORY / "docs").glob("*.md")),
)
WORKFLOWS = sorted(path.name for path in (REPOSITORY / ".github" / "workflows").glob("*.yml"))


def targets():
    """Targets of the Makefile, its variables left out."""
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
    return set(re.findall(r"^([\w./-]+):(?!=)", text, flags=re.MULTILINE))


def wrong_commands(text):
    """Make targets, and files of tools/, tests/, docs/ and replicate/, that are not there."""
    made = re.findall(r"(?:^|`|run: |&& )make ([\w./-]+)", text, flags=re.MULTILINE)
    named = re.findall(r"\b(?:tools|tests|docs|replicate)/[\w./-]*\.(?:py|md|sh)\b", text)
    return [name for name in made if name not in targets()] + [
        name for name in named if not (REPOSITORY / name).exists() and "NAME" not in name
    ]


def wrong_workflow(text):
    """What is wrong with a workflow, in words."""
    flow = yaml.safe_load(text)
    wrong = [key for key in ("name", "permissions", "jobs") if key not in flow]
    wrong += [] if flow.get(True) else ["on"]  # YAML 1.1 reads "on" as true
    for name, job in flow.get("jobs", {}).items():
        wrong += [f"{name}: {key}" for key in ("runs-on", "timeout-minutes") if key not in job]
        for step in job["steps"]:
            if ("uses" in step) == ("run" in step):
                wrong.append(f"{name}: a step that neither uses nor runs, or both")
            if "uses" in step and not re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]):
                wrong.append(f"{name}: {step['uses']}")
        for version in job.get("strategy", {}).get("matrix", {}).get("python", []):
            wrong += [] if isinstance(version, str) else [f"{name}: {version} is not text"]
    return wrong + wrong_commands(text)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_are_sound(name):
    place = REPOSITORY / ".github" / "workflows" / name
    assert wrong_workflow(place.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "old, new, wrong",
    [
        ("make quick", "make quik", "quik"),
        ("actions/checkout@v6", "actions/checkout@main", "quick: actions/checkout@main"),
        ("on:\n", "off:\n", "on"),
        ("permissions:", "permission:", "permissions"),
        ('"3.11", ', "3.11, ", "quick: 3.11 is not text"),
        ("    timeout-minutes: 20\n", "", "quick: timeout-minutes"),
        (
            "- run: make quick",
            "- name: make quick",
            "quick: a step that neither uses nor runs, or both",
        ),
    ],
)
def test_a_wrong_workflow_is_noticed(old, new, wrong):
    text = (REPOSITORY / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert text.count(old) >= 1
    assert wrong in wrong_workflow(text.replace(old, new))


def test_workflows_cover_all_versions_of_python():
    """Those of setup.py: no more and no fewer."""
    setup = (REPOSITORY / "setup.py").read_text(encoding="utf-8")
    offered = re.findall(r"Python :: (3\.\d+)", setup)
    for name, job in (("test.yml", "quick"), ("nightly.yml", "matrix")):
        text = (REPOSITORY / ".github" / "workflows" / name).read_text(encoding="utf-8")
        assert yaml.safe_load(text)["jobs"][job]["strategy"]["matrix"]["python"] == offered


@pytest.mark.parametrize("page", GUIDES)
def test_guides_name_commands_and_files_that_exist(page):
    assert wrong_commands((REPOSITORY / page).read_text(encoding="utf-8")) == []


def test_a_command_or_file_that_is_not_there_is_noticed():
    text = "`make nothing`\nmake run\n    - run: make all\nsee `tools/no.py`, tests/test_tools.py"
    assert wrong_commands(text) == ["nothing", "all", "tools/no.py"]


def test_hooks_before_a_commit_are_those_of_the_gate():
    """The same minor version of ruff: what a formatter writes changes between them."""
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    found = {hook["id"]: repo for repo in hooks["repos"] for hook in repo["hooks"]}
    assert {"ruff-check", "ruff-format", "end-of-file-fixer", "readme"} <= set(found)
    ruff = re.search(r"ruff>=(\d+\.\d+)", (REPOSITORY / "setup.py").read_text(encoding="utf-8"))
    assert found["ruff-check"]["rev"].startswith(f"v{ruff[1]}.")


def test_modules_that_must_be_typed_exist():
    """A module that was moved or renamed would no longer be checked, and mypy would not say so."""
    place = REPOSITORY / "pyproject.toml"
    table = toml_table(place.read_text(encoding="utf-8"), place)
    overrides = table["tool"]["mypy"]["overrides"]
    (typed,) = [o["module"] for o in overrides if o.get("disallow_untyped_defs")]
    assert len(typed) >= 5
    for name in typed:
        place = REPOSITORY / name.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__init__.py").is_file(), name


# --- Tools ------------------------------------------------------------------------


class Finished:
    """Stands for a run whose levels are the committed ones, moved."""

    def __init__(self, folder, moved):
        header = (folder / "statistics.csv").read_text().splitlines()[0].split(",")
        self.rows = {int(r["seed"]): r for r in read_csv(folder / "statistics.csv", header)}
        self.moved = moved

    def finished_seeds(self):
        return list(self.rows)

    def accuracies(self, seed):
        level = {a: float(self.rows[seed][f"A.{a}"]) + self.moved.get((seed, a), 0) for a in ARMS}
        epochs = np.arange(1, 51)
        return {a: np.stack([epochs, np.full(50, level[a])], 1) for a in ARMS}


MEASURED = ("paper-googlenews-subset", "paper-imdb")
PRIMARY = ("calibrated-googlenews-31530", "as-written-googlenews-31530")


@pytest.fixture(params=MEASURED)
def folder(request):
    """Committed results whose spread under rounding is measured."""
    return REPOSITORY / "results" / request.param


def told(folder, moved):
    return tool("regression").compare(Finished(folder, moved), folder)


def test_a_run_repeats_itself(folder):
    assert told(folder, {}) == ([], 20)


def test_a_level_that_rounding_cannot_move_so_far_is_told(folder):
    """One seed off, or all seeds a little, by what the spread says and no less."""
    regression = tool("regression")
    spread = regression.spread(folder)
    for kind, arm in [(arms, arm) for arms in regression.KINDS for arm in arms]:
        of_seed, of_mean = regression.bounds(
            regression.pooled(spread[f"A.{other}"] for other in kind), 20
        )
        assert told(folder, {(3, arm): 0.95 * of_seed})[0] == []
        wrong, _ = told(folder, {(3, arm): 1.05 * of_seed})
        assert wrong[0].startswith(f"seed 3, {arm}:")
        assert told(folder, {(seed, arm): 0.95 * of_mean for seed in range(20)})[0] == []
        wrong, _ = told(folder, {(seed, arm): 1.05 * of_mean for seed in range(20)})
        assert len(wrong) == 1 and wrong[0].startswith(f"{arm}: the mean")


def test_bounds_are_of_the_spread():
    """Once in a thousand over seven means, by Student's t; a few seeds have no mean."""
    regression = tool("regression")
    spread = regression.Spread(deviation=0.002, freedom=10**6, greatest=0.01)
    of_seed, of_mean = regression.bounds(spread, 18)
    assert of_seed == pytest.approx(0.015)
    assert of_mean == pytest.approx(
        0.002 * 3.803 / 3, rel=1e-3
    )  # normal quantile of 1 - 0.0005 / 7
    assert regression.bounds(spread, 9)[1] == np.inf
    other = spread._replace(deviation=0.014, greatest=0.03)
    assert regression.pooled([spread, other]) == pytest.approx((0.01, 10**6, 0.03))


def test_arms_of_a_half_are_of_one_kind():
    """Every arm is of one kind, so every level has its bounds."""
    others, halved = tool("regression").KINDS
    assert sorted(others + halved) == sorted(ARMS)
    assert halved == ("T2h", "T2l", "T1andT2h", "T1andT2l")


def test_no_number_does_not_repeat(folder):
    wrong, _ = told(folder, {(0, arm): float("nan") for arm in ARMS})
    assert len(wrong) == 14  # each seed's level, and each mean


def test_no_common_seed_does_not_repeat(folder):
    other = Finished(folder, {})
    other.finished_seeds = lambda: [77]
    assert tool("regression").compare(other, folder) == (["the runs have no seed in common"], 0)


# As written, rounding moves a level so far that fewer seeds are told from another split.
@pytest.mark.parametrize(
    "name, told", [*((name, 20) for name in (*MEASURED, PRIMARY[0])), (PRIMARY[1], 5)]
)
def test_every_set_of_kernels_repeats_the_committed_run(name, told):
    """And a set whose seeds are exchanged does not: the bounds tell one split from another."""
    regression, folder = tool("regression"), REPOSITORY / "results" / name
    table = read_csv(folder / "rounding.csv", regression.ROUNDING)
    sets = {row["kernels"] for row in table}
    assert len(sets) == 4
    for kernels in sets:
        run = Finished(folder, {})
        rows = {int(row["seed"]): row for row in table if row["kernels"] == kernels}
        run.rows = rows
        assert regression.compare(run, folder) == ([], 20)
        run.rows = {seed: rows[min(rows) + (seed + 1 - min(rows)) % 20] for seed in rows}
        wrong, _ = regression.compare(run, folder)
        assert len(wrong) > told


def test_sets_that_round_alike_are_one(tmp_path):
    """And the spread is of differences within a seed, whatever its level."""
    regression = tool("regression")
    levels = [("a", 0, 0.70), ("b", 0, 0.70), ("c", 0, 0.72), ("a", 1, 0.80), ("c", 1, 0.84)]
    rows = [(name, seed, 0, *[level] * len(regression.MEASURED)) for name, seed, level in levels]
    save_csv(tmp_path / "rounding.csv", regression.ROUNDING, rows)
    spread = regression.spread(tmp_path)["A.T1"]
    assert spread.freedom == 2 and spread.greatest == pytest.approx(0.04)
    assert spread.deviation == pytest.approx(((2 * 0.01**2 + 2 * 0.02**2) / 2) ** 0.5)


@pytest.mark.slow
def test_rounding_is_collected_from_runs_that_are_alike(
    recorded_run, tmp_path, monkeypatch, refused
):
    """A row a seed and run; of itself a run moves no sentence; another seed's run is refused."""
    regression, out, run = tool("regression"), tmp_path / "made", recorded_run.out
    out.mkdir()
    regression.collect_rounding("made", [run, run], tmp_path)
    rows = read_csv(out / "rounding.csv", regression.ROUNDING)
    assert [(row["seed"], row["other_half"]) for row in rows] == [(seed, "0") for seed in "001122"]
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    place = moved / "seed-001" / "sentences.csv"
    place.write_text(place.read_text().replace(",h,", ",l,", 1))
    with refused("moved", "other settings or seeds"):
        regression.collect_rounding("made", [run, moved], tmp_path)
    monkeypatch.setattr(regression.Run, "finished_seeds", lambda run: [0, 1, 2])
    regression.collect_rounding("made", [run, moved], tmp_path)
    rows = read_csv(out / "rounding.csv", regression.ROUNDING)
    assert [row["other_half"] for row in rows if row["kernels"] == "moved"] == ["0", "1", "0"]


# --- make paper ---------------------------------------------------------------------------


def recipe(target):
    """Commands of a target of the Makefile."""
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    body = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, flags=re.MULTILINE)[1]
    return [line.strip() for line in body.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("seeds, code", [(5, 0), (4, 2)])
def test_what_make_paper_ends_with(seeds, code, tmp_path, capsys, monkeypatch):
    """With vectors of which no results are committed: 0 where S1 holds and seeds suffice."""
    *_, train, compare, verify = recipe("paper")
    assert "replicate run --preset $$preset --seeds $(SEEDS)" in train
    assert compare.startswith("$(BIN)/python tools/regression.py out/$$preset &&")
    assert verify.startswith("$(BIN)/replicate verify out/$$preset || exit")
    # A corpus of the size of MR; training itself is not what is tested.
    n = sum(PAPER["sizes"].values())
    rows = "".join(f"{i % 2}\t{'fine' if i % 2 else 'dull'} film {i % 9}\n" for i in range(n))
    (tmp_path / "c.tsv").write_text("label\ttext\n" + rows, encoding="utf-8")
    config = Config(n_filters=1, epochs=3, batch_size=2000)
    run = prepare(
        tmp_path / "run", config, Options(stored=False), range(seeds), [tmp_path / "c.tsv"],
        "random", dimensions=2,
    )  # fmt: skip
    for seed in run.seeds:
        run_seed(run, seed)
    assert tool("regression").main(run.out) == 0
    with pytest.raises(SystemExit) as stopped:
        cli.main(["verify", str(run.out)])
    printed = capsys.readouterr().out
    assert stopped.value.code == code
    assert ("nothing to compare with" in printed.splitlines()[-1]) == (code == 0)
    assert "nothing to compare with" in printed.splitlines()[0]


def test_a_committed_run_from_before_a_reading_is_compared(
    recorded_run, tmp_path, monkeypatch, capsys
):
    """Its settings lack the reading, and it did what the reading's default does."""
    regression, real = tool("regression"), tool("regression").committed
    monkeypatch.setattr(regression, "committed", lambda same: real(same, tmp_path))
    settings = dict(recorded_run.settings)
    assert settings.pop("absent_words") == "move"
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "claims.csv").touch()
    place = tmp_path / "old" / "config.json"
    place.write_text(json.dumps(settings))
    assert regression.main(recorded_run.out) == 0
    assert "results/old has no rounding.csv" in capsys.readouterr().out
    place.write_text(json.dumps({**settings, "absent_words": "stay"}))
    assert regression.main(recorded_run.out) == 0
    assert "no committed run has these readings" in capsys.readouterr().out


@pytest.fixture
def published(recorded_run, tmp_path, monkeypatch):
    """The recorded run as committed results, which the tool finds."""
    regression, collect = tool("regression"), tool("collect")
    real = regression.committed
    monkeypatch.setattr(regression, "committed", lambda same: real(same, tmp_path))
    place = tmp_path / "mine"
    collect.save_seeds(recorded_run, place)
    collect.save_statistics(recorded_run, place)
    (place / "claims.csv").touch()
    return place


@pytest.mark.slow
def test_where_the_committed_run_was_made_the_last_bit_counts(
    published, recorded_run, capsys, monkeypatch
):
    """And one accuracy that is off by it is named; on another processor it is not asked for."""
    regression = tool("regression")
    assert regression.main(recorded_run.out) == 0
    assert "3 seeds repeat results/mine to the last bit" in capsys.readouterr().out
    rows = read_csv(published / "accuracy.csv.gz", ("seed", "arm", "epoch", "accuracy"))
    at = next(i for i, row in enumerate(rows) if (row["seed"], row["arm"]) == ("1", "T2l"))
    rows[at]["accuracy"] = repr(float(np.nextafter(float(rows[at]["accuracy"]), 1)))
    header = tuple(rows[0])
    save_csv(published / "accuracy.csv.gz", header, [list(row.values()) for row in rows])
    assert regression.main(recorded_run.out) == 1
    assert capsys.readouterr().out.splitlines() == [
        "seed 1, T2l: other accuracies, on the same kind of machine"
    ]
    settings = json.loads((published / "config.json").read_text())
    settings["environment"]["processor"] = "another"
    (published / "config.json").write_text(json.dumps(settings))
    assert regression.main(recorded_run.out) == 0
    assert "has no rounding.csv" in capsys.readouterr().out


@pytest.mark.slow
def test_with_other_vectors_the_levels_of_both_are_shown(published, recorded_run, capsys):
    settings = json.loads((published / "config.json").read_text())
    settings["vectors"].update(matrix="0" * 64, known_tokens=0.25)
    (published / "config.json").write_text(json.dumps(settings))
    regression = tool("regression")
    assert regression.main(recorded_run.out) == 0
    first, _, known, *levels = capsys.readouterr().out.splitlines()
    assert first == "other vectors than results/mine: nothing to compare seed by seed"
    assert known.split()[-1] == "25.0%" and len(levels) == len(ARMS)
    for line in levels:
        _, here, there = line.split()
        assert here == there and 0 < float(here) < 1


def test_accuracies_of_all_rivals_are_collected(tmp_path):
    """With their seed, in one table beside the answers."""
    run, root = tmp_path / "run", tmp_path / "results"
    (run / "questions").mkdir(parents=True)
    (run / "questions" / "rivals.csv").write_text("a")
    (run / "config.json").write_text("{}")
    for seed in (7, 3000000):
        place = run / f"seed-{seed:03d}" / "rivals" / "accuracy.csv"
        save_csv(place, ("arm", "share", "late", "mean"), [("length", 0.5, seed / 1e7, 0.25)])
    tool("collect").collect_further("questions", run, "mine", root)
    found = read_csv(
        root / "mine" / "questions" / "accuracy.csv.gz", ("seed", "arm", "share", "late", "mean")
    )
    assert [(int(r["seed"]), r["arm"], float(r["late"])) for r in found] == [
        (7, "length", 7e-7), (3000000, "length", 0.3)
    ]  # fmt: skip


@pytest.mark.slow
def test_collected_accuracies_are_gone_on_from(published, recorded_run, copied):
    """Back in the folder of a run of the same bits, and of no other."""
    collect, run = tool("collect"), copied(recorded_run)
    rows = [("length", 0.5, 0.7, 0.6), ("el2n", 0.5, 0.75, 0.61)]
    save_csv(run.seed_folder(1) / "rivals" / "accuracy.csv", CURVE, rows)
    (run.out / "questions").mkdir()
    (run.out / "questions" / "timing.json").write_text('{"seconds": 7}')
    collect.collect_further("questions", run.out, "mine", published.parent)
    shutil.rmtree(run.out / "questions")
    shutil.rmtree(run.seed_folder(1) / "rivals")
    collect.resume(run.out, "mine", published.parent)
    found = read_csv(run.seed_folder(1) / "rivals" / "accuracy.csv", CURVE)
    assert [(row["arm"], float(row["late"])) for row in found] == [("length", 0.7), ("el2n", 0.75)]
    assert json.loads((run.out / "questions" / "timing.json").read_text()) == {"seconds": 7}
    place = run.seed_folder(1) / "accuracy.csv"
    accuracies = read_csv(place, ACCURACY)
    accuracies[0]["accuracy"] = "0.123"
    save_csv(place, ACCURACY, [list(row.values()) for row in accuracies])
    with pytest.raises(SystemExit, match="seed 1 is not that of results/mine"):
        collect.resume(run.out, "mine", published.parent)


@pytest.mark.slow
def test_saliency_is_made_again_and_the_rest_is_kept(
    published, recorded_run, tmp_path, monkeypatch
):
    """The same numbers; a seed with another accuracy of T1, or other halves, is run as a whole."""
    again, copy = tool("again"), tmp_path / "again"
    _, vectors = sample_path()

    def start(folder, committed):
        run = recorded_run
        seeds, paths = list(run.seeds), [sample_path()[0]]
        return prepare(folder, run.config, Options(), seeds, paths, vectors, "sample")

    monkeypatch.setattr(again, "start", start)
    before = {p.name: p.read_bytes() for p in published.iterdir()}
    rows = read_csv(published / "accuracy.csv.gz", ("seed", "arm", "epoch", "accuracy"))
    for row in rows:
        if (row["seed"], row["arm"]) == ("1", "T1"):
            row["accuracy"] = "0.5"
        if row["arm"] == "T1andT2ran" and row["seed"] == "2":
            row["accuracy"] = "0.25"  # not looked at: it is taken over
    header = tuple(rows[0])
    save_csv(published / "accuracy.csv.gz", header, [list(row.values()) for row in rows])
    assert again.train(copy, published, 1) == [1]
    run = again.Again(copy)
    assert run.finished_seeds() == [0, 1, 2]
    trained = [Run(copy).finished(seed, "T1andT2") for seed in (0, 1, 2)]
    assert trained == [False, True, False]
    assert again.train(copy, published, 1) == [1]  # all are there
    save_csv(tmp_path / "expected.csv", tool("collect").EXPECTED_HEADER, [])
    again.publish(copy, published, tmp_path / "expected.csv")
    of_seed_0 = [line for line in before["statistics.csv"].splitlines() if line[:2] == b"0,"]
    assert of_seed_0 == [
        line
        for line in (published / "statistics.csv").read_bytes().splitlines()
        if line[:2] == b"0,"
    ]
    made = read_csv(published / "accuracy.csv.gz", header)
    changed = {(r["seed"], r["arm"]) for r, b in zip(made, rows) if r != b}
    assert changed == {("1", "T1")}
    assert (published / "seeds.npz").read_bytes() == before["seeds.npz"]


def test_seeds_that_all_specifications_have_are_collected(tmp_path):
    """A sweep that still goes on: rows of its last seed are left out, and their time."""
    collect, out, root = tool("collect"), tmp_path / "out", tmp_path / "results"
    out.mkdir()
    root.mkdir()
    rows = [
        {
            "specification": name, "seed": seed, **Config().to_dict(),
            "A.T1andT2h": 0.7 + gain + seed / 1000, "A.T1andT2l": 0.7 + seed**2 / 1000,
        }
        for name, gain in (("default", 0.0), ("dropout=0.5", 0.01))
        for seed in range(4)
    ]  # fmt: skip
    sweep.save_rows(out / sweep.ROWS, rows[:-1])
    (out / sweep.SETTINGS).write_text("{}")
    start = "2026-01-01 00:{}:00,000 INFO done\n"
    # Two pauses: of seven minutes between rows, and of three, which one row may take.
    (out / "run.log").write_text("".join(start.format(at) for at in ("00", "01", "08", "11")))
    collect.collect_multiverse(out, root)
    place = root / "multiverse"
    kept = sweep.sweep_rows(place / sweep.ROWS)
    assert sorted(kept) == [(row["specification"], row["seed"]) for row in rows if row["seed"] < 3]
    assert json.loads((place / "timing.json").read_text()) == {"seconds_by_log": 240 * 6 / 7}
    pooled = {row["id"]: row for row in read_csv(place / "multiverse.csv", multiverse.TABLE)}
    assert pooled["H"]["seeds"] == "3" and (place / "specification_curve.png").exists()
    assert not list(place.glob("*.svg"))
    # What a command that came to its end has measured is kept.
    (out / "timing.json").write_text('{"peak_together_bytes": 5}')
    collect.collect_multiverse(out, root)
    assert json.loads((place / "timing.json").read_text())["peak_together_bytes"] == 5
    sweep.save_rows(out / sweep.ROWS, [rows[0], rows[5]])
    with pytest.raises(SystemExit, match="no seed has all 2 specifications yet"):
        collect.collect_multiverse(out, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("what", ["choice", "ceiling", "trust"])
def test_tables_of_further_models_are_collected(what, tmp_path):
    """CSV and PNG, and the settings where the run itself is not collected; large ones compressed."""
    run, root = tmp_path / "run", tmp_path / "results"
    (run / what).mkdir(parents=True)
    for name in ("a.csv", "b.svg", "timing.json"):
        (run / what / name).write_text(name)
    large = "number\n" + "".join(f"{n}\n" for n in range(20_000))
    (run / what / "c.csv").write_text(large)
    shades = np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(shades).save(run / what / "b.png")
    (run / "config.json").write_text("{}")
    collect = tool("collect")
    collect.collect_further(what, run, "mine", root)
    kept = {"a.csv", "b.png", "c.csv.gz", "timing.json"}
    assert {p.name for p in (root / "mine" / what).iterdir()} == kept | {"config.json"}
    assert gzip.decompress((root / "mine" / what / "c.csv.gz").read_bytes()) == large.encode()
    with Image.open(root / "mine" / what / "b.png") as picture:
        assert picture.size == (64, 64) and len(picture.getcolors()) <= 256
    (root / "other").mkdir()
    (root / "other" / "config.json").write_text("{}")
    collect.collect_further(what, run, "other", root, pictures=False)
    assert {p.name for p in (root / "other" / what).iterdir()} == kept - {"b.png"}
    assert set(collect.FURTHER) >= {what}
