"""The README's lines of Python and of shell, as they stand there."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import operating
import pytest
import regression

from replicate.beyond import ceiling, questions, rivals
from replicate.config import ARMS
from replicate.io.files import read_csv
from replicate.statistics import comparable

README = Path(__file__).resolve().parents[1] / "README.md"


def examples(text):
    """All examples of a page as one doctest."""
    return doctest.DocTestParser().get_doctest(text, {}, "README", str(README), 0)


def console(text):
    """Lines of shell and what they print: (command, output) of `replicate` and of `make run`."""
    (block,) = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    found = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", block, flags=re.MULTILINE)
    # `make run` installs first; the page names the command that it then runs.
    found = [(re.sub(r"^make run\s+# or: ", "", command), shown) for command, shown in found]
    return [(command, shown) for command, shown in found if command.startswith("replicate ")]


def printed_as(shown, printed):
    """Whether an output is the page's; decimal numbers may differ as rounding makes them."""
    number = re.compile(r"\d+\.\d+(?:e[+-]\d+)?")
    wanted = [float(n) for n in number.findall(shown)]
    found = [float(n) for n in number.findall(printed)][: len(wanted)]
    texts = (number.sub("#", text) for text in (shown, printed))
    same = doctest.OutputChecker().check_output(*texts, doctest.ELLIPSIS)
    return same and found == pytest.approx(wanted, rel=0.1)


@pytest.mark.slow
def test_the_lines_of_python_and_of_shell_run(tmp_path, monkeypatch):
    """Pasted one after another into a fresh session, they give what the page shows."""
    monkeypatch.chdir(tmp_path)
    page = README.read_text(encoding="utf-8")
    found = examples(page)
    assert len(found.examples) >= 8
    assert doctest.DocTestRunner(verbose=False).run(found).failed == 0
    assert (tmp_path / "out/sample/report.html").is_file()
    (tmp_path / "replicate").write_text(f'#!/bin/sh\nexec {sys.executable} -m replicate "$@"\n')
    (tmp_path / "replicate").chmod(0o755)
    path = os.pathsep.join([str(README.parent), os.environ.get("PYTHONPATH", "")])
    folder = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    commands = console(page)
    assert len(commands) == 3
    for command, shown in commands:
        ran = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, timeout=600,
            env={**os.environ, "PYTHONPATH": path, "PATH": folder},
        )  # fmt: skip
        assert printed_as(shown, ran.stdout), (command, ran.stdout, ran.stderr)


def test_a_wrong_line_is_noticed(capsys):
    """Twin: an output that is not what the line gives fails."""
    assert doctest.DocTestRunner(verbose=False).run(examples(">>> 1 + 1\n3\n")).failed == 1
    assert "Got" in capsys.readouterr().out


def test_another_output_of_the_shell_is_noticed():
    shown = "...\n20\tpositive\t0.5260\tfilm=1.594e-01\n"
    assert printed_as(shown, "x\ny\n20\tpositive\t0.5261\tfilm=1.593e-01\n")
    assert not printed_as(shown, "x\n20\tnegative\t0.5260\tfilm=1.594e-01\n")
    assert not printed_as(shown, "x\n20\tpositive\t0.5260\tfilm=1.994e-01\n")


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_the_sentence_on_trust_has_the_numbers_of_the_results(name):
    """Beside the table of verdicts, which tools/readme.py fills."""
    head = ("measure", "mean", "low", "high", "seeds")
    jumps, wacs = [], []
    for network in ("calibrated", "as-written"):
        folder = README.parent / "results" / f"{network}-googlenews-31530" / "trust"
        totals = read_csv(folder / "totals.csv", ("sentences", *head), {"mean": float})
        again = read_csv(folder / "agreement.csv", ("source", *head), {"mean": float})
        jumps += [r["mean"] for r in totals if (r["sentences"], r["measure"]) == ("all", "jump")]
        wacs += [r["mean"] for r in again if (r["source"], r["measure"]) == ("all", "wac")]
    (line,) = re.findall(
        r"docs/trust\.md\)\*\*.+?(?:\n\n|\n- )",
        README.with_name(name).read_text(encoding="utf-8"),
        re.S,
    )
    wanted = [*(f"{100 * jump:.0f} %" for jump in jumps), *(f"{wac:.2f}" for wac in wacs)]
    assert re.findall(r"0\.\d+|\d+ %", line) == wanted


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_the_sentence_on_choosing_has_the_numbers_of_the_results(name):
    shares, gains, known = [], [], []
    for network in ("calibrated", "as-written"):
        folder = README.parent / "results" / f"{network}-googlenews-31530" / "ceiling"
        parts = read_csv(folder / "components.csv", ceiling.COMPONENTS, {"share": float})
        shares += [f"{100 * r['share']:.0f} %" for r in parts if r["source"] == "half"]
        _, real, best = read_csv(folder / "best.csv", ceiling.BEST)
        assert "different" in real["measure"] and "known" in best["measure"]
        known.append(f"{100 * float(best['mean']):+.2f}")
        gains += [f"{100 * float(real[column]):+.2f}" for column in ("mean", "low", "high")]
    (line,) = re.findall(
        r"could-choosing-ever-pay\)\*\*.+?(?:\n\n|\n- )",
        README.with_name(name).read_text(encoding="utf-8"),
        re.S,
    )
    assert re.findall(r"[-+]0\.\d+|\d+ %", line) == [*shares, *gains, *known]


def test_one_run_in_seven_and_one_in_fourteen():
    """Runs of both networks in which T1andT2h leads T1andT2l by a point, and those of the opposite."""
    leads = []
    for network in ("calibrated", "as-written"):
        table = operating.committed_rows(f"{network}-googlenews-31530")
        leads += [row["A.T1andT2h"] - row["A.T1andT2l"] for row in table]
    leads = 100 * comparable(leads)
    assert len(leads) == 400
    assert [round(400 / found.sum()) for found in (leads >= 1, leads <= -1)] == [7, 14]
    assert "one in seven shows a full point, one in fourteen the opposite" in README.read_text(
        "utf-8"
    )


def test_what_rounding_moves_at_most():
    """The pages say 2.3 points: the greatest difference of a level of one seed between kernels."""
    moved = []
    for place in README.parent.glob("results/*-googlenews-31530/rounding.csv"):
        if not place.parent.name.startswith("five"):
            by_seed = {}
            for row in read_csv(place, regression.ROUNDING):
                levels = [float(row[f"A.{arm}"]) for arm in ARMS]
                by_seed.setdefault(row["seed"], []).append(levels)
            moved += [np.ptp(levels, axis=0).max() for levels in by_seed.values()]
    assert len(moved) == 40 and f"{100 * max(moved):.1f}" == "2.3"
    for page in ("docs/faq.md", "results/README.md"):
        assert "at most by 2.3" in " ".join((README.parent / page).read_text("utf-8").split())


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_the_sentence_on_scores_has_the_numbers_of_the_results(name):
    """What entropy gains in new seeds, that none does in the calibrated network, the paper's, CR."""
    numbers = dict.fromkeys(("share", "gain", "low", "high"), float)

    def halves(folder):
        place = README.parent / "results" / folder / "questions" / "rivals.csv"
        rows = read_csv(place, questions.RIVALS, numbers)
        return {row["score"]: row for row in rows if row["share"] == 0.5}

    again = halves("as-written-googlenews-31530/confirmation")
    calibrated, written = (
        halves(f"{network}-googlenews-31530") for network in ("calibrated", "as-written")
    )
    (line,) = re.findall(
        r"beyond-the-paper\)\*\*.+?(?:\n\n)",
        README.with_name(name).read_text(encoding="utf-8"),
        re.S,
    )
    shown = again["entropy"], calibrated["instability"], written["instability"]
    wanted = [f"{100 * row[c]:+.2f}" for row in shown for c in ("gain", "low", "high")]
    place = README.parent / "results" / "calibrated-cr" / "again" / "ceiling" / "regimes.csv"
    ((lead, sentences),) = [
        ([f"{100 * float(row[c]):+.2f}" for c in ("mean", "low", "high")], row["sentences"])
        for row in read_csv(place, ceiling.REGIME)
        if (row["share"], row["measure"]) == ("5", "lead")
    ]
    wanted += lead
    assert f" {sentences} " in line
    assert re.findall(r"[-+]\d\.\d+", line) == wanted
    assert again["entropy"]["verdict"] == "better" and again["entropy"]["seeds"] in line
    scores = {score.name for score in rivals.SCORES}
    highest = [row["high"] for score, row in calibrated.items() if score in scores]
    assert len(highest) == len(scores) == int(re.search(r"\d+(?= scores| 種)", line)[0])
    assert max(highest) < rivals.SMALLEST
