"""One live display of long work on a terminal, and none elsewhere."""

import io
import logging
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
import rich.control
import rich.text
from rich.console import Console
from rich.table import Table

from replicate import cli
from replicate.beyond import sweep
from replicate.commands import progress
from replicate.show.explain import Explanation, render_terminal
from replicate.show.terminal import (
    Display,
    escape_controls,
    print_claims,
    print_table,
    printable,
    summary,
    working,
)
from replicate.verdicts import judge

CASES = {
    # terminal, quiet, verbose: bars shown, lines printed
    "terminal": ((True, False, False), True, False),
    "terminal, quiet": ((True, True, False), False, False),
    "terminal, quiet and verbose": ((True, True, True), False, False),
    "terminal, verbose": ((True, False, True), True, True),
    "pipe": ((False, False, False), False, False),
    "pipe, verbose": ((False, False, True), False, True),
}


def shown(terminal, quiet, verbose):
    """What two training runs, one after another, leave on the screen."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100)
    with Display(console, 4, quiet, verbose) as display:
        for name in ("T1", "T2h"):
            for epoch in (1, 2):
                display.bar((0, name), f"seed 0, {name}", 2, epoch, 0.75)
            if name == "T1":
                display.progress.refresh()
            display.end((0, name), f"seed 0, {name}", "done")
    return file.getvalue()


@pytest.mark.parametrize("case", CASES)
def test_bars_on_a_terminal_and_lines_when_wanted(case):
    arguments, bars, lines = CASES[case]
    text = shown(*arguments)
    assert ("epochs of all runs" in text) == bars
    assert ("accuracy 0.750" in text) == bars
    assert ("T2h: done" in text) == lines
    if not (bars or lines):
        assert text == ""


def test_all_epochs_are_counted_in_one_bar():
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(True, False, False))
    counts = re.findall(r"epochs of all runs .*?(\d+)/4", text)
    assert counts[-1] == "4" and counts == sorted(counts)
    # A run that is over has no bar.
    assert "seed 0" not in text.splitlines()[-1]


def test_a_log_file_tells_every_run(tmp_path):
    with progress.log_file(tmp_path):
        shown(False, True, False)
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.split(" INFO ")[1] for line in lines] == ["seed 0, T1: done", "seed 0, T2h: done"]
    assert not [h for h in progress.log.handlers if isinstance(h, logging.FileHandler)]


# --- claims, summary, tables ---------------------------------------------------------


@pytest.fixture(scope="module")
def verdicts(reported_run):
    from replicate.experiment import verdicts_of

    return verdicts_of(reported_run)


def printed(width, show, *arguments):
    file = io.StringIO()
    show(Console(file=file, width=width), *arguments)
    return file.getvalue()


def test_claims_can_be_read_at_80_columns(verdicts):
    """What is claimed, what the paper says, ours and the verdict: all words of them."""
    text = printed(80, print_claims, verdicts)
    assert max(map(len, text.splitlines())) <= 80
    claim = " ".join(line[: 80 - 21] for line in text.splitlines())
    claim = " ".join(claim.split())
    for verdict in verdicts:
        assert " ".join(verdict.claim.statement.split()) in claim
        assert f"paper: {verdict.claim.paper}".strip() in claim
        assert verdict.verdict in text
    assert "undecided" in text and "3 of 50 seeds" in text
    # A wide terminal has every part, the narrow one says where they are.
    wide = printed(140, print_claims, verdicts)
    assert "ours, on average" in wide and "ours, on average" not in text
    assert "claims.json" in text


@pytest.mark.parametrize("width", [80, 140])
def test_epochs_that_are_not_the_papers_are_told(width, verdicts):
    """Claims name epochs of 50; those of a shorter run are shares of it, as the report says."""
    told = "this run has 6, so these ranges of epochs are scaled"
    text = " ".join(printed(width, print_claims, verdicts, [0, 2], 6).split())
    assert told in text and "seeds 0 to 2 without 1" in text
    assert "scaled" not in printed(width, print_claims, verdicts, [0], 50)


def test_a_run_ends_in_one_line_with_the_next_step(verdicts):
    line = summary(verdicts, Path("out/my run"), True, 3)
    assert "\n" not in line and "200 sentences decide nothing" in line
    assert "replicate explain 'out/my run' \"a great movie\"" in line
    counts = {
        v: int(n) for n, v in re.findall(r"(\d+) ([a-z ]+)", line.split(": ")[1].split(".")[0])
    }
    judged = [v.verdict for v in verdicts]
    assert counts == {name: judged.count(name) for name in set(judged)}
    # As many as the table above it has rows.
    assert line.startswith(f"{len(verdicts)} claims: ") and sum(counts.values()) == len(verdicts)
    assert "--seeds 50" in summary(verdicts, Path("out"), False, 3)
    assert summary(judge([]), Path("out"), False, 50).endswith("Next: replicate verify out.")


def test_a_table_of_a_file(tmp_path):
    place = tmp_path / "t.csv"
    place.write_text('id,mean,share,note\nH,0.123456,nan,"a, b"\nO1,-1e-05,1,\n')
    text = printed(80, print_table, "Effects", place, ["id", "mean", "share", "note"])
    assert [line.split() for line in text.splitlines()] == [
        ["Effects"], ["id", "mean", "share", "note"], ["H", "0.123", "–", "a,", "b"],
        ["O1", "-1e-05", "1"],
    ]  # fmt: skip


def test_a_terminal_says_what_is_drawn():
    for terminal, quiet, said in ((True, False, True), (True, True, False), (False, False, False)):
        file = io.StringIO()
        with working(Console(file=file, force_terminal=terminal), "drawing figures", quiet):
            pass
        assert ("drawing figures" in file.getvalue()) == said


# --- help ------------------------------------------------------------------------------


def help_of(*names):
    with click.Context(cli.cli, info_name="replicate", terminal_width=80) as context:
        command = cli.cli
        for name in names:
            command = cli.cli.commands[name]
            context = click.Context(command, parent=context, info_name=name, terminal_width=80)
        return command.get_help(context)


def test_commands_are_in_sections_in_the_order_of_use():
    named = [name for names in cli.SECTIONS.values() for name in names]
    assert sorted(named) == sorted(cli.cli.commands)
    text = help_of()
    places = [re.search(rf"^  {name} ", text, re.M).start() for name in named]
    assert places == sorted(places)
    for title, names in cli.SECTIONS.items():
        assert text.index(f"{title}:") < text.index(f"  {next(iter(names))} ")
        assert all(len(about) <= 45 for about in names.values())
    assert named[:4] == ["run", "verify", "report", "explain"]


@pytest.mark.parametrize("name", cli.EXAMPLES)
def test_examples_are_in_the_help_line_by_line(name):
    text = help_of(name)
    examples = [line.strip() for line in cli.EXAMPLES[name].splitlines() if line.strip()]
    assert all(line in text for line in examples)
    for line in examples:
        if line.startswith("replicate "):
            words = shlex.split(line, comments=True)
            assert words[1] in cli.cli.commands
            offered = {o for p in cli.cli.commands[words[1]].params for o in p.opts}
            assert {w for w in words if w.startswith("--")} <= offered


def test_the_grid_in_the_help_of_sweep_is_a_grid(tmp_path):
    text = help_of("sweep").partition("# grid.toml")[2].partition("\n")[2]
    place = tmp_path / "grid.toml"
    place.write_text(text)
    specifications, seeds = sweep.read_grid(place)
    assert len(specifications) == 5 and seeds == [0, 1, 2]
    assert {s.config.epochs for s in specifications} == {30}


# --- control characters of texts and labels -------------------------------------------------

#: It changes colours, rings the bell, and sets a window's title.
EVIL = "\x1b[31mR\x07\x9b2J\r\x1b]0;t\x07"
SHOWN = r"\x1b[31mR\x07\x9b2J\r\x1b]0;t\x07"


def explained(console):
    saliency = np.array([[0.5, 1.0]])
    one = Explanation(
        f"a {EVIL}", ["a", EVIL], np.array([True, True]), np.array([1]), [EVIL],
        np.array([0.5]), saliency,
    )  # fmt: skip
    render_terminal([one], console, light=False)


def told(console):
    """What `progress.on_read` does, and tables and bars."""
    console.print("x.tsv", EVIL, sep="\n", markup=False, highlight=False, soft_wrap=True)
    table = Table()
    table.add_column(EVIL)
    table.add_row(rich.text.Text(EVIL))
    console.print(table)


@pytest.mark.parametrize("show, times", [(explained, 2), (told, 3)])
def test_a_terminal_obeys_no_label_and_no_word(show, times, monkeypatch):
    """Control characters are shown; the colours that Rich adds stay.  Twin: Rich sends them on."""

    def written():
        file = io.StringIO()
        show(Console(file=file, force_terminal=True, width=200, color_system="truecolor"))
        return file.getvalue()

    monkeypatch.setattr(rich.text, "strip_control_codes", rich.control.strip_control_codes)
    assert "\x1b[31mR" in written()
    escape_controls()
    text = written()
    assert text.count(SHOWN) == times
    left = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert left.replace("\n", "").isprintable()
    assert left != text or show is told


def test_every_command_escapes_them(monkeypatch):
    monkeypatch.setattr(rich.text, "strip_control_codes", str)
    with pytest.raises(SystemExit):
        cli.main(["readings"])
    assert rich.text.strip_control_codes is printable


def test_csv_in_a_pipe_is_as_it_is():
    """Its readers want the words themselves."""
    file = io.StringIO()
    escape_controls()
    explained(Console(file=file))
    assert EVIL.replace("\r", " ") in file.getvalue()
